#pragma once

#include <string>

#include "base/bytes.h"
#include "base/error.h"

// Small files with secrets in them.
namespace landfall::server {

// The exclusive right to change files in a directory, among programs that ask for it this way; held
// until destroyed.
class DirectoryGuard {
 public:
  explicit DirectoryGuard(int descriptor) : descriptor_(descriptor) {}
  DirectoryGuard(DirectoryGuard&& other) noexcept;
  DirectoryGuard& operator=(DirectoryGuard&&) = delete;
  ~DirectoryGuard();

 private:
  int descriptor_;
};

// Of the directory that `path` is in; makes it if it is missing, for its owner alone. Waits for
// others.
Result<DirectoryGuard> LockDirectoryOf(const std::string& path);

// Whether anybody but its owner may read or write the file. False if it cannot be looked at.
bool OthersMayRead(const std::string& path);

// Replaces the file, or makes it: mode 0600, whole and durable on return, or unchanged. Keeps the
// owner of what it replaces (a new file has its directory's), so that what root changes, the
// service can still read. Call under LockDirectoryOf(path).
Result<void> WritePrivateFile(const std::string& path, ByteView bytes);

}  // namespace landfall::server
