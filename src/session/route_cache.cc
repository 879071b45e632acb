#include "session/route_cache.h"

#include <algorithm>
#include <boost/container_hash/hash.hpp>
#include <functional>

#include "broker/exchange.h"

namespace landfall::session {

namespace {

// A few megabytes of names and targets at most, for each worker.
constexpr size_t kMostWays = 16'384;
constexpr size_t kMostQueues = 16;

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

// Asks the exchange.
RouteOutcome Route(const broker::TopologySnapshot& topology, ByteView vhost_name, ByteView exchange,
                   const broker::RoutingKeys& keys, const amqp::PropertiesView& properties,
                   Targets& targets, bool& remember) {
  targets.clear();
  remember = false;
  const broker::VhostRef vhost = topology.FindVhost(vhost_name);
  if (!vhost) return RouteOutcome::kNoExchange;
  const broker::ExchangeRef* first = vhost->exchanges.Find(exchange);
  if (first != nullptr && (*first)->internal) return RouteOutcome::kInternalExchange;
  broker::QueueTargets queues;
  const bool there = broker::Route(*vhost, exchange, keys, properties, queues);
  for (const broker::QueueTarget& queue : queues) {
    auto group = std::find_if(targets.begin(), targets.end(),
                              [&](const ShardTargets& t) { return t.shard == queue.shard; });
    if (group == targets.end()) {
      targets.emplace_back();
      group = targets.end() - 1;
      group->shard = queue.shard;
    }
    group->durable |= queue.durable;
    group->queues.push_back(queue.id);
  }
  remember = there && queues.size() <= kMostQueues && !keys.has_more() &&
             !MayDependOnHeaders(*vhost, exchange, keys.own());
  return there ? RouteOutcome::kRouted : RouteOutcome::kNoExchange;
}

}  // namespace

void RouteCache::Search(const broker::TopologySnapshot& topology, ByteView vhost, ByteView exchange,
                        const broker::RoutingKeys& keys, const amqp::PropertiesView& properties) {
  size_t hash = std::hash<ByteView>{}(vhost);
  boost::hash_combine(hash, std::hash<ByteView>{}(exchange));
  boost::hash_combine(hash, std::hash<ByteView>{}(keys.own()));
  Way* way = &ways_[hash & (ways_.size() - 1)];
  if (way->Is(topology.version, vhost, exchange, keys)) {
    found_ = way;
    return;
  }
  found_ = &scratch_;
  bool remember = false;
  scratch_.remembered = false;
  scratch_.outcome = Route(topology, vhost, exchange, keys, properties, scratch_.targets, remember);
  if (!remember) return;
  if (way->remembered && way->version == topology.version && ++pushed_out_ > ways_.size()) {
    Grow();
    way = &ways_[hash & (ways_.size() - 1)];
  }
  scratch_.remembered = true;
  scratch_.version = topology.version;
  scratch_.vhost = vhost;
  scratch_.exchange = exchange;
  scratch_.routing_key = keys.own();
  std::swap(*way, scratch_);
  found_ = way;
}

// What it knew is soon known again.
void RouteCache::Grow() {
  pushed_out_ = 0;
  if (ways_.size() < kMostWays) ways_ = std::vector<Way>(ways_.size() * 2);
}

}  // namespace landfall::session
