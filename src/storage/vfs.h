#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/error.h"

// The one door to the filesystem. Everything durable goes through it, so that a test can stand in
// for the disk and forget what a power cut would forget (fault_vfs.h).
namespace landfall::storage {

// An open file. Thread: one at a time. Closes itself.
class File {
 public:
  virtual ~File() = default;

  // Writes the pieces one after another at `offset` with as few system calls as possible. May write
  // less than asked (never nothing without an error): returns how many bytes; see WriteAll.
  virtual Result<size_t> Write(uint64_t offset, std::span<const ByteView> pieces) = 0;
  // Fills `out` from `offset`; less only at the end of the file.
  virtual Result<size_t> Read(uint64_t offset, std::span<char> out) = 0;
  // fdatasync: what was written, and the size, is on stable storage. After an error nothing is
  // known about any earlier write, and a second call would prove nothing: never retry it.
  virtual Result<void> Sync() = 0;
  // Reserves blocks for bytes [0, bytes) and makes the file at least that long, new bytes zero.
  // kNoSpace: nothing was lost.
  virtual Result<void> Allocate(uint64_t bytes) = 0;
  virtual Result<uint64_t> Size() = 0;
  virtual Result<void> Truncate(uint64_t bytes) = 0;
};

// The exclusive right to a data directory, held until destroyed. The operating system drops it when
// the process dies.
class DirectoryLock {
 public:
  virtual ~DirectoryLock() = default;
};

enum class OpenMode {
  kRead,
  kReadWrite,  // must exist
  kCreate,     // read and write; must not exist. Durable only after SyncDirectory
};

// Thread: any, several at a time.
class Vfs {
 public:
  virtual ~Vfs() = default;

  virtual Result<std::unique_ptr<File>> Open(const std::string& path, OpenMode mode) = 0;
  // Replaces `to` if it exists. Both in the same directory. Durable only after SyncDirectory.
  virtual Result<void> Rename(const std::string& from, const std::string& to) = 0;
  // A second name for the file, in the same directory; no error if `to` is one already. kExists: it
  // is another file. Durable only after SyncDirectory.
  virtual Result<void> Link(const std::string& path, const std::string& to) = 0;
  // Durable only after SyncDirectory.
  virtual Result<void> Remove(const std::string& path) = 0;
  virtual Result<bool> Exists(const std::string& path) = 0;
  // Names (not paths) of the files in a directory, sorted.
  virtual Result<std::vector<std::string>> List(const std::string& directory) = 0;
  // With its parents; durable on return. No error if it is there.
  virtual Result<void> MakeDirectory(const std::string& directory) = 0;
  // The creates, renames and removes done in this directory are on stable storage.
  virtual Result<void> SyncDirectory(const std::string& directory) = 0;
  // Bytes that an ordinary user may still write to the filesystem of `directory`.
  virtual Result<uint64_t> FreeSpace(const std::string& directory) = 0;
  // kUnavailable: another process holds it.
  virtual Result<std::unique_ptr<DirectoryLock>> Lock(const std::string& directory) = 0;
};

// Write until everything is written.
Result<void> WriteAll(File& file, uint64_t offset, std::span<const ByteView> pieces);
Result<void> WriteAll(File& file, uint64_t offset, ByteView bytes);
// The whole file.
Result<ByteBuffer> ReadWhole(Vfs& vfs, const std::string& path);

}  // namespace landfall::storage
