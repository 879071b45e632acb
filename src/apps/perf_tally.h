#pragma once

#include <chrono>
#include <cstdint>

#include "apps/perf_histogram.h"

namespace landfall::apps {

// What one event loop has counted. `delivered` are all that came in; `foreign` among them are not
// of this run (they lay in the queue before, or another process published them).
struct PerfCounts {
  uint64_t published = 0;
  uint64_t confirmed = 0;
  uint64_t nacked = 0;
  uint64_t returned = 0;
  uint64_t delivered = 0;
  uint64_t redelivered = 0;
  uint64_t foreign = 0;
  uint64_t duplicated = 0;
  uint64_t acked = 0;

  void Add(const PerfCounts& other) {
    published += other.published;
    confirmed += other.confirmed;
    nacked += other.nacked;
    returned += other.returned;
    delivered += other.delivered;
    redelivered += other.redelivered;
    foreign += other.foreign;
    duplicated += other.duplicated;
    acked += other.acked;
  }
  void Subtract(const PerfCounts& other) {
    published -= other.published;
    confirmed -= other.confirmed;
    nacked -= other.nacked;
    returned -= other.returned;
    delivered -= other.delivered;
    redelivered -= other.redelivered;
    foreign -= other.foreign;
    duplicated -= other.duplicated;
    acked -= other.acked;
  }
};

// Counters grow from the start of the run; the histograms hold what came since someone last took
// and cleared them. Times are PerfNow's, 0 when the thing has not happened.
struct PerfTally {
  PerfCounts counts;
  uint64_t last_publish = 0;
  uint64_t last_confirm = 0;
  uint64_t last_delivery = 0;
  PerfHistogram confirm_latency;
  PerfHistogram end_to_end_latency;
};

// Nanoseconds since the Unix epoch as this process sees them: read from the system clock once, then
// moved on by the steady one, so that differences are never negative inside a process, and
// meaningful between processes.
inline uint64_t PerfNow() {
  const auto steady = [] {
    return std::chrono::duration_cast<std::chrono::nanoseconds>(
               std::chrono::steady_clock::now().time_since_epoch())
        .count();
  };
  static const int64_t kOffset = std::chrono::duration_cast<std::chrono::nanoseconds>(
                                     std::chrono::system_clock::now().time_since_epoch())
                                     .count() -
                                 steady();
  return static_cast<uint64_t>(steady() + kOffset);
}

inline constexpr uint64_t kPerfSecond = 1'000'000'000;
inline constexpr uint64_t kPerfNever = ~uint64_t{0};

}  // namespace landfall::apps
