#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <string>

#include "base/bytes.h"
#include "base/time.h"
#include "broker/message.h"

// What a queue reads out of a message's properties.
namespace landfall::broker {

// 0 when the message has none.
uint8_t PriorityOf(const Message& message);

// How long the message wants to live in any queue (its `expiration`). What cannot be read counts as
// no wish: it was refused when it was published.
std::optional<Duration> TtlOf(const Message& message);

// Reads the `expiration` of a publish: decimal milliseconds, at most 2^32 - 1. The error is what
// RabbitMQ says of it.
std::expected<Duration, std::string> ParseExpiration(ByteView expiration);

}  // namespace landfall::broker
