#include "admin/prometheus_text.h"

#include <gtest/gtest.h>

namespace landfall::admin {
namespace {

TEST(PrometheusText, WritesMetricsWithTheirSamples) {
  PrometheusText out;
  out.Single("a_total", "counter", "Of a", 5);
  out.Metric("b", "gauge", "Of b");
  out.Sample(1, {{"vhost", "/"}, {"queue", "q"}});
  out.Sample(2, {{"vhost", "/"}, {"queue", "r"}});
  EXPECT_EQ(out.Take(),
            "# HELP a_total Of a\n# TYPE a_total counter\na_total 5\n"
            "# HELP b Of b\n# TYPE b gauge\n"
            "b{vhost=\"/\",queue=\"q\"} 1\nb{vhost=\"/\",queue=\"r\"} 2\n");
}

TEST(PrometheusText, WritesHistogramsThatAreOne) {
  SharedHistogram a(2, 4);
  SharedHistogram b(2, 4);
  for (const uint64_t value : {1, 5, 8}) a.Add(value);
  for (const uint64_t value : {16, 100}) b.Add(value);
  PrometheusText out;
  out.Histogram("h", "Of h", 0.5, std::vector{a.Snapshot(), b.Snapshot()});
  EXPECT_EQ(out.Take(),
            "# HELP h Of h\n# TYPE h histogram\n"
            "h_bucket{le=\"2\"} 1\nh_bucket{le=\"4\"} 3\nh_bucket{le=\"8\"} 4\n"
            "h_bucket{le=\"+Inf\"} 5\nh_sum 65\nh_count 5\n");
}

TEST(PrometheusText, LetsNoNameBreakALine) {
  PrometheusText out;
  out.Metric("m", "gauge", "h");
  out.Sample(1, {{"queue", "a\"b\\c\nd\xff"}});
  EXPECT_EQ(out.Take(),
            "# HELP m h\n# TYPE m gauge\n"
            "m{queue=\"a\\\"b\\\\c\\nd\xEF\xBF\xBD\"} 1\n");
}

}  // namespace
}  // namespace landfall::admin
