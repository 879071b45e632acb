#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "broker/message.h"
#include "broker/topology_snapshot.h"
#include "broker/types.h"

// An operator moves messages from a queue to where they can be worked on: what an exchange or a
// queue got by mistake, or dead letters back to where they came from.
namespace landfall::broker {

struct MoveTarget {
  enum class Kind : uint8_t {
    kQueue,     // `queue`
    kExchange,  // wherever `exchange` routes it with `routing_key`, or with its own
    kOrigin,    // the queue out of which it was dead-lettered last
  };
  Kind kind = Kind::kQueue;
  std::string queue;
  std::string exchange;
  std::string routing_key;
  bool own_routing_key = true;  // `routing_key` counts for nothing
};

// A message as it is to arrive, and where. No queues: there is nowhere to go, and it must stay.
struct Readdressed {
  MessageRef message;
  QueueTargets queues;
};
// In the vhost in which the message is. What goes back to its origin has the exchange and the
// routing key again with which it came there; its x-death stays, so that whoever gets it knows.
// Thread: any.
Readdressed Readdress(const Vhost& vhost, const MoveTarget& target, const MessageRef& message);

// Move these messages of a queue, which may be in any order.
struct MoveByHand {
  QueueId queue = 0;
  std::vector<Sequence> sequences;
  MoveTarget target;
  // What the caller has seen of the topology: nothing is moved by an older one.
  uint64_t topology_version = 0;
};

// What has become of them. Those that were not moved are where they were.
struct MovedByHand {
  uint64_t moved = 0;
  uint64_t gone = 0;        // were not there any more
  uint64_t unacked = 0;     // a consumer has them
  uint64_t unroutable = 0;  // had nowhere to go
  // Cannot be moved yet, being read from disk or behind as much as is moved in one go: ask again.
  std::vector<Sequence> again;
  uint64_t bytes = 0;  // Message::footprint of what was moved
  // All of it is on stable storage when Shard::landed_upto() has come so far.
  uint64_t lands_with = 0;
};

}  // namespace landfall::broker
