// A queue whose deliveries an operator has paused.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "broker/shard_testing.h"

namespace landfall::broker {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

constexpr QueueId kQueue = 1;

class ShardPause : public testing::Test {
 protected:
  ShardPause() {
    ports.AddQueue(kQueue, 1, "q");
    driver.shard.Start(0, /*epoch=*/1, driver.now);
  }
  void Pause(bool paused) {
    auto info = std::make_shared<QueueInfo>(*ports.snapshot.FindQueue(kQueue));
    info->paused = paused;
    ports.snapshot.queues_by_id.Set(kQueue, info);
    ++ports.snapshot.version;
    driver.Do(ConfigureQueueCommand{kQueue}, 0);
    driver.Flush();
  }
  void Publish(const char* body) {
    driver.Publish(PersistentMessage(body));
    driver.Flush();
    driver.Land();
  }
  Got Get() {
    driver.Do(GetCommand{.channel = 1, .queue = kQueue});
    driver.Flush();
    return ports.Take<Got>().at(0);
  }

  FakePorts ports;
  ShardDriver driver{ports};
};

TEST_F(ShardPause, ConsumersGetNothingUntilItIsResumed) {
  driver.Consume(1);
  Publish("a");
  EXPECT_THAT(driver.Delivered(), ElementsAre("a"));
  Pause(true);
  Publish("b");
  driver.Consume(2);
  driver.Flush();
  EXPECT_THAT(driver.Delivered(), IsEmpty());
  EXPECT_EQ(driver.shard.FindQueue(kQueue)->ready(), 1u);
  Pause(false);
  EXPECT_THAT(driver.Delivered(), ElementsAre("b"));
}

TEST_F(ShardPause, WhoeverGetsIsToldThatThereIsNothing) {
  Publish("a");
  Pause(true);
  EXPECT_FALSE(Get().message);
  Pause(false);
  const Got got = Get();
  ASSERT_TRUE(got.message);
  EXPECT_EQ(got.message->body(), "a");
}

TEST_F(ShardPause, WhatConsumersHoldIsSettledAndGivenBackAsEver) {
  driver.Consume(1);
  Publish("a");
  Publish("b");
  const auto delivered = ports.Take<Deliver>();
  ASSERT_THAT(delivered, SizeIs(2));
  Pause(true);
  driver.Settle(Settlement::kAck, delivered[0]);
  driver.Settle(Settlement::kReturn, delivered[1]);
  driver.Flush();
  driver.Land();
  EXPECT_THAT(driver.Delivered(), IsEmpty());
  EXPECT_EQ(driver.shard.FindQueue(kQueue)->size(), 1u);
  Pause(false);
  EXPECT_THAT(driver.Delivered(), ElementsAre("b"));
}

TEST_F(ShardPause, OneThatIsPausedBeforeItIsTouchedIsPaused) {
  Pause(true);
  driver.Consume(1);
  Publish("a");
  EXPECT_THAT(driver.Delivered(), IsEmpty());
  Pause(false);
  EXPECT_THAT(driver.Delivered(), ElementsAre("a"));
}

// A channel's budget must not lie with a queue that gives nothing: another may have use for it.
TEST_F(ShardPause, GrantsGoBack) {
  driver.Do(ConsumeCommand{
      .channel = 1, .consumer = 1, .queue = kQueue, .by_grant = true, .credit = {1000, 1 << 20}});
  Publish("a");
  ASSERT_THAT(ports.Take<WantGrants>(), SizeIs(1));
  Pause(true);
  driver.Do(GrantCommand{.consumer = 1, .queue = kQueue, .grants = 3});
  driver.Flush();
  const auto back = ports.Take<ReturnGrants>();
  ASSERT_THAT(back, SizeIs(1));
  EXPECT_EQ(back[0].grants, 3u);
  Pause(false);
  EXPECT_THAT(ports.Take<WantGrants>(), SizeIs(1));
}

}  // namespace
}  // namespace landfall::broker
