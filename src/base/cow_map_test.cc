#include "base/cow_map.h"

#include <gtest/gtest.h>

#include <atomic>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "base/rng.h"

namespace landfall {
namespace {

// Every key in one branch on all levels, so that the deepest leaf has to hold them all.
struct SameHash {
  using Lookup = const int&;
  static uint64_t Hash(const int&) { return 7; }
};

template <class Map, class Model>
void ExpectSame(const Map& map, const Model& model) {
  EXPECT_EQ(map.size(), model.size());
  size_t visited = 0;
  map.ForEach([&](const auto& key, const auto& value) {
    ++visited;
    auto it = model.find(key);
    ASSERT_NE(it, model.end());
    EXPECT_EQ(it->second, value);
  });
  EXPECT_EQ(visited, model.size());
  for (const auto& [key, value] : model) {
    const auto* found = map.Find(key);
    ASSERT_NE(found, nullptr);
    EXPECT_EQ(*found, value);
  }
}

TEST(CowMap, FindsWhatWasSetByAStringView) {
  CowMap<std::string, int> map;
  EXPECT_EQ(map.Find("a"), nullptr);
  EXPECT_EQ(map.Any().first, nullptr);
  EXPECT_TRUE(map.Set(std::string_view("a"), 1));
  EXPECT_FALSE(map.Set("a", 2));
  map.At("b") += 5;
  EXPECT_EQ(*map.Find("a"), 2);
  EXPECT_EQ(*map.Find("b"), 5);
  EXPECT_EQ(map.size(), 2u);
  EXPECT_FALSE(map.Erase("c"));
  EXPECT_TRUE(map.Erase("a"));
  EXPECT_EQ(map.Find("a"), nullptr);
  EXPECT_EQ(*map.Any().first, "b");
  map.Clear();
  EXPECT_TRUE(map.empty());
}

TEST(CowMap, KeepsEveryCopyAsItWasWhileOneOfThemChanges) {
  Rng rng(1);
  CowMap<uint64_t, uint64_t> map;
  std::map<uint64_t, uint64_t> model;
  std::vector<std::pair<CowMap<uint64_t, uint64_t>, std::map<uint64_t, uint64_t>>> copies;
  for (int i = 0; i < 6000; ++i) {
    // Growing at first, shrinking to nothing at last.
    const uint64_t key = rng.Below(800);
    if (rng.Chance(i < 3000 ? 0.8 : 0.2)) {
      EXPECT_EQ(map.Set(key, i), !model.contains(key));
      model[key] = i;
    } else {
      EXPECT_EQ(map.Erase(key), model.erase(key) == 1);
    }
    if (i % 500 == 0) copies.emplace_back(map, model);
  }
  while (!model.empty()) {
    EXPECT_TRUE(map.Erase(model.begin()->first));
    model.erase(model.begin());
  }
  copies.emplace_back(map, model);
  for (const auto& [copy, copy_model] : copies) ExpectSame(copy, copy_model);
}

TEST(CowMap, HoldsKeysWhoseHashesAreAllEqual) {
  CowMap<int, int, SameHash> map;
  std::map<int, int> model;
  for (int i = 0; i < 100; ++i) {
    map.Set(i, i);
    model[i] = i;
  }
  const auto copy = map;
  ExpectSame(map, model);
  for (int i = 0; i < 100; i += 2) {
    EXPECT_TRUE(map.Erase(i));
  }
  ExpectSame(copy, model);
  EXPECT_EQ(map.size(), 50u);
  EXPECT_EQ(map.Find(2), nullptr);
  EXPECT_EQ(*map.Find(3), 3);
}

TEST(CowMap, LeavesTheSourceOfAMoveEmpty) {
  CowMap<std::string, int> map;
  map.Set("a", 1);
  CowMap<std::string, int> other = std::move(map);
  EXPECT_EQ(map.size(), 0u);  // NOLINT(bugprone-use-after-move)
  EXPECT_EQ(map.Find("a"), nullptr);
  EXPECT_EQ(*other.Find("a"), 1);
}

TEST(CowMap, TakesAHundredThousandChangesEachWithASnapshot) {
  CowMap<std::string, int> map;
  CowMap<std::string, int> snapshot;
  for (int i = 0; i < 100'000; ++i) {
    map.Set(std::to_string(i), i);
    snapshot = map;
  }
  EXPECT_EQ(snapshot.size(), 100'000u);
}

// For the thread sanitizer: readers hold snapshots while the writer goes on.
TEST(CowMap, LetsOtherThreadsReadASnapshotWhileTheWriterGoesOn) {
  CowMap<int, int> map;
  for (int i = 0; i < 1000; ++i) map.Set(i, 0);
  std::vector<std::jthread> readers;
  for (int round = 1; round <= 20; ++round) {
    readers.emplace_back([snapshot = map, round] {
      snapshot.ForEach([&](int, int value) { EXPECT_EQ(value, round - 1); });
    });
    for (int i = 0; i < 1000; ++i) map.Set(i, round);
  }
}

}  // namespace
}  // namespace landfall
