#include "broker/delayed_exchange.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <limits>

#include "amqp/properties.h"
#include "broker/shard_testing.h"
#include "storage/memory_output.h"

namespace landfall::broker {
namespace {

using amqp::Table;
using amqp::Value;
using std::chrono::hours;
using std::chrono::milliseconds;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

TEST(DelayedExchange, ReadsDelaysOfAnyNumericType) {
  EXPECT_EQ(DelayOf(Table{{"x-delay", 1500}}), milliseconds(1500));
  EXPECT_EQ(DelayOf(Table{{"x-delay", int64_t{1500}}}), milliseconds(1500));
  EXPECT_EQ(DelayOf(Table{{"x-delay", Value::Integer('U', 7)}}), milliseconds(7));
  EXPECT_EQ(DelayOf(Table{{"x-delay", "1500"}}), milliseconds(1500));
  EXPECT_EQ(DelayOf(Table{{"x-delay", 1500.9}}), milliseconds(1500));
  EXPECT_EQ(DelayOf(Table{{"x-delay", amqp::Decimal{1, 15009}}}), milliseconds(1500));
}

TEST(DelayedExchange, WhatIsNoDelayDoesNotHoldBack) {
  EXPECT_EQ(DelayOf(Table{}), milliseconds(0));
  EXPECT_EQ(DelayOf(Table{{"x-delay", 0}}), milliseconds(0));
  EXPECT_EQ(DelayOf(Table{{"x-delay", -1500}}), milliseconds(0));
  EXPECT_EQ(DelayOf(Table{{"x-delay", "soon"}}), milliseconds(0));
  EXPECT_EQ(DelayOf(Table{{"x-delay", "1s"}}), milliseconds(0));
  EXPECT_EQ(DelayOf(Table{{"x-delay", true}}), milliseconds(0));
  EXPECT_EQ(DelayOf(Table{{"x-delay", std::numeric_limits<double>::quiet_NaN()}}), milliseconds(0));
}

TEST(DelayedExchange, DelaysAreBoundedSoThatTheirEndIsATime) {
  const Duration longest = hours(24 * 365 * 100);
  EXPECT_EQ(DelayOf(Table{{"x-delay", std::numeric_limits<int64_t>::max()}}), longest);
  EXPECT_EQ(DelayOf(Table{{"x-delay", 1e300}}), longest);
}

TEST(DelayedExchange, RoutesLikeOneOfTheOtherTypes) {
  EXPECT_EQ(DelayedTypeOf(Table{{"x-delayed-type", "topic"}}), ExchangeType::kTopic);
  EXPECT_EQ(CheckDelayedExchange(Table{{"x-delayed-type", "headers"}}), std::nullopt);
  constexpr auto kWrong = "Invalid argument, 'x-delayed-type' must be an existing exchange type";
  EXPECT_EQ(CheckDelayedExchange(Table{}), kWrong);
  EXPECT_EQ(CheckDelayedExchange(Table{{"x-delayed-type", "none"}}), kWrong);
  EXPECT_EQ(CheckDelayedExchange(Table{{"x-delayed-type", "x-delayed-message"}}), kWrong);
  EXPECT_EQ(CheckDelayedExchange(Table{{"x-delayed-type", 1}}), kWrong);
}

constexpr QueueId kResting = 2;
constexpr QueueId kNear = 3;  // in the same shard
constexpr QueueId kFar = 4;   // in another one

// Exchange "later", which routes by key to one or the other queue.
class DelayedDelivery : public testing::Test {
 protected:
  DelayedDelivery() {
    ports.AddQueue(kNear, 1, "near");
    ports.AddQueue(kFar, 2, "far");
    auto resting = std::make_shared<QueueInfo>();
    resting->id = kResting;
    resting->shard = 1;
    resting->vhost = "/";
    resting->name = "later";
    resting->durable = true;
    resting->holds_back = true;
    resting->config.holds_back = true;
    ports.snapshot.queues_by_id.Set(kResting, resting);
    Exchange later;
    later.name = "later";
    later.type = ExchangeType::kDelayed;
    later.delay_queue = resting->target();
    for (const auto* name : {"near", "far"}) {
      Binding binding;
      binding.source = "later";
      binding.queue = ports.snapshot.FindQueue("/", name)->target();
      binding.routing_key = name;
      later.Add(std::make_shared<Binding>(binding));
    }
    ports.AddExchange(std::move(later));
    driver.shard.Start(0, /*epoch=*/1, driver.now);
  }

  static MessageRef Delayed(ByteView key, milliseconds delay, ByteView body = "a") {
    amqp::Properties properties;
    properties.delivery_mode = amqp::kPersistent;
    properties.headers = Table{{"x-delay", int64_t{delay.count()}}, {"mine", "stays"}};
    ByteBuffer buffer;
    ByteBuffer encoded;
    amqp::AppendProperties(encoded, properties.View(buffer));
    return Message::Make("later", key, encoded, body, true);
  }
  QueueTargets RouteOf(const Message& message) {
    QueueTargets targets;
    EXPECT_TRUE(Route(*ports.snapshot.FindVhost("/"), "later", message, targets));
    return targets;
  }
  void Publish(const MessageRef& message) {
    driver.Publish(message, {kResting});
    driver.Flush();
    driver.Land();
  }
  static size_t Ready(const Shard& shard, QueueId id) {
    const Queue* queue = shard.FindQueue(id);
    return queue == nullptr ? 0 : queue->ready();
  }

  FakePorts ports;
  ShardDriver driver{ports};
};

TEST_F(DelayedDelivery, AMessageWithADelayGoesToRestAndOneWithoutPastIt) {
  EXPECT_EQ(RouteOf(*Delayed("near", milliseconds(5)))[0].id, kResting);
  EXPECT_EQ(RouteOf(*Delayed("nowhere", milliseconds(5)))[0].id, kResting);
  EXPECT_EQ(RouteOf(*Delayed("near", milliseconds(0)))[0].id, kNear);
  EXPECT_EQ(RouteOf(*WithoutDelay(*Delayed("near", milliseconds(5))))[0].id, kNear);
}

TEST_F(DelayedDelivery, AMessageGoesOnWhenItsDelayIsOver) {
  Publish(Delayed("near", milliseconds(1000), "late"));
  Publish(Delayed("near", milliseconds(500), "early"));
  EXPECT_THAT(ports.Take<Published>(), SizeIs(2));
  driver.Consume(1, kNear);
  driver.Pass(milliseconds(499));
  driver.Land();
  EXPECT_THAT(driver.Delivered(), IsEmpty());
  EXPECT_EQ(driver.shard.FindQueue(kResting)->delayed(), 2u);
  driver.Pass(milliseconds(1));
  EXPECT_THAT(driver.Delivered(), IsEmpty()) << "before it has landed there";
  driver.Land();
  const auto delivered = ports.Take<Deliver>();
  ASSERT_THAT(delivered, SizeIs(1));
  EXPECT_EQ(delivered[0].message->body(), "early");
  const auto properties = amqp::DecodeProperties(delivered[0].message->properties());
  EXPECT_EQ(properties->headers.Find("x-delay")->AsInteger(), -500);
  EXPECT_EQ(properties->headers.FindString("mine"), "stays");
  driver.Pass(milliseconds(500));
  driver.Land();
  EXPECT_THAT(driver.Delivered(), ElementsAre("late"));
  EXPECT_EQ(driver.shard.FindQueue(kResting)->size(), 0u);
}

TEST_F(DelayedDelivery, NothingGoesOnBeforeItHasLanded) {
  driver.Publish(Delayed("near", milliseconds(1)), {kResting});
  driver.Flush();
  driver.Pass(milliseconds(10));
  EXPECT_EQ(driver.shard.FindQueue(kResting)->delayed(), 1u);
  driver.Land();
  driver.Pass(milliseconds(10));
  driver.Land();
  EXPECT_EQ(Ready(driver.shard, kNear), 1u);
}

TEST_F(DelayedDelivery, DelaysGoOnOverARestart) {
  Publish(Delayed("near", milliseconds(1000)));
  driver.Pass(milliseconds(300));
  for (const bool from_checkpoint : {false, true}) {
    FakePorts fresh_ports;
    fresh_ports.snapshot = ports.snapshot;
    ShardDriver fresh(fresh_ports);
    if (from_checkpoint) {
      const auto [seq, source] = driver.shard.Checkpoint();
      storage::MemoryOutput out;
      ASSERT_TRUE(source(out));
      const ByteBuffer& bytes = out.bytes;
      ASSERT_TRUE(fresh.shard.RecoverCheckpoint(bytes, true));
    } else {
      for (const auto& batch : ports.batches) {
        ASSERT_TRUE(fresh.shard.RecoverBatch(batch.entries));
      }
    }
    fresh.now = driver.now;
    fresh.shard.Start(driver.shard.last_shard_seq(), /*epoch=*/2, fresh.now);
    EXPECT_EQ(fresh.shard.FindQueue(kResting)->delayed(), 1u);
    fresh.Pass(milliseconds(699));
    fresh.Land();
    EXPECT_EQ(Ready(fresh.shard, kNear), 0u);
    fresh.Pass(milliseconds(1));
    fresh.Land();
    EXPECT_EQ(Ready(fresh.shard, kNear), 1u);
  }
}

TEST_F(DelayedDelivery, GoesOnToAnotherShardThroughTheOutbox) {
  Publish(Delayed("far", milliseconds(1)));
  driver.Pass(milliseconds(1));
  EXPECT_THAT(ports.commands, IsEmpty());  // not before it has landed here
  driver.Land();
  ASSERT_THAT(ports.commands, SizeIs(1));
  EXPECT_EQ(ports.commands[0].first, 2);
  EXPECT_TRUE(std::holds_alternative<TransferCommand>(ports.commands[0].second.body));
}

TEST_F(DelayedDelivery, WithNowhereToGoItIsDroppedAtTheEndOfItsDelay) {
  Publish(Delayed("nowhere", milliseconds(1)));
  EXPECT_EQ(driver.shard.FindQueue(kResting)->size(), 1u);
  driver.Pass(milliseconds(1));
  driver.Land();
  EXPECT_EQ(driver.shard.FindQueue(kResting)->size(), 0u);
  EXPECT_EQ(driver.shard.ledger().Left(LeaveReason::kDropped), 1u);
}

TEST_F(DelayedDelivery, ADeadLetterWithADelayRestsAsWell) {
  QueueConfig config;
  config.dead_letter_exchange = "later";
  config.dead_letter_routing_key = "near";
  ports.AddQueue(5, 1, "source", config);
  driver.Consume(1, 5);
  driver.Publish(Delayed("source", milliseconds(700)), {5});
  driver.Flush();
  driver.Land();
  driver.Settle(Settlement::kReject, ports.Take<Deliver>().at(0));
  driver.Flush();
  driver.Land();
  EXPECT_EQ(driver.shard.FindQueue(kResting)->delayed(), 1u);
  driver.Pass(milliseconds(700));
  driver.Land();
  EXPECT_EQ(Ready(driver.shard, kNear), 1u);
}

}  // namespace
}  // namespace landfall::broker
