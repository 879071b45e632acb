// Messages that an operator moves.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "amqp/properties.h"
#include "broker/shard_testing.h"

namespace landfall::broker {
namespace {

using std::chrono::seconds;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

class ShardMove : public testing::Test {
 protected:
  ShardMove() {
    QueueConfig dying;
    dying.dead_letter_exchange = "";
    dying.dead_letter_routing_key = "dead";
    ports.AddQueue(1, 1, "q", dying);
    ports.AddQueue(2, 1, "dead");
    ports.AddQueue(3, 2, "far");
    driver.shard.Start(0, /*epoch=*/1, driver.now);
  }
  MovedByHand Move(QueueId queue, std::vector<Sequence> sequences, MoveTarget target) {
    auto moved = driver.shard.Execute(
        MoveByHand{.queue = queue, .sequences = std::move(sequences), .target = std::move(target)},
        driver.now);
    driver.Flush();
    return moved;
  }
  void Publish(int count) {
    for (int i = 0; i < count; ++i) driver.Publish(PersistentMessage(std::to_string(++published)));
    driver.Flush();
    driver.Land();
  }
  const Queue& queue(QueueId id) { return *driver.shard.FindQueue(id); }
  std::unique_ptr<ShardDriver> Revive(FakePorts& revived) {
    revived.snapshot = ports.snapshot;
    auto next = std::make_unique<ShardDriver>(revived);
    for (const auto& batch : ports.batches) EXPECT_TRUE(next->shard.RecoverBatch(batch.entries));
    next->shard.Start(ports.batches.size(), /*epoch=*/2, driver.now);
    next->Flush();
    return next;
  }

  FakePorts ports;
  ShardDriver driver{ports};
  int published = 0;
};

TEST_F(ShardMove, WhatIsMovedIsThereOnceAlsoAfterACrash) {
  Publish(3);
  const MovedByHand moved = Move(1, {1, 3, 9}, {.queue = "dead"});
  EXPECT_EQ(moved.moved, 2u);
  EXPECT_EQ(moved.gone, 1u);
  EXPECT_EQ(queue(2).ready(), 0u);  // not before it has landed
  EXPECT_LT(driver.shard.landed_upto(), moved.lands_with);
  driver.Land();
  EXPECT_GE(driver.shard.landed_upto(), moved.lands_with);
  EXPECT_EQ(queue(2).ready(), 2u);
  EXPECT_EQ(queue(1).ready(), 1u);
  EXPECT_EQ(queue(1).ledger().Left(LeaveReason::kMoved), 2u);

  FakePorts revived;
  const auto next = Revive(revived);
  EXPECT_EQ(next->shard.FindQueue(2)->ready(), 2u);
  EXPECT_EQ(next->shard.FindQueue(1)->ready(), 1u);
  EXPECT_EQ(next->shard.FindQueue(1)->ledger().Left(LeaveReason::kMoved), 2u);
}

TEST_F(ShardMove, ToAnotherShardItGoesThroughTheOutbox) {
  Publish(1);
  EXPECT_EQ(Move(1, {1}, {.queue = "far"}).moved, 1u);
  EXPECT_THAT(ports.commands, IsEmpty());
  driver.Land();
  ASSERT_THAT(ports.commands, SizeIs(1));
  EXPECT_EQ(std::get<TransferCommand>(ports.commands[0].second.body).message->body(), "1");

  FakePorts revived;
  const auto next = Revive(revived);
  EXPECT_THAT(revived.commands, SizeIs(1));  // sent again, under the same number
  EXPECT_EQ(next->shard.FindQueue(1)->size(), 0u);
}

TEST_F(ShardMove, ADeadLetterGoesBackAsItCame) {
  driver.Consume(1, 1, /*prefetch=*/1);
  driver.Publish(Message::Make("work", "a.b", ByteView("\x10\0\2", 3), "body", true));
  driver.Flush();
  driver.Land();
  driver.Settle(Settlement::kReject, ports.Take<Deliver>().at(0));
  driver.Flush();
  driver.Land();
  ASSERT_EQ(queue(2).ready(), 1u);
  EXPECT_EQ(Move(2, {1}, {.kind = MoveTarget::Kind::kOrigin}).moved, 1u);
  driver.Land();
  const auto again = ports.Take<Deliver>();
  ASSERT_THAT(again, SizeIs(1));
  EXPECT_EQ(again[0].message->exchange(), "work");
  EXPECT_EQ(again[0].message->routing_key(), "a.b");
  EXPECT_EQ(again[0].message->body(), "body");
  // It is told that this is not the first time.
  const auto properties = amqp::DecodeProperties(again[0].message->properties());
  ASSERT_TRUE(properties);
  EXPECT_EQ(properties->headers.FindString("x-first-death-queue"), "q");
  // And dies again if it is refused again.
  driver.Settle(Settlement::kReject, again[0]);
  driver.Flush();
  driver.Land();
  EXPECT_EQ(queue(2).ready(), 1u);
}

TEST_F(ShardMove, WhatHasNowhereToGoStays) {
  Publish(2);
  EXPECT_EQ(Move(1, {1}, {.kind = MoveTarget::Kind::kOrigin}).unroutable, 1u);  // has not died
  EXPECT_EQ(Move(1, {1}, {.queue = "nowhere"}).unroutable, 1u);
  EXPECT_EQ(Move(1, {1}, {.kind = MoveTarget::Kind::kExchange, .exchange = "none"}).unroutable, 1u);
  driver.Do(SealQueueCommand{.queue = 2, .token = 1}, 0);
  EXPECT_EQ(Move(1, {1}, {.queue = "dead"}).unroutable, 1u);
  driver.Land();
  EXPECT_EQ(queue(1).ready(), 2u);
}

TEST_F(ShardMove, ThroughAnExchangeItIsRoutedByTheKeyThatIsGivenOrItsOwn) {
  Publish(2);
  MoveTarget target{.kind = MoveTarget::Kind::kExchange, .exchange = ""};
  EXPECT_EQ(Move(1, {1}, target).moved, 1u);  // "q", its own, leads back
  target.routing_key = "dead";
  target.own_routing_key = false;
  EXPECT_EQ(Move(1, {2}, target).moved, 1u);
  driver.Land();
  EXPECT_EQ(queue(1).ready(), 1u);
  EXPECT_EQ(queue(2).ready(), 1u);
}

TEST_F(ShardMove, WhatAConsumerHasIsLeftToIt) {
  driver.Consume(1, 1, /*prefetch=*/1);
  Publish(2);
  const MovedByHand moved = Move(1, {1, 2}, {.queue = "dead"});
  EXPECT_EQ(moved.unacked, 1u);
  EXPECT_EQ(moved.moved, 1u);
}

TEST_F(ShardMove, OfLargeOnesItMovesAFewInOneGo) {
  const std::string large(uint64_t{3} << 20, 'x');
  for (int i = 0; i < 4; ++i) driver.Publish(PersistentMessage(large));
  driver.Flush();
  driver.Land();
  const MovedByHand moved = Move(1, {1, 2, 3, 4}, {.queue = "dead"});
  EXPECT_EQ(moved.moved, 2u);
  EXPECT_THAT(moved.again, ElementsAre(3u, 4u));
}

TEST_F(ShardMove, OfAQueueThatMayBeDeletedItMovesNothingYet) {
  Publish(1);
  driver.Do(SealQueueCommand{.queue = 1, .token = 1}, 0);
  EXPECT_THAT(Move(1, {1}, {.queue = "dead"}).again, ElementsAre(1u));
  driver.Do(UnsealQueueCommand{.queue = 1}, 0);
  EXPECT_EQ(Move(1, {1}, {.queue = "dead"}).moved, 1u);
}

TEST_F(ShardMove, AnOlderTopologyMovesNothing) {
  Publish(1);
  const MovedByHand moved =
      driver.shard.Execute(MoveByHand{.queue = 1,
                                      .sequences = {1},
                                      .target = {.queue = "dead"},
                                      .topology_version = ports.snapshot.version + 1},
                           driver.now);
  EXPECT_EQ(moved.moved, 0u);
  EXPECT_THAT(moved.again, ElementsAre(1u));
}

}  // namespace
}  // namespace landfall::broker
