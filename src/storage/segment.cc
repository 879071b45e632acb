#include "storage/segment.h"

#include <fmt/format.h>
#include <xxhash.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <limits>

#include "base/wire.h"

namespace landfall::storage {
namespace {

constexpr ByteView kMagic = "LFSEGMT1";
constexpr uint32_t kVersion = 1;
constexpr size_t kFieldsBytes = 64;
constexpr size_t kChecksumOffset = 56;
constexpr size_t kCopyOffset = 2048;

std::optional<SegmentHeader> ReadCopy(ByteView bytes) {
  if (bytes.size() < kFieldsBytes || !bytes.starts_with(kMagic)) return std::nullopt;
  const char* p = bytes.data();
  if (LoadLittle<uint32_t>(p + 8) != kVersion) return std::nullopt;
  if (LoadLittle<uint64_t>(p + kChecksumOffset) != XXH3_64bits(p, kChecksumOffset)) {
    return std::nullopt;
  }
  return SegmentHeader{.epoch = LoadLittle<uint32_t>(p + 12),
                       .first_lsn = LoadLittle<uint64_t>(p + 16),
                       .nonce = LoadLittle<uint64_t>(p + 24)};
}

std::optional<uint64_t> ParseNumberedName(std::string_view name, std::string_view prefix) {
  constexpr std::string_view kSuffix = ".lfj";
  if (!name.starts_with(prefix) || !name.ends_with(kSuffix)) return std::nullopt;
  if (name.size() <= prefix.size() + kSuffix.size()) return std::nullopt;
  const char* first = name.data() + prefix.size();
  const char* last = name.data() + name.size() - kSuffix.size();
  uint64_t number = 0;
  const auto [end, error] = std::from_chars(first, last, number);
  if (error != std::errc() || end != last) return std::nullopt;
  return number;
}

// Every valid frame of this segment with an LSN in [first_lsn, limit), each higher than the one
// before. After a bad one, looks at each aligned offset for the next.
std::vector<ScannedFrame> CollectFrames(ByteView segment, const SegmentHeader& header,
                                        uint64_t limit) {
  std::vector<ScannedFrame> frames;
  uint64_t expected = header.first_lsn;
  uint64_t offset = kSegmentHeaderBytes;
  while (expected < limit && offset + kFrameHeaderBytes <= segment.size()) {
    const ByteView rest = segment.substr(offset);
    const auto peeked = PeekFrameHeader(rest);
    // The cheap checks first: a recycled file is full of old frames.
    if (peeked && peeked->epoch == header.epoch && peeked->lsn >= expected && peeked->lsn < limit &&
        ReadFrame(rest, header.nonce)) {
      frames.push_back({offset, *peeked});
      expected = peeked->lsn + 1;
      offset += FrameBytes(peeked->length);
    } else {
      offset += kFrameAlignment;
    }
  }
  return frames;
}

// Where a frame cut from the tail, starting at `offset`, would have ended if its header is legible.
uint64_t PlausibleEnd(ByteView segment, const SegmentHeader& header, uint64_t offset,
                      uint64_t lsn) {
  if (offset >= segment.size()) return offset;
  const auto peeked = PeekFrameHeader(segment.substr(offset));
  if (!peeked || peeked->epoch != header.epoch || peeked->lsn != lsn) return offset;
  return std::min<uint64_t>(segment.size(), offset + FrameBytes(peeked->length));
}

}  // namespace

ByteBuffer EncodeSegmentHeader(const SegmentHeader& header) {
  ByteBuffer out(kSegmentHeaderBytes, '\0');
  char* p = out.data();
  std::memcpy(p, kMagic.data(), kMagic.size());
  StoreLittle<uint32_t>(p + 8, kVersion);
  StoreLittle<uint32_t>(p + 12, header.epoch);
  StoreLittle<uint64_t>(p + 16, header.first_lsn);
  StoreLittle<uint64_t>(p + 24, header.nonce);
  StoreLittle<uint64_t>(p + kChecksumOffset, XXH3_64bits(p, kChecksumOffset));
  std::memcpy(p + kCopyOffset, p, kFieldsBytes);
  return out;
}

std::optional<SegmentHeader> ReadSegmentHeader(ByteView segment) {
  if (auto header = ReadCopy(segment)) return header;
  if (segment.size() <= kCopyOffset) return std::nullopt;
  return ReadCopy(segment.substr(kCopyOffset));
}

std::string SegmentName(uint64_t first_lsn) { return fmt::format("{:020}.lfj", first_lsn); }

std::optional<uint64_t> ParseSegmentName(std::string_view name) {
  return ParseNumberedName(name, "");
}

std::string SpareName(uint64_t number) { return fmt::format("spare-{}.lfj", number); }

std::optional<uint64_t> ParseSpareName(std::string_view name) {
  return ParseNumberedName(name, "spare-");
}

SegmentScan ScanSegment(ByteView segment, const SegmentHeader& header,
                        std::optional<uint64_t> next_first_lsn) {
  const uint64_t limit = next_first_lsn.value_or(std::numeric_limits<uint64_t>::max());
  std::vector<ScannedFrame> found = CollectFrames(segment, header, limit);
  // Frames up to `floor` were durable once.
  uint64_t floor = next_first_lsn ? limit - 1 : 0;
  if (!next_first_lsn) {
    for (const auto& frame : found) floor = std::max(floor, frame.header.synced_lsn);
  }

  SegmentScan scan;
  scan.synced_lsn = floor;
  scan.next_lsn = header.first_lsn;
  scan.end_offset = kSegmentHeaderBytes;
  size_t kept = 0;
  for (; kept < found.size(); ++kept) {
    const auto& frame = found[kept];
    if (frame.header.lsn > scan.next_lsn) {
      const uint64_t last_lost = std::min(frame.header.lsn - 1, floor);
      if (scan.next_lsn <= last_lost) {
        scan.gaps.push_back({scan.end_offset, scan.next_lsn, last_lost});
        scan.next_lsn = last_lost + 1;
      }
      if (frame.header.lsn > scan.next_lsn) break;  // what is missing was never durable
    }
    scan.next_lsn = frame.header.lsn + 1;
    scan.end_offset = frame.offset + FrameBytes(frame.header.length);
  }
  if (next_first_lsn) {
    if (scan.next_lsn < limit) {
      scan.gaps.push_back({scan.end_offset, scan.next_lsn, limit - 1});
      scan.next_lsn = limit;
    }
  } else {
    uint64_t written = PlausibleEnd(segment, header, scan.end_offset, scan.next_lsn);
    if (kept < found.size()) {
      const auto& last = found.back();
      written = std::max(written, last.offset + FrameBytes(last.header.length));
    }
    scan.torn_bytes = written - scan.end_offset;
  }
  scan.cut.assign(found.begin() + static_cast<ptrdiff_t>(kept), found.end());
  found.resize(kept);
  scan.frames = std::move(found);
  return scan;
}

}  // namespace landfall::storage
