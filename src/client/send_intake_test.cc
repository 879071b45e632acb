#include "client/send_intake.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <thread>

namespace landfall::client {
namespace {

using Offered = SendIntake::Offered;

Submission Message(size_t bytes = 0) { return {std::string(bytes, 'x'), nullptr, {}}; }

Offered Offer(SendIntake& intake, bool may_wait = true, size_t bytes = 0,
              SendFailure* failure = nullptr) {
  Submission message = Message(bytes);
  SendResult refusal;
  const Offered offered = intake.Offer(message, may_wait, refusal);
  if (failure != nullptr) *failure = refusal.failure;
  return offered;
}

SendIntake::Limits Limits(size_t messages, OverflowPolicy overflow, size_t bytes = 1u << 20) {
  return {messages, bytes, overflow};
}

void Take(SendIntake& intake) {
  std::vector<Submission> taken;
  intake.TakeAll(taken);
}

TEST(SendIntake, AsksToWakeOnlyForTheFirstOfABatch) {
  SendIntake intake(Limits(10, OverflowPolicy::kRefuse));
  EXPECT_EQ(Offer(intake), Offered::kTakenFirst);
  EXPECT_EQ(Offer(intake), Offered::kTaken);
  Take(intake);
  EXPECT_EQ(Offer(intake), Offered::kTakenFirst);
}

TEST(SendIntake, RefusesBeyondTheBoundsUntilSomethingIsSettled) {
  SendIntake intake(Limits(2, OverflowPolicy::kRefuse));
  Offer(intake);
  Offer(intake);
  SendFailure failure{};
  EXPECT_EQ(Offer(intake, true, 0, &failure), Offered::kRefused);
  EXPECT_EQ(failure, SendFailure::kWindowFull);
  intake.Release(1, CostOf(Message()));
  EXPECT_NE(Offer(intake), Offered::kRefused);
  EXPECT_EQ(Offer(intake), Offered::kRefused);
}

TEST(SendIntake, BoundsBytesButLetsALargeMessageInAlone) {
  SendIntake intake(Limits(10, OverflowPolicy::kRefuse, 10'000));
  EXPECT_NE(Offer(intake, true, 50'000), Offered::kRefused);
  EXPECT_EQ(Offer(intake, true, 1), Offered::kRefused);
  intake.Release(1, CostOf(Message(50'000)));
  EXPECT_NE(Offer(intake, true, 6'000), Offered::kRefused);
  EXPECT_EQ(Offer(intake, true, 6'000), Offered::kRefused);
}

TEST(SendIntake, WaitsForRoom) {
  SendIntake intake(Limits(1, OverflowPolicy::kWait));
  Offer(intake);
  std::atomic<bool> in = false;
  std::thread waiter([&] {
    EXPECT_NE(Offer(intake), Offered::kRefused);
    in = true;
  });
  EXPECT_FALSE(in);
  intake.Release(1, CostOf(Message()));
  waiter.join();
  EXPECT_TRUE(in);
}

TEST(SendIntake, NeverMakesACallbackWaitAndStopsItAtTwiceTheBound) {
  SendIntake intake(Limits(2, OverflowPolicy::kWait));
  for (int i = 0; i < 4; ++i) EXPECT_NE(Offer(intake, false), Offered::kRefused);
  EXPECT_EQ(Offer(intake, false), Offered::kRefused);
}

TEST(SendIntake, CloseWakesAndRefusesWithTheFirstReason) {
  SendIntake intake(Limits(1, OverflowPolicy::kWait));
  Offer(intake);
  std::thread waiter([&] {
    SendFailure failure{};
    EXPECT_EQ(Offer(intake, true, 0, &failure), Offered::kRefused);
    EXPECT_EQ(failure, SendFailure::kFenced);
  });
  intake.Close(SendFailure::kFenced, "fenced");
  intake.Close(SendFailure::kClosed, "closed");
  waiter.join();
}

TEST(SendIntake, WaitsForWhatWasTakenBeforeOnly) {
  SendIntake intake(Limits(10, OverflowPolicy::kRefuse));
  const auto now = [] { return std::chrono::steady_clock::now(); };
  EXPECT_TRUE(intake.WaitDone(now()));
  Offer(intake);
  EXPECT_FALSE(intake.WaitDone(now()));
  std::thread flusher([&] { EXPECT_TRUE(intake.WaitDone(now() + std::chrono::seconds(60))); });
  intake.NoteDone(1, 1);
  flusher.join();
  EXPECT_EQ(intake.unfinished(), 0u);
}

}  // namespace
}  // namespace landfall::client
