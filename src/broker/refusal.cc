#include "broker/refusal.h"

#include <fmt/format.h>

namespace landfall::broker {
namespace {

using amqp::ReplyCode;

// Of all arguments of a queue, those that must be the same when it is declared again: the ones that
// mean something to RabbitMQ or to us.
constexpr std::string_view kQueueArguments[] = {
    "x-consumer-timeout",
    "x-dead-letter-exchange",
    "x-dead-letter-routing-key",
    "x-dead-letter-strategy",
    "x-delayed-retry-jitter",
    "x-delayed-retry-max",
    "x-delayed-retry-min",
    "x-delayed-retry-multiplier",
    "x-delayed-retry-type",
    "x-delivery-limit",
    "x-expires",
    "x-max-length",
    "x-max-length-bytes",
    "x-max-priority",
    "x-message-ttl",
    "x-overflow",
    "x-queue-type",
    "x-single-active-consumer",
    "x-trace",
};

std::string ValueText(const amqp::Value& value) {
  if (const auto text = value.AsBytes()) return std::string(*text);
  if (const auto number = value.AsInteger()) return std::to_string(*number);
  if (const auto number = value.AsDouble()) return fmt::format("{}", *number);
  if (const auto flag = value.AsBool()) return *flag ? "true" : "false";
  if (const auto seconds = value.AsTimestamp()) return std::to_string(*seconds);
  return "...";
}

Refusal Inequivalent(std::string_view argument, const std::string& of, std::string_view received,
                     std::string_view current) {
  return Refuse(ReplyCode::kPreconditionFailed,
                fmt::format("inequivalent arg '{}' for {}: received {} but current is {}", argument,
                            of, received, current));
}

std::optional<Refusal> CheckFlag(std::string_view argument, const std::string& of, bool wanted,
                                 bool current) {
  if (wanted == current) return std::nullopt;
  return Inequivalent(argument, of, wanted ? "'true'" : "'false'", current ? "'true'" : "'false'");
}

std::string OptionalText(const amqp::Value* value) {
  if (value == nullptr) return "none";
  return fmt::format("the value '{}' of type '{}'", ValueText(*value), FieldTypeName(*value));
}

bool IsClassic(const amqp::Value* value) {
  return value == nullptr || value->AsString() == std::string_view("classic");
}

std::optional<Refusal> CheckArgument(std::string_view argument, const std::string& of,
                                     const amqp::Table& wanted, const amqp::Table& current) {
  const amqp::Value* w = wanted.Find(argument);
  const amqp::Value* c = current.Find(argument);
  if (w == nullptr && c == nullptr) return std::nullopt;
  if (w != nullptr && c != nullptr) {
    if (amqp::Equivalent(*w, *c)) return std::nullopt;
    return Inequivalent(argument, of, fmt::format("'{}'", ValueText(*w)),
                        fmt::format("'{}'", ValueText(*c)));
  }
  // The type that is meant when none is given.
  if (argument == "x-queue-type" && IsClassic(w) && IsClassic(c)) return std::nullopt;
  return Inequivalent(argument, of, OptionalText(w), OptionalText(c));
}

Refusal Locked(const QueueInfo& queue) {
  return Refuse(
      ReplyCode::kResourceLocked,
      fmt::format("cannot obtain exclusive access to locked {}. It could be originally declared on "
                  "another connection or the exclusive property value does not match that of the "
                  "original declaration.",
                  QueueText(queue.vhost, queue.name)));
}

}  // namespace

std::string_view FieldTypeName(const amqp::Value& value) {
  switch (value.type()) {
    case 't':
      return "bool";
    case 'b':
      return "byte";
    case 'B':
      return "unsignedbyte";
    case 's':
    case 'U':
      return "short";
    case 'u':
      return "unsignedshort";
    case 'I':
      return "signedint";
    case 'i':
      return "unsignedint";
    case 'l':
    case 'L':
      return "long";
    case 'f':
      return "float";
    case 'd':
      return "double";
    case 'D':
      return "decimal";
    case 'S':
      return "longstr";
    case 'x':
      return "binary";
    case 'A':
      return "array";
    case 'F':
      return "table";
    case 'T':
      return "timestamp";
    default:
      return "void";
  }
}

Refusal Refuse(ReplyCode code, std::string_view sentence) {
  return {.code = code, .text = fmt::format("{} - {}", amqp::ReplyName(code), sentence)};
}

std::string QueueText(std::string_view vhost, std::string_view name) {
  return fmt::format("queue '{}' in vhost '{}'", name, vhost);
}

std::string ExchangeText(std::string_view vhost, std::string_view name) {
  return fmt::format("exchange '{}' in vhost '{}'", name, vhost);
}

Refusal NoQueue(std::string_view vhost, std::string_view name) {
  return Refuse(ReplyCode::kNotFound, "no " + QueueText(vhost, name));
}

Refusal NoExchange(std::string_view vhost, std::string_view name) {
  return Refuse(ReplyCode::kNotFound, "no " + ExchangeText(vhost, name));
}

Refusal ReservedName(std::string_view kind, std::string_view name) {
  return Refuse(ReplyCode::kAccessRefused, std::string(kind) + " name '" + std::string(name) +
                                               "' contains reserved prefix 'amq.*'");
}

std::optional<Refusal> CheckExclusiveAccess(const QueueInfo& queue, SessionId session) {
  if (!queue.exclusive || queue.owner == session) return std::nullopt;
  return Locked(queue);
}

std::optional<Refusal> CheckEquivalent(const QueueInfo& current, const DeclareQueue& wanted,
                                       SessionId session) {
  // The owner it would have against the owner it has, none in either case if not exclusive.
  if (current.exclusive != wanted.exclusive || (current.exclusive && current.owner != session)) {
    return Locked(current);
  }
  const std::string of = QueueText(current.vhost, current.name);
  std::optional<Refusal> refusal = CheckFlag("durable", of, wanted.durable, current.durable);
  if (!refusal) refusal = CheckFlag("auto_delete", of, wanted.auto_delete, current.auto_delete);
  for (const std::string_view argument : kQueueArguments) {
    if (refusal) break;
    refusal = CheckArgument(argument, of, wanted.arguments, current.arguments);
  }
  return refusal;
}

std::optional<Refusal> CheckEquivalent(const std::string& vhost, const Exchange& current,
                                       const DeclareExchange& wanted) {
  const std::string of = ExchangeText(vhost, current.name);
  const std::string_view type = ExchangeTypeName(current.type);
  if (wanted.type != type) {
    return Inequivalent("type", of, fmt::format("'{}'", wanted.type), fmt::format("'{}'", type));
  }
  std::optional<Refusal> refusal = CheckFlag("durable", of, wanted.durable, current.durable);
  if (!refusal) refusal = CheckFlag("auto_delete", of, wanted.auto_delete, current.auto_delete);
  if (!refusal) refusal = CheckFlag("internal", of, wanted.internal, current.internal);
  if (!refusal) {
    refusal = CheckArgument("alternate-exchange", of, wanted.arguments, current.arguments);
  }
  return refusal;
}

}  // namespace landfall::broker
