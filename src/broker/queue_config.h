#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <string>

#include "amqp/table.h"
#include "broker/backoff.h"

namespace landfall::broker {

// Which failed deliveries rest before they come back (x-delayed-retry-type).
enum class RetryType : uint8_t {
  kDisabled,  // none: a requeue is immediate
  kFailed,    // those whose lease ran out, whose channel or connection was lost, or basic.reject
  kReturned,  // those a consumer gave back on purpose (basic.nack, basic.recover)
  kAll,
};

// What happens when a queue is at its length limit (x-overflow).
enum class Overflow : uint8_t {
  kDropHead,          // its oldest message leaves, dead-lettered as "maxlen"
  kRejectPublish,     // the new message is refused: its publisher gets a nack
  kRejectPublishDlx,  // the same, and the new message is dead-lettered
};

// Failures after which a message with delayed retries is dead-lettered unless x-delivery-limit says
// otherwise: without one a message that can never be handled would come back for ever.
inline constexpr uint32_t kDefaultDeliveryLimit = 20;

// What a queue's arguments, and the policies that apply to it, ask for. Absent limits are off.
struct QueueConfig {
  std::optional<Duration> consumer_timeout;  // x-consumer-timeout, ms: the ack lease
  RetryType retry_type = RetryType::kDisabled;
  Backoff backoff;                         // x-delayed-retry-{min,max,multiplier,jitter}
  std::optional<uint32_t> delivery_limit;  // x-delivery-limit: more failures dead-letter it
  std::optional<std::string> dead_letter_exchange;
  std::optional<std::string> dead_letter_routing_key;
  std::optional<Duration> message_ttl;       // x-message-ttl, ms
  std::optional<Duration> expires;           // x-expires, ms: unused so long, the queue goes
  std::optional<uint64_t> max_length;        // x-max-length: ready messages
  std::optional<uint64_t> max_length_bytes;  // x-max-length-bytes: of their bodies
  Overflow overflow = Overflow::kDropHead;
  std::optional<uint8_t> max_priority;  // x-max-priority: messages with more count as this much
  bool single_active_consumer = false;  // x-single-active-consumer
  double trace = 0;  // x-trace: of so many of its messages it keeps the story, from 0 to 1
  // Of the queue of a delayed exchange (QueueInfo::holds_back): messages rest for as long as they
  // say, and none of the above holds.
  bool holds_back = false;

  bool operator==(const QueueConfig&) const = default;
  bool limited() const { return max_length || max_length_bytes; }
  bool RetriesAreDelayed(bool returned_on_purpose) const;
};

// An argument that means something to us but not this.
struct InvalidArgument {
  std::string name;
  std::string reason;  // what it takes and what it was given
};

// Reads the arguments that have a meaning. Unknown arguments are kept by the topology and otherwise
// ignored, as RabbitMQ does.
std::expected<QueueConfig, InvalidArgument> ParseQueueConfig(const amqp::Table& arguments);

}  // namespace landfall::broker
