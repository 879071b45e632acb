#pragma once

#include <map>
#include <optional>
#include <set>

#include "storage/store.h"

namespace landfall::storage {

// A checkpoint in memory. For tests.
struct MemoryOutput final : CheckpointOutput {
  ByteBuffer bytes;
  std::map<uint64_t, ByteBuffer> files;
  std::set<uint64_t> damaged;  // files that ReadBlock cannot read
  bool full = false;           // no block can be written any more

  bool Write(ByteView piece) override {
    bytes += piece;
    return true;
  }
  std::optional<BlockPlace> WriteBlock(uint64_t file, ByteView block) override {
    if (full) return std::nullopt;
    const BlockPlace place{files[file].size(), static_cast<uint32_t>(block.size())};
    files[file] += block;
    return place;
  }
  Result<ByteBuffer> ReadBlock(uint64_t file, BlockPlace place) override {
    if (damaged.contains(file)) return Fail(ErrorCode::kCorrupt, "a flipped bit");
    return Read(file, place);
  }
  ByteBuffer Read(uint64_t file, BlockPlace place) const {
    return files.at(file).substr(place.offset, place.length);
  }
};

}  // namespace landfall::storage
