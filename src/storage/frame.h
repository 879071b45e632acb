#pragma once

#include <cstdint>
#include <optional>

#include "storage/store.h"

// One frame is one shard's batch. Little-endian; starts at a multiple of 8 in its segment and is
// padded with zeros to the next one. A header of 48 bytes, then `length` bytes of entries, which
// the store never looks into.
//
//   offset  size  field
//   0       4     magic       "LFJ1"
//   4       4     length      of the entries in bytes, at most 1 GiB
//   8       8     lsn         log sequence number: +1 per frame in this log
//   16      8     shard_seq   +1 per frame of this shard
//   24      8     synced_lsn  highest LSN known to be durable when this frame was written
//   32      4     epoch       of the segment it was written to
//   36      2     shard       0xFFFF: a seal, which has no entries and only carries synced_lsn
//   38      2     version     1
//   40      8     checksum    XXH3-64, seeded with the segment's nonce, of bytes 0..39 followed by
//                             the 8 bytes of the XXH3-64 of the entries
//
// Two hashes in a chain, so that the worker that encodes a batch also hashes it, and the one
// committer hashes 48 bytes a frame whatever its size. The nonce is random per segment: bytes that
// a recycled file held before, or a message body made to look like a frame, never pass as one.
//
// synced_lsn tells a torn tail from damage: a frame n that cannot be read is a tail that never
// landed, unless a later frame says synced_lsn >= n.
namespace landfall::storage {

inline constexpr size_t kFrameHeaderBytes = 48;
inline constexpr size_t kFrameAlignment = 8;
inline constexpr size_t kMaxEntriesBytes = size_t{1} << 30;
inline constexpr ShardId kSealShard = 0xFFFF;

struct FrameHeader {
  uint32_t length = 0;
  uint64_t lsn = 0;
  uint64_t shard_seq = 0;
  uint64_t synced_lsn = 0;
  uint32_t epoch = 0;
  ShardId shard = 0;
};

// A batch whose entries have been hashed, on the thread that appended it.
struct HashedBatch {
  Batch batch;
  uint64_t entries_hash = 0;
};

uint64_t HashEntries(ByteView entries);

// What a frame takes in its segment: header, entries, padding.
constexpr uint64_t FrameBytes(uint64_t entries_bytes) {
  return (kFrameHeaderBytes + entries_bytes + kFrameAlignment - 1) / kFrameAlignment *
         kFrameAlignment;
}

// Writes kFrameHeaderBytes to `out`.
void EncodeFrameHeader(const FrameHeader& header, uint64_t entries_hash, uint64_t nonce, char* out);

// Reads the fields at the start of `bytes` if magic and version are there. Nothing is verified.
std::optional<FrameHeader> PeekFrameHeader(ByteView bytes);

// The frame at the start of `bytes`, if all of it is there and the checksum holds.
std::optional<FrameHeader> ReadFrame(ByteView bytes, uint64_t nonce);

}  // namespace landfall::storage
