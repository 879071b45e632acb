// A queue that gets another configuration while it lives. What a configuration does is in
// shard_limits_test.cc.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "broker/shard_testing.h"
#include "storage/memory_output.h"

namespace landfall::broker {
namespace {

using std::chrono::milliseconds;
using testing::ElementsAre;
using testing::IsEmpty;

constexpr QueueId kQueue = 2;

class ShardConfigure : public testing::Test {
 protected:
  void Declare(QueueConfig config) {
    ports.AddQueue(kQueue, 1, "q", std::move(config));
    driver.shard.Start(0, /*epoch=*/1, driver.now);
  }
  void Configure(QueueConfig config) {
    ports.AddQueue(kQueue, 1, "q", std::move(config));
    driver.Do(ConfigureQueueCommand{kQueue}, 0);
    driver.Flush();
    driver.Land();
  }
  void Publish(const std::string& body) {
    driver.Publish(PersistentMessage(body), {kQueue});
    driver.Flush();
    driver.Land();
  }
  static std::vector<std::string> Bodies(const Shard& shard) {
    std::vector<std::string> bodies;
    if (const Queue* queue = shard.FindQueue(kQueue)) {
      queue->ForEach(
          [&](Sequence, const Entry& e, Time) { bodies.emplace_back(e.message->body()); });
    }
    return bodies;
  }
  std::vector<std::string> Bodies() const { return Bodies(driver.shard); }

  FakePorts ports;
  ShardDriver driver{ports};
};

TEST_F(ShardConfigure, ALowerLengthHoldsAtOnce) {
  Declare({});
  for (const char* body : {"a", "b", "c"}) Publish(body);
  Configure({.max_length = 2});
  EXPECT_THAT(Bodies(), ElementsAre("b", "c"));
  Configure({});
  Publish("d");
  EXPECT_THAT(Bodies(), ElementsAre("b", "c", "d"));
}

TEST_F(ShardConfigure, BytesAreCountedFromWhenALimitAsksForIt) {
  Declare({});
  for (const char* body : {"aaaa", "bbbb", "cccc"}) Publish(body);
  driver.Publish(PersistentMessage("dddd"), {kQueue});  // has not landed yet
  driver.Flush();
  ports.AddQueue(kQueue, 1, "q", {.max_length_bytes = 9});
  driver.Do(ConfigureQueueCommand{kQueue}, 0);
  driver.Flush();
  EXPECT_THAT(Bodies(), ElementsAre("bbbb", "cccc", "dddd"));
  driver.Land();
  EXPECT_THAT(Bodies(), ElementsAre("cccc", "dddd"));
  Configure({});
  Publish("eeee");
  Configure({.max_length_bytes = 8, .overflow = Overflow::kRejectPublish});
  Publish("ffff");
  EXPECT_THAT(Bodies(), ElementsAre("cccc", "dddd", "eeee"));
  driver.Do(GetCommand{1, kQueue, true});
  driver.Do(GetCommand{1, kQueue, true});
  Publish("gggg");
  EXPECT_THAT(Bodies(), ElementsAre("eeee", "gggg"));
}

TEST_F(ShardConfigure, ANewTimeToLiveIsForTheMessagesThatAreThereToo) {
  Declare({});
  Publish("a");
  driver.Pass(milliseconds(500));
  Configure({.message_ttl = milliseconds(1000)});
  Publish("b");
  driver.Pass(milliseconds(499));
  EXPECT_THAT(Bodies(), ElementsAre("a", "b"));
  driver.Pass(milliseconds(1));
  EXPECT_THAT(Bodies(), ElementsAre("b"));
}

TEST_F(ShardConfigure, ALongerTimeToLiveCountsFromWhenAMessageCame) {
  Declare({.message_ttl = milliseconds(1000)});
  Publish("a");
  driver.Pass(milliseconds(900));
  Configure({.message_ttl = milliseconds(2000)});
  driver.Pass(milliseconds(1099));
  EXPECT_THAT(Bodies(), ElementsAre("a"));
  driver.Pass(milliseconds(1));
  EXPECT_THAT(Bodies(), IsEmpty());
}

TEST_F(ShardConfigure, NoMessageExpiresByATimeToLiveThatHasBeenTakenAway) {
  Declare({.message_ttl = milliseconds(1000)});
  Publish("a");
  Configure({});
  driver.Pass(std::chrono::hours(1));
  EXPECT_THAT(Bodies(), ElementsAre("a"));
}

TEST_F(ShardConfigure, ACheckpointFromBeforeDoesNotBringATimeToLiveBack) {
  Declare({.message_ttl = milliseconds(1000)});
  Publish("a");
  storage::MemoryOutput out;
  ASSERT_TRUE(driver.shard.Checkpoint().second(out));
  const ByteBuffer& bytes = out.bytes;
  for (const auto& ttl : {std::optional<Duration>(), std::optional<Duration>(milliseconds(3000))}) {
    FakePorts fresh_ports;
    fresh_ports.AddQueue(kQueue, 1, "q", {.message_ttl = ttl});
    ShardDriver fresh(fresh_ports);
    ASSERT_TRUE(fresh.shard.RecoverCheckpoint(bytes, true));
    fresh.shard.Start(10, /*epoch=*/2, fresh.now);
    fresh.Pass(milliseconds(2999));
    EXPECT_THAT(Bodies(fresh.shard), ElementsAre("a"));
    fresh.Pass(milliseconds(1));
    EXPECT_EQ(Bodies(fresh.shard).empty(), ttl.has_value());
  }
}

TEST_F(ShardConfigure, AnUnusedQueueThatIsToExpireNowAsksToGoAlsoIfNobodyEverUsedIt) {
  Declare({});
  driver.Pass(milliseconds(5000));
  Configure({.expires = milliseconds(1000)});
  driver.Pass(milliseconds(999));
  EXPECT_THAT(ports.unused, IsEmpty());
  driver.Pass(milliseconds(1));
  EXPECT_THAT(ports.unused, ElementsAre(kQueue));
}

TEST_F(ShardConfigure, TheTimeOfAnUnusedQueueBeginsAnewWithThePolicy) {
  Declare({.expires = milliseconds(1000)});
  driver.Pass(milliseconds(900));
  Configure({.expires = milliseconds(2000)});
  driver.Pass(milliseconds(1999));
  EXPECT_THAT(ports.unused, IsEmpty());
  driver.Pass(milliseconds(1));
  EXPECT_THAT(ports.unused, ElementsAre(kQueue));
}

TEST_F(ShardConfigure, ADeliveryLimitCountsFromThen) {
  Declare({});
  Publish("a");
  driver.Consume(1, kQueue, 1);
  driver.Flush();
  Configure({.delivery_limit = 1});
  for (int i = 0; i < 2; ++i) {
    const auto delivered = ports.Take<Deliver>();
    ASSERT_EQ(delivered.size(), 1u);
    driver.Settle(Settlement::kReturn, delivered[0]);
    driver.Flush();
  }
  EXPECT_THAT(Bodies(), IsEmpty());
}

TEST_F(ShardConfigure, WhatIsGoneMeanwhileIsLeftAlone) {
  Declare({});
  driver.Do(DropQueueCommand{kQueue}, 0);
  driver.Do(ConfigureQueueCommand{kQueue}, 0);
  driver.Do(ConfigureQueueCommand{99}, 0);
  EXPECT_EQ(driver.shard.FindQueue(kQueue), nullptr);
}

}  // namespace
}  // namespace landfall::broker
