#include "broker/topic_trie.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "base/rng.h"
#include "broker/exchange.h"

namespace landfall::broker {
namespace {

Binding To(QueueId queue, std::string key = "") {
  Binding binding;
  binding.queue = {.id = queue, .shard = 1, .durable = true};
  binding.routing_key = std::move(key);
  return binding;
}

std::vector<QueueId> Matches(const TopicTrie& trie, std::string_view key) {
  std::vector<QueueId> found;
  trie.Match(key, [&](const Destinations& destinations) {
    destinations.ForEachQueue([&](const QueueTarget& target) { found.push_back(target.id); });
  });
  std::sort(found.begin(), found.end());
  return found;
}

std::vector<std::string> Words(std::string_view key) {
  std::vector<std::string> words;
  if (key.empty()) return words;
  words.emplace_back();
  for (const char c : key) {
    if (c == '.') {
      words.emplace_back();
    } else {
      words.back().push_back(c);
    }
  }
  return words;
}

// The definition, word by word.
bool MatchesNaively(const std::vector<std::string>& pattern, size_t p,
                    const std::vector<std::string>& key, size_t k) {
  if (p == pattern.size()) return k == key.size();
  if (pattern[p] == "#") {
    for (size_t next = k; next <= key.size(); ++next) {
      if (MatchesNaively(pattern, p + 1, key, next)) return true;
    }
    return false;
  }
  return k < key.size() && (pattern[p] == "*" || pattern[p] == key[k]) &&
         MatchesNaively(pattern, p + 1, key, k + 1);
}

TEST(TopicTrie, MatchesAsTheSpecificationSays) {
  TopicTrie trie;
  trie.Add("stock.usd.nyse", To(1));
  trie.Add("*.usd.*", To(2));
  trie.Add("stock.#", To(3));
  trie.Add("#", To(4));
  trie.Add("#.nyse", To(5));
  trie.Add("*", To(6));
  trie.Add("", To(7));
  trie.Add("#.#", To(8));
  trie.Add("*.", To(9));
  using Ids = std::vector<QueueId>;
  EXPECT_EQ(Matches(trie, "stock.usd.nyse"), (Ids{1, 2, 3, 4, 5, 8}));
  EXPECT_EQ(Matches(trie, "stock"), (Ids{3, 4, 6, 8}));
  EXPECT_EQ(Matches(trie, "nyse"), (Ids{4, 5, 6, 8}));
  EXPECT_EQ(Matches(trie, ""), (Ids{4, 7, 8}));
  EXPECT_EQ(Matches(trie, "a.b.c.d"), (Ids{4, 8}));
  EXPECT_EQ(Matches(trie, "a."), (Ids{4, 8, 9}));
}

TEST(TopicTrie, IsEmptyAgainWhenAllIsRemovedAndLeavesCopiesAsTheyWere) {
  TopicTrie trie;
  const std::vector<std::string> patterns = {"a.b", "a.#", "*.b", "", "#.c.#", "a.b.c"};
  for (size_t i = 0; i < patterns.size(); ++i) trie.Add(patterns[i], To(i));
  const TopicTrie copy = trie;
  for (size_t i = 0; i < patterns.size(); ++i) trie.Remove(patterns[i], To(i));
  EXPECT_TRUE(trie.empty());
  EXPECT_TRUE(Matches(trie, "a.b").empty());
  EXPECT_EQ(Matches(copy, "a.b"), (std::vector<QueueId>{0, 1, 2}));
  EXPECT_EQ(Matches(copy, "a.b.c"), (std::vector<QueueId>{1, 4, 5}));
}

TEST(TopicTrie, AgreesWithTheNaiveMatcherOnRandomPatternsWhileTheyComeAndGo) {
  Rng rng(7);
  auto random_key = [&](int kinds, uint64_t longest) {
    const char* words[] = {"a", "b", "", "c", "*", "#"};
    std::string key;
    const uint64_t n = rng.Below(longest + 1);
    for (uint64_t i = 0; i < n; ++i) {
      if (i > 0) key += '.';
      key += words[rng.Below(kinds)];
    }
    return key;
  };
  TopicTrie trie;
  std::map<QueueId, std::string> model;
  std::vector<std::pair<TopicTrie, std::map<QueueId, std::string>>> copies;
  auto check = [&](const TopicTrie& t, const std::map<QueueId, std::string>& m) {
    const std::string key = random_key(4, 6);
    std::vector<QueueId> expected;
    for (const auto& [id, pattern] : m) {
      if (MatchesNaively(Words(pattern), 0, Words(key), 0)) expected.push_back(id);
    }
    ASSERT_EQ(Matches(t, key), expected) << key;
  };
  for (QueueId id = 1; id <= 4000; ++id) {
    if (rng.Chance(id < 1500 ? 0.7 : 0.4)) {
      model[id] = random_key(6, 5);
      trie.Add(model[id], To(id));
    } else if (!model.empty()) {
      auto it = model.lower_bound(rng.Below(id));
      if (it == model.end()) it = model.begin();
      trie.Remove(it->second, To(it->first));
      model.erase(it);
    }
    check(trie, model);
    if (id % 200 == 0) copies.emplace_back(trie, model);
  }
  for (const auto& [copy, copy_model] : copies) {
    for (int i = 0; i < 20; ++i) check(copy, copy_model);
  }
}

// Trying every way through these would take longer than the universe is old.
TEST(TopicTrie, FollowsManyHashesThroughALongKeyInReasonableTime) {
  TopicTrie trie;
  std::string pattern = "#";
  for (int i = 0; i < 60; ++i) pattern += ".a.#";
  trie.Add(pattern, To(1));
  trie.Add(pattern + ".b", To(2));
  std::string key = "a";
  for (int i = 0; i < 126; ++i) key += ".a";
  EXPECT_EQ(Matches(trie, key), (std::vector<QueueId>{1}));
}

TEST(TopicTrie, CountsBindingsThatLeadToTheSameQueue) {
  TopicTrie trie;
  trie.Add("a", To(1));
  trie.Add("a", To(1));
  trie.Add("a", To(2));
  EXPECT_EQ(Matches(trie, "a"), (std::vector<QueueId>{1, 2}));
  trie.Remove("a", To(1));
  EXPECT_EQ(Matches(trie, "a"), (std::vector<QueueId>{1, 2}));
  trie.Remove("a", To(1));
  EXPECT_EQ(Matches(trie, "a"), (std::vector<QueueId>{2}));
}

}  // namespace
}  // namespace landfall::broker
