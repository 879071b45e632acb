// Who gets which message when: consumers, gets, prefetch, credit and grants.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "broker/shard_testing.h"

namespace landfall::broker {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

using ShardDelivery = ShardTest;

TEST_F(ShardDelivery, PrefetchBoundsWhatAConsumerHolds) {
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

TEST_F(ShardDelivery, CreditBoundsWhatIsSentBeyondTheSocket) {
  driver.Do(ConsumeCommand{.channel = 1, .consumer = 1, .queue = 1, .credit = {2, 1 << 20}});
  for (const char* body : {"a", "b", "c"}) driver.Publish(TransientMessage(body));
  driver.Flush();
  EXPECT_THAT(driver.Delivered(), ElementsAre("a", "b"));
  driver.Do(CreditCommand{.consumer = 1, .queue = 1, .credit = {2, 100}});
  driver.Flush();
  EXPECT_THAT(driver.Delivered(), ElementsAre("c"));
}

TEST_F(ShardDelivery, ConsumersTakeTurns) {
  driver.Consume(1);
  driver.Consume(2);
  for (const char* body : {"a", "b", "c", "d"}) driver.Publish(TransientMessage(body));
  driver.Flush();
  std::vector<ConsumerId> who;
  for (const Deliver& d : ports.Take<Deliver>()) who.push_back(d.consumer);
  EXPECT_THAT(who, ElementsAre(1, 2, 1, 2));
}

TEST_F(ShardDelivery, AHigherPriorityConsumerIsServedFirst) {
  driver.Consume(1);
  driver.Do(ConsumeCommand{
      .channel = 1, .consumer = 2, .queue = 1, .prefetch = 1, .priority = 5, .credit = {9, 9999}});
  for (const char* body : {"a", "b"}) driver.Publish(TransientMessage(body));
  driver.Flush();
  const auto d = ports.Take<Deliver>();
  EXPECT_EQ(d.at(0).consumer, 2u);
  EXPECT_EQ(d.at(1).consumer, 1u);
}

TEST_F(ShardDelivery, AClosedChannelGivesBackWhatItHeldInOrder) {
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

TEST_F(ShardDelivery, ACancelledConsumerKeepsWhatItHoldsUntilItSettles) {
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

TEST_F(ShardDelivery, GetTakesOneAndSaysHowManyAreLeft) {
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

TEST_F(ShardDelivery, AnExclusiveConsumerIsAloneOrRefused) {
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

TEST_F(ShardDelivery, AConsumerByGrantGetsWhatItsChannelGrantsAndReturnsTheRest) {
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

TEST_F(ShardDelivery, AConsumerComesUnderABudgetThatIsMadeLater) {
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

TEST_F(ShardDelivery, WhoPublishesAndThenAsksSeesHisOwnMessages) {
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

TEST_F(ShardDelivery, AConsumerThatWaitsComesBeforeAGet) {
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

TEST_F(ShardDelivery, AConsumerThatWaitsComesBeforeAnyQuestion) {
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

TEST_F(ShardDelivery, AConsumerThatEndsGetsWhatWasPublishedBefore) {
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
TEST_F(ShardDelivery, AConsumerWithoutRoomEndsAtOnce) {
  driver.Consume(1, 1, 1);
  driver.Publish(TransientMessage("a"));
  driver.Flush();
  driver.Publish(PersistentMessage("b"));
  driver.Do(CancelCommand{1, 1, 1});
  EXPECT_THAT(ports.Take<Cancelled>(), SizeIs(1));
}

TEST_F(ShardDelivery, ATransientMessageIsSeenByAGetOfTheSameTurn) {
  driver.Publish(TransientMessage("a"));
  driver.Do(GetCommand{1, 1, true});
  driver.Flush();
  const auto got = ports.Take<Got>();
  ASSERT_THAT(got, SizeIs(1));
  EXPECT_EQ(got[0].message->body(), "a");
}

TEST_F(ShardDelivery, AQuestionThatWaitsForALandingIsAnsweredWhenItsQueueIsDropped) {
  driver.Publish(PersistentMessage("a"));
  driver.Do(GetCommand{1, 1, true});
  driver.Flush();
  driver.Do(DropQueueCommand{1});
  EXPECT_TRUE(ports.Take<Got>().at(0).queue_gone);
}

TEST_F(ShardDelivery, AQuestionThatWaitsForALandingIsForgottenWithItsChannel) {
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

TEST_F(ShardDelivery, AConsumerByGrantReturnsWhatItsOwnPrefetchLeavesUnused) {
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

}  // namespace
}  // namespace landfall::broker
