#pragma once

#include <memory>
#include <vector>

#include "base/flat_map.h"
#include "base/time.h"
#include "broker/queue_report.h"
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
  broker::SnapshotRef topology;
  // Those of `topology`, also those of delayed exchanges, which nobody sees.
  FlatMap<broker::QueueId, QueueRow> queues;
  std::vector<ConnectionRow> connections;  // in the order of their sessions' ids
  // Of all queues, those that have been deleted among them.
  broker::Ledger ledger;
  uint64_t held = 0;
  uint64_t outbox = 0;      // on their way between shards
  uint64_t unbalanced = 0;  // queues whose ledger does not balance

  const QueueRow& Of(broker::QueueId id) const;                   // zeros when there is none
  const ConnectionRow* ConnectionOf(broker::SessionId id) const;  // null when there is none
};
using StatisticsRef = std::shared_ptr<const StatisticsTable>;

}  // namespace landfall::admin
