#include "broker/policy.h"

#include <gtest/gtest.h>

#include <string>

namespace landfall::broker {
namespace {

using amqp::Table;

Policy Make(std::string pattern, Table definition = {{"max-length", 1}}) {
  return {.name = "p", .pattern = std::move(pattern), .definition = std::move(definition)};
}

PolicyRef Checked(Policy policy) {
  auto checked = CheckPolicy(std::move(policy));
  EXPECT_TRUE(checked) << checked.error();
  return checked ? *checked : nullptr;
}

std::string ErrorOf(Policy policy) {
  const auto checked = CheckPolicy(std::move(policy));
  return checked ? "" : checked.error();
}

TEST(Policy, IsLookedForAnywhereInAName) {
  EXPECT_TRUE(Checked(Make("ord"))->AppliesToQueue("my.orders", {}));
  EXPECT_FALSE(Checked(Make("^ord"))->AppliesToQueue("my.orders", {}));
  EXPECT_TRUE(Checked(Make(""))->AppliesToQueue("anything", {}));
  EXPECT_TRUE(Checked(Make("^.$"))->AppliesToQueue("\xff", {}));
}

TEST(Policy, AppliesToWhatItIsFor) {
  const Table quorum{{"x-queue-type", "quorum"}};
  const Table classic{{"x-queue-type", "classic"}};
  struct Case {
    PolicyScope scope;
    bool untyped, classic, quorum, exchange;
  };
  for (const Case& c : {Case{PolicyScope::kAll, true, true, true, true},
                        Case{PolicyScope::kQueues, true, true, true, false},
                        Case{PolicyScope::kClassicQueues, true, true, false, false},
                        Case{PolicyScope::kQuorumQueues, false, false, true, false},
                        Case{PolicyScope::kExchanges, false, false, false, true}}) {
    Policy policy = Make("");
    policy.apply_to = c.scope;
    const PolicyRef p = Checked(std::move(policy));
    EXPECT_EQ(p->AppliesToQueue("q", {}), c.untyped) << PolicyScopeName(c.scope);
    EXPECT_EQ(p->AppliesToQueue("q", classic), c.classic) << PolicyScopeName(c.scope);
    EXPECT_EQ(p->AppliesToQueue("q", quorum), c.quorum) << PolicyScopeName(c.scope);
    EXPECT_EQ(p->AppliesToExchange("q"), c.exchange) << PolicyScopeName(c.scope);
    EXPECT_EQ(ParsePolicyScope(PolicyScopeName(c.scope)), c.scope);
  }
  EXPECT_FALSE(ParsePolicyScope("streams"));
}

TEST(Policy, TheHighestPriorityWinsAndTheNameAmongEquals) {
  PolicyMap policies;
  const auto add = [&](const char* name, int priority, const char* pattern = "") {
    Policy policy = Make(pattern);
    policy.name = name;
    policy.priority = priority;
    policies.Set(name, Checked(std::move(policy)));
  };
  EXPECT_EQ(PolicyOfQueue(policies, "q", {}), nullptr);
  add("d", -1);
  add("c", 3);
  add("b", 3);
  add("a", 9, "other");
  EXPECT_EQ(PolicyOfQueue(policies, "q", {})->name, "b");
  EXPECT_EQ(PolicyOfQueue(policies, "other", {})->name, "a");
  EXPECT_EQ(PolicyOfExchange(policies, "x")->name, "b");
}

TEST(Policy, RefusesWhatItCannotMean) {
  EXPECT_EQ(ErrorOf(Make("", {})), "Validation failed: no policy provided");
  EXPECT_EQ(ErrorOf(Make("", {{"foo", "bar"}})),
            "Validation failed: [{'foo','bar'}] are not recognised policy settings");
  EXPECT_EQ(ErrorOf(Make("", {{"message-ttl", -1}})),
            "Validation failed: -1 is not a valid message TTL: message-ttl must be an integer from "
            "0 to 4294967295");
  EXPECT_EQ(ErrorOf(Make("", {{"overflow", "spill"}})),
            "Validation failed: 'spill' is not a valid overflow value: overflow must be one of "
            "drop-head, reject-publish, reject-publish-dlx");
  EXPECT_EQ(ErrorOf(Make("", {{"alternate-exchange", 1}})),
            "Validation failed: 1 is not a valid alternate exchange name: alternate-exchange must "
            "be a string of at most 255 bytes");
  EXPECT_EQ(ErrorOf(Make("", {{"max-length", 1}, {"max-length", 2}})),
            "Validation failed: ['max-length'] duplicate keys not allowed");
  EXPECT_NE(ErrorOf(Make("", {{"delayed-retry-max", 5}})), "");
  EXPECT_NE(ErrorOf(Make("", {{"max-priority", 5}})), "");
  EXPECT_NE(ErrorOf(Make("", {{"single-active-consumer", true}})), "");
  EXPECT_NE(ErrorOf(Make("(?=ahead)")).find("look-around"), std::string::npos);
  EXPECT_NE(ErrorOf(Make("(")), "");
  Policy nameless = Make("");
  nameless.name = "";
  EXPECT_NE(ErrorOf(nameless), "");
}

TEST(Policy, AnOperatorPolicyHasLimitsOnly) {
  Policy policy = Make("", {{"max-length", 5}, {"delivery-limit", 3}});
  policy.by_operator = true;
  EXPECT_EQ(ErrorOf(policy), "");
  policy.definition.Set("overflow", "reject-publish");
  EXPECT_EQ(ErrorOf(policy),
            "Validation failed: [{'overflow','reject-publish'}] are not recognised policy "
            "settings");
}

TEST(Policy, RefusesAPatternThatWouldTakeMuchMemory) {
  Policy policy = Make("", {{"max-length", 1}});
  policy.pattern = "(" + std::string(100, 'a') + "){1000}";
  EXPECT_NE(ErrorOf(policy).find("too large"), std::string::npos);
  // A broker that has let it pass goes on having it.
  EXPECT_TRUE(CheckPolicy(policy, PolicyOrigin::kRecovered));
}

TEST(Policy, MayNameADeadLetterRoutingKeyForQueuesThatHaveTheExchange) {
  EXPECT_EQ(ErrorOf(Make("", {{"dead-letter-routing-key", "k"}})), "");
  EXPECT_NE(ErrorOf(Make("", {{"dead-letter-routing-key", 1}})), "");
}

}  // namespace
}  // namespace landfall::broker
