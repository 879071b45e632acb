// GET /metrics: sums over all queues and connections; /metrics/per-object: each of them.
#include <chrono>
#include <functional>

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
    sum.delivered += row.now.delivered;
    sum.redelivered += row.now.redelivered;
    sum.consumers += row.now.consumers;
  }
  sum.ledger = table.ledger;
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
  out.Single("rabbitmq_process_open_fds", "gauge", "Open file descriptors", process.open_files);
  out.Single("rabbitmq_process_max_fds", "gauge", "Open file descriptors limit", process.max_files);
  out.Single("rabbitmq_alarms_memory_used_watermark", "gauge",
             "1 while publishers are blocked for memory", broker.memory_alarm() ? 1 : 0);
  out.Single("rabbitmq_alarms_free_disk_space_watermark", "gauge",
             "1 while publishers are blocked for disk space", broker.disk_alarm() ? 1 : 0);
  out.Single("landfall_uptime_seconds", "gauge", "Seconds since the start",
             static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::seconds>(
                                       broker.Now() - broker.started_at())
                                       .count()));
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
