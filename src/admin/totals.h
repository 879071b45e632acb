#pragma once

#include <cstddef>
#include <nlohmann/json_fwd.hpp>

#include "admin/caller.h"
#include "admin/statistics_table.h"

// Sums over queues and connections. Pure.
namespace landfall::admin {

struct Totals {
  broker::QueueReport messages;
  QueueRates rates;
  size_t queues = 0;
  size_t exchanges = 0;
  size_t consumers = 0;
  size_t connections = 0;
  size_t channels = 0;
};

void AddVhost(const broker::Vhost& vhost, const StatisticsTable& table, Totals& totals);
// Of what the caller may see; of everything for monitors. `topology` may be newer than the table.
Totals TotalsFor(const broker::TopologySnapshot& topology, const StatisticsTable& table,
                 const Caller& caller);
// queue_totals, message_stats and object_totals, as in /api/overview.
void AddTotals(nlohmann::json& form, const Totals& totals);

}  // namespace landfall::admin
