#pragma once

#include <cstdint>
#include <string>
#include <variant>

#include "amqp/reply_code.h"
#include "amqp/table.h"
#include "broker/policy.h"
#include "broker/topology_snapshot.h"
#include "broker/types.h"

// What sessions ask of the topology and what it answers. Plain values. An answer is given only when
// every worker has installed a snapshot that shows the change.
namespace landfall::broker {

struct DeclareExchange {
  std::string name;
  std::string type;  // as the client wrote it
  bool passive = false, durable = false, auto_delete = false, internal = false;
  amqp::Table arguments;
};
struct DeleteExchange {
  std::string name;
  bool if_unused = false;
};
struct DeclareQueue {
  std::string name;  // empty: the topology makes one up ("amq.gen-…")
  bool passive = false, durable = false, exclusive = false, auto_delete = false;
  amqp::Table arguments;
  std::optional<uint32_t> max_queues;  // in the vhost: one that is not there is not made beyond it
};
struct DeleteQueue {
  std::string name;
  bool if_unused = false, if_empty = false;
};
// Binds queue or exchange `destination` to exchange `source`, or unbinds it.
struct Bind {
  bool unbind = false;
  bool to_exchange = false;
  std::string source, destination, routing_key;
  amqp::Table arguments;
};
// Made by configuration or administration, not by AMQP clients.
struct CreateVhost {
  std::string name;
};
// With all that is in it: its connections are closed, messages are gone.
struct DeleteVhost {
  std::string name;
};
// Its consumers get nothing until it is resumed; a durable one stays so over a restart.
struct PauseQueue {
  std::string name;
  bool paused = true;  // false: resume
};
// Adds a policy or replaces the one of that name (and kind).
struct SetPolicy {
  Policy policy;
};
struct ClearPolicy {
  std::string name;
  bool by_operator = false;
};
// A connection ended: its exclusive queues go. Not answered.
struct SessionEnded {};
// From a shard: the last consumer of an auto-delete queue went, or may have, or the time of a queue
// with x-expires is over. Not answered.
struct QueueUnused {
  QueueId queue = 0;
};

using TopologyRequestBody =
    std::variant<DeclareExchange, DeleteExchange, DeclareQueue, DeleteQueue, Bind, CreateVhost,
                 DeleteVhost, PauseQueue, SetPolicy, ClearPolicy, SessionEnded, QueueUnused>;

struct TopologyRequest {
  SessionId session = 0;
  ChannelId channel = 0;
  std::string vhost;
  TopologyRequestBody body;
};

struct TopologyReply {
  SessionId session = 0;
  ChannelId channel = 0;
  // Not set: done. Otherwise the exception for the channel (or, for a hard code, the connection).
  std::optional<amqp::ReplyCode> error;
  std::string text;
  QueueInfoRef queue;     // DeclareQueue: what was declared
  uint32_t messages = 0;  // DeleteQueue: how many went with it
};

}  // namespace landfall::broker
