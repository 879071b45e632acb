#pragma once

#include <boost/container/small_vector.hpp>
#include <memory>
#include <string>
#include <vector>

#include "amqp/properties.h"
#include "amqp/table.h"
#include "base/cow_map.h"
#include "broker/exchange.h"
#include "broker/message.h"
#include "broker/policy.h"
#include "broker/queue_config.h"
#include "broker/routing_keys.h"
#include "broker/types.h"

// What the whole node agrees on: an immutable value with a version, made by the topology (its one
// writer), installed on every worker, read by sessions to route and by shards to know their queues.
// Snapshots share all that did not change between them.
namespace landfall::broker {

struct QueueInfo {
  QueueId id = 0;
  ShardId shard = 0;
  std::string vhost;
  std::string name;
  bool durable = false;
  bool exclusive = false;
  bool auto_delete = false;
  SessionId owner = 0;  // of an exclusive queue; 0 otherwise
  // Where an exchange of type x-delayed-message, of the same name, lets messages rest. Known by its
  // id only: nobody can declare, bind or consume from it.
  bool holds_back = false;
  bool paused = false;  // by an operator: nobody gets messages of it
  amqp::Table arguments;
  QueueConfig config;  // what holds: of the arguments and of the policies that apply to it

  // Its messages survive a restart when they are persistent. An exclusive queue dies with its
  // connection, so nothing of it is journaled.
  bool journaled() const { return durable && !exclusive; }
  QueueTarget target() const { return {.id = id, .shard = shard, .durable = journaled()}; }
};
using QueueInfoRef = std::shared_ptr<const QueueInfo>;

struct Vhost {
  std::string name;
  // Differs from that of a deleted vhost of the same name.
  uint64_t incarnation = 0;
  CowMap<std::string, ExchangeRef> exchanges;  // without the default exchange, which is implied
  CowMap<std::string, QueueInfoRef> queues;
  PolicyMap policies;
  PolicyMap operator_policies;
};
using VhostRef = std::shared_ptr<const Vhost>;

struct TopologySnapshot {
  uint64_t version = 0;
  CowMap<std::string, VhostRef> vhosts;
  CowMap<QueueId, QueueInfoRef> queues_by_id;
  // Queues that keep stories of their messages: whoever publishes need not say who they are where
  // there is none.
  uint64_t traced_queues = 0;

  // How many have been, since the start: whoever has something open in one looks when it changes.
  uint64_t vhosts_deleted = 0;

  // Null when there is none.
  VhostRef FindVhost(std::string_view name) const;
  QueueInfoRef FindQueue(std::string_view vhost, std::string_view name) const;
  QueueInfoRef FindQueue(QueueId id) const;
};
using SnapshotRef = std::shared_ptr<const TopologySnapshot>;

// Where a message goes. Each queue at most once.
using QueueTargets = boost::container::small_vector<QueueTarget, 4>;

// Appends to `targets` every queue of `vhost` that a message with this exchange, routing keys and
// properties (few types of exchange look at them) goes to and that is not among them yet; "" is the
// default exchange. Follows exchange-to-exchange bindings and alternate exchanges, each exchange
// once. False: there is no such exchange. Thread: any.
bool Route(const Vhost& vhost, ByteView exchange, const RoutingKeys& keys,
           const amqp::PropertiesView& properties, QueueTargets& targets);
// The same for a message that has been checked when it was published.
bool Route(const Vhost& vhost, ByteView exchange, const Message& message, QueueTargets& targets);

}  // namespace landfall::broker
