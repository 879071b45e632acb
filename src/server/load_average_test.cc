#include "server/load_average.h"

#include <gtest/gtest.h>

namespace landfall::server {
namespace {

using std::chrono::microseconds;

// Rests and works in turn, for so long in all.
void Live(LoadAverage& load, Time& now, Duration rest, Duration work) {
  for (const Time end = now + std::chrono::milliseconds(50); now < end;) {
    now += rest;
    load.WorkBegins(now);
    now += work;
    load.WorkEnds(now);
  }
}

TEST(LoadAverage, FollowsTheShareOfTimeAtWorkHoweverLongTheTurnsAre) {
  for (const int scale : {1, 10, 100}) {
    LoadAverage load;
    Time now{std::chrono::seconds(1)};
    Live(load, now, microseconds(9 * scale), microseconds(scale));
    EXPECT_LT(load.share(), 0.3);
    Live(load, now, microseconds(scale), microseconds(9 * scale));
    EXPECT_GT(load.share(), 0.7);
  }
}

TEST(LoadAverage, DoesNotCountWhatItIsToldToForget) {
  LoadAverage load;
  Time now{std::chrono::seconds(1)};
  Live(load, now, microseconds(90), microseconds(10));
  const double before = load.share();
  now += std::chrono::seconds(10);
  load.Forget(now);
  load.WorkBegins(now);
  EXPECT_DOUBLE_EQ(load.share(), before);
}

}  // namespace
}  // namespace landfall::server
