#pragma once

#include <optional>
#include <string>

#include "amqp/table.h"
#include "base/time.h"
#include "broker/exchange.h"
#include "broker/message.h"

// Exchanges of type x-delayed-message: a message with the header x-delay rests for so many
// milliseconds before the exchange routes it, by the rules of the type that its argument
// x-delayed-type names. It rests in a queue of the exchange's own, which no name leads to
// (QueueInfo::holds_back), so it has landed like any other message when it is confirmed.
namespace landfall::broker {

// By which rules such an exchange routes; nothing if the arguments name no type that has any.
std::optional<ExchangeType> DelayedTypeOf(const amqp::Table& arguments);
// What is wrong with the arguments of such an exchange, in the plugin's words; nothing mostly.
std::optional<std::string> CheckDelayedExchange(const amqp::Table& arguments);

// How long a message with these headers is to rest: 0 if it is not. At most a hundred years.
Duration DelayOf(const amqp::Table& headers);
Duration DelayOf(const Message& message);

// The message as it goes on: x-delay is negative, so that receivers see what it was and no further
// exchange holds the message back again.
MessageRef WithoutDelay(const Message& message);

}  // namespace landfall::broker
