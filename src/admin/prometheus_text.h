#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>

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
  std::string Take() { return std::move(text_); }

 private:
  std::string text_;
  std::string name_;
};

}  // namespace landfall::admin
