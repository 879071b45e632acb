#include "admin/totals.h"

#include <nlohmann/json.hpp>

#include "admin/forms.h"

namespace landfall::admin {

void AddVhost(const broker::Vhost& vhost, const StatisticsTable& table, Totals& totals) {
  totals.exchanges += vhost.exchanges.size() + 1;  // the one without a name
  totals.queues += vhost.queues.size();
  vhost.queues.ForEach([&](const std::string&, const broker::QueueInfoRef& queue) {
    const QueueRow& row = table.Of(queue->id);
    totals.messages.ready += row.now.ready;
    totals.messages.unacked += row.now.unacked;
    totals.messages.delayed += row.now.delayed;
    totals.messages.resting += row.now.resting;
    totals.messages.delivered += row.now.delivered;
    totals.messages.redelivered += row.now.redelivered;
    totals.messages.ledger += row.now.ledger;
    totals.consumers += row.now.consumers;
    totals.rates += row.rates;
  });
}

Totals TotalsFor(const broker::TopologySnapshot& topology, const StatisticsTable& table,
                 const Caller& caller) {
  Totals totals;
  topology.vhosts.ForEach([&](const std::string&, const broker::VhostRef& vhost) {
    if (caller.is_monitor() || caller.MaySee(vhost->name)) AddVhost(*vhost, table, totals);
  });
  for (const ConnectionRow& row : table.connections) {
    if (!caller.is_monitor() && row.info.session.user != caller.user) continue;
    ++totals.connections;
    totals.channels += row.info.session.channels.size();
  }
  return totals;
}

void AddTotals(nlohmann::json& form, const Totals& totals) {
  form["queue_totals"] = MessageCounts(totals.messages, totals.rates);
  form["message_stats"] = MessageStats(totals.messages, totals.rates);
  form["object_totals"] = {{"connections", totals.connections},
                           {"channels", totals.channels},
                           {"exchanges", totals.exchanges},
                           {"queues", totals.queues},
                           {"consumers", totals.consumers}};
}

}  // namespace landfall::admin
