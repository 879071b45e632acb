#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <utility>
#include <vector>

#include "admin/caller.h"
#include "admin/problems.h"
#include "admin/statistics_table.h"
#include "base/flat_map.h"

namespace landfall::admin {

// The numbers of the last ten minutes, of vhosts and of some queues: bounded, whatever there is.
//
// Pure. Thread: one at a time.
class History {
 public:
  static constexpr int64_t kIntervalMs = 1000;  // while somebody watches; further apart otherwise
  static constexpr size_t kSamples = 600;
  static constexpr std::chrono::minutes kSpan{10};
  // Of a sample: those in which most happens.
  static constexpr size_t kVhosts = 64;
  // Kept: those that somebody has asked for within kSpan, and those in which most happens.
  static constexpr size_t kAskedQueues = 128;
  static constexpr size_t kBusyQueues = 32;

  void Add(const StatisticsTable& table, const NodeHealth& health);

  // Sums of the vhosts that the caller may see; all of them for monitors.
  nlohmann::json For(const Caller& caller) const;
  // Of a queue that has not been kept the history begins with this.
  nlohmann::json OfQueue(broker::QueueId queue, Time now);
  // The same without asking for the samples.
  void Keep(broker::QueueId queue, Time now);

 private:
  struct Numbers {
    float publish = 0;
    float deliver = 0;
    float ack = 0;
    float redeliver = 0;
    uint64_t ready = 0;
    uint64_t unacked = 0;

    Numbers& operator+=(const Numbers& other);
    bool is_zero() const;
  };
  struct Sample {
    int64_t time_ms = 0;
    uint64_t syncs = 0;
    uint64_t sync_p50_us = 0;
    uint64_t sync_p99_us = 0;
    Numbers all;
    std::vector<std::pair<std::string, Numbers>> vhosts;  // those that are not zero
  };
  struct QueueSample {
    int64_t time_ms = 0;
    Numbers numbers;
  };
  struct QueueHistory {
    std::deque<QueueSample> samples;
    Time asked{};  // for the last time
    Time busy{};
  };

  static Numbers NumbersOf(const QueueRow& row);
  static nlohmann::json FormOf(int64_t time_ms, const Numbers& numbers);
  void AddVhosts(const StatisticsTable& table, Sample& sample) const;
  void AddQueues(const StatisticsTable& table, int64_t time_ms);
  void MarkBusy(const StatisticsTable& table);
  void DropQueues(Time now);

  std::deque<Sample> samples_;
  FlatMap<broker::QueueId, QueueHistory> queues_;
};

}  // namespace landfall::admin
