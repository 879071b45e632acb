#include "admin/event_stream.h"

#include <fmt/format.h>

#include <chrono>

#include "admin/endpoint_common.h"
#include "admin/totals.h"

namespace landfall::admin {
namespace {

int64_t Milliseconds(auto time) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(time).count();
}

json SyncTime(const NodeHealth& health, uint64_t us) {
  return health.syncs > 0 ? json(us) : json();
}

// What RabbitMQ has no field for.
json OwnTotals(Backend& backend, const Tick& tick, const Totals& totals, const Caller& caller) {
  const NodeHealth& health = tick.health;
  json form{{"messages_delayed", totals.messages.delayed},
            {"messages_on_disk_only", totals.messages.resting},
            {"memory_alarm", health.memory_alarm},
            {"disk_alarm", health.disk_alarm},
            {"sync_p50_us", SyncTime(health, health.sync_p50_us)},
            {"sync_p99_us", SyncTime(health, health.sync_p99_us)}};
  if (!caller.is_monitor()) return form;
  server::Server& broker = backend.broker();
  const StatisticsTable& table = *tick.table;
  form["uptime"] = Milliseconds(broker.Now() - broker.started_at());
  form["memory_used"] = health.resident_bytes;
  form["memory_limit"] = health.memory_limit;
  form["disk_free"] = health.disk_free_bytes;
  form["disk_total"] = health.disk_total_bytes;
  form["disk_free_limit"] = health.disk_limit;
  form["journal_bytes"] = broker.store_statistics().journal_bytes.load();
  form["journal_window_bytes"] = broker.store_options().window_bytes;
  form["synced_lsn"] = broker.store_statistics().synced_lsn.load();
  form["ledger"] = {{"balances", table.unbalanced == 0},
                    {"held", table.held},
                    {"outbox", table.outbox},
                    {"queues_unbalanced", table.unbalanced}};
  return form;
}

// Without its end: what is of one stream comes behind it.
std::string SharedText(Backend& backend, const Tick& tick, const Caller& caller) {
  const Totals totals = TotalsFor(*tick.table->topology, *tick.table, caller);
  json overview;
  AddTotals(overview, totals);
  overview["landfall"] = OwnTotals(backend, tick, totals, caller);
  return fmt::format(R"("time":{},"overview":{},"problems":{})",
                     Milliseconds(tick.table->taken_at.time_since_epoch()), JsonText(overview),
                     JsonText(ProblemsFor(caller, tick.problems)));
}

}  // namespace

EventStream::EventStream(Backend& backend, StreamBook::Place place, Caller caller,
                         std::vector<QueueName> queues)
    : backend_(backend),
      place_(std::move(place)),
      caller_(std::move(caller)),
      accounts_(backend.broker().users().accounts()),
      queues_(std::move(queues)) {}

awaitable<std::optional<std::string>> EventStream::Next() {
  if (ended_) co_return std::nullopt;
  const TickRef tick = co_await backend_.watcher().Next(seen_);
  seen_ = tick->number;
  if (!Renew()) {
    ended_ = true;
    co_return "event: end\ndata: {\"reason\":\"the session has ended\"}\n\n";
  }
  co_return TextOf(*tick);
}

bool EventStream::Renew() {
  // Who has sent a password has no session that would end with it.
  if (caller_.session == 0 && backend_.broker().users().accounts() != accounts_) return false;
  auto renewed = backend_.authentication().Renew(caller_);
  if (!renewed) return false;
  caller_ = std::move(*renewed);
  return true;
}

std::string EventStream::TextOf(Tick& tick) {
  auto& shared = tick.texts[caller_.is_administrator() ? nullptr : caller_.account];
  if (!shared) shared = std::make_shared<const std::string>(SharedText(backend_, tick, caller_));
  return fmt::format("event: tick\ndata: {{{},\"queues\":[{}]}}\n\n", *shared, QueuesText(tick));
}

std::string EventStream::QueuesText(const Tick& tick) {
  std::string text;
  for (const auto& [vhost_name, name] : queues_) {
    if (!caller_.MaySee(vhost_name)) continue;
    const broker::VhostRef vhost = tick.table->topology->FindVhost(vhost_name);
    const broker::QueueInfoRef* queue = vhost ? vhost->queues.Find(name) : nullptr;
    if (queue == nullptr) continue;
    backend_.watcher().history().Keep((*queue)->id, tick.table->taken_at);
    const std::string entry = JsonText(QueueEntry(backend_, *vhost, **queue, *tick.table, caller_));
    if (text.size() + entry.size() > kQueueBytes) continue;
    if (!text.empty()) text += ',';
    text += entry;
  }
  return text;
}

}  // namespace landfall::admin
