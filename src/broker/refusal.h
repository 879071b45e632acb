#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "amqp/reply_code.h"
#include "broker/topology_request.h"
#include "broker/topology_snapshot.h"

// Why something is refused, in the words of RabbitMQ, which clients and people search for.
namespace landfall::broker {

// The exception for the channel (or, for a hard code, the connection).
struct Refusal {
  amqp::ReplyCode code = amqp::ReplyCode::kInternalError;
  std::string
      text;  // complete, as in the reply-text field: "NOT_FOUND - no queue 'q' in vhost '/'"
};

// `sentence` without the name of the code.
Refusal Refuse(amqp::ReplyCode code, std::string_view sentence);

// The type of a field as RabbitMQ names it: "longstr", "signedint", "table" …
std::string_view FieldTypeName(const amqp::Value& value);

// "queue 'q' in vhost '/'", "exchange 'x' in vhost '/'"
std::string QueueText(std::string_view vhost, std::string_view name);
std::string ExchangeText(std::string_view vhost, std::string_view name);

Refusal NoQueue(std::string_view vhost, std::string_view name);
Refusal NoExchange(std::string_view vhost, std::string_view name);
// Names that begin with "amq." are the broker's to give. `kind`: "queue" or "exchange".
Refusal ReservedName(std::string_view kind, std::string_view name);

// Nothing if `session` may use the queue: it is not exclusive, or the session owns it.
std::optional<Refusal> CheckExclusiveAccess(const QueueInfo& queue, SessionId session);

// Nothing if the declaration asks for what is there already.
std::optional<Refusal> CheckEquivalent(const QueueInfo& current, const DeclareQueue& wanted,
                                       SessionId session);
std::optional<Refusal> CheckEquivalent(const std::string& vhost, const Exchange& current,
                                       const DeclareExchange& wanted);

}  // namespace landfall::broker
