#include "broker/queue.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "amqp/properties.h"

namespace landfall::broker {
namespace {

BacklogDemand demand;  // nobody asks

using std::chrono::milliseconds;

const Time kStart{std::chrono::seconds(1000)};

MessageRef Make(ByteView body, const amqp::Properties& properties = {}) {
  ByteBuffer encoded;
  amqp::AppendProperties(encoded, properties);
  return Message::Make("", "q", encoded, body, true);
}

Sequence Add(Queue& queue, const MessageRef& message, Time now = kStart) {
  const Sequence sequence = queue.Push(message, true, now);
  queue.Land(sequence);
  return sequence;
}

std::string Take(Queue& queue) {
  const Sequence sequence = queue.Front();
  if (sequence == 0) return "";
  std::string body(queue.Deliver(sequence, 1).message->body());
  queue.Erase(sequence, LeaveReason::kAcked);
  return body;
}

TEST(Queue, GivesTheHighestPriorityFirstAndEachInItsOrder) {
  Queue queue(1, true, {.max_priority = 5}, demand);
  for (const auto& [body, priority] :
       {std::pair{"a0", 0}, {"b3", 3}, {"c9", 9}, {"d3", 3}, {"e5", 5}}) {
    Add(queue, Make(body, {.priority = static_cast<uint8_t>(priority)}));
  }
  Add(queue, Make("f0"));
  const Sequence first = queue.Front();
  queue.Deliver(first, 1);
  queue.Requeue(first, Time{});
  std::vector<std::string> order;
  for (std::string body = Take(queue); !body.empty(); body = Take(queue)) order.push_back(body);
  EXPECT_EQ(order, (std::vector<std::string>{"c9", "e5", "b3", "d3", "a0", "f0"}));
  EXPECT_EQ(queue.ready(), 0u);
}

TEST(Queue, WithoutPrioritiesIgnoresThoseOfMessages) {
  Queue queue(1, true, {}, demand);
  Add(queue, Make("a"));
  Add(queue, Make("b", {.priority = 9}));
  EXPECT_EQ(Take(queue), "a");
}

TEST(Queue, ExpiresWhatIsReadyOrRestsByTheShorterOfBothTimes) {
  Queue queue(1, true, {.message_ttl = milliseconds(500)}, demand);
  const Sequence a = Add(queue, Make("a"));
  const Sequence b = Add(queue, Make("b", {.expiration = "100"}));
  const Sequence c = Add(queue, Make("c", {.expiration = "900"}));
  EXPECT_EQ(queue.NextDue(), kStart + milliseconds(100));
  EXPECT_EQ(queue.FirstExpired(kStart + milliseconds(99)), 0u);
  EXPECT_EQ(queue.FirstExpired(kStart + milliseconds(100)), b) << "behind a live head";
  queue.Erase(b, LeaveReason::kAcked);
  EXPECT_EQ(queue.Front(), a);
  queue.Deliver(a, 1);
  queue.Deliver(c, 1);
  queue.Requeue(c, kStart + std::chrono::hours(1));
  EXPECT_EQ(queue.FirstExpired(kStart + milliseconds(500)), c);
  queue.Erase(c, LeaveReason::kAcked);
  EXPECT_EQ(queue.FirstExpired(kStart + milliseconds(700)), 0u) << "held by a consumer";
  queue.Requeue(a, Time{});
  EXPECT_EQ(queue.FirstExpired(kStart + milliseconds(700)), a);
}

TEST(Queue, ThatIsReturnedAgainAndAgainExpiresOnce) {
  Queue queue(1, true, {.message_ttl = std::chrono::hours(1000)}, demand);
  const Sequence a = Add(queue, Make("a"));
  for (int i = 0; i < 100'000; ++i) {
    queue.Deliver(a, 1);
    queue.Requeue(a, Time{});
  }
  EXPECT_EQ(queue.FirstExpired(kStart + std::chrono::hours(1000)), a);
  queue.Erase(a, LeaveReason::kAcked);
  EXPECT_EQ(queue.FirstExpired(kStart + std::chrono::hours(1000)), 0u);
  EXPECT_EQ(queue.NextDue(), kNever);
}

TEST(Queue, ExpiresNothingThatHasNotLanded) {
  Queue queue(1, true, {.message_ttl = milliseconds(0)}, demand);
  const Sequence a = queue.Push(Make("a"), true, kStart);
  EXPECT_EQ(queue.FirstExpired(kStart), 0u);
  EXPECT_LT(queue.NextDue(), kNever);
  queue.Land(a);
  EXPECT_EQ(queue.FirstExpired(queue.NextDue()), a);
}

TEST(Queue, CountsReadyMessagesAndTheirBodiesAgainstItsLimits) {
  Queue queue(1, true, {.max_length = 2, .max_length_bytes = 10}, demand);
  Add(queue, Make("1234"));
  EXPECT_FALSE(queue.Full());
  const Sequence b = queue.Push(Make("5678"), true, kStart);
  EXPECT_TRUE(queue.Full()) << "what has not landed counts";
  queue.Land(b);
  EXPECT_FALSE(queue.OverLimit());
  Add(queue, Make("90"));
  EXPECT_TRUE(queue.OverLimit());
  queue.Deliver(queue.Front(), 1);
  EXPECT_FALSE(queue.OverLimit()) << "what is unacked does not count";
  queue.Requeue(1, Time{});
  EXPECT_TRUE(queue.OverLimit());

  Queue by_bytes(1, true, {.max_length_bytes = 10}, demand);
  Add(by_bytes, Make("12345678"));
  EXPECT_FALSE(by_bytes.Full());
  const Sequence second = Add(by_bytes, Make("123"));
  EXPECT_TRUE(by_bytes.OverLimit());
  by_bytes.Erase(second, LeaveReason::kAcked);
  EXPECT_FALSE(by_bytes.OverLimit());
}

TEST(Queue, RecoversPrioritiesSizesAndTimes) {
  Queue queue(1, true, {.message_ttl = milliseconds(500), .max_length_bytes = 3, .max_priority = 5},
              demand);
  queue.Restore(3, Make("low"), 0, false, Time{}, kStart);
  queue.Restore(4, Make("high", {.priority = 5}), 0, false, Time{}, Time{});
  queue.RestoreExpiry(4, kStart + milliseconds(50));
  queue.FinishRecovery();
  EXPECT_EQ(queue.ready(), 2u);
  EXPECT_TRUE(queue.OverLimit());
  EXPECT_EQ(queue.Front(), 4u);
  EXPECT_EQ(queue.FirstExpired(kStart + milliseconds(50)), 4u);
  queue.Erase(4, LeaveReason::kAcked);
  EXPECT_EQ(queue.FirstExpired(kStart + milliseconds(499)), 0u);
  EXPECT_EQ(queue.FirstExpired(kStart + milliseconds(500)), 3u);
}

TEST(Queue, IsUnusedFromTheLastTimeThatSomebodyAskedForIt) {
  Queue queue(1, true, {.expires = milliseconds(100)}, demand);
  queue.unused_since = kStart;
  EXPECT_EQ(queue.UnusedDeadline(), kStart + milliseconds(100));
  queue.consumers.push_back(1);
  EXPECT_EQ(queue.UnusedDeadline(), kNever);
  EXPECT_EQ(Queue(1, true, {}, demand).UnusedDeadline(), kNever);
}

}  // namespace
}  // namespace landfall::broker
