#include "broker/backoff.h"

#include <gtest/gtest.h>

#include <chrono>
#include <limits>

namespace landfall::broker {
namespace {

using std::chrono::milliseconds;

TEST(Backoff, DoublesUpToTheCap) {
  Rng rng(1);
  const Backoff backoff{
      .first = milliseconds(1000), .multiplier = 2.0, .cap = milliseconds(5000), .jitter = 0};
  EXPECT_EQ(backoff.DelayAfter(1, rng), milliseconds(1000));
  EXPECT_EQ(backoff.DelayAfter(2, rng), milliseconds(2000));
  EXPECT_EQ(backoff.DelayAfter(3, rng), milliseconds(4000));
  EXPECT_EQ(backoff.DelayAfter(4, rng), milliseconds(5000));
  EXPECT_EQ(backoff.DelayAfter(1000, rng), milliseconds(5000));
  EXPECT_EQ(backoff.DelayAfter(std::numeric_limits<uint32_t>::max(), rng), milliseconds(5000));
}

TEST(Backoff, SpreadsEachDelayByTheJitterAndNoFurther) {
  Rng rng(2);
  const Backoff backoff{.first = milliseconds(1000),
                        .multiplier = 3.0,
                        .cap = std::chrono::hours(24 * 49),
                        .jitter = 0.5};
  Duration least = Duration::max();
  Duration most{0};
  for (int i = 0; i < 10'000; ++i) {
    const Duration delay = backoff.DelayAfter(2, rng);
    least = std::min(least, delay);
    most = std::max(most, delay);
    const Duration late = backoff.DelayAfter(4'000'000'000, rng);
    EXPECT_LE(late, backoff.cap + backoff.cap / 2);
    EXPECT_GE(late, backoff.cap / 2 - Duration(1));
  }
  EXPECT_GE(least, milliseconds(1499));
  EXPECT_LT(least, milliseconds(1600));
  EXPECT_LE(most, milliseconds(4500));
  EXPECT_GT(most, milliseconds(4400));
}

TEST(Backoff, IsZeroForNoFirstDelayHoweverManyFailures) {
  Rng rng(3);
  EXPECT_EQ(Backoff{}.DelayAfter(5000, rng), Duration(0));
  const Backoff all_jitter{.first = milliseconds(1), .jitter = 1.0};
  for (int i = 0; i < 1000; ++i) EXPECT_GE(all_jitter.DelayAfter(1, rng), Duration(0));
}

TEST(Backoff, StaysANumberWhenTheCapIsTheLargestThereIs) {
  Rng rng(4);
  const Backoff backoff{.first = milliseconds(1), .cap = Duration::max(), .jitter = 1.0};
  for (int i = 0; i < 1000; ++i) EXPECT_GE(backoff.DelayAfter(100'000, rng), Duration(0));
}

}  // namespace
}  // namespace landfall::broker
