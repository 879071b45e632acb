#pragma once

#include <optional>
#include <string>

#include "base/bytes.h"
#include "base/time.h"
#include "broker/message.h"
#include "broker/topology_snapshot.h"

namespace landfall::broker {

// Why a message was dead-lettered, in RabbitMQ's words.
inline constexpr ByteView kRejected = "rejected";
inline constexpr ByteView kDeliveryLimit = "delivery_limit";
inline constexpr ByteView kExpired = "expired";
inline constexpr ByteView kMaxLen = "maxlen";

// The message as it arrives at the dead-letter exchange: routing key replaced where the queue says
// so (and CC and BCC with it), x-death updated (newest first, one entry a queue and reason,
// counted), x-first-death-* and x-last-death-* set, `expiration` moved into x-death so that it does
// not expire there at once. A body is shared by nobody: this is a copy.
MessageRef MakeDeadLetter(const Message& message, const QueueInfo& queue, ByteView reason,
                          Time now);

// The message has been dead-lettered out of the queue `name` before, and never since because a
// consumer rejected it: going there again would be a cycle without end.
bool IsDeadLetterCycle(const Message& dead_letter, ByteView name);

// How a message was dead-lettered last, as the newest entry of its x-death says. Publishers can
// write that header too: it is no more than what the message says of itself.
struct Death {
  std::string reason;
  std::string queue;        // out of which
  std::string exchange;     // where it had been published before that, ...
  std::string routing_key;  // ... and with what
};
// Nothing: it says of none.
std::optional<Death> LastDeathOf(const Message& message);

}  // namespace landfall::broker
