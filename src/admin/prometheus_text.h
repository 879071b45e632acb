#pragma once

#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "base/shared_histogram.h"

namespace landfall::admin {

// Prometheus's text format, version 0.0.4. By hand, since what is written is a snapshot that is
// there already: prometheus-cpp would want each series registered, kept a second time, and dropped
// when its queue goes, and its counters cannot be set.
class PrometheusText {
 public:
  using Labels = std::initializer_list<std::pair<std::string_view, std::string_view>>;

  // Begins a metric; its samples follow. `type`: "gauge" or "counter".
  void Metric(std::string_view name, std::string_view type, std::string_view help);
  void Sample(uint64_t value, Labels labels = {});
  // One without labels.
  void Single(std::string_view name, std::string_view type, std::string_view help, uint64_t value) {
    Metric(name, type, help);
    Sample(value);
  }
  // A metric of type histogram, of all of them together, which have the same bounds. Values times
  // `unit` are what its name says. To keep series few, it has one bucket to a power of two.
  void Histogram(std::string_view name, std::string_view help, double unit,
                 std::span<const HistogramSnapshot> all);
  void Histogram(std::string_view name, std::string_view help, double unit,
                 const HistogramSnapshot& one) {
    Histogram(name, help, unit, std::span(&one, 1));
  }
  std::string Take() { return std::move(text_); }

 private:
  std::string text_;
  std::string name_;
};

}  // namespace landfall::admin
