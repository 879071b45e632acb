#include "admin/problems.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <string>
#include <vector>

namespace landfall::admin {
namespace {

using std::chrono::seconds;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

constexpr broker::QueueId kQueue = 7;

// One broker with some queues, looked at once a second.
class Problems : public testing::Test {
 protected:
  Problems() { AddQueue(kQueue, "q"); }

  QueueRow& row(broker::QueueId id = kQueue) { return rows_[id]; }
  void AddQueue(broker::QueueId id, const std::string& name, bool paused = false) {
    broker::QueueInfo info;
    info.id = id;
    info.vhost = "/";
    info.name = name;
    info.paused = paused;
    vhost_.name = "/";
    const auto shared = std::make_shared<const broker::QueueInfo>(std::move(info));
    vhost_.queues.Set(name, shared);
    topology_.queues_by_id.Set(id, shared);
    topology_.vhosts.Set("/", std::make_shared<const broker::Vhost>(vhost_));
  }
  // What is held is what has come, so that ledgers balance unless a test says otherwise.
  void Hold(uint64_t ready, uint64_t unacked = 0, broker::QueueId id = kQueue) {
    broker::QueueReport& now = row(id).now;
    now.ready = ready;
    now.unacked = unacked;
    now.held = ready + unacked;
    now.ledger.accepted = now.held + now.ledger.left_total();
  }
  std::vector<Problem> Look(int times = 1) {
    std::vector<Problem> found;
    for (int i = 0; i < times; ++i) {
      now_ += seconds(1);
      StatisticsTable table;
      table.taken_at = now_;
      table.topology = std::make_shared<const broker::TopologySnapshot>(topology_);
      table.queues = rows_;
      found = finder_.Find(table, health);
    }
    return found;
  }
  static std::vector<ProblemKind> Kinds(const std::vector<Problem>& problems) {
    std::vector<ProblemKind> kinds;
    for (const Problem& problem : problems) kinds.push_back(problem.kind);
    return kinds;
  }

  NodeHealth health;

 private:
  Time now_{seconds(1000)};
  broker::Vhost vhost_;
  broker::TopologySnapshot topology_;
  FlatMap<broker::QueueId, QueueRow> rows_;
  ProblemFinder finder_;
};

TEST_F(Problems, AreNoneWhenNothingIsWrong) {
  Hold(5000);
  EXPECT_THAT(Look(60), IsEmpty());  // put there to lie
}

TEST_F(Problems, NobodyConsumesWhatComes) {
  Hold(3);
  row().rates.publish = 1;
  EXPECT_THAT(Kinds(Look(2)), ElementsAre(ProblemKind::kNoConsumer));
  row().now.consumers = 1;
  EXPECT_THAT(Look(), IsEmpty());
}

TEST_F(Problems, AQueueThatGrowsForFifteenSecondsAndIsDeep) {
  row().now.consumers = 1;
  row().rates.deliver = 1;
  row().rates.messages = 5;
  Hold(999);
  EXPECT_THAT(Look(60), IsEmpty());
  Hold(1000);
  EXPECT_THAT(Look(14), IsEmpty());
  const auto found = Look(2);
  ASSERT_THAT(Kinds(found), ElementsAre(ProblemKind::kQueueGrowing));
  EXPECT_NEAR(found[0].weight, 5, 0.1);
  row().rates.messages = -50;
  EXPECT_THAT(Look(5), IsEmpty());
}

TEST_F(Problems, UnackedMessagesThatGrow) {
  row().now.consumers = 1;
  row().rates.deliver = 10;
  row().rates.unacked = 10;
  Hold(0, 1000);
  EXPECT_THAT(Look(14), IsEmpty());
  EXPECT_THAT(Kinds(Look(3)), ElementsAre(ProblemKind::kUnackedGrowing));
}

TEST_F(Problems, ConsumersThatDoNothing) {
  row().now.consumers = 1;
  Hold(1, 1);
  EXPECT_THAT(Look(15), IsEmpty());
  EXPECT_THAT(Kinds(Look(2)), ElementsAre(ProblemKind::kConsumersStuck));
  row().rates.ack = 1;
  EXPECT_THAT(Look(), IsEmpty());
}

TEST_F(Problems, DeadLettersOfTheLastMinute) {
  Hold(1);
  Look();
  row().now.ledger.Leave(broker::LeaveReason::kDeadLettered, 10);
  Hold(1);
  const auto found = Look();
  ASSERT_THAT(Kinds(found), ElementsAre(ProblemKind::kDeadLetters));
  EXPECT_NEAR(found[0].amount, 10, 0.1);
  EXPECT_THAT(Kinds(Look(30)), ElementsAre(ProblemKind::kDeadLetters));
  EXPECT_THAT(Look(120), IsEmpty());
}

TEST_F(Problems, MessagesThatAreDroppedAreNoDeadLetters) {
  Hold(1);
  Look();
  for (const auto reason :
       {broker::LeaveReason::kDropped, broker::LeaveReason::kTtl, broker::LeaveReason::kMaxLength})
    row().now.ledger.Leave(reason);
  Hold(1);
  const auto found = Look();
  ASSERT_THAT(Kinds(found), ElementsAre(ProblemKind::kMessagesDropped));
  EXPECT_NEAR(found[0].amount, 3, 0.1);
}

TEST_F(Problems, OfAPausedQueueNothingElseIsSaid) {
  AddQueue(8, "still", /*paused=*/true);
  row(8).now.consumers = 1;
  row(8).rates.publish = row(8).rates.messages = 5;
  Hold(5000, 3, 8);
  EXPECT_THAT(Kinds(Look(60)), ElementsAre(ProblemKind::kPaused));
  row(8).now.consumers = 0;
  EXPECT_THAT(Kinds(Look(2)), ElementsAre(ProblemKind::kPaused));
  Hold(0, 3, 8);
  EXPECT_THAT(Look(), IsEmpty());
}

TEST_F(Problems, ALedgerThatDoesNotBalanceIsCriticalAndFirst) {
  AddQueue(8, "lonely");
  Hold(3, 0, 8);
  row(8).rates.publish = 1;
  Hold(3);
  row().now.ledger.accepted += 1;
  const auto found = Look(2);
  ASSERT_THAT(Kinds(found), ElementsAre(ProblemKind::kLedger, ProblemKind::kNoConsumer));
  EXPECT_TRUE(found[0].critical);
  EXPECT_FALSE(found[1].critical);
}

TEST_F(Problems, AnAlarmNamesTheFiveThatHoldMost) {
  for (broker::QueueId id = 10; id < 20; ++id) {
    AddQueue(id, "q" + std::to_string(id));
    Hold(id, 0, id);
    row(id).now.memory = 1000 - id;
  }
  health.memory_alarm = true;
  health.resident_bytes = 5 << 20;
  health.memory_limit = 4 << 20;
  auto found = Look();
  ASSERT_THAT(found, SizeIs(6));
  EXPECT_FALSE(found[0].queue);
  EXPECT_TRUE(found[0].critical);
  EXPECT_EQ(found[1].queue->name, "q10");
  EXPECT_EQ(found[5].queue->name, "q14");
  health.memory_alarm = false;
  health.disk_alarm = true;
  found = Look();
  ASSERT_THAT(found, SizeIs(6));
  EXPECT_EQ(found[0].kind, ProblemKind::kDiskAlarm);
  EXPECT_EQ(found[1].queue->name, "q19");
}

TEST_F(Problems, SyncsAreSlowWhenThreeLooksInSuccessionSaySo) {
  health.syncs = 10;
  health.sync_p99_us = 99'999;
  EXPECT_THAT(Look(5), IsEmpty());
  health.sync_p99_us = 100'000;
  EXPECT_THAT(Look(2), IsEmpty());
  health.syncs = 0;  // says nothing about the disk
  EXPECT_THAT(Look(), IsEmpty());
  health.syncs = 1;
  auto found = Look();
  ASSERT_THAT(Kinds(found), ElementsAre(ProblemKind::kSyncSlow));
  EXPECT_FALSE(found[0].critical);
  health.sync_p99_us = 1'000'000;
  found = Look();
  ASSERT_THAT(found, SizeIs(1));
  EXPECT_TRUE(found[0].critical);
}

TEST_F(Problems, OfOneKindTheWorstTwentyAreSaid) {
  for (broker::QueueId id = 100; id < 130; ++id) {
    AddQueue(id, "q" + std::to_string(id));
    Hold(id, 0, id);
    row(id).rates.publish = 1;
  }
  const auto found = Look(2);
  ASSERT_THAT(found, SizeIs(ProblemFinder::kPerVhost));
  EXPECT_EQ(found.front().queue->name, "q129");
}

}  // namespace
}  // namespace landfall::admin
