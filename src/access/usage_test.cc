#include "access/usage.h"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

namespace landfall::access {
namespace {

TEST(Usage, EndsAtTheLimitAndGoesOnWhenASeatIsGivenBack) {
  UsageBook book;
  const UsageRef usage = book.OfUser("ada");
  auto first = Seat::Take(usage, &Usage::connections, 2);
  auto second = Seat::Take(book.OfUser("ada"), &Usage::connections, 2);
  ASSERT_TRUE(first && second);
  EXPECT_FALSE(Seat::Take(usage, &Usage::connections, 2));
  EXPECT_TRUE(Seat::Take(usage, &Usage::channels, 2));
  EXPECT_TRUE(Seat::Take(book.OfVhost("ada"), &Usage::connections, 1));
  first.reset();
  EXPECT_TRUE(Seat::Take(usage, &Usage::connections, 2));
  EXPECT_EQ(usage->connections, 1u);
}

TEST(Usage, IsCountedWithoutALimitAsWell) {
  UsageBook book;
  auto seat = Seat::Take(book.OfUser("ada"), &Usage::connections, std::nullopt);
  ASSERT_TRUE(seat);
  EXPECT_FALSE(Seat::Take(book.OfUser("ada"), &Usage::connections, 1));
  EXPECT_FALSE(Seat::Take(book.OfUser("bob"), &Usage::connections, 0));
}

TEST(Usage, GivesASeatBackOnceWhenItHasMoved) {
  UsageBook book;
  const UsageRef usage = book.OfUser("ada");
  {
    auto seat = Seat::Take(usage, &Usage::channels, std::nullopt);
    Seat moved = std::move(*seat);
    Seat assigned;
    assigned = std::move(moved);
    EXPECT_EQ(usage->channels, 1u);
  }
  EXPECT_EQ(usage->channels, 0u);
}

TEST(Usage, NeverExceedsTheLimitWhenManyThreadsAsk) {
  UsageBook book;
  const UsageRef usage = book.OfUser("ada");
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int n = 0; n < 10'000; ++n) {
        const auto seat = Seat::Take(usage, &Usage::connections, 2);
        EXPECT_LE(usage->connections, 2u);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(usage->connections, 0u);
}

}  // namespace
}  // namespace landfall::access
