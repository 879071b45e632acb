#include "session/delivery_tags.h"

#include <gtest/gtest.h>

#include <map>
#include <vector>

#include "base/rng.h"

namespace landfall::session {
namespace {

using Found = DeliveryTags::Found;

Delivery Of(broker::Sequence sequence) {
  return Delivery{.queue = 1, .sequence = sequence, .attempt = 1};
}

TEST(DeliveryTags, AgreeWithAMapOverManyRandomSteps) {
  Rng rng(1);
  DeliveryTags tags;
  std::map<uint64_t, broker::Sequence> model;
  broker::Sequence sequence = 0;
  for (int step = 0; step < 200'000; ++step) {
    switch (rng.Below(8)) {
      case 0:
        tags.Skip();
        break;
      case 1: {
        const uint64_t tag = rng.Below(tags.last() + 2);
        std::vector<broker::Sequence> taken;
        const Found found =
            tags.TakeUpTo(tag, [&](uint64_t, const Delivery& d) { taken.push_back(d.sequence); });
        EXPECT_EQ(found == Found::kHeld, tag == 0 || model.contains(tag));
        if (found != Found::kHeld) {
          EXPECT_TRUE(taken.empty());
          break;
        }
        std::vector<broker::Sequence> expected;
        while (!model.empty() && (tag == 0 || model.begin()->first <= tag)) {
          expected.push_back(model.begin()->second);
          model.erase(model.begin());
        }
        EXPECT_EQ(taken, expected);
        break;
      }
      case 2:
      case 3: {
        const uint64_t tag = tags.last() - rng.Below(std::min<uint64_t>(tags.last() + 1, 500));
        broker::Sequence taken = 0;
        const Found found =
            tags.Take(tag, [&](uint64_t, const Delivery& d) { taken = d.sequence; });
        EXPECT_EQ(found == Found::kHeld, model.contains(tag));
        if (found == Found::kHeld) {
          EXPECT_EQ(taken, model[tag]);
        }
        model.erase(tag);
        break;
      }
      default:
        ++sequence;
        model[tags.Add(Of(sequence))] = sequence;
    }
    ASSERT_EQ(tags.size(), model.size());
  }
}

TEST(DeliveryTags, RememberOnlySoManyStaleOnesAndForgiveTheRest) {
  DeliveryTags tags;
  const uint64_t count = DeliveryTags::kMaxStale + 100;
  for (uint64_t s = 1; s <= count; ++s) tags.Add(Of(s));
  for (uint64_t s = 1; s <= count; ++s) EXPECT_TRUE(tags.Expire(1, s, 1));
  EXPECT_EQ(tags.size(), DeliveryTags::kMaxStale);
  const auto ignore = [](uint64_t, const Delivery&) {};
  EXPECT_EQ(tags.Take(1, ignore), Found::kForgotten);
  EXPECT_EQ(tags.Take(100, ignore), Found::kForgotten);
  EXPECT_EQ(tags.Take(101, ignore), Found::kHeld);
  EXPECT_EQ(tags.Take(count, ignore), Found::kHeld);
  EXPECT_EQ(tags.Take(count, ignore), Found::kUnknown);
  EXPECT_EQ(tags.TakeUpTo(50, ignore), Found::kHeld);
}

TEST(DeliveryTags, ExpireTheRightAttemptOnceOnly) {
  DeliveryTags tags;
  tags.Add(Of(5));
  EXPECT_FALSE(tags.Expire(1, 5, 2));
  EXPECT_FALSE(tags.Expire(2, 5, 1));
  EXPECT_TRUE(tags.Expire(1, 5, 1));
  EXPECT_FALSE(tags.Expire(1, 5, 1));
  bool stale = false;
  tags.Take(1, [&](uint64_t, const Delivery& d) { stale = d.stale; });
  EXPECT_TRUE(stale);
}

TEST(DeliveryTags, ThatArePutBackMayBeTakenAgain) {
  DeliveryTags tags;
  for (broker::Sequence s = 1; s <= 200; ++s) tags.Add(Delivery{.queue = 1, .sequence = s});
  std::vector<std::pair<uint64_t, Delivery>> taken;
  const auto take = [&](uint64_t tag, const Delivery& d) { taken.emplace_back(tag, d); };
  EXPECT_EQ(tags.TakeUpTo(150, take), DeliveryTags::Found::kHeld);
  EXPECT_EQ(tags.Take(7, take), DeliveryTags::Found::kUnknown);
  for (const auto& [tag, delivery] : taken) tags.PutBack(tag, delivery);
  EXPECT_EQ(tags.size(), 200u);
  EXPECT_EQ(tags.Find(7)->sequence, 7u);
  taken.clear();
  EXPECT_EQ(tags.TakeUpTo(0, take), DeliveryTags::Found::kHeld);
  ASSERT_EQ(taken.size(), 200u);
  for (size_t i = 0; i < taken.size(); ++i) EXPECT_EQ(taken[i].second.sequence, i + 1);
  EXPECT_EQ(tags.size(), 0u);
}

}  // namespace
}  // namespace landfall::session
