// Time to live, length limits, a single active consumer, queues that expire: what a shard does with
// them. What a queue alone does is in queue_test.cc.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "amqp/properties.h"
#include "broker/dead_letter.h"
#include "broker/shard_testing.h"
#include "storage/memory_output.h"

namespace landfall::broker {
namespace {

using std::chrono::milliseconds;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

constexpr QueueId kQueue = 2;
constexpr QueueId kDead = 3;

class ShardLimits : public testing::Test {
 protected:
  // Queue 2 with this configuration; its dead letters go to queue 3.
  void Declare(QueueConfig config) {
    config.dead_letter_exchange = "";
    config.dead_letter_routing_key = "dead";
    ports.AddQueue(kQueue, 1, "q", std::move(config));
    ports.AddQueue(kDead, 1, "dead");
    driver.shard.Start(0, /*epoch=*/1, driver.now);
  }
  void Publish(const std::string& body) {
    driver.Publish(PersistentMessage(body), {kQueue});
    driver.Flush();
    driver.Land();
  }
  std::vector<std::string> Bodies(const Shard& shard, QueueId id) {
    std::vector<std::string> bodies;
    if (const Queue* queue = shard.FindQueue(id)) {
      queue->ForEach(
          [&](Sequence, const Entry& e, Time) { bodies.emplace_back(e.message->body()); });
    }
    return bodies;
  }
  // Why the first of the dead letters died.
  std::string Reason() {
    std::string reason;
    driver.shard.FindQueue(kDead)->ForEach([&](Sequence, const Entry& e, Time) {
      const auto properties = amqp::DecodeProperties(e.message->properties());
      if (reason.empty()) {
        reason = std::string(properties->headers.FindString("x-first-death-reason").value_or(""));
      }
    });
    return reason;
  }

  FakePorts ports;
  ShardDriver driver{ports};
};

TEST_F(ShardLimits, AMessageThatIsTooOldIsDeadLetteredAlsoBehindALiveHead) {
  Declare({.message_ttl = milliseconds(1000)});
  Publish("a");
  driver.Pass(milliseconds(600));
  Publish("b");
  driver.Pass(milliseconds(400));
  driver.Land();
  EXPECT_THAT(Bodies(driver.shard, kQueue), ElementsAre("b"));
  EXPECT_THAT(Bodies(driver.shard, kDead), ElementsAre("a"));
  EXPECT_EQ(Reason(), "expired");
  EXPECT_EQ(driver.shard.statistics().expired, 1u);
}

TEST_F(ShardLimits, ATimeToLiveGoesOnOverARestart) {
  Declare({.message_ttl = milliseconds(1000)});
  Publish("a");
  driver.Pass(milliseconds(300));
  for (const bool from_checkpoint : {false, true}) {
    FakePorts fresh_ports;
    fresh_ports.snapshot = ports.snapshot;
    ShardDriver fresh(fresh_ports);
    if (from_checkpoint) {
      storage::MemoryOutput out;
      ASSERT_TRUE(driver.shard.Checkpoint().second(out));
      const ByteBuffer& bytes = out.bytes;
      ASSERT_TRUE(fresh.shard.RecoverCheckpoint(bytes, true));
    } else {
      for (const auto& batch : ports.batches) {
        ASSERT_TRUE(fresh.shard.RecoverBatch(batch.entries));
      }
    }
    fresh.now = driver.now;
    fresh.shard.Start(10, /*epoch=*/2, fresh.now);
    fresh.Pass(milliseconds(699));
    EXPECT_THAT(Bodies(fresh.shard, kQueue), ElementsAre("a"));
    fresh.Pass(milliseconds(1));
    EXPECT_THAT(Bodies(fresh.shard, kQueue), IsEmpty());
    EXPECT_THAT(Bodies(fresh.shard, kDead), ElementsAre("a"));
  }
}

TEST_F(ShardLimits, WhatAConsumerHoldsTooLongExpiresWhenItComesBack) {
  Declare({.message_ttl = milliseconds(100)});
  driver.Consume(1, kQueue);
  Publish("a");
  const auto delivered = ports.Take<Deliver>();
  driver.Pass(milliseconds(200));
  EXPECT_THAT(Bodies(driver.shard, kQueue), ElementsAre("a"));
  driver.Settle(Settlement::kReturn, delivered.at(0));
  driver.Flush();
  driver.Land();
  EXPECT_THAT(driver.Delivered(), IsEmpty());
  EXPECT_THAT(Bodies(driver.shard, kDead), ElementsAre("a"));
}

TEST_F(ShardLimits, WithATimeToLiveOfZeroAMessageGoesToAConsumerThatWaits) {
  Declare({.message_ttl = milliseconds(0)});
  driver.Consume(1, kQueue, 1);
  driver.Publish(PersistentMessage("a"), {kQueue});
  driver.Publish(PersistentMessage("b"), {kQueue});
  driver.Flush();
  driver.shard.OnDurable(driver.shard.last_shard_seq(), /*lsn=*/7, driver.now);
  driver.Pass(milliseconds(0));
  EXPECT_THAT(driver.Delivered(), ElementsAre("a"));
  driver.Land();
  EXPECT_THAT(Bodies(driver.shard, kDead), ElementsAre("b"));
}

TEST_F(ShardLimits, AGetDoesNotSeeWhatIsTooOld) {
  Declare({.message_ttl = milliseconds(100)});
  Publish("a");
  driver.now += milliseconds(100);
  driver.Do(GetCommand{1, kQueue, true});
  EXPECT_EQ(ports.Take<Got>().at(0).message, nullptr);
}

TEST_F(ShardLimits, NobodyWhoAsksSeesWhatIsTooMuch) {
  Declare({.max_length = 1});
  for (const char* body : {"a", "b"}) driver.Publish(PersistentMessage(body), {kQueue});
  driver.Do(CountCommand{1, kQueue});
  driver.Do(GetCommand{2, kQueue, true});
  driver.Flush();
  driver.Land();
  EXPECT_EQ(ports.Take<QueueCounts>().at(0).ready, 1u);
  const auto got = ports.Take<Got>();
  EXPECT_EQ(got.at(0).message->body(), "b");
  EXPECT_EQ(got.at(0).ready_left, 0u);
}

TEST_F(ShardLimits, AGetSeesTheMoreUrgentThatWasPublishedBefore) {
  Declare({.max_priority = 5});
  Publish("low");
  ByteBuffer encoded;
  amqp::AppendProperties(encoded, amqp::Properties{.delivery_mode = 2, .priority = 5});
  driver.Publish(Message::Make("", "q", encoded, "high", true), {kQueue});
  driver.Do(GetCommand{1, kQueue, true});
  driver.Flush();
  driver.Land();
  const auto got = ports.Take<Got>();
  ASSERT_THAT(got, SizeIs(1));
  EXPECT_EQ(got[0].message->body(), "high");
  EXPECT_EQ(got[0].ready_left, 1u);
}

TEST_F(ShardLimits, TheOldestLeavesAQueueThatIsTooLong) {
  Declare({.max_length = 2});
  for (const char* body : {"a", "b", "c", "d"}) Publish(body);
  driver.Land();
  EXPECT_THAT(Bodies(driver.shard, kQueue), ElementsAre("c", "d"));
  EXPECT_THAT(Bodies(driver.shard, kDead), ElementsAre("a", "b"));
  EXPECT_EQ(Reason(), "maxlen");
}

TEST_F(ShardLimits, WhatAConsumerTakesAtOnceIsNotTooMuch) {
  Declare({.max_length = 1});
  driver.Consume(1, kQueue);
  for (const char* body : {"a", "b", "c"}) driver.Publish(PersistentMessage(body), {kQueue});
  driver.Flush();
  driver.Land();
  EXPECT_THAT(driver.Delivered(), ElementsAre("a", "b", "c"));
  EXPECT_THAT(Bodies(driver.shard, kDead), IsEmpty());
}

TEST_F(ShardLimits, AFullQueueRefusesPublishesAndTakesOthersAgain) {
  Declare({.max_length = 2, .overflow = Overflow::kRejectPublish});
  for (const char* body : {"a", "b", "c"}) driver.Publish(PersistentMessage(body), {kQueue});
  driver.Flush();
  const auto fates = ports.Take<PublishFate>();
  ASSERT_THAT(fates, SizeIs(1));
  EXPECT_EQ(fates[0].publish_seq, 3u);
  EXPECT_EQ(fates[0].fate, Fate::kRefused);
  driver.Land();
  driver.Do(GetCommand{1, kQueue, true});
  Publish("d");
  EXPECT_THAT(ports.Take<PublishFate>(), IsEmpty());
  EXPECT_THAT(Bodies(driver.shard, kQueue), ElementsAre("b", "d"));
  EXPECT_THAT(Bodies(driver.shard, kDead), IsEmpty());
}

TEST_F(ShardLimits, ARefusedPublishOfAnIdentityMayComeAgain) {
  Declare({.max_length = 1, .overflow = Overflow::kRejectPublish});
  const auto identity = [](uint64_t sequence) {
    return std::make_unique<Identity>(Identity{"p", 1, sequence, 1});
  };
  driver.Publish(PersistentMessage("a"), {kQueue}, identity(1));
  driver.Publish(PersistentMessage("b"), {kQueue}, identity(2));
  driver.Flush();
  driver.Land();
  driver.Do(GetCommand{1, kQueue, true});
  driver.Publish(PersistentMessage("b"), {kQueue}, identity(2));
  driver.Flush();
  driver.Land();
  EXPECT_THAT(Bodies(driver.shard, kQueue), ElementsAre("b"));
}

TEST_F(ShardLimits, ARefusedPublishIsDeadLetteredWhereThatIsAskedFor) {
  Declare({.max_length = 1, .overflow = Overflow::kRejectPublishDlx});
  driver.Publish(PersistentMessage("a"), {kQueue});
  driver.Publish(PersistentMessage("b"), {kQueue});
  driver.Flush();
  EXPECT_EQ(ports.Take<PublishFate>().at(0).fate, Fate::kRefused);
  driver.Land();
  EXPECT_THAT(Bodies(driver.shard, kQueue), ElementsAre("a"));
  EXPECT_THAT(Bodies(driver.shard, kDead), ElementsAre("b"));
  EXPECT_EQ(Reason(), "maxlen");
}

// A policy that names the dead-letter exchange may go while the queue has not heard of it.
TEST_F(ShardLimits, AQueueWhoseDeadLetterExchangeIsGoneFromTheTopologyDropsItsDead) {
  Declare({});
  Publish("a");
  driver.Consume(1, kQueue);
  driver.Flush();
  ports.AddQueue(kQueue, 1, "q", {});
  driver.Settle(Settlement::kReject, ports.Take<Deliver>().at(0));
  driver.Flush();
  driver.Land();
  EXPECT_THAT(Bodies(driver.shard, kQueue), IsEmpty());
}

// A get that waited may find a dead message, whose transfer must not leave before its record.
TEST_F(ShardLimits, ATransferThatADeferredGetMakesWaitsForItsBatch) {
  Declare({.message_ttl = milliseconds(0)});
  ports.AddQueue(kDead, 2, "dead");
  driver.Publish(PersistentMessage("a"), {kQueue});
  driver.Do(GetCommand{1, kQueue, true});
  driver.Flush();
  driver.now += milliseconds(10);
  driver.shard.OnDurable(driver.shard.last_shard_seq(), /*lsn=*/7, driver.now);
  driver.Flush();
  EXPECT_EQ(ports.Take<Got>().at(0).message, nullptr);
  EXPECT_THAT(ports.commands, IsEmpty());
  driver.Land();
  EXPECT_THAT(ports.commands, SizeIs(1));
}

TEST_F(ShardLimits, OnlyTheActiveConsumerGetsMessagesUntilItIsGone) {
  Declare({.single_active_consumer = true});
  for (ConsumerId consumer : {1, 2, 3}) driver.Consume(consumer, kQueue, 1);
  for (const char* body : {"a", "b", "c"}) Publish(body);
  auto delivered = ports.Take<Deliver>();
  ASSERT_THAT(delivered, SizeIs(1));
  EXPECT_EQ(delivered[0].consumer, 1u);
  driver.Do(CancelCommand{1, 1, kQueue});
  driver.Settle(Settlement::kAck, delivered[0]);
  driver.Flush();
  delivered = ports.Take<Deliver>();
  ASSERT_THAT(delivered, SizeIs(1));
  EXPECT_EQ(delivered[0].consumer, 2u);
  driver.Do(CancelCommand{1, 3, kQueue});
  driver.Settle(Settlement::kAck, delivered[0]);
  driver.Flush();
  EXPECT_EQ(ports.Take<Deliver>().at(0).consumer, 2u);
}

TEST_F(ShardLimits, AQueueWithASingleActiveConsumerCannotBeConsumedExclusively) {
  Declare({.single_active_consumer = true});
  driver.Do(ConsumeCommand{.channel = 1, .consumer = 1, .queue = kQueue, .exclusive = true});
  EXPECT_EQ(ports.Take<Consuming>().at(0).refused, amqp::ReplyCode::kAccessRefused);
}

TEST_F(ShardLimits, AnUnusedQueueAsksToGo) {
  Declare({.expires = milliseconds(1000)});
  driver.Pass(milliseconds(900));
  driver.Do(GetCommand{1, kQueue, true});
  driver.Pass(milliseconds(900));
  EXPECT_THAT(ports.unused, IsEmpty());
  driver.Consume(1, kQueue);
  driver.Pass(milliseconds(5000));
  EXPECT_THAT(ports.unused, IsEmpty());
  driver.Do(CancelCommand{1, 1, kQueue});
  driver.Pass(milliseconds(999));
  EXPECT_THAT(ports.unused, IsEmpty());
  driver.Pass(milliseconds(1));
  EXPECT_THAT(ports.unused, ElementsAre(kQueue));
}

TEST_F(ShardLimits, ADeadLetterLosesItsExpirationAndRemembersIt) {
  Declare({});
  ByteBuffer encoded;
  amqp::AppendProperties(encoded, amqp::Properties{.expiration = "50"});
  driver.Publish(Message::Make("", "q", encoded, "x", true), {kQueue});
  driver.Flush();
  driver.Land();
  driver.Pass(milliseconds(50));
  driver.Land();
  driver.shard.FindQueue(kDead)->ForEach([&](Sequence, const Entry& e, Time) {
    const auto properties = amqp::DecodeProperties(e.message->properties());
    EXPECT_FALSE(properties->Has(amqp::kHasExpiration));
    const amqp::Table death = *properties->headers.Find("x-death")->AsArray()->at(0).AsTable();
    EXPECT_EQ(death.GetString("original-expiration"), "50");
  });
  driver.Pass(std::chrono::hours(1));
  EXPECT_THAT(Bodies(driver.shard, kDead), ElementsAre("x"));
}

}  // namespace
}  // namespace landfall::broker
