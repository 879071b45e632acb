#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "amqp/properties.h"
#include "amqp/table.h"
#include "base/bytes.h"
#include "broker/exchange.h"

// Exchanges of type x-consistent-hash: each message goes to exactly one of the bound destinations,
// chosen by a hash of its routing key, of a header (argument hash-header) or of a property
// (hash-property: message_id, correlation_id or timestamp). The key of a binding is its weight: how
// large a share its destination gets, compared to the others.
//
// The choice is a weighted rendezvous (Thaler and Ravishankar, 1998): every destination draws a
// number from its own and the message's hash, the highest wins. So a new destination takes over
// only what it wins itself, one that goes loses only what it had, and nothing has to be kept that
// the bindings do not say.
namespace landfall::broker {

// What is wrong with the arguments of such an exchange, in the plugin's words; nothing mostly.
std::optional<std::string> CheckHashExchange(const amqp::Table& arguments);
// What is wrong with a binding's key.
std::optional<std::string> CheckHashBinding(std::string_view routing_key);

// The binding that takes the message; null if there is none. Messages without the header or
// property all go the same way. A destination that is bound twice counts with its larger weight.
const Binding* ChooseByHash(const Exchange& exchange, ByteView routing_key,
                            const amqp::PropertiesView& properties);

}  // namespace landfall::broker
