#include "base/sequence_window.h"

#include <gtest/gtest.h>

#include <map>

#include "base/rng.h"

namespace landfall {
namespace {

TEST(SequenceWindow, FindsWhatWasAppendedUntilItIsErased) {
  SequenceWindow<int, 4> w(1);
  for (int i = 1; i <= 10; ++i) w.Append() = i;
  ASSERT_NE(w.Find(7), nullptr);
  EXPECT_EQ(*w.Find(7), 7);
  w.Erase(7);
  EXPECT_EQ(w.Find(7), nullptr);
  EXPECT_EQ(w.Find(0), nullptr);
  EXPECT_EQ(w.Find(11), nullptr);
  EXPECT_EQ(w.size(), 9u);
}

TEST(SequenceWindow, BehavesLikeAMapUnderRandomUse) {
  for (uint64_t seed = 0; seed < 50; ++seed) {
    Rng rng(seed);
    SequenceWindow<uint64_t, 8> w(1 + rng.Below(20));
    std::map<uint64_t, uint64_t> model;
    uint64_t next = w.next();
    for (int step = 0; step < 2000; ++step) {
      if (model.empty() || rng.Chance(0.5)) {
        if (rng.Chance(0.05)) next += rng.Below(100);
        w.InsertAt(next) = next * 3;
        model[next] = next * 3;
        ++next;
      } else {
        auto it = model.lower_bound(rng.Below(next));
        if (it == model.end()) it = model.begin();
        w.Erase(it->first);
        model.erase(it);
      }
      ASSERT_EQ(w.size(), model.size());
      const uint64_t probe = rng.Below(next + 5);
      const auto it = model.find(probe);
      ASSERT_EQ(w.Find(probe) != nullptr, it != model.end());
      if (it != model.end()) {
        ASSERT_EQ(*w.Find(probe), it->second);
      }
      const auto from = model.lower_bound(probe);
      ASSERT_EQ(w.FirstFrom(probe), from == model.end() ? 0 : from->first);
    }
  }
}

}  // namespace
}  // namespace landfall
