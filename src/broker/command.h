#pragma once

#include <boost/container/small_vector.hpp>
#include <cstdint>
#include <memory>
#include <string>
#include <variant>

#include "base/time.h"
#include "broker/message.h"
#include "broker/story.h"
#include "broker/types.h"

// What may be asked of a shard. Plain values: the same command reaches a shard on this thread, on
// another, or one day on another machine. Between one session and one shard, commands arrive in the
// order they were sent; that order is all that AMQP's ordering rests on.
namespace landfall::broker {

// Who sent a message and as which one of theirs, so that a resend is recognised. Checked per queue.
struct Identity {
  std::string producer;
  uint64_t epoch = 0;
  uint64_t sequence = 0;          // from 1
  uint64_t lowest_unsettled = 0;  // everything below has been settled: it is a repeat
};

// Enqueue a message. Answered by PublishFate when something is to be told about this one, and in
// any case by Published.upto >= publish_seq once it has landed.
struct PublishCommand {
  uint64_t publish_seq = 0;  // dense per (session, shard), from 1
  MessageRef message;
  boost::container::small_vector<QueueId, 1> queues;  // those of this shard
  std::unique_ptr<const Identity> identity;           // null: not asked to recognise repeats
  // For stories, if any queue keeps them; null: none does.
  OriginRef origin;
  StoryId story = 0;
  // The session's next publish to this shard comes right behind and lands in the same batch: all of
  // a unit survives a crash, or nothing of it.
  bool unit_goes_on = false;
};

enum class Settlement : uint8_t {
  kAck,
  kReject,   // basic.reject or basic.nack without requeue: dead-letter it
  kRequeue,  // give it back: a failed delivery
  kReturn,   // give it back on purpose (basic.nack with requeue, basic.recover)
  kRelease,  // nobody has looked at it: ready at once, and not a failed delivery
};

// Settle the deliveries `first`..`last` of one consumer, all with the same attempt number. Each is
// ignored when settled already; kAck counts even if its lease has run out, the others only if the
// delivery is the latest one.
struct SettleCommand {
  Settlement kind = Settlement::kAck;
  ChannelId channel = 0;
  ConsumerId consumer = 0;
  uint32_t attempt = 0;
  QueueId queue = 0;
  Sequence first = 0;
  Sequence last = 0;
  // kReturn and kRequeue: rest this long instead of what the queue's backoff says; < 0: no wish.
  Duration delay{-1};
  // Not 0: answer AckLanded with this token once the settlement is durable.
  uint64_t notify_token = 0;
};

// How much a consumer may be sent beyond what has been written to its socket. Bounds the memory
// that a slow reader can hold; independent of prefetch.
struct Credit {
  uint32_t messages = 0;
  uint64_t bytes = 0;  // of Message::footprint; the last message may overdraw it
};

struct ConsumeCommand {
  ChannelId channel = 0;
  ConsumerId consumer = 0;  // not 0
  QueueId queue = 0;
  bool no_ack = false;
  bool exclusive = false;
  // Deliveries need grants (Granted) out of a budget that the channel owns (basic.qos global).
  bool by_grant = false;
  uint32_t prefetch = 0;  // 0 = unlimited
  int32_t priority = 0;
  Credit credit;
  OriginRef origin;
};

// Gives credit back after its deliveries have been written.
struct CreditCommand {
  ConsumerId consumer = 0;
  QueueId queue = 0;
  Credit credit;
};

// From then on the consumer needs grants, also if it did not at first.
struct GrantCommand {
  ConsumerId consumer = 0;
  QueueId queue = 0;
  uint32_t grants = 0;
};

// Ends a consumer; what it holds stays with it until settled. Answered by Cancelled, after its last
// delivery.
struct CancelCommand {
  ChannelId channel = 0;
  ConsumerId consumer = 0;
  QueueId queue = 0;
};

struct GetCommand {
  ChannelId channel = 0;
  QueueId queue = 0;
  bool no_ack = false;
  OriginRef origin;  // null: no queue keeps stories
};

// Ends all consumers of the channel (0: of the session) in this shard and requeues what they hold.
// Answered by ChannelClosed.
struct CloseChannelCommand {
  ChannelId channel = 0;
};

struct PurgeCommand {
  ChannelId channel = 0;
  QueueId queue = 0;
};

// How many messages are ready and how many consumers there are: answered by QueueCounts.
struct CountCommand {
  ChannelId channel = 0;
  QueueId queue = 0;
};

// Answered by Echo at once: what the session has sent before has been done, if not landed.
struct EchoCommand {
  ChannelId channel = 0;
};

// Start the lease of a delivery anew, with `lease` from now on.
struct RenewCommand {
  QueueId queue = 0;
  Sequence sequence = 0;
  uint32_t attempt = 0;
  Duration lease{0};
};

// The connection is not being read (backpressure), so its acks cannot be seen: its lease clocks
// rest until resumed.
struct PauseLeasesCommand {
  bool paused = false;
};

// From the topology (session 0): a queue with x-expires has been made, its time begins.
struct TouchQueueCommand {
  QueueId queue = 0;
};

// From the topology (session 0): the configuration of a queue is another one from the snapshot on
// that the command waits for.
struct ConfigureQueueCommand {
  QueueId queue = 0;
};

// From the topology (session 0). Seal: stop taking messages and say what is there, so that a
// conditional delete decides on a state that holds; Drop or Unseal follows.
struct SealQueueCommand {
  QueueId queue = 0;
  bool if_unused = false;
  bool if_empty = false;
  uint64_t token = 0;  // echoed in Sealed
};
struct UnsealQueueCommand {
  QueueId queue = 0;
};
// The queue is gone from the topology: drop its messages and tell its consumers.
struct DropQueueCommand {
  QueueId queue = 0;
};

// Dead-lettered messages on their way from another shard: reliable transfer, see transfer.h.
struct TransferCommand {
  ShardId source = 0;
  uint64_t transfer_seq = 0;      // dense per (source, destination), from 1
  uint64_t lowest_unsettled = 0;  // the source has forgotten everything below
  MessageRef message;
  StoryId story = 0;  // 0: not traced
  boost::container::small_vector<QueueId, 1> queues;
};
struct TransferSettledCommand {
  ShardId destination = 0;
  uint64_t transfer_seq = 0;
};

using CommandBody =
    std::variant<PublishCommand, SettleCommand, CreditCommand, GrantCommand, ConsumeCommand,
                 CancelCommand, GetCommand, CloseChannelCommand, PurgeCommand, CountCommand,
                 RenewCommand, PauseLeasesCommand, SealQueueCommand, UnsealQueueCommand,
                 DropQueueCommand, TransferCommand, TransferSettledCommand, TouchQueueCommand,
                 ConfigureQueueCommand, EchoCommand>;

struct Command {
  SessionId session = 0;  // 0: the topology or another shard
  // The version of the topology it was made with: a shard that has not installed it yet waits, or
  // a message for a queue it has not heard of would be lost.
  uint64_t topology_version = 0;
  CommandBody body;
};

}  // namespace landfall::broker
