#include "apps/perf_tracking.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <tuple>
#include <vector>

namespace landfall::apps {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using Group = std::tuple<uint64_t, uint64_t, uint64_t>;

std::vector<Group> Settle(PerfConfirms& confirms, uint64_t tag, bool multiple) {
  std::vector<Group> runs;
  const auto settled = confirms.Settle(
      tag, multiple,
      [&](uint64_t first, uint64_t count, uint64_t at) { runs.emplace_back(first, count, at); });
  EXPECT_TRUE(settled.has_value());
  uint64_t sum = 0;
  for (const Group& group : runs) sum += std::get<1>(group);
  EXPECT_EQ(settled.value_or(0), sum);
  return runs;
}

TEST(PerfConfirms, GivesARunForEachSendingTime) {
  PerfConfirms confirms(8);
  for (const uint64_t at : {100, 100, 100, 200, 200, 300}) confirms.Sent(at);
  EXPECT_THAT(Settle(confirms, 5, true), ElementsAre(Group(1, 3, 100), Group(4, 2, 200)));
  EXPECT_EQ(confirms.in_flight(), 1u);
  EXPECT_THAT(Settle(confirms, 6, false), ElementsAre(Group(6, 1, 300)));
  EXPECT_EQ(confirms.in_flight(), 0u);
}

TEST(PerfConfirms, CountsEachMessageOnceWhenConfirmsComeOutOfOrder) {
  PerfConfirms confirms(8);
  for (int i = 0; i < 6; ++i) confirms.Sent(100);
  EXPECT_THAT(Settle(confirms, 3, false), ElementsAre(Group(3, 1, 100)));
  EXPECT_THAT(Settle(confirms, 4, true), ElementsAre(Group(1, 2, 100), Group(4, 1, 100)));
  EXPECT_THAT(Settle(confirms, 2, true), IsEmpty());
  EXPECT_THAT(Settle(confirms, 0, true), ElementsAre(Group(5, 2, 100)));
  EXPECT_EQ(confirms.in_flight(), 0u);
}

TEST(PerfConfirms, RefusesAnswersToWhatIsNotInFlight) {
  PerfConfirms confirms(8);
  const auto ignore = [](uint64_t, uint64_t, uint64_t) {};
  EXPECT_FALSE(confirms.Settle(1, false, ignore));
  EXPECT_FALSE(confirms.Settle(1, true, ignore));
  confirms.Sent(100);
  confirms.Sent(100);
  EXPECT_FALSE(confirms.Settle(0, false, ignore));
  EXPECT_TRUE(confirms.Settle(2, false, ignore));
  EXPECT_FALSE(confirms.Settle(2, false, ignore));
  EXPECT_TRUE(confirms.Settle(1, false, ignore));
  EXPECT_FALSE(confirms.Settle(1, false, ignore));
  EXPECT_FALSE(confirms.Settle(3, true, ignore));
}

TEST(PerfConfirms, KeepsAnOldMessageWhileManyNewOnesPass) {
  PerfConfirms confirms(2);
  confirms.Sent(7);
  for (uint64_t tag = 2; tag < 1000; ++tag) {
    confirms.Sent(tag);
    EXPECT_THAT(Settle(confirms, tag, false), ElementsAre(Group(tag, 1, tag)));
  }
  std::vector<uint64_t> in_flight;
  confirms.ForEachInFlight([&](uint64_t tag) { in_flight.push_back(tag); });
  EXPECT_THAT(in_flight, ElementsAre(1));
  EXPECT_THAT(Settle(confirms, 1, false), ElementsAre(Group(1, 1, 7)));
  EXPECT_EQ(confirms.sent(), 999u);
}

std::vector<uint64_t> Missing(const PerfArrivals& arrivals, uint64_t end) {
  std::vector<uint64_t> missing;
  arrivals.ForEachMissing(end, [&](uint64_t s) { missing.push_back(s); });
  return missing;
}

TEST(PerfArrivals, KnowsWhatHasArrivedInOrder) {
  PerfArrivals arrivals;
  for (uint64_t s = 0; s < 1000; ++s) EXPECT_TRUE(arrivals.Add(s));
  for (uint64_t s = 0; s < 1000; ++s) EXPECT_FALSE(arrivals.Add(s));
  EXPECT_EQ(arrivals.unique(), 1000u);
  EXPECT_THAT(Missing(arrivals, 1000), IsEmpty());
  EXPECT_THAT(Missing(arrivals, 1002), ElementsAre(1000, 1001));
}

TEST(PerfArrivals, NamesTheGaps) {
  PerfArrivals arrivals;
  for (uint64_t s = 0; s < 500; ++s) {
    if (s != 0 && s != 63 && s != 64 && s != 300) {
      EXPECT_TRUE(arrivals.Add(s));
    }
  }
  EXPECT_THAT(Missing(arrivals, 500), ElementsAre(0, 63, 64, 300));
  EXPECT_FALSE(arrivals.Has(63));
  EXPECT_TRUE(arrivals.Add(63));
  EXPECT_TRUE(arrivals.Has(63));
  EXPECT_FALSE(arrivals.Add(63));
  EXPECT_THAT(Missing(arrivals, 500), ElementsAre(0, 64, 300));
}

}  // namespace
}  // namespace landfall::apps
