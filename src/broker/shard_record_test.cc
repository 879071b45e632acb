#include "broker/shard_record.h"

#include <gtest/gtest.h>

namespace landfall::broker {
namespace {

MessageRef SomeMessage() { return Message::Make("ex", "key", ByteView("\0\0", 2), "body", true); }

std::vector<Record> OneOfEach() {
  const Time t(Duration(1'700'000'000'000'000));
  return {
      BatchTimeRecord{t},
      EnqueueRecord{Identity{"p", 3, 4, 2}, TransferId{5, 6, 1}, {{7, 8}, {9, 10}}, SomeMessage()},
      EnqueueRecord{{}, {}, {{7, 8}}, SomeMessage()},
      SettledRecord{1, LeaveReason::kPurged, {{1, 5}, {9, 9}}},
      FailedRecord{{1, 2}, 3, t},
      DeliveredRecord{{1, 2}},
      MoveRecord{{1, 2}, {{3, 4}}, {{2, 9, {5, 6}}}, SomeMessage()},
      MoveRecord{{1, 2}, {{3, 4}}, {}, SomeMessage(), /*by_hand=*/true},
      TransferSettledRecord{2, 9},
      ProducerForgottenRecord{1, "p"},
      QueueStateRecord{1, 100, 50},
      ProducerStateRecord{1, "p", 2, 3, t, {{4, 6}}},
      MessageStateRecord{{1, 2}, 3, true, t, SomeMessage()},
      OutboxStateRecord{{2, 9, {5}}, SomeMessage()},
      OutboxNextRecord{2, 10},
      AppliedStateRecord{3, 4, {{6, 7}}},
      MessageExpiryRecord{{1, 2}, Time(Duration(77))},
      QueueTtlRecord{1, t, Duration(0)},
      QueueTtlRecord{1, t, std::nullopt},
      QueueLedgerRecord{1, {.accepted = 9, .left = {1, 2, 3, 0, 0, 1}}},
      StoryRecord{.story = 7, .queue = 1, .sequence = 2, .event = StoryEvent::kAcked, .time = t},
      StoryBlock{4, {64, 100}, t, t},
      OpenStoriesRecord{1, {{2, 7}, {3, 8}}},
  };
}

TEST(ShardRecord, EveryRecordIsReadBackAsItWasWritten) {
  ByteBuffer b;
  for (const Record& r : OneOfEach()) AppendRecord(b, r);
  ByteReader in(b);
  for (const Record& r : OneOfEach()) {
    const auto read = ReadRecord(in);
    ASSERT_TRUE(read) << read.error().ToString();
    // The description names every field.
    EXPECT_EQ(Describe(*read), Describe(r));
    EXPECT_EQ(read->index(), r.index());
  }
  EXPECT_TRUE(in.done());
}

TEST(ShardRecord, ACutRecordIsAnErrorAtEveryLength) {
  for (const Record& r : OneOfEach()) {
    ByteBuffer b;
    AppendRecord(b, r);
    for (size_t n = 0; n < b.size(); ++n) {
      ByteReader in(ByteView(b).substr(0, n));
      EXPECT_FALSE(ReadRecord(in)) << Describe(r) << " cut to " << n;
    }
  }
}

TEST(ShardRecord, AnUnknownTypeIsAnError) {
  ByteReader in(ByteView("\x7f\0\0\0", 4));
  EXPECT_FALSE(ReadRecord(in));
}

}  // namespace
}  // namespace landfall::broker
