#include "storage/segment.h"

#include <gtest/gtest.h>

namespace landfall::storage {
namespace {

constexpr SegmentHeader kHeader{.epoch = 3, .first_lsn = 10, .nonce = 77};

class SegmentFile {
 public:
  SegmentFile() : bytes(EncodeSegmentHeader(kHeader)) {}

  // Returns where it starts.
  uint64_t Add(uint64_t lsn, uint64_t synced_lsn, uint64_t nonce = kHeader.nonce,
               uint32_t epoch = kHeader.epoch) {
    const ByteBuffer entries(20 + lsn % 7, 'e');
    const FrameHeader header{.length = static_cast<uint32_t>(entries.size()),
                             .lsn = lsn,
                             .shard_seq = lsn,
                             .synced_lsn = synced_lsn,
                             .epoch = epoch,
                             .shard = 1};
    const uint64_t offset = bytes.size();
    bytes.resize(offset + FrameBytes(entries.size()), '\0');
    EncodeFrameHeader(header, HashEntries(entries), nonce, bytes.data() + offset);
    bytes.replace(offset + kFrameHeaderBytes, entries.size(), entries);
    return offset;
  }

  ByteBuffer bytes;
};

std::vector<uint64_t> Lsns(const SegmentScan& scan) {
  std::vector<uint64_t> lsns;
  for (const auto& frame : scan.frames) lsns.push_back(frame.header.lsn);
  return lsns;
}

using Numbers = std::vector<uint64_t>;

TEST(Segment, SurvivesTheLossOfOneCopyOfItsHeader) {
  ByteBuffer bytes = EncodeSegmentHeader(kHeader);
  bytes.replace(0, 512, 512, 'x');
  const auto header = ReadSegmentHeader(bytes);
  ASSERT_TRUE(header);
  EXPECT_EQ(header->first_lsn, 10u);
  EXPECT_EQ(header->nonce, 77u);
  bytes.replace(2048, 512, 512, 'x');
  EXPECT_FALSE(ReadSegmentHeader(bytes));
}

TEST(Segment, NamesSortAsLsnsDo) {
  EXPECT_LT(SegmentName(9), SegmentName(10));
  EXPECT_EQ(ParseSegmentName(SegmentName(123)), 123u);
  EXPECT_FALSE(ParseSegmentName("spare-1.lfj"));
  EXPECT_FALSE(ParseSegmentName(".lfj"));
  EXPECT_EQ(ParseSpareName("spare-17.lfj"), 17u);
}

TEST(Segment, EndsWhereZerosBegin) {
  SegmentFile file;
  file.Add(10, 9);
  file.Add(11, 10);
  const uint64_t end = file.bytes.size();
  file.bytes.resize(8192, '\0');
  const auto scan = ScanSegment(file.bytes, kHeader, std::nullopt);
  EXPECT_EQ(Lsns(scan), (Numbers{10, 11}));
  EXPECT_EQ(scan.end_offset, end);
  EXPECT_EQ(scan.next_lsn, 12u);
  EXPECT_EQ(scan.torn_bytes, 0u);
  EXPECT_TRUE(scan.gaps.empty());
}

TEST(Segment, NeverReadsWhatARecycledFileHeldBefore) {
  SegmentFile file;
  file.Add(10, 9);
  file.Add(11, 10, /*nonce=*/76, /*epoch=*/2);
  file.Add(11, 10, /*nonce=*/76);
  file.Add(7, 6);
  const auto scan = ScanSegment(file.bytes, kHeader, std::nullopt);
  EXPECT_EQ(Lsns(scan), (Numbers{10}));
  EXPECT_TRUE(scan.gaps.empty());
}

TEST(Segment, CutsATornTailAndWhatStandsBehindIt) {
  SegmentFile file;
  file.Add(10, 9);
  const uint64_t torn = file.Add(11, 10);
  file.Add(12, 10);
  file.bytes[torn + kFrameHeaderBytes] ^= 1;
  const auto scan = ScanSegment(file.bytes, kHeader, std::nullopt);
  EXPECT_EQ(Lsns(scan), (Numbers{10}));
  EXPECT_TRUE(scan.gaps.empty());
  EXPECT_EQ(scan.next_lsn, 11u);
  EXPECT_EQ(scan.torn_bytes, file.bytes.size() - torn);
  EXPECT_EQ(scan.cut.size(), 1u);
}

TEST(Segment, ReportsDamageWhenALaterFrameKnowsThatItWasDurable) {
  SegmentFile file;
  file.Add(10, 9);
  const uint64_t bad = file.Add(11, 10);
  file.Add(12, 11);
  file.bytes[bad + kFrameHeaderBytes] ^= 1;
  const auto scan = ScanSegment(file.bytes, kHeader, std::nullopt);
  EXPECT_EQ(Lsns(scan), (Numbers{10, 12}));
  ASSERT_EQ(scan.gaps.size(), 1u);
  EXPECT_EQ(scan.gaps[0].offset, bad);
  EXPECT_EQ(scan.gaps[0].first_lsn, 11u);
  EXPECT_EQ(scan.gaps[0].last_lsn, 11u);
}

TEST(Segment, TellsDamageAndTornTailApartInOneHole) {
  SegmentFile file;
  file.Add(10, 9);
  const uint64_t bad = file.Add(11, 10);  // was durable, as 13 knows
  file.Add(12, 11);                       // was not
  file.Add(13, 11);
  file.bytes[bad] ^= 1;
  file.bytes[bad + FrameBytes(20 + 11 % 7)] ^= 1;
  const auto scan = ScanSegment(file.bytes, kHeader, std::nullopt);
  EXPECT_EQ(Lsns(scan), (Numbers{10}));
  ASSERT_EQ(scan.gaps.size(), 1u);
  EXPECT_EQ(scan.gaps[0].last_lsn, 11u);
  EXPECT_EQ(scan.next_lsn, 12u);
  EXPECT_EQ(scan.cut.size(), 1u);
}

TEST(Segment, IsWholeUpToTheNextOneOrDamaged) {
  SegmentFile file;
  file.Add(10, 9);
  file.Add(11, 10);
  EXPECT_TRUE(ScanSegment(file.bytes, kHeader, 12).gaps.empty());
  const auto cut = ScanSegment(file.bytes, kHeader, 11);
  EXPECT_EQ(Lsns(cut), (Numbers{10}));
  EXPECT_TRUE(cut.gaps.empty());
  const auto scan = ScanSegment(file.bytes, kHeader, 15);
  ASSERT_EQ(scan.gaps.size(), 1u);
  EXPECT_EQ(scan.gaps[0].first_lsn, 12u);
  EXPECT_EQ(scan.gaps[0].last_lsn, 14u);
  EXPECT_EQ(scan.next_lsn, 15u);
}

}  // namespace
}  // namespace landfall::storage
