#pragma once

#include <boost/container/small_vector.hpp>
#include <cstdint>
#include <string>
#include <vector>

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

// Where messages of this worker's sessions went: most go where others have gone before them. Grows
// with the number of routing keys that are in use, up to a bound, and remembers none that lead to
// many queues: the search is little beside what those cost.
//
// Thread: its worker's.
class RouteCache {
 public:
  RouteOutcome Find(const broker::TopologySnapshot& topology, ByteView vhost, ByteView exchange,
                    const broker::RoutingKeys& keys, const amqp::PropertiesView& properties) {
    if (!found_->Is(topology.version, vhost, exchange, keys)) {
      Search(topology, vhost, exchange, keys, properties);
    }
    return found_->outcome;
  }
  // Of the message that was asked for last; valid until the next one.
  const Targets& targets() const { return found_->targets; }

 private:
  struct Way {
    bool Is(uint64_t with_version, ByteView in, ByteView from,
            const broker::RoutingKeys& keys) const {
      return remembered && version == with_version && keys.own() == routing_key &&
             from == exchange && in == vhost && !keys.has_more();
    }

    bool remembered = false;
    uint64_t version = 0;  // of the topology
    RouteOutcome outcome = RouteOutcome::kNoExchange;
    Targets targets;
    std::string routing_key;
    std::string exchange;
    std::string vhost;
  };

  void Search(const broker::TopologySnapshot& topology, ByteView vhost, ByteView exchange,
              const broker::RoutingKeys& keys, const amqp::PropertiesView& properties);
  void Grow();

  std::vector<Way> ways_ = std::vector<Way>(1);  // by hash, a power of two of them
  Way scratch_;                                  // what is not, or not yet, remembered
  Way* found_ = &scratch_;
  size_t pushed_out_ = 0;  // since it has grown
};

}  // namespace landfall::session
