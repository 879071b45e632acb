#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "apps/perf_histogram.h"
#include "apps/perf_options.h"
#include "apps/perf_tally.h"

namespace landfall::apps {

struct PerfPercentiles {
  uint64_t count = 0;
  uint64_t min = 0;  // all in nanoseconds
  uint64_t mean = 0;
  uint64_t p50 = 0;
  uint64_t p95 = 0;
  uint64_t p99 = 0;
  uint64_t p999 = 0;
  uint64_t max = 0;

  static PerfPercentiles Of(const PerfHistogram& histogram);
};

// About a second of a run.
struct PerfInterval {
  double at = 0;       // its end, in seconds from the start of the run
  double seconds = 0;  // its length
  PerfCounts counts;   // in this interval
  PerfPercentiles confirm;
  PerfPercentiles end_to_end;
};

// All that a run has found out.
struct PerfResult {
  std::string product;  // of the broker
  double seconds = 0;   // from the first publish to the end
  // From the start to the last message published (without confirms: read by the broker), confirmed
  // and delivered; what the rates are taken over.
  double publish_seconds = 0;
  double confirm_seconds = 0;
  double delivery_seconds = 0;
  PerfCounts counts;
  uint64_t unconfirmed = 0;
  // Messages that the broker took responsibility for and that did not come, as far as this can be
  // known: there were producers and consumers. Duplicates need bodies with an identity as well.
  std::optional<uint64_t> lost;
  std::optional<uint64_t> duplicated;
  PerfHistogram confirm;
  PerfHistogram end_to_end;
  std::vector<PerfInterval> intervals;
  double user_cpu_seconds = 0;  // of this process, from start to end of the load
  double system_cpu_seconds = 0;
  std::vector<std::string> errors;
};

// What is going to be run, in one line.
std::string DescribePerfPlan(const PerfPlan& plan, const std::string& product);

// The line of one interval, and the two lines above the first.
std::string FormatPerfHeader();
std::string FormatPerfInterval(const PerfInterval& interval);

// For people, several lines.
std::string FormatPerfSummary(const PerfPlan& plan, const PerfResult& result);

// One JSON object, in several lines.
std::string FormatPerfJson(const PerfPlan& plan, const PerfResult& result);

}  // namespace landfall::apps
