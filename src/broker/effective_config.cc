#include "broker/effective_config.h"

#include <algorithm>
#include <optional>
#include <string_view>

#include "base/assert.h"

namespace landfall::broker {
namespace {

// Of two limits the lower one holds, whoever set them.
constexpr std::string_view kLimits[] = {"consumer-timeout", "delivery-limit",   "expires",
                                        "max-length",       "max-length-bytes", "message-ttl"};

bool IsLimit(std::string_view key) { return std::ranges::find(kLimits, key) != std::end(kLimits); }

constexpr std::string_view kRetryPrefix = "delayed-retry-";

std::string ArgumentOf(std::string_view key) { return "x-" + std::string(key); }

// Below zero is how a delivery limit says that there is none.
bool IsLower(const amqp::Value& a, const amqp::Value& b) {
  const std::optional<int64_t> x = a.AsInteger();
  const std::optional<int64_t> y = b.AsInteger();
  if (!x || *x < 0) return false;
  return !y || *y < 0 || *x < *y;
}

// A value that comes second: it counts if there is none, or if it is the lower limit.
void Join(amqp::Table& arguments, std::string_view key, const amqp::Value& value) {
  const std::string name = ArgumentOf(key);
  const amqp::Value* present = arguments.Find(name);
  const bool counts = present == nullptr || (IsLimit(key) && IsLower(value, *present));
  if (counts) arguments.Set(name, value);
}

bool SaysHowToRetry(const amqp::Table& arguments) {
  return std::any_of(arguments.begin(), arguments.end(), [](const amqp::TableEntry& entry) {
    return entry.name.starts_with(ArgumentOf(kRetryPrefix));
  });
}

}  // namespace

amqp::Table EffectiveArguments(const amqp::Table& arguments, const Policy* policy,
                               const Policy* operator_policy) {
  amqp::Table effective = arguments;
  // How to retry is one thing in several arguments: parts of two wishes would be neither.
  const bool retries = SaysHowToRetry(arguments);
  for (const Policy* each : {policy, operator_policy}) {
    if (each == nullptr) continue;
    for (const amqp::TableEntry& entry : each->definition) {
      if (entry.name == "alternate-exchange") continue;
      if (retries && entry.name.starts_with(kRetryPrefix)) continue;
      Join(effective, entry.name, entry.value);
    }
  }
  if (!effective.Contains("x-dead-letter-exchange")) effective.Erase("x-dead-letter-routing-key");
  return effective;
}

QueueConfig EffectiveConfig(const amqp::Table& arguments, const Policy* policy,
                            const Policy* operator_policy) {
  auto config = ParseQueueConfig(EffectiveArguments(arguments, policy, operator_policy));
  LANDFALL_ASSERT(config);
  return *std::move(config);
}

std::string EffectiveAlternate(const amqp::Table& arguments, const Policy* policy) {
  constexpr std::string_view kName = "alternate-exchange";
  if (arguments.Contains(kName)) return std::string(arguments.GetString(kName).value_or(""));
  if (policy == nullptr) return "";
  return std::string(policy->definition.GetString(kName).value_or(""));
}

}  // namespace landfall::broker
