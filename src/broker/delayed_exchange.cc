#include "broker/delayed_exchange.h"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cmath>
#include <limits>
#include <utility>

#include "amqp/properties.h"
#include "base/bytes.h"

namespace landfall::broker {
namespace {

constexpr std::string_view kDelay = "x-delay";
constexpr std::chrono::milliseconds kLongest = std::chrono::hours(24 * 365 * 100);

// In milliseconds. Any number counts, also one written as text; nothing else does.
std::optional<int64_t> ReadDelay(const amqp::Value& value) {
  if (const auto integer = value.AsInteger()) return integer;
  if (const auto number = value.AsDouble()) {
    if (std::isnan(*number)) return std::nullopt;
    const auto longest = static_cast<double>(kLongest.count());
    return static_cast<int64_t>(std::clamp(*number, -longest, longest));
  }
  if (const auto decimal = value.AsDecimal()) {
    return static_cast<int64_t>(decimal->value / std::pow(10.0, decimal->scale));
  }
  if (const auto text = value.AsString()) {
    int64_t number = 0;
    const char* end = text->data() + text->size();
    const auto [rest, error] = std::from_chars(text->data(), end, number);
    if (error == std::errc() && rest == end) return number;
  }
  return std::nullopt;
}

}  // namespace

std::optional<ExchangeType> DelayedTypeOf(const amqp::Table& arguments) {
  const auto name = arguments.GetString("x-delayed-type");
  if (!name) return std::nullopt;
  const auto type = ParseExchangeType(*name);
  return type == ExchangeType::kDelayed ? std::nullopt : type;
}

std::optional<std::string> CheckDelayedExchange(const amqp::Table& arguments) {
  if (DelayedTypeOf(arguments)) return std::nullopt;
  return "Invalid argument, 'x-delayed-type' must be an existing exchange type";
}

Duration DelayOf(const amqp::Table& headers) {
  const amqp::Value* value = headers.Find(kDelay);
  if (value == nullptr) return Duration{0};
  const int64_t ms = ReadDelay(*value).value_or(0);
  return std::chrono::milliseconds(std::clamp<int64_t>(ms, 0, kLongest.count()));
}

Duration DelayOf(const Message& message) {
  const auto properties = amqp::DecodeProperties(message.properties());
  if (!properties) return Duration{0};
  const auto headers = properties->headers.Decode();
  return headers ? DelayOf(*headers) : Duration{0};
}

MessageRef WithoutDelay(const Message& message) {
  amqp::Properties properties;
  // They were checked when the message was published; broken ones (an old file) are dropped.
  if (const auto view = amqp::DecodeProperties(message.properties())) {
    if (auto owned = amqp::Properties::From(*view)) properties = std::move(*owned);
  }
  if (properties.headers) {
    const int64_t delay =
        -std::chrono::duration_cast<std::chrono::milliseconds>(DelayOf(message)).count();
    // As the plugin does; some clients read the wider type without its sign.
    const bool fits = delay >= std::numeric_limits<int32_t>::min();
    properties.headers->Set(kDelay, amqp::Value::Integer(fits ? 'I' : 'l', delay));
  }
  ByteBuffer headers_buffer;
  ByteBuffer encoded;
  amqp::AppendProperties(encoded, properties.View(headers_buffer));
  return Message::Make(message.exchange(), message.routing_key(), encoded, message.body(),
                       message.persistent());
}

}  // namespace landfall::broker
