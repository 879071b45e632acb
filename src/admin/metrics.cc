// GET /metrics: sums over all queues and connections; /metrics/per-object: each of them.
#include <algorithm>
#include <chrono>
#include <functional>
#include <vector>

#include "admin/endpoint_common.h"
#include "admin/endpoints.h"
#include "admin/process.h"
#include "admin/prometheus_text.h"

namespace landfall::admin {
namespace {

// Where RabbitMQ has a metric that means the same, it is called the same.
struct QueueMetric {
  const char* name;
  const char* type;
  const char* help;
  uint64_t (*value)(const broker::QueueReport&);
};

constexpr QueueMetric kQueueMetrics[] = {
    {"rabbitmq_queue_messages_ready", "gauge", "Messages ready to be delivered to consumers",
     [](const broker::QueueReport& r) { return r.ready; }},
    {"rabbitmq_queue_messages_unacked", "gauge",
     "Messages delivered to consumers but not yet acknowledged",
     [](const broker::QueueReport& r) { return r.unacked; }},
    {"rabbitmq_queue_messages", "gauge", "Sum of ready, unacknowledged and delayed messages",
     [](const broker::QueueReport& r) { return r.ready + r.unacked + r.delayed; }},
    {"rabbitmq_queue_consumers", "gauge", "Consumers on a queue",
     [](const broker::QueueReport& r) { return uint64_t{r.consumers}; }},
    {"landfall_queue_messages_delayed", "gauge",
     "Messages that rest until they may be delivered again",
     [](const broker::QueueReport& r) { return r.delayed; }},
    {"landfall_queue_messages_on_disk_only", "gauge", "Ready messages that are not in memory",
     [](const broker::QueueReport& r) { return r.resting; }},
    {"landfall_queue_memory_bytes", "gauge", "Memory that messages take",
     [](const broker::QueueReport& r) { return r.memory; }},
    {"landfall_queue_delivered_total", "counter", "Deliveries since the start",
     [](const broker::QueueReport& r) { return r.delivered; }},
    {"landfall_queue_redelivered_total", "counter", "Deliveries that were not the first",
     [](const broker::QueueReport& r) { return r.redelivered; }},
    {"landfall_queue_accepted_total", "counter", "Messages that have come, as the ledger says",
     [](const broker::QueueReport& r) { return r.ledger.accepted; }},
};

broker::QueueReport SumOf(const StatisticsTable& table) {
  broker::QueueReport sum;
  for (const auto& [id, row] : table.queues) {
    sum.ready += row.now.ready;
    sum.unacked += row.now.unacked;
    sum.delayed += row.now.delayed;
    sum.resting += row.now.resting;
    sum.memory += row.now.memory;
    sum.consumers += row.now.consumers;
  }
  sum.ledger = table.ledger;
  // Of deleted queues as well: a counter that falls would be taken for a restart.
  sum.delivered = table.shards.delivered;
  sum.redelivered = table.shards.redelivered;
  return sum;
}

void AddNode(PrometheusText& out, Backend& backend, const StatisticsTable& table) {
  server::Server& broker = backend.broker();
  const ProcessNumbers process = LookAtProcess(broker.config().data_dir);
  out.Metric("rabbitmq_build_info", "gauge", "What answers here");
  out.Sample(1, {{"rabbitmq_version", "3.13.0"},
                 {"product_name", "Landfall"},
                 {"product_version", LANDFALL_VERSION}});
  out.Metric("rabbitmq_identity_info", "gauge", "Node and cluster");
  out.Sample(1, {{"rabbitmq_node", backend.node()}, {"rabbitmq_cluster", "landfall"}});
  size_t channels = 0;
  for (const ConnectionRow& row : table.connections) channels += row.info.session.channels.size();
  size_t consumers = 0;
  size_t queues = 0;
  for (const broker::VhostRef& vhost : VhostsOf(*table.topology)) queues += vhost->queues.size();
  for (const auto& [id, row] : table.queues) consumers += row.now.consumers;
  out.Single("rabbitmq_connections", "gauge", "Connections currently open",
             table.connections.size());
  out.Single("rabbitmq_channels", "gauge", "Channels currently open", channels);
  out.Single("rabbitmq_consumers", "gauge", "Consumers currently connected", consumers);
  out.Single("rabbitmq_queues", "gauge", "Queues available", queues);
  out.Single("rabbitmq_process_resident_memory_bytes", "gauge", "Memory used in bytes",
             process.resident_bytes);
  out.Single("rabbitmq_resident_memory_limit_bytes", "gauge", "Memory high watermark in bytes",
             broker.config().memory_limit);
  out.Single("rabbitmq_disk_space_available_bytes", "gauge", "Disk space available in bytes",
             process.disk_free_bytes);
  out.Single("rabbitmq_disk_space_available_limit_bytes", "gauge",
             "Disk space below which publishers are blocked",
             broker.store_options().low_space_bytes);
  out.Single("rabbitmq_process_open_fds", "gauge", "Open file descriptors", process.open_files);
  out.Single("rabbitmq_process_max_fds", "gauge", "Open file descriptors limit", process.max_files);
  out.Single("rabbitmq_alarms_memory_used_watermark", "gauge",
             "1 while publishers are blocked for memory", broker.memory_alarm() ? 1 : 0);
  out.Single("rabbitmq_alarms_free_disk_space_watermark", "gauge",
             "1 while publishers are blocked for disk space", broker.disk_alarm() ? 1 : 0);
  out.Single("landfall_statistics_ticks_total", "counter",
             "Looks at all queues and connections since the start", table.number);
  out.Single("landfall_uptime_seconds", "gauge", "Seconds since the start",
             static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::seconds>(
                                       broker.Now() - broker.started_at())
                                       .count()));
}

void AddConnectionStates(PrometheusText& out, const StatisticsTable& table) {
  constexpr std::string_view kStates[] = {"starting", "running", "blocking",
                                          "blocked",  "flow",    "closing"};
  out.Metric("landfall_connections", "gauge",
             "Connections by state: blocked ones wait for an alarm to end, those in flow for the "
             "disk or a consumer");
  for (const std::string_view state : kStates) {
    const auto count = std::ranges::count(
        table.connections, state, [](const ConnectionRow& row) { return row.info.session.state; });
    out.Sample(static_cast<uint64_t>(count), {{"state", state}});
  }
}

void AddTotals(PrometheusText& out, const StatisticsTable& table) {
  const broker::ShardStatistics& shards = table.shards;
  const auto global = [&](const char* name, const char* help, uint64_t value) {
    out.Metric(name, "counter", help);
    out.Sample(value, {{"protocol", "amqp091"}});
  };
  global("rabbitmq_global_messages_routed_total", "Messages that have come to queues",
         table.ledger.accepted);
  global("rabbitmq_global_messages_delivered_total", "Deliveries to consumers", shards.delivered);
  global("rabbitmq_global_messages_redelivered_total", "Deliveries that were not the first",
         shards.redelivered);
  global("rabbitmq_global_messages_acknowledged_total", "Messages that have been acknowledged",
         table.ledger.Left(broker::LeaveReason::kAcked));
  out.Single("landfall_publishes_repeated_total", "counter",
             "Resends that were recognised and not stored again", shards.repeats);
  out.Single("landfall_publishes_refused_total", "counter",
             "Publishes that a full queue did not take", shards.refused);
  out.Single("landfall_leases_expired_total", "counter",
             "Deliveries that no consumer settled in time and that were taken back",
             shards.leases_expired);
}

void AddJournal(PrometheusText& out, server::Server& broker) {
  constexpr double kMicroseconds = 1e-6;
  constexpr double kMilliseconds = 1e-3;
  const storage::StoreStatistics& store = broker.store_statistics();
  out.Histogram("landfall_journal_sync_seconds", "How long the disk took to sync the journal",
                kMicroseconds, store.sync_us.Snapshot());
  out.Histogram("landfall_journal_batches_per_sync", "Batches that one sync covered", 1,
                store.batches_per_sync.Snapshot());
  out.Histogram("landfall_journal_bytes_per_sync", "Bytes that one sync covered", 1,
                store.bytes_per_sync.Snapshot());
  out.Single("landfall_journal_bytes", "gauge", "Bytes of the journal that are in use",
             store.journal_bytes);
  out.Single("landfall_journal_window_bytes", "gauge",
             "Bytes of the journal beyond which checkpoints are made to shorten it",
             broker.store_options().window_bytes);
  out.Single("landfall_journal_segments", "gauge", "Files of the journal that are in use",
             store.journal_segments);
  out.Single("landfall_journal_frames_total", "counter", "The last frame that is on stable storage",
             store.synced_lsn);
  out.Single("landfall_checkpoint_bytes", "gauge", "Bytes of the checkpoints in force",
             store.checkpoint_bytes);
  out.Histogram("landfall_checkpoint_seconds", "How long saving a checkpoint took, beside the rest",
                kMilliseconds, store.checkpoint_ms.Snapshot());
  std::vector<HistogramSnapshot> pauses;
  pauses.reserve(broker.workers());
  for (broker::WorkerId w = 0; w < broker.workers(); ++w)
    pauses.push_back(broker.worker(w).checkpoint_pauses().Snapshot());
  out.Histogram("landfall_checkpoint_pause_seconds",
                "How long a worker stood still to take the image of a shard", kMicroseconds,
                pauses);
  out.Single("landfall_checkpoints_refused_total", "counter",
             "Checkpoints that there was no disk space for; they are tried again",
             store.checkpoints_refused);
}

void AddLedger(PrometheusText& out, const StatisticsTable& table) {
  out.Single("landfall_ledger_accepted_total", "counter",
             "Messages that have come to queues, those that have been deleted among them",
             table.ledger.accepted);
  out.Metric("landfall_ledger_left_total", "counter", "Messages that have left queues, by reason");
  for (size_t i = 0; i < broker::kLeaveReasons; ++i) {
    const auto reason = static_cast<broker::LeaveReason>(i);
    out.Sample(table.ledger.Left(reason), {{"reason", broker::NameOf(reason)}});
  }
  out.Single("landfall_ledger_held", "gauge", "Messages that are in queues", table.held);
  out.Single("landfall_ledger_outbox", "gauge", "Dead letters on their way between shards",
             table.outbox);
  out.Single("landfall_ledger_unbalanced_queues", "gauge",
             "Queues where what has come, what has left and what is held do not agree: must be 0",
             table.unbalanced);
}

Reply ReplyWith(PrometheusText out) {
  return {.body = out.Take(), .content_type = "text/plain; version=0.0.4; charset=utf-8"};
}

awaitable<Reply> GetMetrics(Backend& backend, Call&) {
  const StatisticsRef table = co_await backend.statistics().Fresh();
  PrometheusText out;
  AddNode(out, backend, *table);
  const broker::QueueReport sum = SumOf(*table);
  for (const QueueMetric& metric : kQueueMetrics)
    out.Single(metric.name, metric.type, metric.help, metric.value(sum));
  AddTotals(out, *table);
  AddConnectionStates(out, *table);
  AddJournal(out, backend.broker());
  AddLedger(out, *table);
  co_return ReplyWith(std::move(out));
}

awaitable<Reply> GetMetricsPerObject(Backend& backend, Call&) {
  const StatisticsRef table = co_await backend.statistics().Fresh();
  std::vector<broker::QueueInfoRef> queues;
  for (const broker::VhostRef& vhost : VhostsOf(*table->topology)) {
    vhost->queues.ForEach(
        [&](const std::string&, const broker::QueueInfoRef& queue) { queues.push_back(queue); });
  }
  PrometheusText out;
  AddNode(out, backend, *table);
  for (const QueueMetric& metric : kQueueMetrics) {
    out.Metric(metric.name, metric.type, metric.help);
    for (const broker::QueueInfoRef& queue : queues)
      out.Sample(metric.value(table->Of(queue->id).now),
                 {{"vhost", queue->vhost}, {"queue", queue->name}});
  }
  out.Metric("landfall_queue_left_total", "counter", "Messages that have left a queue, by reason");
  for (const broker::QueueInfoRef& queue : queues) {
    const broker::Ledger& ledger = table->Of(queue->id).now.ledger;
    for (size_t i = 0; i < broker::kLeaveReasons; ++i) {
      const auto reason = static_cast<broker::LeaveReason>(i);
      if (ledger.Left(reason) == 0) continue;
      out.Sample(
          ledger.Left(reason),
          {{"vhost", queue->vhost}, {"queue", queue->name}, {"reason", broker::NameOf(reason)}});
    }
  }
  AddLedger(out, *table);
  co_return ReplyWith(std::move(out));
}

}  // namespace

void AddMetricsEndpoints(Router& router) {
  router.Add({
      {"GET", "/metrics", Need::kMonitoring, GetMetrics},
      {"GET", "/metrics/per-object", Need::kMonitoring, GetMetricsPerObject},
  });
}

}  // namespace landfall::admin
