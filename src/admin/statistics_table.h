#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include "base/flat_map.h"
#include "base/time.h"
#include "broker/queue_report.h"
#include "broker/shard.h"
#include "broker/topology_snapshot.h"
#include "server/worker_thread.h"

namespace landfall::admin {

// Per second, between this tick and the one before it.
struct QueueRates {
  double publish = 0;
  double deliver = 0;
  double redeliver = 0;
  double ack = 0;
  double messages = 0;
  double ready = 0;
  double unacked = 0;

  QueueRates& operator+=(const QueueRates& other);
};

struct QueueRow {
  broker::QueueReport now;
  QueueRates rates;
};

struct ConnectionRow {
  server::ConnectionInfo info;
  double receive_rate = 0;  // bytes per second
  double send_rate = 0;
};

// All queues and connections of the broker, each as it was at some moment of one tick.
struct StatisticsTable {
  Time taken_at{};
  uint64_t number = 0;  // the first one since the start is 1
  Duration took{};      // to ask all workers
  broker::SnapshotRef topology;
  // Those of `topology`, also those of delayed exchanges, which nobody sees.
  FlatMap<broker::QueueId, QueueRow> queues;
  // In the order of their sessions' ids; their channels by number, and the consumers of these by
  // id.
  std::vector<ConnectionRow> connections;
  // Of all queues, those that have been deleted among them.
  broker::Ledger ledger;
  uint64_t held = 0;
  broker::ShardStatistics shards;  // sums of all of them
  uint64_t outbox = 0;             // on their way between shards
  uint64_t unbalanced = 0;         // queues whose ledger does not balance

  const QueueRow& Of(broker::QueueId id) const;                   // zeros when there is none
  const ConnectionRow* ConnectionOf(broker::SessionId id) const;  // null when there is none
  // "" when there is none.
  std::string_view TagOf(const broker::ConsumerReport& consumer) const;
};
using StatisticsRef = std::shared_ptr<const StatisticsTable>;

}  // namespace landfall::admin
