#include "broker/shard.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "amqp/properties.h"
#include "broker/shard_testing.h"
#include "storage/memory_output.h"

namespace landfall::broker {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

TEST_F(ShardTest, AMessageIsNeitherDeliveredNorConfirmedBeforeItHasLanded) {
  driver.Consume(1);
  driver.Publish(PersistentMessage("a"));
  driver.Flush();
  EXPECT_THAT(ports.batches, SizeIs(1));
  EXPECT_TRUE(ports.batches[0].urgent);
  EXPECT_THAT(driver.Delivered(), IsEmpty());
  EXPECT_THAT(ports.Take<Published>(), IsEmpty());
  driver.Land();
  EXPECT_THAT(driver.Delivered(), ElementsAre("a"));
  const auto published = ports.Take<Published>();
  ASSERT_THAT(published, SizeIs(1));
  EXPECT_EQ(published[0].upto, 1u);
}

TEST_F(ShardTest, ATransientMessageWaitsForTheAppendBeforeItSoThatOrderHolds) {
  driver.Consume(1);
  driver.Publish(PersistentMessage("a"));
  driver.Flush();
  driver.Publish(TransientMessage("b"));
  driver.Flush();
  EXPECT_THAT(driver.Delivered(), IsEmpty());
  driver.Land();
  EXPECT_THAT(driver.Delivered(), ElementsAre("a", "b"));
  driver.Land();
  driver.Publish(TransientMessage("c"));
  driver.Flush();
  EXPECT_THAT(driver.Delivered(), ElementsAre("c"));  // nothing to wait for
}

TEST_F(ShardTest, AnAckedMessageIsGoneAfterARestartAndOthersAreNot) {
  driver.Consume(1);
  driver.Publish(PersistentMessage("a"));
  driver.Publish(PersistentMessage("b"));
  driver.Flush();
  driver.Land();
  const auto d = ports.Take<Deliver>();
  ASSERT_THAT(d, SizeIs(2));
  driver.Settle(Settlement::kAck, d[0]);
  driver.Flush();
  EXPECT_FALSE(ports.batches.back().urgent);  // nobody waits for an ack
  auto revived = Revive();
  revived->driver->Consume(1);
  revived->driver->Flush();
  const auto again = revived->ports.Take<Deliver>();
  ASSERT_THAT(again, SizeIs(1));
  EXPECT_EQ(again[0].message->body(), "b");
  EXPECT_TRUE(again[0].redelivered);
}

TEST_F(ShardTest, ACheckpointHoldsWhatTheJournalHeld) {
  driver.Consume(1, 1, 1);
  for (int i = 0; i < 300; ++i)
    driver.Publish(PersistentMessage(std::to_string(i)), {1},
                   std::make_unique<Identity>(Identity{"p", 1, static_cast<uint64_t>(i + 1), 1}));
  driver.Publish(TransientMessage("gone at a restart"));
  driver.Flush();
  driver.Land();
  driver.Settle(Settlement::kAck, ports.Take<Deliver>().at(0));
  driver.Land();
  const auto [seq, source] = driver.shard.Checkpoint();
  EXPECT_EQ(seq, driver.shard.last_shard_seq());
  storage::MemoryOutput out;
  ASSERT_TRUE(source(out));
  const ByteBuffer& bytes = out.bytes;
  FakePorts fresh_ports;
  fresh_ports.snapshot = ports.snapshot;
  ShardDriver fresh(fresh_ports);
  // In pieces that end in the middle of records.
  for (size_t at = 0; at < bytes.size(); at += 7) {
    ASSERT_TRUE(
        fresh.shard.RecoverCheckpoint(ByteView(bytes).substr(at, 7), at + 7 >= bytes.size()));
  }
  fresh.shard.Start(seq, /*epoch=*/1, driver.now);
  fresh.Consume(1);
  fresh.Flush();
  const auto bodies = fresh.Delivered();
  ASSERT_THAT(bodies, SizeIs(299));
  EXPECT_EQ(bodies.front(), "1");
  EXPECT_EQ(bodies.back(), "299");
  fresh.Publish(PersistentMessage("again"), {1},
                std::make_unique<Identity>(Identity{"p", 1, 5, 1}));
  EXPECT_EQ(fresh_ports.Take<PublishFate>().at(0).fate, Fate::kDuplicate);
  EXPECT_EQ(fresh.shard.FindQueue(1)->last(), 301u);  // no sequence is given out twice
}

TEST_F(ShardTest, ARepeatIsConfirmedOnlyWhenItsOriginalHasLanded) {
  const auto id = [] { return std::make_unique<Identity>(Identity{"p", 1, 1, 1}); };
  driver.Publish(PersistentMessage("a"), {1}, id());
  driver.Flush();
  driver.Publish(PersistentMessage("a"), {1}, id());
  driver.Flush();
  EXPECT_EQ(ports.Take<PublishFate>().at(0).publish_seq, 2u);
  EXPECT_THAT(ports.Take<Published>(), IsEmpty());
  driver.Land();
  EXPECT_EQ(ports.Take<Published>().back().upto, 2u);
  EXPECT_EQ(driver.shard.FindQueue(1)->size(), 1u);
}

TEST_F(ShardTest, ARepeatIsRecognisedAfterARestart) {
  driver.Publish(PersistentMessage("a"), {1}, std::make_unique<Identity>(Identity{"p", 1, 7, 7}));
  driver.Flush();
  auto revived = Revive();
  revived->driver->Publish(PersistentMessage("a"), {1},
                           std::make_unique<Identity>(Identity{"p", 1, 7, 7}));
  revived->driver->Land();
  EXPECT_EQ(revived->driver->shard.FindQueue(1)->size(), 1u);
}

TEST_F(ShardTest, AnOlderEpochIsFenced) {
  driver.Publish(PersistentMessage("a"), {1}, std::make_unique<Identity>(Identity{"p", 2, 1, 1}));
  driver.Publish(PersistentMessage("b"), {1}, std::make_unique<Identity>(Identity{"p", 1, 2, 1}));
  EXPECT_EQ(ports.Take<PublishFate>().at(0).fate, Fate::kFenced);
}

TEST_F(ShardTest, AnEpochThatHasOnlySentRepeatsFencesTheOlderOneAlsoAfterARestart) {
  const auto identity = [](uint64_t epoch, uint64_t sequence) {
    return std::make_unique<Identity>(Identity{"p", epoch, sequence, 1});
  };
  driver.Publish(PersistentMessage("a"), {1}, identity(1, 1));
  driver.Publish(PersistentMessage("a"), {1}, identity(2, 1));
  EXPECT_EQ(ports.Take<PublishFate>().at(0).fate, Fate::kDuplicate);
  driver.Flush();
  auto revived = Revive();
  revived->driver->Publish(PersistentMessage("b"), {1}, identity(1, 2));
  EXPECT_EQ(revived->ports.Take<PublishFate>().at(0).fate, Fate::kFenced);
  revived->driver->Publish(PersistentMessage("a"), {1}, identity(2, 1));
  EXPECT_EQ(revived->ports.Take<PublishFate>().at(0).fate, Fate::kDuplicate);
}

TEST_F(ShardTest, AMessageForADeletedQueueIsGone) {
  driver.Do(DropQueueCommand{1}, 0);
  driver.Publish(PersistentMessage("a"));
  driver.Flush();
  EXPECT_EQ(ports.Take<PublishFate>().at(0).fate, Fate::kGone);
  EXPECT_EQ(ports.Take<Published>().at(0).upto, 1u);
}

TEST_F(ShardTest, AnAckThatIsAskedForIsReportedWhenItHasLanded) {
  driver.Consume(1);
  driver.Publish(PersistentMessage("a"));
  driver.Flush();
  driver.Land();
  const auto d = ports.Take<Deliver>();
  driver.Settle(Settlement::kAck, d.at(0), 77);
  driver.Flush();
  EXPECT_TRUE(ports.batches.back().urgent);
  EXPECT_THAT(ports.Take<AckLanded>(), IsEmpty());
  driver.Land();
  EXPECT_EQ(ports.Take<AckLanded>().at(0).token, 77u);
}

TEST_F(ShardTest, AnAckThatRestsOnALazyOneWaitsForIt) {
  driver.Consume(1);
  driver.Publish(PersistentMessage("a"));
  driver.Flush();
  driver.Land();
  const auto d = ports.Take<Deliver>();
  driver.Settle(Settlement::kAck, d.at(0));
  driver.Flush();
  driver.Settle(Settlement::kAck, d.at(0), 5);  // the same again, this time to be told
  driver.Flush();
  EXPECT_THAT(ports.Take<AckLanded>(), IsEmpty());
  driver.Land();
  EXPECT_EQ(ports.Take<AckLanded>().at(0).token, 5u);
}

TEST_F(ShardTest, APurgeTakesReadyMessagesOnlyAndSurvivesARestart) {
  driver.Consume(1, 1, 1);
  for (const char* body : {"a", "b", "c"}) driver.Publish(PersistentMessage(body));
  driver.Flush();
  driver.Land();
  driver.Do(PurgeCommand{1, 1});
  EXPECT_EQ(ports.Take<Purged>().at(0).messages, 2u);
  driver.Flush();
  EXPECT_EQ(Revive()->driver->shard.size(), 1u);
}

TEST_F(ShardTest, ASealedQueueTakesNothingAnyMore) {
  driver.Do(SealQueueCommand{.queue = 1, .if_empty = true, .token = 9}, 0);
  ASSERT_THAT(ports.sealed, SizeIs(1));
  EXPECT_TRUE(ports.sealed[0].empty);
  driver.Publish(PersistentMessage("a"));
  EXPECT_EQ(ports.Take<PublishFate>().at(0).fate, Fate::kGone);
  driver.Consume(1);
  const auto answers = ports.Take<Consuming>();
  EXPECT_EQ(answers.at(0).refused, amqp::ReplyCode::kNotFound);
  EXPECT_EQ(answers.at(0).text, "NOT_FOUND - the queue has been deleted");
}

TEST_F(ShardTest, ASealWhoseConditionFailsLeavesTheQueueOpen) {
  driver.Publish(PersistentMessage("a"));
  driver.Flush();
  driver.Do(SealQueueCommand{.queue = 1, .if_empty = true, .token = 9}, 0);
  EXPECT_FALSE(ports.sealed.at(0).empty);
  driver.Publish(PersistentMessage("b"));
  EXPECT_THAT(ports.Take<PublishFate>(), IsEmpty());
}

TEST_F(ShardTest, ADroppedQueueTellsItsConsumers) {
  driver.Consume(1);
  driver.Publish(TransientMessage("a"));
  driver.Flush();
  driver.Do(DropQueueCommand{1}, 0);
  EXPECT_FALSE(ports.Take<Cancelled>().at(0).asked);
  driver.Do(CloseChannelCommand{0});
  EXPECT_THAT(ports.Take<ChannelClosed>(), SizeIs(1));
}

TEST_F(ShardTest, AFannedOutMessageIsJournaledOnce) {
  ports.AddQueue(2, 1, "q2");
  driver.Publish(PersistentMessage(std::string(1000, 'x')), {1, 2});
  driver.Flush();
  EXPECT_LT(ports.batches.at(0).entries.size(), 1200u);
  EXPECT_EQ(Revive()->driver->shard.size(), 2u);
}

TEST_F(ShardTest, AUnitOfPublishesLandsInOneBatchHoweverLargeItIs) {
  const std::string large(3 << 20, 'x');
  const auto publish = [&](bool unit_goes_on) {
    PublishCommand c{.publish_seq = ++driver.publish_seq, .message = PersistentMessage(large)};
    c.queues.assign({1});
    c.unit_goes_on = unit_goes_on;
    driver.Do(std::move(c));
  };
  for (int i = 0; i < 5; ++i) publish(true);
  EXPECT_EQ(ports.batches.size(), 0u);
  publish(false);
  driver.Flush();
  EXPECT_EQ(ports.batches.size(), 1u);
}

}  // namespace
}  // namespace landfall::broker
