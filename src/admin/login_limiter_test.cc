#include "admin/login_limiter.h"

#include <gtest/gtest.h>

namespace landfall::admin {
namespace {

using std::chrono::seconds;

const LoginLimiter::Clock::time_point kStart{std::chrono::hours(1)};
constexpr LoginLimiter::Options kFew{.user = {.burst = 2, .each = seconds(10)},
                                     .peer = {.burst = 4, .each = seconds(5)}};

TEST(LoginLimiter, BoundsTheAttemptsAsOneUserFromAllAddresses) {
  LoginLimiter limiter(kFew);
  EXPECT_FALSE(limiter.Take("shop", "10.0.0.1:1", kStart));
  EXPECT_FALSE(limiter.Take("shop", "10.0.0.2:1", kStart));
  EXPECT_EQ(limiter.Take("shop", "10.0.0.3:1", kStart), seconds(10));
  EXPECT_FALSE(limiter.Take("other", "10.0.0.3:1", kStart));
  EXPECT_EQ(limiter.Take("shop", "10.0.0.3:1", kStart + seconds(9)), seconds(1));
  EXPECT_FALSE(limiter.Take("shop", "10.0.0.3:1", kStart + seconds(10)));
  EXPECT_TRUE(limiter.Take("shop", "10.0.0.3:1", kStart + seconds(10)));
}

TEST(LoginLimiter, BoundsTheAttemptsFromOneAddressAsAllUsers) {
  LoginLimiter limiter(kFew);
  for (const char* user : {"a", "b", "c", "d"})
    EXPECT_FALSE(limiter.Take(user, "10.0.0.1:1", kStart));
  EXPECT_EQ(limiter.Take("e", "10.0.0.1:2", kStart), seconds(5));
  EXPECT_FALSE(limiter.Take("e", "10.0.0.2:1", kStart));
}

TEST(LoginLimiter, CountsNoAttemptThatWasRight) {
  LoginLimiter limiter(kFew);
  for (int i = 0; i < 100; ++i) {
    ASSERT_FALSE(limiter.Take("shop", "10.0.0.1:1", kStart));
    limiter.OnSuccess("shop", "10.0.0.1:1", kStart);
  }
}

TEST(LoginLimiter, DoesNotLockAPersonOutOfWhereTheyHaveBeenBefore) {
  LoginLimiter limiter(kFew);
  ASSERT_FALSE(limiter.Take("shop", "10.0.0.1:1", kStart));
  limiter.OnSuccess("shop", "10.0.0.1:1", kStart);
  while (!limiter.Take("shop", "10.0.0.9:1", kStart)) {
  }
  EXPECT_FALSE(limiter.Take("shop", "10.0.0.1:1", kStart));
}

TEST(LoginLimiter, TakesAnIpv6NetworkForOnePeer) {
  EXPECT_EQ(PeerNetwork("127.0.0.1:4711"), "127.0.0.1");
  EXPECT_EQ(PeerNetwork("[2001:db8:1:2:3:4:5:6]:4711"), PeerNetwork("[2001:db8:1:2::9]:1"));
  EXPECT_NE(PeerNetwork("[2001:db8:1:2::9]:1"), PeerNetwork("[2001:db8:1:3::9]:1"));
  EXPECT_NE(PeerNetwork("[::ffff:10.0.0.1]:1"), PeerNetwork("[::ffff:10.0.0.2]:1"));
}

TEST(LoginLimiter, RemembersABoundedNumberOfNames) {
  LoginLimiter limiter({.user = {.burst = 1, .each = seconds(60)},
                        .peer = {.burst = 1e9, .each = seconds(1)},
                        .max_entries = 3});
  for (const char* user : {"a", "b", "c"}) EXPECT_FALSE(limiter.Take(user, "10.0.0.1:1", kStart));
  EXPECT_TRUE(limiter.Take("a", "10.0.0.1:1", kStart));
  EXPECT_FALSE(limiter.Take("d", "10.0.0.1:1", kStart));
  EXPECT_FALSE(limiter.Take("a", "10.0.0.1:1", kStart));  // forgotten
  EXPECT_TRUE(limiter.Take("c", "10.0.0.1:1", kStart));
}

}  // namespace
}  // namespace landfall::admin
