#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <variant>

#include "amqp/table.h"
#include "base/bytes.h"
#include "base/error.h"
#include "broker/exchange.h"
#include "broker/topology_snapshot.h"

// What the topology writes into stream 0 of the journal and into its checkpoints: a version byte
// (kTopologyFormat), then records. A record is a varint length and so many bytes: a type byte and
// the fields in the order of the structs below; numbers are varints, flags one byte, strings have a
// varint length in front, arguments are an AMQP table's entries with a varint length in front. A
// checkpoint has CheckpointEnd last, so that a shortened one is noticed.
//
// Records say what is, not what to do: each can be applied twice, and none has consequences that it
// does not name, except that what is deleted takes its bindings along. Only what is durable is
// written.
namespace landfall::broker {

inline constexpr char kTopologyFormat = 1;

struct VhostCreated {  // type 1
  std::string vhost;
};
struct ExchangeDeclared {  // type 2; flags: 1 durable, 2 auto-delete, 4 internal
  std::string vhost;
  std::string name;
  ExchangeType type = ExchangeType::kDirect;
  bool durable = false, auto_delete = false, internal = false;
  amqp::Table arguments;
};
struct ExchangeDeleted {  // type 3
  std::string vhost;
  std::string name;
};
struct QueueDeclared {  // type 4; flags: 1 durable, 2 auto-delete, 8 holds back
  std::string vhost;
  std::string name;
  QueueId id = 0;
  ShardId shard = 0;
  bool durable = false, auto_delete = false;
  bool holds_back = false;  // the messages of the delayed exchange of this name
  amqp::Table arguments;
};
struct QueueDeleted {  // type 5
  QueueId id = 0;
};
struct BindingChanged {  // type 6 bound, type 7 unbound; flags: 1 to_exchange
  std::string vhost;
  std::string source;
  bool bound = true;
  bool to_exchange = false;
  QueueId queue = 0;        // unless to_exchange
  std::string destination;  // if to_exchange
  std::string routing_key;
  amqp::Table arguments;
};
// Ids below `upto` may be in use anywhere; after a restart new ones start there.
struct IdsReserved {  // type 8
  QueueId upto = 0;
};
struct CheckpointEnd {   // type 9
  uint64_t records = 0;  // before this one
};

struct PolicySet {  // type 10; flags: 1 by_operator; the scope is a byte
  std::string vhost;
  Policy policy;  // not checked, so without its expression
};
struct PolicyCleared {  // type 11; flags: 1 by_operator
  std::string vhost;
  std::string name;
  bool by_operator = false;
};
// With its exchanges, policies and those of its queues that no record has deleted before.
struct VhostDeleted {  // type 12
  std::string vhost;
};

// Deliveries of a queue are paused, or go on.
struct QueuePaused {  // type 13
  QueueId id = 0;
  bool paused = false;
};

using TopologyRecord = std::variant<VhostCreated, ExchangeDeclared, ExchangeDeleted, QueueDeclared,
                                    QueueDeleted, BindingChanged, IdsReserved, CheckpointEnd,
                                    PolicySet, PolicyCleared, VhostDeleted, QueuePaused>;

void AppendVhostCreated(ByteBuffer& out, std::string_view vhost);
void AppendVhostDeleted(ByteBuffer& out, std::string_view vhost);
void AppendExchangeDeclared(ByteBuffer& out, std::string_view vhost, const Exchange& exchange);
void AppendExchangeDeleted(ByteBuffer& out, std::string_view vhost, std::string_view name);
void AppendQueueDeclared(ByteBuffer& out, const QueueInfo& queue);
void AppendQueueDeleted(ByteBuffer& out, QueueId id);
void AppendQueuePaused(ByteBuffer& out, QueueId id, bool paused);
void AppendBindingChanged(ByteBuffer& out, std::string_view vhost, const Binding& binding,
                          bool bound);
void AppendIdsReserved(ByteBuffer& out, QueueId upto);
void AppendPolicySet(ByteBuffer& out, std::string_view vhost, const Policy& policy);
void AppendPolicyCleared(ByteBuffer& out, std::string_view vhost, std::string_view name,
                         bool by_operator);
void AppendCheckpointEnd(ByteBuffer& out, uint64_t records);

// Reads the version byte and hands every record to `visit`, until it fails. Errors: kCorrupt.
using TopologyRecordVisitor = std::function<Result<void>(TopologyRecord record)>;
Result<void> ReadTopologyRecords(ByteView bytes, const TopologyRecordVisitor& visit);

// One line for people.
std::string Describe(const TopologyRecord& record);

}  // namespace landfall::broker
