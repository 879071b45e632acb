#include "broker/message_properties.h"

#include <fmt/format.h>

#include <charconv>
#include <chrono>
#include <limits>

namespace landfall::broker {
namespace {

constexpr int64_t kMaxMilliseconds = std::numeric_limits<uint32_t>::max();

}  // namespace

uint8_t PriorityOf(const Message& message) {
  if (!Has(message, amqp::kHasPriority)) return 0;
  const auto properties = amqp::DecodeProperties(message.properties());
  return properties ? properties->priority : 0;
}

std::optional<Duration> TtlOf(const Message& message) {
  if (!Has(message, amqp::kHasExpiration)) return std::nullopt;
  const auto properties = amqp::DecodeProperties(message.properties());
  if (!properties) return std::nullopt;
  const auto ttl = ParseExpiration(properties->expiration);
  return ttl ? std::optional<Duration>(*ttl) : std::nullopt;
}

std::expected<Duration, std::string> ParseExpiration(ByteView expiration) {
  int64_t ms = 0;
  const char* begin = expiration.data();
  const char* end = begin + expiration.size();
  const auto [rest, error] = std::from_chars(begin, end, ms);
  if (error == std::errc::invalid_argument) return std::unexpected("no_integer");
  if (rest != end) {
    return std::unexpected(fmt::format("{{leftover_string,\"{}\"}}", std::string(rest, end)));
  }
  if (ms < 0) return std::unexpected(fmt::format("{{value_negative,{}}}", ms));
  if (error != std::errc() || ms > kMaxMilliseconds) {
    return std::unexpected(fmt::format("{{value_too_big,{}}}", expiration));
  }
  return std::chrono::milliseconds(ms);
}

}  // namespace landfall::broker
