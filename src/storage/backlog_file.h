#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/error.h"
#include "storage/store.h"
#include "storage/vfs.h"

// A backlog file holds what a checkpoint has moved out of the journal and out of memory: blocks of
// bytes that the shard finds again by file, offset and length, which its checkpoints say. Written
// once, in order, and never changed; removed as a whole. Little-endian.
//
// Header, 64 bytes:
//   offset  size  field
//   0       8     magic      "LFBACKL1"
//   8       4     version    1
//   12      2     shard
//   14      2     reserved   0
//   16      8     number     of the file; never used twice by a shard for what a checkpoint names
//   24      32    reserved   0
//   56      8     checksum   XXH3-64 of bytes 0..55
//
// Then blocks:
//   0       4     length     of the bytes that follow
//   4       4     reserved   0
//   8       8     checksum   XXH3-64 of the bytes, seeded with the header's checksum + the block's
//                            offset: bytes of another file or place do not pass
//   16      n     bytes
namespace landfall::storage {

inline constexpr size_t kBacklogHeaderBytes = 64;
inline constexpr size_t kBacklogBlockHeaderBytes = 16;

struct BacklogName {
  ShardId shard = 0;
  uint64_t number = 0;

  bool operator==(const BacklogName&) const = default;
};

std::string BacklogFileName(const BacklogName& name);
std::optional<BacklogName> ParseBacklogFileName(std::string_view name);

// Writes one file, beginning with the first block. Not durable before Finish, and its name not
// before the directory is synced.
class BacklogWriter {
 public:
  // Replaces what an attempt before has left under that name.
  static Result<std::unique_ptr<BacklogWriter>> Create(Vfs& vfs, const std::string& directory,
                                                       const BacklogName& name);
  // Returns the block's offset.
  Result<uint64_t> Append(ByteView block);
  Result<void> Finish();

  const std::string& path() const { return path_; }
  uint64_t bytes() const { return offset_; }

 private:
  BacklogWriter(std::unique_ptr<File> file, std::string path, uint64_t seed);

  std::unique_ptr<File> file_;
  std::string path_;
  uint64_t seed_;
  uint64_t offset_ = kBacklogHeaderBytes;
  uint64_t unsynced_ = 0;
};

// Reads one block. kCorrupt: what is there is not what was written; the message says what is wrong,
// without the file's name.
Result<ByteBuffer> ReadBacklogBlock(File& file, const BacklogName& name, const BlockPlace& place);

}  // namespace landfall::storage
