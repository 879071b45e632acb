#include "storage/frame.h"

#include <gtest/gtest.h>

namespace landfall::storage {
namespace {

ByteBuffer MakeFrame(const FrameHeader& fields, ByteView entries, uint64_t nonce) {
  FrameHeader header = fields;
  header.length = static_cast<uint32_t>(entries.size());
  ByteBuffer out(FrameBytes(entries.size()), '\0');
  EncodeFrameHeader(header, HashEntries(entries), nonce, out.data());
  out.replace(kFrameHeaderBytes, entries.size(), entries);
  return out;
}

TEST(Frame, ReadsBackWhatWasWritten) {
  const ByteBuffer bytes =
      MakeFrame({.lsn = 7, .shard_seq = 3, .synced_lsn = 5, .epoch = 2, .shard = 9}, "entries", 11);
  const auto header = ReadFrame(bytes, 11);
  ASSERT_TRUE(header);
  EXPECT_EQ(header->length, 7u);
  EXPECT_EQ(header->lsn, 7u);
  EXPECT_EQ(header->shard_seq, 3u);
  EXPECT_EQ(header->synced_lsn, 5u);
  EXPECT_EQ(header->epoch, 2u);
  EXPECT_EQ(header->shard, 9);
}

TEST(Frame, NoticesEveryFlippedBitOfHeaderAndEntries) {
  const ByteView entries = "some entries";
  const ByteBuffer whole = MakeFrame({.lsn = 7, .shard_seq = 3}, entries, 11);
  for (size_t byte = 0; byte < kFrameHeaderBytes + entries.size(); ++byte) {
    for (int bit = 0; bit < 8; ++bit) {
      ByteBuffer damaged = whole;
      damaged[byte] ^= static_cast<char>(1 << bit);
      EXPECT_FALSE(ReadFrame(damaged, 11)) << byte << "/" << bit;
    }
  }
}

TEST(Frame, IsNotReadWithAnotherSegmentsNonce) {
  EXPECT_FALSE(ReadFrame(MakeFrame({.lsn = 7}, "entries", 11), 12));
}

TEST(Frame, IsNotReadWhenCutShort) {
  const ByteBuffer whole = MakeFrame({.lsn = 7}, "entries", 11);
  for (size_t n = 0; n < whole.size(); ++n)
    EXPECT_FALSE(ReadFrame(ByteView(whole).substr(0, n), 11));
}

TEST(Frame, StartsAtMultiplesOfEight) {
  EXPECT_EQ(FrameBytes(0), 48u);
  EXPECT_EQ(FrameBytes(1), 56u);
  EXPECT_EQ(FrameBytes(8), 56u);
  EXPECT_EQ(FrameBytes(9), 64u);
}

}  // namespace
}  // namespace landfall::storage
