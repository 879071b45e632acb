#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <string>

#include "amqp/properties.h"
#include "base/bytes.h"
#include "base/time.h"
#include "base/wire.h"
#include "broker/message.h"

// What a queue reads out of a message's properties.
namespace landfall::broker {

// Whether it has this property. The presence bits alone tell for nearly every message that there is
// nothing to decode.
inline bool Has(const Message& message, amqp::PropertyFlag flag) {
  const ByteView properties = message.properties();
  return properties.size() >= 2 && (LoadBig<uint16_t>(properties.data()) & flag) != 0;
}

// 0 when the message has none.
uint8_t PriorityOf(const Message& message);

// How long the message wants to live in any queue (its `expiration`). What cannot be read counts as
// no wish: it was refused when it was published.
std::optional<Duration> TtlOf(const Message& message);

// Reads the `expiration` of a publish: decimal milliseconds, at most 2^32 - 1. The error is what
// RabbitMQ says of it.
std::expected<Duration, std::string> ParseExpiration(ByteView expiration);

}  // namespace landfall::broker
