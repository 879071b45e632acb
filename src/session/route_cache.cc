#include "session/route_cache.h"

#include <algorithm>

#include "broker/exchange.h"

namespace landfall::session {

namespace {

// Whether the way of a message may depend on its headers: then it cannot be remembered. True as
// well where it only goes on to another exchange, which may be a headers exchange.
bool MayDependOnHeaders(const broker::Vhost& vhost, ByteView name, ByteView routing_key) {
  const broker::ExchangeRef* found = vhost.exchanges.Find(name);
  if (found == nullptr) return false;  // the default exchange, or none
  const broker::Exchange& exchange = **found;
  if (!exchange.alternate.empty()) return true;
  switch (exchange.type) {
    case broker::ExchangeType::kDirect: {
      const broker::Destinations* direct = exchange.FindDirect(routing_key);
      return direct != nullptr && direct->leads_to_exchanges();
    }
    case broker::ExchangeType::kFanout:
      return exchange.fanout().leads_to_exchanges();
    case broker::ExchangeType::kTopic: {
      bool leads_on = false;
      exchange.topics().Match(routing_key, [&](const broker::Destinations& destinations) {
        leads_on |= destinations.leads_to_exchanges();
      });
      return leads_on;
    }
    case broker::ExchangeType::kHeaders:
    case broker::ExchangeType::kConsistentHash:
    case broker::ExchangeType::kDelayed:
      break;
  }
  return true;
}

}  // namespace

void RouteCache::Route(const broker::TopologySnapshot& topology, ByteView vhost_name,
                       ByteView exchange, const broker::RoutingKeys& keys,
                       const amqp::PropertiesView& properties) {
  targets_.clear();
  valid_ = false;
  const broker::VhostRef vhost = topology.FindVhost(vhost_name);
  if (!vhost) {
    outcome_ = RouteOutcome::kNoExchange;
    return;
  }
  const broker::ExchangeRef* first = vhost->exchanges.Find(exchange);
  if (first != nullptr && (*first)->internal) {
    outcome_ = RouteOutcome::kInternalExchange;
    return;
  }
  broker::QueueTargets queues;
  outcome_ = broker::Route(*vhost, exchange, keys, properties, queues) ? RouteOutcome::kRouted
                                                                       : RouteOutcome::kNoExchange;
  for (const broker::QueueTarget& queue : queues) {
    auto group = std::find_if(targets_.begin(), targets_.end(),
                              [&](const ShardTargets& t) { return t.shard == queue.shard; });
    if (group == targets_.end()) {
      targets_.emplace_back();
      group = targets_.end() - 1;
      group->shard = queue.shard;
    }
    group->durable |= queue.durable;
    group->queues.push_back(queue.id);
  }
  if (keys.has_more() || MayDependOnHeaders(*vhost, exchange, keys.own())) return;
  valid_ = true;
  version_ = topology.version;
  exchange_ = exchange;
  routing_key_ = keys.own();
}

}  // namespace landfall::session
