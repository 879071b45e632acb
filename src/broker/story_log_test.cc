#include "broker/story_log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "broker/backlog.h"

namespace landfall::broker {
namespace {

using std::chrono::hours;
using std::chrono::seconds;
using testing::IsEmpty;
using testing::SizeIs;

class StoryLogTest : public testing::Test {
 protected:
  // `name`, so often that it makes one chunk.
  void AddChunk(char name) { log.Add(std::string(kBacklogBlockBytes, name), now); }
  // What a checkpoint would do with it; false: it has nothing for a file.
  bool Store() {
    const StoryLog::Unstored unstored = log.TakeUnstored(now);
    if (unstored.few) {
      log.OnStored({});
      return false;
    }
    std::vector<StoryBlock> blocks;
    for (const StoryChunk& chunk : unstored.chunks) {
      const auto length = static_cast<uint32_t>(chunk.bytes->size());
      blocks.push_back({.file = ++file, .place = {64, length}, .first = chunk.first});
      blocks.back().last = chunk.last;
    }
    log.OnStored(blocks);
    return true;
  }
  std::string Names() {
    std::string names;
    for (const StoryChunk& chunk : log.View(1).chunks) names += chunk.bytes->front();
    return names;
  }

  Time now{hours(1000)};
  uint64_t file = 0;
  StoryLog log{{.disk_bytes = 10 * kBacklogBlockBytes,
                .memory_bytes = 4 * kBacklogBlockBytes,
                .few_bytes = 1000}};
};

TEST_F(StoryLogTest, ShowsWhatIsInMemoryFromTheOldestOn) {
  log.Add("one", now);
  log.Add("two", now + seconds(1));
  const StoryView view = log.View(3);
  EXPECT_EQ(view.shard, 3);
  EXPECT_THAT(view.blocks, IsEmpty());
  ASSERT_THAT(view.chunks, SizeIs(1));
  EXPECT_EQ(*view.chunks[0].bytes, "onetwo");
  EXPECT_EQ(view.chunks[0].first, now);
  EXPECT_EQ(view.chunks[0].last, now + seconds(1));
}

TEST_F(StoryLogTest, AViewStaysAsItWasWhateverComes) {
  log.Add("one", now);
  const StoryView view = log.View(3);
  AddChunk('b');
  Store();
  EXPECT_EQ(*view.chunks.at(0).bytes, "one");
}

TEST_F(StoryLogTest, DropsTheOldestBeyondItsMemory) {
  for (const char name : std::string("abcdef")) AddChunk(name);
  EXPECT_EQ(Names(), "cdef");
  EXPECT_EQ(log.dropped_bytes(), 2 * kBacklogBlockBytes);
  EXPECT_EQ(log.View(1).dropped_bytes, 2 * kBacklogBlockBytes);
  EXPECT_EQ(log.unstored_bytes(), 4 * kBacklogBlockBytes);
}

TEST_F(StoryLogTest, WantsACheckpointBeforeItHasToDropSomething) {
  AddChunk('a');
  AddChunk('b');
  EXPECT_FALSE(log.wants_checkpoint());
  log.Add("c", now);
  EXPECT_TRUE(log.wants_checkpoint());
  ASSERT_TRUE(Store());
  EXPECT_FALSE(log.wants_checkpoint());
  EXPECT_EQ(log.dropped_bytes(), 0u);
}

TEST_F(StoryLogTest, WhatACheckpointWritesStaysUntilItHas) {
  for (const char name : std::string("abcd")) AddChunk(name);
  const StoryLog::Unstored unstored = log.TakeUnstored(now);
  ASSERT_THAT(unstored.chunks, SizeIs(4));
  AddChunk('e');  // no room
  EXPECT_EQ(Names(), "abcd");
  log.OnStored({{.file = 1}, {.file = 1}, {.file = 1}, {.file = 1}});
  EXPECT_EQ(Names(), "");
  EXPECT_THAT(log.blocks(), SizeIs(4));
  AddChunk('f');
  EXPECT_EQ(Names(), "f");
}

// Or each of them would leave some more in memory, and there may be no disk to write to for long.
TEST_F(StoryLogTest, ACheckpointThatFailsHoldsOnToNothing) {
  for (int n = 0; n < 100; ++n) {
    AddChunk('a');
    log.Add(std::string(5000, 'b'), now);
    log.TakeUnstored(now);
    EXPECT_LE(log.unstored_bytes(), 5 * kBacklogBlockBytes);
  }
}

TEST_F(StoryLogTest, MakesNoFileOfAFewBytes) {
  log.Add("one", now);
  for (int n = 0; n < 10; ++n) {
    EXPECT_EQ(log.releasable_bytes(), 0u);
    EXPECT_FALSE(Store());
    EXPECT_EQ(Names(), "o");
  }
  log.Add(std::string(1000, 't'), now);
  EXPECT_EQ(log.releasable_bytes(), 1003u);
  EXPECT_TRUE(Store());
  EXPECT_EQ(Names(), "");
  EXPECT_THAT(log.blocks(), SizeIs(1));
}

TEST_F(StoryLogTest, KeepsOnlySoMuchOnTheDisk) {
  for (int n = 0; n < 30; ++n) {
    AddChunk('a');
    Store();
  }
  EXPECT_LE(log.blocks().size(), 12u);
  EXPECT_GE(log.blocks().size(), 10u);
  EXPECT_EQ(log.blocks().back().file, 30u);
}

TEST_F(StoryLogTest, ForgetsWhatIsTooOld) {
  AddChunk('a');
  Store();
  now += hours(24 * 5);
  AddChunk('b');
  Store();
  now += hours(24 * 3);
  AddChunk('c');
  Store();
  ASSERT_THAT(log.blocks(), SizeIs(2));
  EXPECT_EQ(log.blocks().front().file, 2u);
}

}  // namespace
}  // namespace landfall::broker
