#include "broker/policy.h"

#include <fmt/format.h>
#include <re2/re2.h>

#include <algorithm>
#include <utility>

#include "broker/effective_config.h"
#include "broker/queue_config.h"

namespace landfall::broker {
namespace {

constexpr size_t kMaxPatternBytes = 1024;
// Of one compiled expression; what does not fit is refused.
constexpr int64_t kMaxPatternMemory = int64_t{1} << 20;

constexpr std::pair<PolicyScope, std::string_view> kScopes[] = {
    {PolicyScope::kAll, "all"},
    {PolicyScope::kQueues, "queues"},
    {PolicyScope::kClassicQueues, "classic_queues"},
    {PolicyScope::kQuorumQueues, "quorum_queues"},
    {PolicyScope::kExchanges, "exchanges"},
};

struct Key {
  std::string_view name;
  std::string_view means;  // "… is not a valid …"
  bool for_operators = false;
};
constexpr Key kKeys[] = {
    {"alternate-exchange", "alternate exchange name"},
    {"consumer-timeout", "consumer timeout"},
    {"dead-letter-exchange", "dead letter exchange name"},
    {"dead-letter-routing-key", "dead letter routing key"},
    {"delayed-retry-jitter", "delayed retry jitter"},
    {"delayed-retry-max", "delayed retry maximum"},
    {"delayed-retry-min", "delayed retry minimum"},
    {"delayed-retry-multiplier", "delayed retry multiplier"},
    {"delayed-retry-type", "delayed retry type"},
    {"delivery-limit", "delivery limit", true},
    {"expires", "queue expiry", true},
    {"max-length", "maximum length", true},
    {"max-length-bytes", "maximum length in bytes", true},
    {"message-ttl", "message TTL", true},
    {"overflow", "overflow value"},
    {"trace", "share of messages to trace"},
};

const Key* FindKey(std::string_view name) {
  const auto* found = std::ranges::find(kKeys, name, &Key::name);
  return found == std::end(kKeys) ? nullptr : found;
}

std::string ValueText(const amqp::Value& value) {
  if (const auto number = value.AsInteger()) return std::to_string(*number);
  if (const auto number = value.AsDouble()) return fmt::format("{}", *number);
  if (const auto string = value.AsString()) return fmt::format("'{}'", *string);
  if (const auto flag = value.AsBool()) return *flag ? "true" : "false";
  return "the value";
}

std::string NotValid(std::string_view key, const amqp::Table& definition, std::string_view reason) {
  const amqp::Value* value = definition.Find(key);
  return fmt::format("{} is not a valid {}: {} {}",
                     value == nullptr ? "nothing" : ValueText(*value), FindKey(key)->means, key,
                     reason);
}

std::optional<std::string> CheckDefinition(const Policy& policy) {
  if (policy.definition.empty()) return "no policy provided";
  for (const amqp::TableEntry& entry : policy.definition) {
    const Key* key = FindKey(entry.name);
    if (key == nullptr || (policy.by_operator && !key->for_operators)) {
      return fmt::format("[{{'{}',{}}}] are not recognised policy settings", entry.name,
                         ValueText(entry.value));
    }
    const auto same = [&](const amqp::TableEntry& other) { return other.name == entry.name; };
    if (std::ranges::count_if(policy.definition, same) > 1) {
      return fmt::format("['{}'] duplicate keys not allowed", entry.name);
    }
  }
  if (const amqp::Value* alternate = policy.definition.Find("alternate-exchange")) {
    if (!alternate->AsString() || alternate->AsString()->size() > amqp::kMaxShortString) {
      return NotValid("alternate-exchange", policy.definition,
                      "must be a string of at most 255 bytes");
    }
  }
  // What it means for a queue without arguments has to make sense by itself; what it means for any
  // other then does too.
  amqp::Table arguments = EffectiveArguments({}, &policy, nullptr);
  if (const amqp::Value* key = policy.definition.Find("dead-letter-routing-key")) {
    // Alone it is for queues that have the exchange as an argument.
    arguments.Set("x-dead-letter-routing-key", *key);
    if (!arguments.Contains("x-dead-letter-exchange")) arguments.Set("x-dead-letter-exchange", "");
  }
  if (auto config = ParseQueueConfig(arguments); !config) {
    constexpr std::string_view kPrefix = "x-";
    return NotValid(std::string_view(config.error().name).substr(kPrefix.size()), policy.definition,
                    config.error().reason);
  }
  return std::nullopt;
}

template <class Applies>
const Policy* Choose(const PolicyMap& policies, const Applies& applies) {
  const Policy* best = nullptr;
  policies.ForEach([&](const std::string& name, const PolicyRef& policy) {
    if (best != nullptr && (policy->priority < best->priority ||
                            (policy->priority == best->priority && name > best->name))) {
      return;
    }
    if (applies(*policy)) best = policy.get();
  });
  return best;
}

bool Matches(const Policy& policy, std::string_view name) {
  return re2::RE2::PartialMatch(re2::StringPiece(name.data(), name.size()), *policy.expression);
}

}  // namespace

std::string_view PolicyScopeName(PolicyScope scope) {
  return std::ranges::find(kScopes, scope, &std::pair<PolicyScope, std::string_view>::first)
      ->second;
}

std::optional<PolicyScope> ParsePolicyScope(std::string_view name) {
  for (const auto& [scope, scope_name] : kScopes) {
    if (scope_name == name) return scope;
  }
  return std::nullopt;
}

bool Policy::AppliesToQueue(std::string_view queue, const amqp::Table& arguments) const {
  if (apply_to == PolicyScope::kExchanges) return false;
  if (apply_to == PolicyScope::kClassicQueues || apply_to == PolicyScope::kQuorumQueues) {
    const bool quorum = arguments.GetString("x-queue-type") == "quorum";
    if (quorum != (apply_to == PolicyScope::kQuorumQueues)) return false;
  }
  return Matches(*this, queue);
}

bool Policy::AppliesToExchange(std::string_view exchange) const {
  return (apply_to == PolicyScope::kExchanges || apply_to == PolicyScope::kAll) &&
         Matches(*this, exchange);
}

bool SamePolicy(const Policy& a, const Policy& b) {
  return a.name == b.name && a.by_operator == b.by_operator && a.pattern == b.pattern &&
         a.apply_to == b.apply_to && a.priority == b.priority && a.definition == b.definition;
}

std::expected<PolicyRef, std::string> CheckPolicy(Policy policy, PolicyOrigin origin) {
  const auto failed = [](std::string_view sentence) {
    return std::unexpected(fmt::format("Validation failed: {}", sentence));
  };
  if (policy.name.empty() || policy.name.size() > amqp::kMaxShortString) {
    return failed("the name of a policy has 1 to 255 bytes");
  }
  if (policy.pattern.size() > kMaxPatternBytes) {
    return failed(fmt::format("a pattern has at most {} bytes", kMaxPatternBytes));
  }
  re2::RE2::Options options;
  options.set_log_errors(false);
  options.set_encoding(re2::RE2::Options::EncodingLatin1);  // names are bytes
  if (origin == PolicyOrigin::kNew) options.set_max_mem(kMaxPatternMemory);
  policy.expression = std::make_shared<const re2::RE2>(policy.pattern, options);
  if (!policy.expression->ok()) {
    return failed(
        fmt::format("'{}' is not a regular expression that RE2 understands ({}); it has "
                    "neither look-around nor back references",
                    policy.pattern, policy.expression->error()));
  }
  if (const auto wrong = CheckDefinition(policy)) return failed(*wrong);
  return std::make_shared<const Policy>(std::move(policy));
}

const Policy* PolicyOfQueue(const PolicyMap& policies, std::string_view queue,
                            const amqp::Table& arguments) {
  return Choose(policies, [&](const Policy& p) { return p.AppliesToQueue(queue, arguments); });
}

const Policy* PolicyOfExchange(const PolicyMap& policies, std::string_view exchange) {
  return Choose(policies, [&](const Policy& p) { return p.AppliesToExchange(exchange); });
}

}  // namespace landfall::broker
