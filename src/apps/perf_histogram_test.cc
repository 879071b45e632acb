#include "apps/perf_histogram.h"

#include <gtest/gtest.h>

namespace landfall::apps {
namespace {

TEST(PerfHistogram, IsZeroWhenNothingWasRecorded) {
  const PerfHistogram h;
  EXPECT_EQ(h.count(), 0u);
  EXPECT_EQ(h.min(), 0u);
  EXPECT_EQ(h.max(), 0u);
  EXPECT_EQ(h.mean(), 0);
  EXPECT_EQ(h.Percentile(50), 0u);
}

TEST(PerfHistogram, IsExactForSmallValues) {
  PerfHistogram h;
  for (uint64_t v = 1; v <= 100; ++v) h.Record(v);
  EXPECT_EQ(h.Percentile(1), 1u);
  EXPECT_EQ(h.Percentile(50), 50u);
  EXPECT_EQ(h.Percentile(99), 99u);
  EXPECT_EQ(h.Percentile(99.5), 100u);
  EXPECT_EQ(h.Percentile(100), 100u);
  EXPECT_EQ(h.min(), 1u);
  EXPECT_DOUBLE_EQ(h.mean(), 50.5);
}

TEST(PerfHistogram, IsWithinOnePercentAtEverySize) {
  for (double value = 1; value < 4e12; value *= 1.37) {
    PerfHistogram h;
    const auto v = static_cast<uint64_t>(value);
    h.Record(v);
    h.Record(uint64_t{1} << 60);  // so that the percentile is not simply the maximum
    const auto p50 = static_cast<double>(h.Percentile(50));
    EXPECT_NEAR(p50, static_cast<double>(v), static_cast<double>(v) / 100) << v;
  }
}

TEST(PerfHistogram, KeepsOrderAcrossBucketBorders) {
  uint64_t last = 0;
  for (uint64_t v = 100; v < 100000; v += 7) {
    PerfHistogram h;
    h.Record(v);
    h.Record(uint64_t{1} << 41);
    EXPECT_GE(h.Percentile(50), last);
    last = h.Percentile(50);
  }
}

TEST(PerfHistogram, HoldsValuesBeyondItsRange) {
  PerfHistogram h;
  h.Record(~uint64_t{0});
  h.Record(5);
  EXPECT_EQ(h.max(), ~uint64_t{0});
  EXPECT_EQ(h.Percentile(50), 5u);
  EXPECT_EQ(h.Percentile(100), ~uint64_t{0});
}

TEST(PerfHistogram, CountsManyAtOnceAsManyOnes) {
  PerfHistogram many;
  PerfHistogram ones;
  many.Record(1000, 3);
  for (int i = 0; i < 3; ++i) ones.Record(1000);
  many.Record(9000);
  ones.Record(9000);
  EXPECT_EQ(many.count(), ones.count());
  EXPECT_EQ(many.Percentile(75), ones.Percentile(75));
  EXPECT_DOUBLE_EQ(many.mean(), ones.mean());
}

TEST(PerfHistogram, AddsUpAndStartsAnew) {
  PerfHistogram a;
  PerfHistogram b;
  a.Record(10);
  b.Record(1'000'000, 99);
  a.Add(b);
  a.Add(PerfHistogram());
  EXPECT_EQ(a.count(), 100u);
  EXPECT_EQ(a.min(), 10u);
  EXPECT_EQ(a.max(), 1'000'000u);
  EXPECT_EQ(a.Percentile(1), 10u);
  a.Clear();
  EXPECT_EQ(a.count(), 0u);
  EXPECT_EQ(a.Percentile(99), 0u);
}

}  // namespace
}  // namespace landfall::apps
