#include "server/login_throttle.h"

#include <gtest/gtest.h>

namespace landfall::server {
namespace {

using namespace std::chrono_literals;

class LoginThrottleTest : public testing::Test {
 protected:
  void FailTimes(int times) {
    for (int i = 0; i < times; ++i) throttle_.OnFailure("ada", now_);
  }

  LoginThrottle throttle_;
  LoginThrottle::Clock::time_point now_{1h};
};

TEST_F(LoginThrottleTest, LetsNobodyWaitWhoHasNotFailed) {
  FailTimes(1);
  EXPECT_EQ(throttle_.DelayFor("bob", now_), 0ms);
}

TEST_F(LoginThrottleTest, DoublesTheDelayWithEachFailureUpToTheCap) {
  for (const auto delay : {100ms, 200ms, 400ms, 800ms, 1000ms, 1000ms}) {
    FailTimes(1);
    EXPECT_EQ(throttle_.DelayFor("ada", now_), delay);
  }
  FailTimes(10'000);
  EXPECT_EQ(throttle_.DelayFor("ada", now_), 1s);
}

TEST_F(LoginThrottleTest, ForgetsFailuresAfterASuccess) {
  FailTimes(3);
  throttle_.OnSuccess("ada");
  EXPECT_EQ(throttle_.DelayFor("ada", now_), 0ms);
}

TEST_F(LoginThrottleTest, ForgetsFailuresAfterSomeTime) {
  FailTimes(3);
  now_ += 61s;
  EXPECT_EQ(throttle_.DelayFor("ada", now_), 0ms);
  FailTimes(1);
  EXPECT_EQ(throttle_.DelayFor("ada", now_), 100ms);
}

TEST_F(LoginThrottleTest, HoldsNoMoreNamesThanItMay) {
  LoginThrottle throttle({.max_users = 3});
  for (int i = 0; i < 100; ++i) {
    throttle.OnFailure("made up " + std::to_string(i), now_);
    throttle.OnSuccess("made up " + std::to_string(i - 1));
    throttle.OnFailure("ada", now_);
  }
  EXPECT_LE(throttle.size(), 3u);
}

}  // namespace
}  // namespace landfall::server
