// Deliveries that fail: leases, backoff, limits, and where dead letters go.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "amqp/properties.h"
#include "broker/shard_testing.h"
#include "storage/memory_output.h"

namespace landfall::broker {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

using ShardRetry = ShardTest;

TEST_F(ShardRetry, ALeaseThatRunsOutBringsTheMessageBackAfterXThen2X) {
  ports.AddQueue(2, 1, "lease", Retrying());
  driver.Consume(1, 2);
  driver.Publish(PersistentMessage("a"), {2});
  driver.Flush();
  driver.Land();
  EXPECT_THAT(driver.Delivered(), ElementsAre("a"));
  driver.Pass(seconds(5));  // the lease
  EXPECT_THAT(ports.Take<LeaseExpired>(), SizeIs(1));
  driver.Pass(milliseconds(999));
  EXPECT_THAT(driver.Delivered(), IsEmpty());
  driver.Pass(milliseconds(1));
  auto d = ports.Take<Deliver>();
  ASSERT_THAT(d, SizeIs(1));
  EXPECT_TRUE(d[0].redelivered);
  EXPECT_EQ(d[0].delivery_count, 1u);
  driver.Pass(seconds(5));
  driver.Pass(milliseconds(1999));
  EXPECT_THAT(driver.Delivered(), IsEmpty());
  driver.Pass(milliseconds(1));
  d = ports.Take<Deliver>();
  ASSERT_THAT(d, SizeIs(1));
  EXPECT_EQ(d[0].delivery_count, 2u);
}

TEST_F(ShardRetry, ALateAckOfAnOldDeliveryCountsAndALateNackDoesNot) {
  ports.AddQueue(2, 1, "lease", Retrying());
  driver.Consume(1, 2);
  driver.Publish(PersistentMessage("a"), {2});
  driver.Publish(PersistentMessage("b"), {2});
  driver.Flush();
  driver.Land();
  const auto first = ports.Take<Deliver>();
  driver.Pass(seconds(5));
  driver.Pass(seconds(1));
  ASSERT_THAT(ports.Take<Deliver>(), SizeIs(2));
  driver.Settle(Settlement::kAck, first[0]);
  driver.Settle(Settlement::kReject, first[1]);
  driver.Flush();
  EXPECT_EQ(driver.shard.FindQueue(2)->size(), 1u);
  EXPECT_EQ(driver.shard.FindQueue(2)->unacked(), 1u);
}

TEST_F(ShardRetry, AReleasedMessageComesBackAtOnceAndHasNotFailed) {
  QueueConfig config = Retrying();
  config.delivery_limit = 1;
  ports.AddQueue(2, 1, "lease", config);
  driver.Consume(1, 2);
  driver.Publish(PersistentMessage("a"), {2});
  driver.Flush();
  driver.Land();
  for (int i = 0; i < 5; ++i) {
    const auto d = ports.Take<Deliver>();
    ASSERT_THAT(d, SizeIs(1));
    EXPECT_EQ(d[0].delivery_count, 0u);
    EXPECT_EQ(d[0].redelivered, i > 0);
    driver.Settle(Settlement::kRelease, d[0]);
    driver.Flush();
  }
}

TEST_F(ShardRetry, ARenewedLeaseRunsFromTheRenewal) {
  ports.AddQueue(2, 1, "lease", Retrying());
  driver.Consume(1, 2);
  driver.Publish(PersistentMessage("a"), {2});
  driver.Flush();
  driver.Land();
  const auto d = ports.Take<Deliver>();
  driver.Pass(seconds(4));
  driver.Do(RenewCommand{2, d[0].sequence, d[0].attempt, seconds(5)});
  driver.Pass(seconds(4));
  EXPECT_THAT(ports.Take<LeaseExpired>(), IsEmpty());
  driver.Pass(seconds(1));
  EXPECT_THAT(ports.Take<LeaseExpired>(), SizeIs(1));
}

TEST_F(ShardRetry, LeasesRestWhileTheConnectionIsNotRead) {
  ports.AddQueue(2, 1, "lease", Retrying());
  driver.Consume(1, 2);
  driver.Publish(PersistentMessage("a"), {2});
  driver.Flush();
  driver.Land();
  driver.Do(PauseLeasesCommand{true});
  driver.Pass(seconds(30));
  driver.Do(PauseLeasesCommand{false});
  driver.Pass(seconds(4));
  EXPECT_THAT(ports.Take<LeaseExpired>(), IsEmpty());
  for (int i = 0; i < 40; ++i) driver.Pass(seconds(1));
  EXPECT_THAT(ports.Take<LeaseExpired>(), testing::Not(IsEmpty()));
}

TEST_F(ShardRetry, CountsAndDueTimesSurviveARestart) {
  ports.AddQueue(2, 1, "lease", Retrying());
  driver.Consume(1, 2);
  driver.Publish(PersistentMessage("a"), {2});
  driver.Flush();
  driver.Land();
  driver.Pass(seconds(5));  // failed once, due in 1 s
  auto revived = Revive();
  revived->driver->Consume(1, 2);
  revived->driver->Pass(milliseconds(900));
  EXPECT_THAT(revived->driver->Delivered(), IsEmpty());
  revived->driver->Pass(milliseconds(100));
  const auto d = revived->ports.Take<Deliver>();
  ASSERT_THAT(d, SizeIs(1));
  EXPECT_EQ(d[0].delivery_count, 1u);
}

// Nobody may publish there, which is why dead-letter exchanges are often declared so.
TEST_F(ShardRetry, DeadLettersGoThroughAnInternalHeadersExchange) {
  QueueConfig config;
  config.dead_letter_exchange = "dlx";
  ports.AddQueue(2, 1, "q", config);
  ports.AddQueue(3, 1, "dead");
  Exchange dlx;
  dlx.name = "dlx";
  dlx.type = ExchangeType::kHeaders;
  dlx.internal = true;
  Binding binding;
  binding.queue = ports.snapshot.FindQueue(3)->target();
  binding.arguments = {{"x-match", "all"}, {"kind", "a"}};
  dlx.Add(std::make_shared<Binding>(binding));
  ports.AddExchange(std::move(dlx));
  const ByteBuffer headers = amqp::Table({{"kind", "a"}}).Encode();
  amqp::PropertiesView properties;
  properties.SetHeaders(amqp::TableView(headers));
  ByteBuffer encoded;
  amqp::AppendProperties(encoded, properties);
  driver.Publish(Message::Make("", "q", encoded, "x", true), {2});
  driver.Consume(1, 2);
  driver.Flush();
  driver.Land();
  driver.Settle(Settlement::kReject, ports.Take<Deliver>().at(0));
  driver.Flush();
  driver.Land();
  EXPECT_EQ(driver.shard.FindQueue(3)->ready(), 1u);
}

TEST_F(ShardRetry, ACommandThatMovesManyLargeMessagesMakesSeveralBatches) {
  QueueConfig config;
  config.dead_letter_exchange = "";
  config.dead_letter_routing_key = "dead";
  ports.AddQueue(2, 1, "q", config);
  ports.AddQueue(3, 1, "dead");
  driver.Do(
      ConsumeCommand{.channel = 1, .consumer = 1, .queue = 2, .credit = {1000, uint64_t{1} << 40}});
  for (int i = 0; i < 40; ++i) {
    driver.Publish(PersistentMessage(std::string(1 << 20, 'x')), {2});
    driver.Flush();
    driver.Land();
  }
  const auto delivered = ports.Take<Deliver>();
  ASSERT_THAT(delivered, SizeIs(40));
  const size_t before = ports.batches.size();
  SettleCommand settle{.kind = Settlement::kReject, .channel = 1, .consumer = 1, .attempt = 1};
  settle.queue = 2;
  settle.first = delivered.front().sequence;
  settle.last = delivered.back().sequence;
  driver.Do(settle);
  driver.Flush();
  EXPECT_THAT(ports.batches, SizeIs(testing::Ge(before + 4)));
  for (const storage::Batch& batch : ports.batches) EXPECT_LT(batch.entries.size(), 11u << 20);
  driver.Land();
  EXPECT_EQ(driver.shard.FindQueue(3)->ready(), 40u);
  auto revived = Revive();
  EXPECT_EQ(revived->driver->shard.FindQueue(3)->size(), 40u);
}

// As many unjournaled shards as workers: after a restart there may be fewer.
TEST_F(ShardRetry, TransfersToUnjournaledShardsEndWithARestart) {
  QueueConfig config;
  config.dead_letter_exchange = "";
  config.dead_letter_routing_key = "gone";
  ports.AddQueue(2, 1, "q", config);
  ports.AddQueue(3, TransientShardOf(3), "gone", {}, false);
  driver.Publish(PersistentMessage("x"), {2});
  driver.Consume(1, 2);
  driver.Flush();
  driver.Land();
  driver.Settle(Settlement::kReject, ports.Take<Deliver>().at(0));
  driver.Flush();
  driver.Land();
  EXPECT_THAT(ports.commands, SizeIs(1));
  auto revived = Revive();
  revived->driver->Flush();
  revived->driver->Land();
  EXPECT_THAT(revived->ports.commands, IsEmpty());
  EXPECT_THAT(revived->ports.batches, SizeIs(1));  // that it is settled
}

// Its publisher may have sent it again meanwhile, and nobody remembers that it was there.
TEST_F(ShardRetry, ATransientMessageOnItsWayToAnotherShardIsGoneAfterARestart) {
  QueueConfig config;
  config.dead_letter_exchange = "";
  config.dead_letter_routing_key = "far";
  ports.AddQueue(2, 1, "source", config);
  ports.AddQueue(3, 2, "far");
  driver.Consume(1, 2);
  driver.Publish(TransientMessage("a"), {2});
  driver.Flush();
  driver.Settle(Settlement::kReject, ports.Take<Deliver>().at(0));
  driver.Flush();
  driver.Land();
  ASSERT_THAT(ports.commands, SizeIs(1));
  auto revived = Revive();
  EXPECT_THAT(revived->ports.commands, IsEmpty());
}

TEST_F(ShardRetry, OverTheDeliveryLimitAMessageIsDeadLetteredInOneRecord) {
  QueueConfig config;
  config.delivery_limit = 1;
  config.dead_letter_exchange = "";
  config.dead_letter_routing_key = "dead";
  ports.AddQueue(2, 1, "limited", config);
  ports.AddQueue(3, 1, "dead");
  driver.Consume(1, 2);
  driver.Publish(PersistentMessage("a", "limited"), {2});
  driver.Flush();
  driver.Land();
  driver.Settle(Settlement::kReturn, ports.Take<Deliver>().at(0));
  driver.Flush();
  driver.Settle(Settlement::kReturn, ports.Take<Deliver>().at(0));
  const size_t before = ports.batches.size();
  driver.Flush();
  ASSERT_THAT(ports.batches, SizeIs(before + 1));
  EXPECT_EQ(driver.shard.FindQueue(2)->size(), 0u);
  EXPECT_EQ(driver.shard.FindQueue(3)->ready(), 0u);  // not landed yet
  driver.Land();
  EXPECT_EQ(driver.shard.FindQueue(3)->ready(), 1u);
  // However much of the journal survives, the message is in exactly one of the two.
  for (size_t n = 1; n <= ports.batches.size(); ++n) {
    auto revived = Revive(n);
    const Queue* from = revived->driver->shard.FindQueue(2);
    const Queue* to = revived->driver->shard.FindQueue(3);
    EXPECT_EQ((from ? from->size() : 0) + (to ? to->size() : 0), 1u) << n;
  }
  driver.Consume(9, 3);
  driver.Flush();
  const auto d = ports.Take<Deliver>();
  ASSERT_THAT(d, SizeIs(1));
  const auto properties = amqp::DecodeProperties(d[0].message->properties());
  ASSERT_TRUE(properties);
  const auto deaths = properties->headers.Find("x-death");
  ASSERT_TRUE(deaths && deaths->AsArray());
  const amqp::Table& death = *deaths->AsArray()->at(0).AsTable();
  EXPECT_EQ(death.GetString("queue"), "limited");
  EXPECT_EQ(death.GetString("reason"), "delivery_limit");
  EXPECT_EQ(death.GetInteger("count"), 1);
  EXPECT_EQ(properties->headers.FindString("x-first-death-queue"), "limited");
}

TEST_F(ShardRetry, ADeadLetterForAnotherShardStaysInTheOutboxUntilItHasArrived) {
  QueueConfig config;
  config.dead_letter_exchange = "";
  config.dead_letter_routing_key = "far";
  ports.AddQueue(2, 1, "source", config);
  ports.AddQueue(3, 2, "far");
  driver.Consume(1, 2);
  driver.Publish(PersistentMessage("a", "source"), {2});
  driver.Flush();
  driver.Land();
  driver.Settle(Settlement::kReject, ports.Take<Deliver>().at(0));
  driver.Flush();
  EXPECT_THAT(ports.commands, IsEmpty());  // not before it has landed here
  driver.Land();
  ASSERT_THAT(ports.commands, SizeIs(1));

  // The source crashes before it hears of the arrival: it sends again, the destination takes it
  // once.
  auto revived = Revive();
  ASSERT_THAT(revived->ports.commands, SizeIs(1));
  FakePorts far_ports;
  far_ports.snapshot = ports.snapshot;
  ShardDriver far(far_ports, 2);
  far.shard.Start(0, /*epoch=*/1, far.now);
  for (auto* from : {&ports, &revived->ports}) {
    far.shard.Execute(std::move(from->commands[0].second), far.now);
    far.Flush();
    far.Land();
  }
  EXPECT_EQ(far.shard.FindQueue(3)->ready(), 1u);
  ASSERT_THAT(far_ports.commands, SizeIs(2));
  revived->driver->Do(std::move(far_ports.commands[1].second.body), 0);
  revived->driver->Flush();
  for (auto& b : revived->ports.batches) ports.batches.push_back(b);
  auto settled = Revive();
  EXPECT_THAT(settled->ports.commands, IsEmpty());
}

TEST_F(ShardRetry, ARejectedMessageWithNowhereToGoIsDroppedForGood) {
  driver.Consume(1);
  driver.Publish(PersistentMessage("a"));
  driver.Flush();
  driver.Land();
  driver.Settle(Settlement::kReject, ports.Take<Deliver>().at(0));
  driver.Flush();
  EXPECT_EQ(Revive()->driver->shard.size(), 0u);
}

}  // namespace
}  // namespace landfall::broker
