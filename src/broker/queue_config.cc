#include "broker/queue_config.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>
#include <string_view>
#include <utility>

namespace landfall::broker {
namespace {

using std::chrono::milliseconds;

// The longest time an argument may ask for, RabbitMQ's: 2^32 - 1 ms, about 49 days. Added to any
// time of ours it overflows nothing.
constexpr int64_t kMaxMilliseconds = std::numeric_limits<uint32_t>::max();

// Takes the arguments one by one and remembers the first that cannot be.
class Reader {
 public:
  explicit Reader(const amqp::Table& arguments) : arguments_(arguments) {}

  bool Has(std::string_view name) const { return arguments_.Contains(name); }

  std::optional<int64_t> Integer(std::string_view name, int64_t least, int64_t most) {
    const amqp::Value* value = arguments_.Find(name);
    if (value == nullptr) return std::nullopt;
    const std::optional<int64_t> number = value->AsInteger();
    if (!number || *number < least || *number > most) {
      Refuse(name, fmt::format("must be an integer from {} to {}", least, most));
      return std::nullopt;
    }
    return number;
  }

  std::optional<Duration> Milliseconds(std::string_view name, int64_t least = 1) {
    const std::optional<int64_t> number = Integer(name, least, kMaxMilliseconds);
    if (!number) return std::nullopt;
    return milliseconds(*number);
  }

  std::optional<double> Number(std::string_view name, double least, double most) {
    const amqp::Value* value = arguments_.Find(name);
    if (value == nullptr) return std::nullopt;
    std::optional<double> number = value->AsDouble();
    if (const auto integer = value->AsInteger()) number = static_cast<double>(*integer);
    if (const auto decimal = value->AsDecimal()) {
      number = decimal->value / std::pow(10.0, decimal->scale);
    }
    // A NaN fails both comparisons.
    if (!number || !(*number >= least && *number <= most)) {
      Refuse(name, fmt::format("must be a number from {} to {}", least, most));
      return std::nullopt;
    }
    return number;
  }

  std::optional<std::string> String(std::string_view name) {
    const amqp::Value* value = arguments_.Find(name);
    if (value == nullptr) return std::nullopt;
    const std::optional<std::string_view> string = value->AsString();
    if (!string || string->size() > amqp::kMaxShortString) {
      Refuse(name, "must be a string of at most 255 bytes");
      return std::nullopt;
    }
    return std::string(*string);
  }

  const amqp::Value* Find(std::string_view name) const { return arguments_.Find(name); }

  std::optional<bool> Flag(std::string_view name) {
    const amqp::Value* value = arguments_.Find(name);
    if (value == nullptr) return std::nullopt;
    const std::optional<bool> flag = value->AsBool();
    if (!flag) Refuse(name, "must be true or false");
    return flag;
  }

  void Refuse(std::string_view name, std::string reason) {
    if (!invalid_) invalid_ = InvalidArgument{std::string(name), std::move(reason)};
  }

  std::optional<InvalidArgument>& invalid() { return invalid_; }

 private:
  const amqp::Table& arguments_;
  std::optional<InvalidArgument> invalid_;
};

void ReadRetryType(Reader& reader, QueueConfig& config) {
  constexpr std::pair<std::string_view, RetryType> kTypes[] = {
      {"disabled", RetryType::kDisabled},
      {"failed", RetryType::kFailed},
      {"returned", RetryType::kReturned},
      {"all", RetryType::kAll},
  };
  const std::optional<std::string> name = reader.String("x-delayed-retry-type");
  if (!name) return;
  for (const auto& [type_name, type] : kTypes) {
    if (*name == type_name) {
      config.retry_type = type;
      return;
    }
  }
  reader.Refuse("x-delayed-retry-type", "must be one of disabled, failed, returned, all");
}

void ReadRetry(Reader& reader, QueueConfig& config) {
  Backoff& backoff = config.backoff;
  const std::optional<Duration> first = reader.Milliseconds("x-delayed-retry-min");
  if (first) {
    config.retry_type = RetryType::kAll;
    backoff.first = *first;
  }
  ReadRetryType(reader, config);
  const std::optional<Duration> cap = reader.Milliseconds("x-delayed-retry-max");
  backoff.cap = cap.value_or(std::max(backoff.cap, backoff.first));
  if (backoff.cap < backoff.first) {
    reader.Refuse("x-delayed-retry-max", "must not be less than x-delayed-retry-min");
  }
  backoff.multiplier = reader.Number("x-delayed-retry-multiplier", 1, 1e6).value_or(2.0);
  backoff.jitter = reader.Number("x-delayed-retry-jitter", 0, 1).value_or(0.1);
  if (reader.Has("x-delayed-retry-min")) return;
  // Without the first delay the others would be accepted and do nothing.
  for (std::string_view name :
       {"x-delayed-retry-max", "x-delayed-retry-multiplier", "x-delayed-retry-jitter"}) {
    if (reader.Has(name)) reader.Refuse(name, "needs x-delayed-retry-min as well");
  }
  if (config.retry_type != RetryType::kDisabled) {
    reader.Refuse("x-delayed-retry-type", "needs x-delayed-retry-min as well");
  }
}

void ReadDeadLettering(Reader& reader, QueueConfig& config) {
  config.dead_letter_exchange = reader.String("x-dead-letter-exchange");
  config.dead_letter_routing_key = reader.String("x-dead-letter-routing-key");
  if (config.dead_letter_routing_key && !reader.Has("x-dead-letter-exchange")) {
    reader.Refuse("x-dead-letter-routing-key", "needs x-dead-letter-exchange as well");
  }
}

void ReadLimits(Reader& reader, QueueConfig& config) {
  constexpr int64_t kMost = std::numeric_limits<int64_t>::max();
  constexpr std::pair<std::string_view, Overflow> kOverflows[] = {
      {"drop-head", Overflow::kDropHead},
      {"reject-publish", Overflow::kRejectPublish},
      {"reject-publish-dlx", Overflow::kRejectPublishDlx},
  };
  config.message_ttl = reader.Milliseconds("x-message-ttl", 0);
  config.expires = reader.Milliseconds("x-expires");
  config.max_length = reader.Integer("x-max-length", 0, kMost);
  config.max_length_bytes = reader.Integer("x-max-length-bytes", 0, kMost);
  if (const auto priority = reader.Integer("x-max-priority", 0, 255); priority && *priority > 0) {
    config.max_priority = static_cast<uint8_t>(*priority);
  }
  config.single_active_consumer = reader.Flag("x-single-active-consumer").value_or(false);
  const std::optional<std::string> name = reader.String("x-overflow");
  if (!name) return;
  for (const auto& [overflow_name, overflow] : kOverflows) {
    if (*name != overflow_name) continue;
    config.overflow = overflow;
    return;
  }
  reader.Refuse("x-overflow", "must be one of drop-head, reject-publish, reject-publish-dlx");
}

void ReadTrace(Reader& reader, QueueConfig& config) {
  const amqp::Value* value = reader.Find("x-trace");
  if (value == nullptr) return;
  if (const std::optional<bool> all = value->AsBool()) {
    config.trace = *all ? 1 : 0;
    return;
  }
  config.trace = reader.Number("x-trace", 0, 1).value_or(0);
}

}  // namespace

bool QueueConfig::RetriesAreDelayed(bool returned_on_purpose) const {
  switch (retry_type) {
    case RetryType::kDisabled:
      return false;
    case RetryType::kFailed:
      return !returned_on_purpose;
    case RetryType::kReturned:
      return returned_on_purpose;
    case RetryType::kAll:
      return true;
  }
  return false;
}

std::expected<QueueConfig, InvalidArgument> ParseQueueConfig(const amqp::Table& arguments) {
  Reader reader(arguments);
  QueueConfig config;
  const std::optional<std::string> type = reader.String("x-queue-type");
  if (type && *type != "classic" && *type != "quorum") {
    reader.Refuse("x-queue-type",
                  fmt::format("queue type '{}' is not offered, only classic and quorum", *type));
  }
  config.consumer_timeout = reader.Milliseconds("x-consumer-timeout");
  ReadRetry(reader, config);
  // -1 is how RabbitMQ spells "no limit".
  const std::optional<int64_t> limit =
      reader.Integer("x-delivery-limit", -1, std::numeric_limits<uint32_t>::max());
  if (limit) {
    if (*limit >= 0) config.delivery_limit = static_cast<uint32_t>(*limit);
  } else if (config.retry_type != RetryType::kDisabled) {
    config.delivery_limit = kDefaultDeliveryLimit;
  }
  ReadDeadLettering(reader, config);
  ReadLimits(reader, config);
  ReadTrace(reader, config);
  if (reader.invalid()) return std::unexpected(*std::move(reader.invalid()));
  return config;
}

}  // namespace landfall::broker
