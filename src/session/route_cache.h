#pragma once

#include <boost/container/small_vector.hpp>
#include <cstdint>
#include <string>

#include "amqp/properties.h"
#include "broker/routing_keys.h"
#include "broker/topology_snapshot.h"
#include "broker/types.h"

namespace landfall::session {

// The queues of one shard that a message goes to.
struct ShardTargets {
  broker::ShardId shard = 0;
  bool durable = false;  // one of the queues survives a restart
  boost::container::small_vector<broker::QueueId, 1> queues;
};
using Targets = boost::container::small_vector<ShardTargets, 1>;

enum class RouteOutcome {
  kRouted,  // perhaps to no queue
  kNoExchange,
  kInternalExchange,  // nobody may publish to it; other exchanges and dead letters lead there
};

// Where the last message of a channel went: the next one most often goes there as well.
class RouteCache {
 public:
  RouteOutcome Find(const broker::TopologySnapshot& topology, ByteView vhost, ByteView exchange,
                    const broker::RoutingKeys& keys, const amqp::PropertiesView& properties) {
    if (!valid_ || version_ != topology.version || keys.own() != routing_key_ ||
        exchange != exchange_ || keys.has_more()) {
      Route(topology, vhost, exchange, keys, properties);
    }
    return outcome_;
  }
  // Of the message that was asked for last; valid until the next one.
  const Targets& targets() const { return targets_; }

 private:
  void Route(const broker::TopologySnapshot& topology, ByteView vhost, ByteView exchange,
             const broker::RoutingKeys& keys, const amqp::PropertiesView& properties);

  bool valid_ = false;
  uint64_t version_ = 0;
  std::string exchange_;
  std::string routing_key_;
  RouteOutcome outcome_ = RouteOutcome::kNoExchange;
  Targets targets_;
};

}  // namespace landfall::session
