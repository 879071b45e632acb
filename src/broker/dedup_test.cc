#include "broker/dedup.h"

#include <gtest/gtest.h>

#include <string>

namespace landfall::broker {
namespace {

constexpr bool kSurvives = true;

Identity Id(uint64_t sequence, uint64_t lowest = 1, uint64_t epoch = 1) {
  return {.producer = "p", .epoch = epoch, .sequence = sequence, .lowest_unsettled = lowest};
}

TEST(Dedup, ASequenceIsNewOnceAndARepeatFromThenOn) {
  DedupTable t;
  EXPECT_EQ(t.Check(Id(1)), DedupVerdict::kNew);
  t.Take(Id(1), kSurvives, Time{});
  EXPECT_EQ(t.Check(Id(1)), DedupVerdict::kRepeat);
  EXPECT_EQ(t.Check(Id(2)), DedupVerdict::kNew);
}

TEST(Dedup, AGapFilledLateIsAccepted) {
  DedupTable t;
  t.Take(Id(1), kSurvives, Time{});
  t.Take(Id(3), kSurvives, Time{});
  EXPECT_EQ(t.Check(Id(2)), DedupVerdict::kNew);
  t.Take(Id(2), kSurvives, Time{});
  EXPECT_EQ(t.Check(Id(2)), DedupVerdict::kRepeat);
}

TEST(Dedup, WhatTheProducerCallsSettledIsARepeat) {
  DedupTable t;
  t.Take(Id(10, 9), kSurvives, Time{});
  EXPECT_EQ(t.Check(Id(8, 9)), DedupVerdict::kRepeat);
  EXPECT_EQ(t.Check(Id(9, 9)), DedupVerdict::kNew);
}

TEST(Dedup, ANewerEpochKeepsWhatWasTakenAndFencesTheOlderOne) {
  DedupTable t;
  t.Take(Id(5, 1, 1), kSurvives, Time{});
  t.Take(Id(6, 1, 2), kSurvives, Time{});
  EXPECT_EQ(t.Check(Id(7, 1, 1)), DedupVerdict::kFenced);
  EXPECT_EQ(t.Check(Id(5, 1, 2)), DedupVerdict::kRepeat);
}

TEST(Dedup, ARepeatFromANewerEpochFencesTheOlderOne) {
  DedupTable t;
  t.Take(Id(5, 1, 1), kSurvives, Time{});
  EXPECT_EQ(t.Fence(Id(5, 1, 1)), nullptr);
  const ProducerWindow* fenced = t.Fence(Id(5, 1, 2));
  ASSERT_NE(fenced, nullptr);
  EXPECT_EQ(fenced->epoch, 2u);
  EXPECT_EQ(t.Check(Id(6, 1, 1)), DedupVerdict::kFenced);
  EXPECT_EQ(t.Check(Id(6, 1, 2)), DedupVerdict::kNew);
}

// What does not survive a restart must not be among what is written down as taken.
TEST(Dedup, ATransientMessageIsRecognisedButNotAmongWhatIsKept) {
  DedupTable t;
  t.Take(Id(1), kSurvives, Time{});
  t.Take(Id(2), !kSurvives, Time{});
  EXPECT_EQ(t.Check(Id(2)), DedupVerdict::kRepeat);
  EXPECT_FALSE(t.producers().begin()->second.taken.Contains(2));
  t.Take(Id(5, 3), kSurvives, Time{});
  EXPECT_TRUE(t.producers().begin()->second.passing.empty());
}

TEST(Dedup, MemoryOfOneProducerIsBounded) {
  DedupTable t;
  for (uint64_t s = 1; s < 10'000; s += 2) t.Take(Id(s), kSurvives, Time{});
  EXPECT_LE(t.producers().begin()->second.taken.ranges().size(), DedupTable::kMaxRanges);
  // Forgotten means taken again at worst, never dropped.
  EXPECT_EQ(t.Check(Id(1)), DedupVerdict::kNew);
  EXPECT_EQ(t.Check(Id(9999)), DedupVerdict::kRepeat);
}

TEST(Dedup, TheLongestSilentProducerMakesRoom) {
  DedupTable t;
  for (size_t i = 0; i < DedupTable::kMaxProducers; ++i) {
    EXPECT_EQ(t.ToEvict(), "");
    Identity id = Id(1);
    id.producer = std::to_string(i);
    t.Take(id, kSurvives, Time(Duration(1000 - (i == 7 ? 500 : 0))));
  }
  EXPECT_EQ(t.ToEvict(), "7");
}

}  // namespace
}  // namespace landfall::broker
