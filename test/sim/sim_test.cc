// That the simulation is one: the same seed gives the same history, and a broker that breaks its
// promises is found out.
#include <gtest/gtest.h>

#include <string_view>

#include "sim/history.h"

namespace landfall::sim {
namespace {

// How many of the first histories break the promise that nothing is lost.
uint64_t HistoriesWithLoss(const HistoryOptions& options, uint64_t histories) {
  uint64_t found = 0;
  for (uint64_t seed = 1; seed <= histories; ++seed) {
    History history(seed, options);
    try {
      history.Run();
    } catch (const Violation& violation) {
      found +=
          std::string_view(violation.what()).find("is lost from queue") != std::string_view::npos;
    }
  }
  return found;
}

TEST(Simulation, RepeatsAHistoryExactlyFromItsSeed) {
  for (uint64_t seed = 1000; seed < 1010; ++seed) {
    History first(seed, {});
    first.Run();
    History second(seed, {});
    second.Run();
    EXPECT_EQ(first.digest(), second.digest()) << seed;
    EXPECT_EQ(first.statistics().steps, second.statistics().steps) << seed;
  }
}

TEST(Simulation, FindsTheLossWhenTheStoreDoesNotSync) {
  EXPECT_GT(HistoriesWithLoss({.unsafe_no_sync = true}, 300), 0u);
}

TEST(Simulation, FindsTheLossWhenBatchesAreConfirmedBeforeTheyHaveLanded) {
  EXPECT_GT(HistoriesWithLoss({.confirm_early = true}, 300), 0u);
}

TEST(Topics, MatchWordByWord) {
  EXPECT_TRUE(TopicMatches("#", ""));
  EXPECT_TRUE(TopicMatches("a.#", "a"));
  EXPECT_TRUE(TopicMatches("a.#.c", "a.b.b.c"));
  EXPECT_TRUE(TopicMatches("*.b", "a.b"));
  EXPECT_FALSE(TopicMatches("*", "a.b"));
  EXPECT_FALSE(TopicMatches("a.*", "a"));
}

}  // namespace
}  // namespace landfall::sim
