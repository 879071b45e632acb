#pragma once

#include <cstdint>
#include <expected>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "amqp/table.h"
#include "base/cow_map.h"

namespace re2 {
class RE2;
}

namespace landfall::broker {

// What a policy may apply to ("apply-to").
enum class PolicyScope : uint8_t { kAll, kQueues, kClassicQueues, kQuorumQueues, kExchanges };

// "all", "queues", "classic_queues", "quorum_queues", "exchanges".
std::string_view PolicyScopeName(PolicyScope scope);
std::optional<PolicyScope> ParsePolicyScope(std::string_view name);

// Gives queues and exchanges of a vhost, whose names its pattern matches, what their arguments do
// not say. At most one policy and one operator policy apply to each of them: those with the highest
// priority, by name among equals. See docs/policies.md.
struct Policy {
  std::string name;
  // An operator policy: it limits what users ask for, in arguments as well as in policies.
  bool by_operator = false;
  // A regular expression that is looked for anywhere in a name.
  std::string pattern;
  PolicyScope apply_to = PolicyScope::kAll;
  int64_t priority = 0;
  // Names are those of arguments without "x-": {"max-length", 100}.
  amqp::Table definition;
  // What `pattern` is compiled to, by CheckPolicy.
  std::shared_ptr<const re2::RE2> expression;

  // A queue's type is in its arguments.
  bool AppliesToQueue(std::string_view queue, const amqp::Table& arguments) const;
  bool AppliesToExchange(std::string_view exchange) const;
};
using PolicyRef = std::shared_ptr<const Policy>;
// By name. Operator policies have names of their own.
using PolicyMap = CowMap<std::string, PolicyRef>;

// The same in everything that somebody said.
bool SamePolicy(const Policy& a, const Policy& b);

// Makes a policy that can be applied, or says what is wrong with it, in RabbitMQ's words where it
// has some. Matching takes time linear in the name whatever the pattern is (RE2), so nobody can
// make the topology hang; the price is that there is no look-around.
// A policy that is there from before is not refused for the size of its expression.
enum class PolicyOrigin { kNew, kRecovered };
std::expected<PolicyRef, std::string> CheckPolicy(Policy policy,
                                                  PolicyOrigin origin = PolicyOrigin::kNew);

// Of each kind, in a vhost: every change looks at them for every queue.
inline constexpr size_t kMaxPolicies = 1000;

// The one that applies; null when there is none. The pointer lives as long as the map.
const Policy* PolicyOfQueue(const PolicyMap& policies, std::string_view queue,
                            const amqp::Table& arguments);
const Policy* PolicyOfExchange(const PolicyMap& policies, std::string_view exchange);

}  // namespace landfall::broker
