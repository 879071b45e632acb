#include "broker/consistent_hash.h"

#include <fmt/format.h>
#include <xxhash.h>

#include <charconv>
#include <cmath>
#include <cstdint>

namespace landfall::broker {
namespace {

constexpr std::string_view kHashHeader = "hash-header";
constexpr std::string_view kHashProperty = "hash-property";
constexpr int64_t kMaxWeight = 1'000'000'000;

// As Erlang reads integers, which is what the plugin does.
std::optional<int64_t> ParseInteger(std::string_view text) {
  if (text.starts_with('+')) {
    text.remove_prefix(1);
    if (text.starts_with('-')) return std::nullopt;
  }
  int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (end != text.data() + text.size() || text.empty()) return std::nullopt;
  if (error == std::errc::result_out_of_range) return text.front() == '-' ? 0 : INT64_MAX;
  if (error != std::errc{}) return std::nullopt;
  return number;
}

uint64_t HashOfValue(const amqp::Value& value) {
  if (const auto text = value.AsString()) return XXH3_64bits(text->data(), text->size());
  ByteBuffer bytes;
  value.AppendTo(bytes);
  return XXH3_64bits(bytes.data(), bytes.size());
}

uint64_t HashOf(ByteView bytes) { return XXH3_64bits(bytes.data(), bytes.size()); }

uint64_t HashOfMessage(const amqp::Table& arguments, ByteView routing_key,
                       const amqp::PropertiesView& properties) {
  if (const auto header = arguments.GetString(kHashHeader)) {
    const std::optional<amqp::Value> value = properties.headers.Find(*header);
    return value ? HashOfValue(*value) : HashOf(ByteView());
  }
  if (const auto property = arguments.GetString(kHashProperty)) {
    if (*property == "message_id") return HashOf(properties.message_id);
    if (*property == "correlation_id") return HashOf(properties.correlation_id);
    return HashOf(properties.Has(amqp::kHasTimestamp) ? std::to_string(properties.timestamp) : "");
  }
  return HashOf(routing_key);
}

// What a destination draws for a message: among n of them each is the highest with a probability of
// its share of all weights.
double Draw(const Binding& binding, double weight, uint64_t message) {
  const uint64_t drawn =
      binding.to_exchange
          ? XXH3_64bits_withSeed(binding.destination.data(), binding.destination.size(), message)
          : XXH3_64bits_withSeed(&binding.queue.id, sizeof(binding.queue.id), message);
  // Above 0 and below 1.
  const double unit = (static_cast<double>(drawn >> 12) + 0.5) * 0x1.0p-52;
  return -weight / std::log(unit);
}

}  // namespace

std::optional<std::string> CheckHashExchange(const amqp::Table& arguments) {
  for (const std::string_view name : {kHashHeader, kHashProperty}) {
    const amqp::Value* value = arguments.Find(name);
    if (value != nullptr && !value->AsString()) return fmt::format("{} must be a string", name);
  }
  const auto property = arguments.GetString(kHashProperty);
  if (!property) return std::nullopt;
  if (arguments.Contains(kHashHeader)) {
    return "hash-header and hash-property are mutually exclusive";
  }
  for (const std::string_view known : {"correlation_id", "message_id", "timestamp"}) {
    if (*property == known) return std::nullopt;
  }
  return fmt::format("Unsupported property: {}", *property);
}

std::optional<std::string> CheckHashBinding(std::string_view routing_key) {
  const std::optional<int64_t> weight = ParseInteger(routing_key);
  if (!weight) return fmt::format("The binding key must be an integer: <<\"{}\">>", routing_key);
  if (*weight < 1) return "The binding key must be greater than 0";
  if (*weight > kMaxWeight) return fmt::format("The binding key must be at most {}", kMaxWeight);
  return std::nullopt;
}

const Binding* ChooseByHash(const Exchange& exchange, ByteView routing_key,
                            const amqp::PropertiesView& properties) {
  const uint64_t message = HashOfMessage(exchange.arguments, routing_key, properties);
  const Binding* chosen = nullptr;
  double highest = 0;
  exchange.bindings().ForEach([&](const std::string&, const BindingRef& binding) {
    const auto weight = static_cast<double>(ParseInteger(binding->routing_key).value_or(0));
    const double drawn = Draw(*binding, weight, message);
    if (drawn <= highest) return;
    highest = drawn;
    chosen = binding.get();
  });
  return chosen;
}

}  // namespace landfall::broker
