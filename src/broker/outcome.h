#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>

#include "amqp/reply_code.h"
#include "broker/command.h"

// What a shard tells a session. Plain values, in order per (shard, session).
namespace landfall::broker {

// Everything the session has published to this shard up to `upto` is settled here: on stable
// storage where it must be, visible to consumers, or as an earlier PublishFate said.
struct Published {
  ShardId shard = 0;
  uint64_t upto = 0;
};

enum class Fate : uint8_t {
  kDuplicate,  // every queue of this shard held it already
  kGone,       // every queue of this shard has been deleted meanwhile: unroutable here
  kFenced,     // a newer epoch of the same producer exists: dropped
  kRefused,    // a queue of this shard is full and refuses publishes (x-overflow)
};

// The exception to "landed" for one publish; comes before the Published that covers it.
struct PublishFate {
  ShardId shard = 0;
  uint64_t publish_seq = 0;
  Fate fate = Fate::kDuplicate;
};

// One message for one consumer. With no_ack it is settled already.
struct Deliver {
  ChannelId channel = 0;
  bool redelivered = false;
  // The queue counts deliveries: tell the receiver in x-delivery-count (when count > 0).
  bool tell_count = false;
  ConsumerId consumer = 0;
  uint32_t attempt = 0;         // of this message, from 1
  uint32_t delivery_count = 0;  // failed deliveries before this one
  ShardId shard = 0;
  QueueId queue = 0;
  Sequence sequence = 0;
  MessageRef message;
};

// The answer to Get. An empty queue has no message.
struct Got {
  ChannelId channel = 0;
  bool redelivered = false;
  bool tell_count = false;
  bool queue_gone = false;
  uint32_t attempt = 0;
  uint32_t delivery_count = 0;
  uint32_t ready_left = 0;
  ShardId shard = 0;
  QueueId queue = 0;
  Sequence sequence = 0;
  MessageRef message;
};

// The answer to Consume: done, or refused with a channel exception.
struct Consuming {
  ChannelId channel = 0;
  ConsumerId consumer = 0;
  std::optional<amqp::ReplyCode> refused;
  std::string text;
};

// The consumer is no more: the answer to Cancel, or (asked == false) because its queue was deleted.
struct Cancelled {
  ChannelId channel = 0;
  ConsumerId consumer = 0;
  bool asked = false;
};

struct Purged {
  ChannelId channel = 0;
  bool queue_gone = false;
  uint32_t messages = 0;
};

struct QueueCounts {
  ChannelId channel = 0;
  bool queue_gone = false;
  uint32_t ready = 0;
  uint32_t consumers = 0;
};

struct Echo {
  ChannelId channel = 0;
};

struct ChannelClosed {
  ShardId shard = 0;
  ChannelId channel = 0;
};

struct AckLanded {
  ChannelId channel = 0;
  uint64_t token = 0;
};

// The lease of a delivery ran out: its prefetch slot is free, its tag is kept for a late ack.
struct LeaseExpired {
  ChannelId channel = 0;
  ConsumerId consumer = 0;
  QueueId queue = 0;
  Sequence sequence = 0;
  uint32_t attempt = 0;
};

// A by_grant consumer could be sent `messages` more, or gives back grants it had no use for.
struct WantGrants {
  ChannelId channel = 0;
  ConsumerId consumer = 0;
  uint32_t messages = 0;
};
struct ReturnGrants {
  ChannelId channel = 0;
  ConsumerId consumer = 0;
  uint32_t grants = 0;
};

using Outcome =
    std::variant<Published, PublishFate, Deliver, Got, Consuming, Cancelled, Purged, QueueCounts,
                 ChannelClosed, AckLanded, LeaseExpired, WantGrants, ReturnGrants, Echo>;

// The last word on a seal, for the topology.
struct Sealed {
  QueueId queue = 0;
  uint64_t token = 0;
  bool unused = false;  // no consumers
  bool empty = false;   // no messages
  uint32_t messages = 0;
};

}  // namespace landfall::broker
