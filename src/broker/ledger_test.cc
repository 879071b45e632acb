#include "broker/ledger.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "broker/shard_testing.h"
#include "storage/memory_output.h"

namespace landfall::broker {
namespace {

using std::chrono::milliseconds;
using testing::ElementsAre;
using testing::IsEmpty;

constexpr QueueId kQueue = 1;
constexpr QueueId kDead = 2;
constexpr QueueId kLimited = 3;

// A shard that is started again from what it has written.
class ShardLedger : public testing::Test {
 protected:
  ShardLedger() {
    ports.AddQueue(kQueue, 1, "q", {.dead_letter_exchange = "", .dead_letter_routing_key = "dead"});
    ports.AddQueue(kDead, 1, "dead");
    ports.AddQueue(kLimited, 1, "limited", {.max_length = 1});
    Begin();
  }

  void Begin() {
    driver = std::make_unique<ShardDriver>(ports);
    driver->now = Time{Duration(2'000'000'000)};
  }
  void Publish(int count, QueueId queue = kQueue) {
    for (int i = 0; i < count; ++i) driver->Publish(PersistentMessage("body"), {queue});
    Land();
  }
  void Land() {
    driver->Flush();
    driver->Land();
  }
  // The first `count` deliveries that are there.
  void SettleSome(Settlement kind, size_t count) {
    for (const Deliver& d : ports.Take<Deliver>()) {
      if (count-- == 0) break;
      driver->Settle(kind, d);
    }
    Land();
  }
  void Checkpoint() {
    auto [seq, source] = driver->shard.Checkpoint();
    storage::MemoryOutput out;
    ASSERT_TRUE(source(out));
    checkpoint = {seq, out.bytes};
    driver->shard.OnCheckpointSaved(seq, driver->now);
  }
  // `without`: a batch that is damaged.
  void Restart(uint64_t without = 0) {
    const uint64_t last = driver->shard.last_shard_seq();
    driver->shard.CheckLedgers();
    driver.reset();
    Begin();
    if (!checkpoint.second.empty()) {
      ASSERT_TRUE(driver->shard.RecoverCheckpoint(checkpoint.second, true));
    }
    for (const auto& batch : ports.batches) {
      if (batch.shard_seq <= checkpoint.first || batch.shard_seq == without) continue;
      ASSERT_TRUE(driver->shard.RecoverBatch(batch.entries));
    }
    driver->shard.Start(last, /*epoch=*/2, driver->now);
  }
  std::string Of(QueueId queue) {
    const Queue* q = driver->shard.FindQueue(queue);
    return q ? Describe(q->ledger()) : "no such queue";
  }
  std::string OfAll() { return Describe(driver->shard.ledger()); }

  FakePorts ports;
  std::unique_ptr<ShardDriver> driver;
  std::pair<uint64_t, ByteBuffer> checkpoint;
};

TEST_F(ShardLedger, CountsEveryWayOut) {
  Publish(9);
  driver->Consume(1);
  Land();
  SettleSome(Settlement::kAck, 3);
  driver->Do(CloseChannelCommand{});
  Land();
  driver->Consume(2, kQueue, /*prefetch=*/2);
  Land();
  SettleSome(Settlement::kReject, 1);
  driver->Do(CloseChannelCommand{});
  driver->Consume(3, kDead, 0, /*no_ack=*/true);
  Land();
  driver->Do(CloseChannelCommand{});
  Publish(3, kLimited);
  driver->Do(PurgeCommand{.channel = 1, .queue = kQueue});
  Land();
  EXPECT_EQ(Of(kQueue), "accepted=9 acked=3 purged=5 dead_lettered=1");
  EXPECT_EQ(Of(kDead), "accepted=1 acked=1");
  EXPECT_EQ(Of(kLimited), "accepted=3 max_length=2");
  EXPECT_EQ(OfAll(), "accepted=13 acked=4 purged=5 max_length=2 dead_lettered=1");
  EXPECT_EQ(driver->shard.size(), 1u);
}

TEST_F(ShardLedger, IsInTheReportOfAQueueWithItsNumbers) {
  EXPECT_EQ(driver->shard.Report(kQueue).held, 0u);  // not touched yet
  EXPECT_TRUE(driver->shard.ReportConsumers(kQueue, 10).empty());
  Publish(5);
  driver->Consume(1, kQueue, /*prefetch=*/3);
  Land();
  SettleSome(Settlement::kAck, 1);
  Land();
  const QueueReport report = driver->shard.Report(kQueue);
  EXPECT_EQ(report.held, 4u);
  EXPECT_EQ(report.ready + report.unacked, 4u);
  EXPECT_EQ(report.unacked, 3u);
  EXPECT_EQ(report.delivered, 4u);
  EXPECT_EQ(report.redelivered, 0u);
  EXPECT_EQ(report.consumers, 1u);
  EXPECT_TRUE(report.balances());
  EXPECT_EQ(Describe(report.ledger), "accepted=5 acked=1");
  const std::vector<ConsumerReport> consumers = driver->shard.ReportConsumers(kQueue, 10);
  ASSERT_EQ(consumers.size(), 1u);
  EXPECT_EQ(consumers[0].prefetch, 3u);
  EXPECT_EQ(consumers[0].unacked, 3u);
  EXPECT_TRUE(consumers[0].active);
  EXPECT_TRUE(driver->shard.ReportConsumers(kQueue, 0).empty());
}

TEST_F(ShardLedger, IsTheSameAfterARestart) {
  for (const bool with_checkpoint : {false, true}) {
    Publish(4);
    driver->Consume(1);
    Land();
    SettleSome(Settlement::kAck, 2);
    driver->Do(CloseChannelCommand{});
    Land();
    if (with_checkpoint) Checkpoint();
    Publish(2);
    driver->Do(PurgeCommand{.channel = 1, .queue = kQueue});
    Land();
    Publish(3, kLimited);
    const std::vector<std::string> before = {Of(kQueue), Of(kLimited), OfAll()};
    Restart();
    EXPECT_THAT(std::vector({Of(kQueue), Of(kLimited), OfAll()}),
                testing::ElementsAreArray(before));
  }
}

TEST_F(ShardLedger, RepeatsAndRefusedPublishesAreNotAccepted) {
  ports.AddQueue(4, 1, "full", {.max_length = 1, .overflow = Overflow::kRejectPublish});
  Publish(3, 4);
  EXPECT_EQ(Of(4), "accepted=1");
  for (int i = 0; i < 2; ++i) {
    driver->Publish(PersistentMessage("body"), {kQueue},
                    std::make_unique<Identity>(Identity{"p", 1, 1, 1}));
  }
  Land();
  EXPECT_EQ(Of(kQueue), "accepted=1");
}

TEST_F(ShardLedger, TransientMessagesCountUntilTheRestartThatTheyDoNotSurvive) {
  driver->Publish(TransientMessage("body"));
  Publish(1);
  EXPECT_EQ(Of(kQueue), "accepted=2");
  Restart();
  EXPECT_EQ(Of(kQueue), "accepted=1");
}

TEST_F(ShardLedger, KeepsTheCountsOfDeletedQueues) {
  Publish(3);
  driver->Consume(1);
  Land();
  SettleSome(Settlement::kAck, 1);
  Checkpoint();
  Publish(1);
  driver->Do(DropQueueCommand{.queue = kQueue});
  Land();
  const std::string all = "accepted=4 acked=1 deleted=3";
  EXPECT_EQ(OfAll(), all);
  // From the checkpoint before it and what the journal has behind that.
  ports.snapshot.queues_by_id.Erase(kQueue);
  Restart();
  EXPECT_EQ(OfAll(), all);
  // And from one that no longer knows it.
  Publish(1, kDead);
  Checkpoint();
  Restart();
  EXPECT_EQ(OfAll(), "accepted=5 acked=1 deleted=3");
}

TEST_F(ShardLedger, ReportsWhatDamageHasLostAndGoesOnFromThere) {
  Publish(1);
  const uint64_t lost = driver->shard.last_shard_seq();
  Publish(1);
  driver->Consume(1);
  Land();
  SettleSome(Settlement::kAck, 2);
  Restart(/*without=*/lost);
  // One was accepted as far as it knows, and two were acknowledged.
  EXPECT_THAT(ports.unbalanced, ElementsAre(kQueue));
  EXPECT_EQ(Of(kQueue), "accepted=2 acked=2");
  ports.unbalanced.clear();
  driver->shard.CheckLedgers();
  EXPECT_THAT(ports.unbalanced, IsEmpty());
}

TEST(Ledger, AfterDamageWhatIsMissingIsQuarantined) {
  Ledger ledger{.accepted = 5};
  ledger.Leave(LeaveReason::kAcked, 2);
  EXPECT_TRUE(ledger.Balances(3));
  EXPECT_FALSE(ledger.Balances(2));
  ledger.Reconcile(2);
  EXPECT_EQ(Describe(ledger), "accepted=5 acked=2 quarantined=1");
  EXPECT_TRUE(ledger.Balances(2));
}

}  // namespace
}  // namespace landfall::broker
