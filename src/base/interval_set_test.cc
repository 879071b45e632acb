#include "base/interval_set.h"

#include <gtest/gtest.h>

#include <set>

#include "base/rng.h"

namespace landfall {
namespace {

TEST(IntervalSet, NumbersInOrderAreOneRange) {
  IntervalSet s;
  for (uint64_t n = 1; n <= 1000; ++n) s.Add(n);
  EXPECT_EQ(s.ranges(), (std::vector<IntervalSet::Range>{{1, 1000}}));
}

TEST(IntervalSet, BehavesLikeASetUnderRandomUse) {
  for (uint64_t seed = 0; seed < 100; ++seed) {
    Rng rng(seed);
    IntervalSet s;
    std::set<uint64_t> model;
    for (int step = 0; step < 500; ++step) {
      if (rng.Chance(0.02)) {
        const uint64_t below = rng.Below(100);
        s.EraseBelow(below);
        model.erase(model.begin(), model.lower_bound(below));
      } else {
        const uint64_t first = 1 + rng.Below(300);
        const uint64_t last = first + (rng.Chance(0.7) ? 0 : rng.Below(20));
        s.Add(first, last);
        for (uint64_t n = first; n <= last; ++n) model.insert(n);
      }
      for (uint64_t n = 0; n < 330; ++n) ASSERT_EQ(s.Contains(n), model.contains(n)) << n;
      for (size_t i = 1; i < s.ranges().size(); ++i)
        ASSERT_GT(s.ranges()[i].first, s.ranges()[i - 1].last + 1);
    }
  }
}

}  // namespace
}  // namespace landfall
