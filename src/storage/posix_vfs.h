#pragma once

#include "storage/vfs.h"

namespace landfall::storage {

// The filesystem of the operating system. Stateless. Thread: any.
class PosixVfs final : public Vfs {
 public:
  Result<std::unique_ptr<File>> Open(const std::string& path, OpenMode mode) override;
  Result<void> Rename(const std::string& from, const std::string& to) override;
  Result<void> Link(const std::string& path, const std::string& to) override;
  Result<void> Remove(const std::string& path) override;
  Result<bool> Exists(const std::string& path) override;
  Result<std::vector<std::string>> List(const std::string& directory) override;
  Result<void> MakeDirectory(const std::string& directory) override;
  Result<void> SyncDirectory(const std::string& directory) override;
  Result<uint64_t> FreeSpace(const std::string& directory) override;
  // Takes flock() on the file LOCK inside the directory.
  Result<std::unique_ptr<DirectoryLock>> Lock(const std::string& directory) override;
};

}  // namespace landfall::storage
