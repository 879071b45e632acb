#include "storage/checkpoint_file.h"

#include <gtest/gtest.h>

#include "storage/fault_vfs.h"
#include "storage/store_testing.h"

namespace landfall::storage {
namespace {

constexpr CheckpointName kName{.shard = 3, .shard_seq = 44};

class CheckpointFile : public testing::Test {
 protected:
  CheckpointFile() { EXPECT_TRUE(vfs_.MakeDirectory("d/checkpoint")); }

  Result<uint64_t> Write(std::string bytes) {
    return WriteCheckpoint(vfs_, "d", kName, SourceOf(std::move(bytes)), nullptr);
  }

  Result<std::string> Read(const CheckpointName& name = kName) {
    std::string all;
    const auto bytes = ReadCheckpoint(vfs_, "d/checkpoint/3-44.lfc", name, [&](ByteView piece) {
      EXPECT_LE(piece.size(), size_t{1} << 20);
      all += piece;
      return Result<void>();
    });
    if (!bytes) return std::unexpected(bytes.error());
    EXPECT_EQ(*bytes, all.size());
    return all;
  }

  FaultVfs vfs_;
};

TEST_F(CheckpointFile, ReadsBackWhatWasWrittenOfAnySize) {
  for (const size_t size : {0, 1, 1000, 1 << 20, (1 << 20) + 1, 9 << 20}) {
    std::string bytes(size, '\0');
    for (size_t i = 0; i < size; ++i) bytes[i] = static_cast<char>(i * 31 + i / 256);
    ASSERT_TRUE(Write(bytes));
    const auto read = Read();
    ASSERT_TRUE(read) << read.error().message;
    EXPECT_TRUE(*read == bytes) << size;
  }
}

TEST_F(CheckpointFile, NoticesAFlippedBitACutEndAndAnotherShardsFile) {
  ASSERT_TRUE(Write(std::string(3000, 'x')));
  const uint64_t size = vfs_.UsedBytes();
  for (const uint64_t byte : {uint64_t{9}, uint64_t{64}, uint64_t{70}, uint64_t{90}, size - 1}) {
    vfs_.FlipBit("d/checkpoint/3-44.lfc", byte, 3);
    EXPECT_EQ(Read().error().code, ErrorCode::kCorrupt) << byte;
    vfs_.FlipBit("d/checkpoint/3-44.lfc", byte, 3);
  }
  EXPECT_EQ(Read({.shard = 4, .shard_seq = 44}).error().code, ErrorCode::kCorrupt);
  ASSERT_TRUE(vfs_.Open("d/checkpoint/3-44.lfc", OpenMode::kReadWrite).value()->Truncate(size - 1));
  EXPECT_EQ(Read().error().code, ErrorCode::kCorrupt);
}

TEST_F(CheckpointFile, IsDurableUnderItsNameOnceWritten) {
  for (uint64_t seed = 0; seed < 20; ++seed) {
    ASSERT_TRUE(Write(std::string(5000, static_cast<char>('a' + seed))));
    Rng rng(seed);
    vfs_.Crash(rng);
    EXPECT_EQ(Read().value()[0], static_cast<char>('a' + seed));
  }
}

TEST_F(CheckpointFile, IsGivenUpAndRemovedWhenTheDiskIsFull) {
  vfs_.SetCapacity(3 << 20);
  EXPECT_EQ(Write(std::string(5 << 20, 'x')).error().code, ErrorCode::kNoSpace);
  EXPECT_EQ(vfs_.UsedBytes(), 0u);
}

TEST_F(CheckpointFile, IsGivenUpWhenCancelled) {
  const std::atomic<bool> cancel = true;
  EXPECT_EQ(WriteCheckpoint(vfs_, "d", kName, SourceOf("x"), &cancel).error().code,
            ErrorCode::kUnavailable);
  EXPECT_EQ(vfs_.UsedBytes(), 0u);
}

TEST_F(CheckpointFile, SyncsInBoundedPieces) {
  const uint64_t before = vfs_.syncs();
  ASSERT_TRUE(Write(std::string(40 << 20, 'x')));
  EXPECT_GE(vfs_.syncs() - before, 5u);
}

TEST(CheckpointFileName, IsParsedBack) {
  const auto name = ParseCheckpointFileName(CheckpointFileName(kName));
  ASSERT_TRUE(name);
  EXPECT_EQ(name->shard, 3);
  EXPECT_EQ(name->shard_seq, 44u);
  for (const char* bad : {"3-44.lfc.tmp", "3.lfc", "-44.lfc", "3-.lfc", "99999999-1.lfc", ""}) {
    EXPECT_FALSE(ParseCheckpointFileName(bad)) << bad;
  }
}

}  // namespace
}  // namespace landfall::storage
