#pragma once

#include <optional>
#include <string>
#include <vector>

#include "storage/frame.h"

// A segment is a file of the journal: a header of 4096 bytes, then frames one after another. It is
// preallocated and may have been another segment before, so beyond its last frame anything may
// stand. A file never changes its segment: its header is durable before it gets its name, and all
// frames of one segment are durable before the next segment gets its own.
//
// Header, little-endian, at offset 0 and once more at 2048, so that one bad sector does not cost a
// whole segment:
//   offset  size  field
//   0       8     magic      "LFSEGMT1"
//   8       4     version    1
//   12      4     epoch      +1 each time the data directory is opened
//   16      8     first_lsn  of its first frame; ends the segment before it
//   24      8     nonce      random; seeds the checksums of its frames
//   32      24    reserved   0
//   56      8     checksum   XXH3-64 of bytes 0..55
namespace landfall::storage {

inline constexpr uint64_t kSegmentHeaderBytes = 4096;

struct SegmentHeader {
  uint32_t epoch = 0;
  uint64_t first_lsn = 0;
  uint64_t nonce = 0;
};

// All kSegmentHeaderBytes, both copies.
ByteBuffer EncodeSegmentHeader(const SegmentHeader& header);
// Nothing if both copies are damaged.
std::optional<SegmentHeader> ReadSegmentHeader(ByteView segment);

// "<first lsn, 20 digits>.lfj", so that names sort as LSNs do.
std::string SegmentName(uint64_t first_lsn);
std::optional<uint64_t> ParseSegmentName(std::string_view name);
// "spare-<number>.lfj": an allocated file that waits to become a segment.
std::string SpareName(uint64_t number);
std::optional<uint64_t> ParseSpareName(std::string_view name);

struct ScannedFrame {
  uint64_t offset = 0;
  FrameHeader header;
};

// Frames that should be there and cannot be read.
struct LsnGap {
  uint64_t offset = 0;  // where the first of them should start
  uint64_t first_lsn = 0;
  uint64_t last_lsn = 0;
};

struct SegmentScan {
  std::vector<ScannedFrame> frames;  // valid and kept, in order, seals included
  std::vector<LsnGap> gaps;          // damage
  std::vector<ScannedFrame> cut;     // valid, but behind a hole in the torn tail
  uint64_t next_lsn = 0;             // the one after the last that was kept or is known lost
  uint64_t end_offset = 0;           // just after the last frame kept
  uint64_t torn_bytes = 0;           // written after it and never durable: cut
  uint64_t synced_lsn = 0;           // frames up to here are known to have been durable
};

// Reads the frames of a segment. `next_first_lsn` is the following segment's first LSN: every frame
// before it was durable, so one that is missing is damage. Without it this is the last segment, and
// what follows the last frame known durable may be a torn tail, from its first bad frame on.
SegmentScan ScanSegment(ByteView segment, const SegmentHeader& header,
                        std::optional<uint64_t> next_first_lsn);

}  // namespace landfall::storage
