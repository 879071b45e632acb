#include "base/shared_histogram.h"

#include <gtest/gtest.h>

namespace landfall {
namespace {

TEST(SharedHistogram, PutsEachValueUnderTheLowestBoundThatIsNotBelowIt) {
  for (const int first : {0, 2, 5}) {
    for (uint64_t value = 0; value <= 1100; ++value) {
      SharedHistogram histogram(first, 10);
      histogram.Add(value);
      const HistogramSnapshot now = histogram.Snapshot();
      ASSERT_EQ(now.counts.size(), now.bounds.size() + 1);
      for (size_t i = 0; i < now.bounds.size(); ++i) {
        const bool here = value <= now.bounds[i] && (i == 0 || value > now.bounds[i - 1]);
        ASSERT_EQ(now.counts[i], here ? 1 : 0) << value << " in bucket " << i << " of " << first;
      }
      ASSERT_EQ(now.counts.back(), value > 1024 ? 1 : 0);
    }
  }
}

TEST(SharedHistogram, TellsPercentilesWithinAQuarter) {
  SharedHistogram histogram(5, 24);
  for (uint64_t value = 1; value <= 1000; ++value) histogram.Add(value);
  const HistogramSnapshot now = histogram.Snapshot();
  EXPECT_EQ(now.count(), 1000u);
  EXPECT_EQ(now.sum, 500500u);
  EXPECT_GE(now.Percentile(50), 500u);
  EXPECT_LE(now.Percentile(50), 625u);
  EXPECT_GE(now.Percentile(99), 990u);
  EXPECT_LE(now.Percentile(99), 1238u);
  EXPECT_EQ(now.CountUpTo(512), 512u);
  EXPECT_EQ(SharedHistogram(5, 24).Snapshot().Percentile(50), 0u);
}

TEST(SharedHistogram, TellsWhatCameBetweenTwoLooks) {
  SharedHistogram histogram(2, 10);
  histogram.Add(900);
  const HistogramSnapshot before = histogram.Snapshot();
  histogram.Add(3);
  histogram.Add(5000);
  const HistogramSnapshot since = histogram.Snapshot().Since(before);
  EXPECT_EQ(since.count(), 2u);
  EXPECT_EQ(since.sum, 5003u);
  EXPECT_EQ(since.Percentile(50), 4u);
  EXPECT_EQ(since.Percentile(100), 1024u);  // beyond the last bound
}

}  // namespace
}  // namespace landfall
