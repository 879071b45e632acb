#include "broker/shard.h"

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

class ShardTest : public testing::Test {
 protected:
  ShardTest() {
    ports.AddQueue(1, 1, "q");
    driver.shard.Start(0, /*epoch=*/1, driver.now);
  }

  // A fresh shard from what the journal holds (`batches`), as after a crash.
  struct Revived {
    FakePorts ports;
    std::unique_ptr<ShardDriver> driver;
  };
  std::unique_ptr<Revived> Revive(size_t batches) {
    auto r = std::make_unique<Revived>();
    r->ports.snapshot = ports.snapshot;
    r->driver = std::make_unique<ShardDriver>(r->ports);
    r->driver->now = driver.now;
    for (size_t i = 0; i < batches; ++i) {
      const auto done = r->driver->shard.RecoverBatch(ports.batches[i].entries);
      EXPECT_TRUE(done) << done.error().ToString();
    }
    r->driver->shard.Start(batches, /*epoch=*/1, driver.now);
    r->driver->Flush();
    return r;
  }
  std::unique_ptr<Revived> Revive() { return Revive(ports.batches.size()); }

  QueueConfig Retrying(std::optional<uint32_t> limit = {}) {
    QueueConfig c;
    c.consumer_timeout = seconds(5);
    c.retry_type = RetryType::kAll;
    c.backoff = {.first = seconds(1), .multiplier = 2, .cap = seconds(60), .jitter = 0};
    c.delivery_limit = limit;
    return c;
  }

  FakePorts ports;
  ShardDriver driver{ports};
};

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

TEST_F(ShardTest, PrefetchBoundsWhatAConsumerHolds) {
  driver.Consume(1, 1, 2);
  for (const char* body : {"a", "b", "c"}) driver.Publish(PersistentMessage(body));
  driver.Flush();
  driver.Land();
  auto d = ports.Take<Deliver>();
  ASSERT_THAT(d, SizeIs(2));
  driver.Settle(Settlement::kAck, d[0]);
  driver.Flush();
  EXPECT_THAT(driver.Delivered(), ElementsAre("c"));
}

TEST_F(ShardTest, CreditBoundsWhatIsSentBeyondTheSocket) {
  driver.Do(ConsumeCommand{.channel = 1, .consumer = 1, .queue = 1, .credit = {2, 1 << 20}});
  for (const char* body : {"a", "b", "c"}) driver.Publish(TransientMessage(body));
  driver.Flush();
  EXPECT_THAT(driver.Delivered(), ElementsAre("a", "b"));
  driver.Do(CreditCommand{.consumer = 1, .queue = 1, .credit = {2, 100}});
  driver.Flush();
  EXPECT_THAT(driver.Delivered(), ElementsAre("c"));
}

TEST_F(ShardTest, ConsumersTakeTurns) {
  driver.Consume(1);
  driver.Consume(2);
  for (const char* body : {"a", "b", "c", "d"}) driver.Publish(TransientMessage(body));
  driver.Flush();
  std::vector<ConsumerId> who;
  for (const Deliver& d : ports.Take<Deliver>()) who.push_back(d.consumer);
  EXPECT_THAT(who, ElementsAre(1, 2, 1, 2));
}

TEST_F(ShardTest, AHigherPriorityConsumerIsServedFirst) {
  driver.Consume(1);
  driver.Do(ConsumeCommand{
      .channel = 1, .consumer = 2, .queue = 1, .prefetch = 1, .priority = 5, .credit = {9, 9999}});
  for (const char* body : {"a", "b"}) driver.Publish(TransientMessage(body));
  driver.Flush();
  const auto d = ports.Take<Deliver>();
  EXPECT_EQ(d.at(0).consumer, 2u);
  EXPECT_EQ(d.at(1).consumer, 1u);
}

TEST_F(ShardTest, AClosedChannelGivesBackWhatItHeldInOrder) {
  driver.Consume(1);
  for (const char* body : {"a", "b", "c"}) driver.Publish(PersistentMessage(body));
  driver.Land();
  driver.Flush();
  driver.Land();
  EXPECT_THAT(driver.Delivered(), SizeIs(3));
  driver.Do(CloseChannelCommand{1});
  EXPECT_THAT(ports.Take<ChannelClosed>(), SizeIs(1));
  driver.Do(ConsumeCommand{.channel = 2, .consumer = 2, .queue = 1, .credit = {9, 9999}});
  driver.Flush();
  EXPECT_THAT(driver.Delivered(), ElementsAre("a", "b", "c"));
}

TEST_F(ShardTest, ACancelledConsumerKeepsWhatItHoldsUntilItSettles) {
  driver.Consume(1);
  driver.Publish(TransientMessage("a"));
  driver.Flush();
  const auto d = ports.Take<Deliver>();
  driver.Do(CancelCommand{1, 1, 1});
  driver.Publish(TransientMessage("b"));
  driver.Flush();
  EXPECT_THAT(driver.Delivered(), IsEmpty());
  EXPECT_EQ(driver.shard.FindQueue(1)->unacked(), 1u);
  driver.Settle(Settlement::kAck, d.at(0));
  EXPECT_EQ(driver.shard.FindQueue(1)->size(), 1u);
}

TEST_F(ShardTest, GetTakesOneAndSaysHowManyAreLeft) {
  driver.Publish(TransientMessage("a"));
  driver.Publish(TransientMessage("b"));
  driver.Flush();
  driver.Do(GetCommand{1, 1, false});
  auto got = ports.Take<Got>();
  ASSERT_TRUE(got.at(0).message);
  EXPECT_EQ(got[0].message->body(), "a");
  EXPECT_EQ(got[0].ready_left, 1u);
  driver.Do(GetCommand{1, 1, true});
  driver.Do(GetCommand{1, 1, true});
  got = ports.Take<Got>();
  EXPECT_TRUE(got.at(0).message);
  EXPECT_FALSE(got.at(1).message);
}

TEST_F(ShardTest, ALeaseThatRunsOutBringsTheMessageBackAfterXThen2X) {
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

TEST_F(ShardTest, ALateAckOfAnOldDeliveryCountsAndALateNackDoesNot) {
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

TEST_F(ShardTest, AReleasedMessageComesBackAtOnceAndHasNotFailed) {
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

TEST_F(ShardTest, ARenewedLeaseRunsFromTheRenewal) {
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

TEST_F(ShardTest, LeasesRestWhileTheConnectionIsNotRead) {
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

TEST_F(ShardTest, CountsAndDueTimesSurviveARestart) {
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
TEST_F(ShardTest, DeadLettersGoThroughAnInternalHeadersExchange) {
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

TEST_F(ShardTest, ACommandThatMovesManyLargeMessagesMakesSeveralBatches) {
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
TEST_F(ShardTest, TransfersToUnjournaledShardsEndWithARestart) {
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
TEST_F(ShardTest, ATransientMessageOnItsWayToAnotherShardIsGoneAfterARestart) {
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

TEST_F(ShardTest, OverTheDeliveryLimitAMessageIsDeadLetteredInOneRecord) {
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

TEST_F(ShardTest, ADeadLetterForAnotherShardStaysInTheOutboxUntilItHasArrived) {
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

TEST_F(ShardTest, ARejectedMessageWithNowhereToGoIsDroppedForGood) {
  driver.Consume(1);
  driver.Publish(PersistentMessage("a"));
  driver.Flush();
  driver.Land();
  driver.Settle(Settlement::kReject, ports.Take<Deliver>().at(0));
  driver.Flush();
  EXPECT_EQ(Revive()->driver->shard.size(), 0u);
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

TEST_F(ShardTest, AnExclusiveConsumerIsAloneOrRefused) {
  driver.Do(ConsumeCommand{.channel = 1, .consumer = 1, .queue = 1, .exclusive = true});
  driver.Consume(2);
  auto answers = ports.Take<Consuming>();
  EXPECT_FALSE(answers.at(0).refused);
  EXPECT_EQ(answers.at(1).refused, amqp::ReplyCode::kAccessRefused);
  EXPECT_TRUE(answers.at(1).text.ends_with("in exclusive use")) << answers.at(1).text;
  driver.Do(CancelCommand{1, 1, 1});
  driver.Consume(3);
  EXPECT_FALSE(ports.Take<Consuming>().at(0).refused);
}

TEST_F(ShardTest, AConsumerByGrantGetsWhatItsChannelGrantsAndReturnsTheRest) {
  driver.Do(ConsumeCommand{
      .channel = 1, .consumer = 1, .queue = 1, .by_grant = true, .credit = {100, 1 << 20}});
  driver.Publish(TransientMessage("a"));
  driver.Flush();
  EXPECT_THAT(driver.Delivered(), IsEmpty());
  ASSERT_THAT(ports.Take<WantGrants>(), SizeIs(1));
  driver.Do(GrantCommand{1, 1, 3});
  driver.Flush();
  EXPECT_THAT(driver.Delivered(), ElementsAre("a"));
  EXPECT_EQ(ports.Take<ReturnGrants>().at(0).grants, 2u);
}

TEST_F(ShardTest, AConsumerComesUnderABudgetThatIsMadeLater) {
  for (const bool no_ack : {false, true}) {
    const ConsumerId consumer = no_ack ? 2 : 1;
    driver.Consume(consumer, 1, 0, no_ack);
    driver.Do(GrantCommand{consumer, 1, 0});
    driver.Publish(TransientMessage("a"));
    driver.Flush();
    EXPECT_THAT(driver.Delivered(), IsEmpty());
    EXPECT_THAT(ports.Take<WantGrants>(), SizeIs(1));
    driver.Do(GrantCommand{consumer, 1, 1});
    driver.Flush();
    EXPECT_THAT(driver.Delivered(), ElementsAre("a"));
    driver.Do(CancelCommand{1, consumer, 1});
  }
}

TEST_F(ShardTest, WhoPublishesAndThenAsksSeesHisOwnMessages) {
  driver.Publish(PersistentMessage("a"));
  driver.Do(GetCommand{1, 1, true});
  driver.Publish(PersistentMessage("b"));
  driver.Do(CountCommand{2, 1});
  driver.Do(PurgeCommand{3, 1});
  driver.Flush();
  EXPECT_THAT(ports.outcomes, IsEmpty());
  driver.Land();
  const auto got = ports.Take<Got>();
  ASSERT_THAT(got, SizeIs(1));
  EXPECT_EQ(got[0].message->body(), "a");
  EXPECT_EQ(ports.Take<QueueCounts>().at(0).ready, 1u);
  EXPECT_EQ(ports.Take<Purged>().at(0).messages, 1u);
}

TEST_F(ShardTest, AConsumerThatWaitsComesBeforeAGet) {
  for (const MessageRef& message : {TransientMessage("a"), PersistentMessage("b")}) {
    driver.Consume(1, 1, 0, true);
    driver.Publish(message);
    driver.Do(GetCommand{1, 1, true});
    driver.Flush();
    driver.Land();
    EXPECT_THAT(driver.Delivered(), ElementsAre(message->body()));
    EXPECT_EQ(ports.Take<Got>().at(0).message, nullptr);
    driver.Do(CancelCommand{1, 1, 1});
  }
}

TEST_F(ShardTest, AConsumerThatWaitsComesBeforeAnyQuestion) {
  driver.Consume(1, 1, 0, true);
  driver.Publish(PersistentMessage("a"));
  driver.Do(CountCommand{1, 1});
  driver.Do(PurgeCommand{2, 1});
  driver.Flush();
  driver.Land();
  EXPECT_THAT(driver.Delivered(), ElementsAre("a"));
  EXPECT_EQ(ports.Take<QueueCounts>().at(0).ready, 0u);
  EXPECT_EQ(ports.Take<Purged>().at(0).messages, 0u);
}

TEST_F(ShardTest, AConsumerThatEndsGetsWhatWasPublishedBefore) {
  for (const MessageRef& message : {TransientMessage("a"), PersistentMessage("b")}) {
    driver.Consume(1);
    driver.Publish(message);
    driver.Do(CancelCommand{1, 1, 1});
    driver.Consume(2);
    driver.Flush();
    driver.Land();
    EXPECT_TRUE(ports.Take<Cancelled>().at(0).asked);
    const auto delivered = ports.Take<Deliver>();
    ASSERT_THAT(delivered, SizeIs(1));
    EXPECT_EQ(delivered[0].consumer, 1u);
    driver.Do(CancelCommand{1, 2, 1});
  }
}

// Nothing is on its way to it.
TEST_F(ShardTest, AConsumerWithoutRoomEndsAtOnce) {
  driver.Consume(1, 1, 1);
  driver.Publish(TransientMessage("a"));
  driver.Flush();
  driver.Publish(PersistentMessage("b"));
  driver.Do(CancelCommand{1, 1, 1});
  EXPECT_THAT(ports.Take<Cancelled>(), SizeIs(1));
}

TEST_F(ShardTest, ATransientMessageIsSeenByAGetOfTheSameTurn) {
  driver.Publish(TransientMessage("a"));
  driver.Do(GetCommand{1, 1, true});
  driver.Flush();
  const auto got = ports.Take<Got>();
  ASSERT_THAT(got, SizeIs(1));
  EXPECT_EQ(got[0].message->body(), "a");
}

TEST_F(ShardTest, AQuestionThatWaitsForALandingIsAnsweredWhenItsQueueIsDropped) {
  driver.Publish(PersistentMessage("a"));
  driver.Do(GetCommand{1, 1, true});
  driver.Flush();
  driver.Do(DropQueueCommand{1});
  EXPECT_TRUE(ports.Take<Got>().at(0).queue_gone);
}

TEST_F(ShardTest, AQuestionThatWaitsForALandingIsForgottenWithItsChannel) {
  driver.Publish(PersistentMessage("a"));
  driver.Do(GetCommand{1, 1, false});
  driver.Do(CloseChannelCommand{1});
  driver.Flush();
  driver.Land();
  EXPECT_THAT(ports.Take<Got>(), IsEmpty());
  driver.Consume(1);
  driver.Flush();
  EXPECT_THAT(driver.Delivered(), ElementsAre("a"));
}

TEST_F(ShardTest, AConsumerByGrantReturnsWhatItsOwnPrefetchLeavesUnused) {
  driver.Do(ConsumeCommand{.channel = 1,
                           .consumer = 1,
                           .queue = 1,
                           .by_grant = true,
                           .prefetch = 2,
                           .credit = {100, 1 << 20}});
  for (const char* body : {"a", "b", "c", "d"}) driver.Publish(TransientMessage(body));
  driver.Flush();
  driver.Do(GrantCommand{1, 1, 3});
  driver.Flush();
  EXPECT_THAT(driver.Delivered(), ElementsAre("a", "b"));
  const auto returned = ports.Take<ReturnGrants>();
  ASSERT_THAT(returned, SizeIs(1));
  EXPECT_EQ(returned.at(0).grants, 1u);
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
