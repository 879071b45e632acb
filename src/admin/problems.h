#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <vector>

#include "admin/caller.h"
#include "admin/statistics_table.h"
#include "base/flat_map.h"

// What is wrong now, found by rules out of what the broker counts. Pure.
namespace landfall::admin {

// What is known of the broker besides its queues and connections.
struct NodeHealth {
  bool memory_alarm = false;
  bool disk_alarm = false;
  uint64_t resident_bytes = 0;
  uint64_t memory_limit = 0;
  uint64_t disk_free_bytes = 0;
  uint64_t disk_total_bytes = 0;
  uint64_t disk_limit = 0;  // free bytes below which publishers are blocked
  // Of the journal's syncs since the look before; 0 when there were none.
  uint64_t syncs = 0;
  uint64_t sync_p50_us = 0;
  uint64_t sync_p99_us = 0;
};

enum class ProblemKind : uint8_t {
  kLedger,
  kMemoryAlarm,
  kDiskAlarm,
  kBlockedPublishers,
  kSyncSlow,
  kNoConsumer,
  kConsumersStuck,
  kQueueGrowing,
  kUnackedGrowing,
  kDeadLetters,
  kMessagesDropped,
  kPaused,
};

// One of them. Its numbers mean what the text of its kind says.
struct Problem {
  ProblemKind kind;
  bool critical = false;
  broker::QueueInfoRef queue;  // null: it is the broker's
  double weight = 0;           // the larger, the worse, among those of its kind
  double amount = 0;
  double limit = 0;
};

// Looks once a tick, and remembers of each queue what has to last before it is a problem.
class ProblemFinder {
 public:
  // Of a kind, in one vhost.
  static constexpr size_t kPerVhost = 20;

  // Those of all vhosts, the worst first.
  std::vector<Problem> Find(const StatisticsTable& table, const NodeHealth& health);

 private:
  struct Trend {
    double messages = 0;  // per second, over the last ten seconds or so
    double unacked = 0;
    double dead_lettered = 0;  // messages, those of the last minute or so
    double dropped = 0;
    uint64_t dead_lettered_before = 0;
    uint64_t dropped_before = 0;
    double growing_seconds = 0;
    double unacked_seconds = 0;
    double stuck_seconds = 0;
    double unconsumed_seconds = 0;
  };

  static bool IsQuiet(const QueueRow& row);
  void LookAtNode(const StatisticsTable& table, const NodeHealth& health);
  void LookAtQueue(const broker::QueueInfoRef& queue, const QueueRow& row, double seconds);
  void AddHolders(const StatisticsTable& table, ProblemKind kind);
  void Add(Problem problem) { found_.push_back(std::move(problem)); }

  FlatMap<broker::QueueId, Trend> trends_;  // of queues that are not quiet
  FlatMap<broker::QueueId, Trend> next_;
  std::vector<Problem> found_;
  Time looked_at_{};
  unsigned slow_syncs_ = 0;  // looks in succession
};

// Those that the caller may see, at most so many of each kind.
inline constexpr size_t kProblemsPerKind = 20;
nlohmann::json ProblemsFor(const Caller& caller, const std::vector<Problem>& problems);

}  // namespace landfall::admin
