#include "storage/frame.h"

#include <xxhash.h>

#include <cstring>

#include "base/wire.h"

namespace landfall::storage {
namespace {

constexpr uint32_t kMagic = 0x314A464C;  // "LFJ1"
constexpr uint16_t kVersion = 1;
constexpr size_t kChecksumOffset = 40;

uint64_t Checksum(const char* header, uint64_t entries_hash, uint64_t nonce) {
  char covered[kChecksumOffset + 8];
  std::memcpy(covered, header, kChecksumOffset);
  StoreLittle(covered + kChecksumOffset, entries_hash);
  return XXH3_64bits_withSeed(covered, sizeof covered, nonce);
}

}  // namespace

uint64_t HashEntries(ByteView entries) { return XXH3_64bits(entries.data(), entries.size()); }

void EncodeFrameHeader(const FrameHeader& header, uint64_t entries_hash, uint64_t nonce,
                       char* out) {
  StoreLittle<uint32_t>(out, kMagic);
  StoreLittle<uint32_t>(out + 4, header.length);
  StoreLittle<uint64_t>(out + 8, header.lsn);
  StoreLittle<uint64_t>(out + 16, header.shard_seq);
  StoreLittle<uint64_t>(out + 24, header.synced_lsn);
  StoreLittle<uint32_t>(out + 32, header.epoch);
  StoreLittle<uint16_t>(out + 36, header.shard);
  StoreLittle<uint16_t>(out + 38, kVersion);
  StoreLittle<uint64_t>(out + kChecksumOffset, Checksum(out, entries_hash, nonce));
}

std::optional<FrameHeader> PeekFrameHeader(ByteView bytes) {
  if (bytes.size() < kFrameHeaderBytes) return std::nullopt;
  const char* p = bytes.data();
  if (LoadLittle<uint32_t>(p) != kMagic) return std::nullopt;
  if (LoadLittle<uint16_t>(p + 38) != kVersion) return std::nullopt;
  return FrameHeader{
      .length = LoadLittle<uint32_t>(p + 4),
      .lsn = LoadLittle<uint64_t>(p + 8),
      .shard_seq = LoadLittle<uint64_t>(p + 16),
      .synced_lsn = LoadLittle<uint64_t>(p + 24),
      .epoch = LoadLittle<uint32_t>(p + 32),
      .shard = LoadLittle<uint16_t>(p + 36),
  };
}

std::optional<FrameHeader> ReadFrame(ByteView bytes, uint64_t nonce) {
  auto header = PeekFrameHeader(bytes);
  if (!header || header->length > kMaxEntriesBytes) return std::nullopt;
  if (FrameBytes(header->length) > bytes.size()) return std::nullopt;
  const uint64_t entries_hash = HashEntries(bytes.substr(kFrameHeaderBytes, header->length));
  const auto stored = LoadLittle<uint64_t>(bytes.data() + kChecksumOffset);
  if (stored != Checksum(bytes.data(), entries_hash, nonce)) return std::nullopt;
  return header;
}

}  // namespace landfall::storage
