#include "broker/effective_config.h"

#include <gtest/gtest.h>

#include <string>

namespace landfall::broker {
namespace {

using amqp::Table;
using std::chrono::milliseconds;

Policy With(Table definition) { return {.name = "p", .definition = std::move(definition)}; }

TEST(EffectiveConfig, APolicySaysWhatArgumentsDoNot) {
  const Policy policy = With({{"max-length", 5},
                              {"overflow", "reject-publish"},
                              {"dead-letter-exchange", "dlx"},
                              {"dead-letter-routing-key", "k"},
                              {"alternate-exchange", "for exchanges"}});
  const QueueConfig config = EffectiveConfig({{"x-overflow", "drop-head"}}, &policy, nullptr);
  EXPECT_EQ(config.max_length, 5u);
  EXPECT_EQ(config.overflow, Overflow::kDropHead);
  EXPECT_EQ(config.dead_letter_exchange, "dlx");
  EXPECT_EQ(config.dead_letter_routing_key, "k");
}

TEST(EffectiveConfig, OfLimitsTheLowestHoldsWhoeverSetsIt) {
  for (const char* key : {"max-length", "max-length-bytes", "message-ttl", "expires",
                          "delivery-limit", "consumer-timeout"}) {
    const std::string argument = "x-" + std::string(key);
    for (const auto& [a, p, o] : {std::tuple{1, 2, 3}, {3, 1, 2}, {2, 3, 1}}) {
      const Policy policy = With({{key, p}});
      const Policy operator_policy = With({{key, o}});
      const Table effective =
          EffectiveArguments({{argument, int64_t{a}}}, &policy, &operator_policy);
      EXPECT_EQ(effective.GetInteger(argument), 1) << key;
      EXPECT_EQ(effective.size(), 1u);
    }
  }
}

TEST(EffectiveConfig, ADeliveryLimitBelowZeroIsTheHighest) {
  const Policy unlimited = With({{"delivery-limit", -1}});
  const Policy three = With({{"delivery-limit", 3}});
  EXPECT_EQ(EffectiveConfig({{"x-delivery-limit", 5}}, &unlimited, nullptr).delivery_limit, 5u);
  EXPECT_EQ(EffectiveConfig({{"x-delivery-limit", -1}}, &unlimited, &three).delivery_limit, 3u);
  EXPECT_FALSE(EffectiveConfig({{"x-delivery-limit", -1}}, &unlimited, nullptr).delivery_limit);
}

TEST(EffectiveConfig, HowToRetryIsTakenFromOnePlaceAsAWhole) {
  const Policy policy = With({{"delayed-retry-min", 50}, {"delayed-retry-max", 100}});
  const QueueConfig own = EffectiveConfig({{"x-delayed-retry-min", 1000}}, &policy, nullptr);
  EXPECT_EQ(own.backoff.first, milliseconds(1000));
  EXPECT_EQ(own.backoff.cap, std::chrono::minutes(10));
  const QueueConfig given = EffectiveConfig({}, &policy, nullptr);
  EXPECT_EQ(given.backoff.first, milliseconds(50));
  EXPECT_EQ(given.backoff.cap, milliseconds(100));
  EXPECT_EQ(given.delivery_limit, kDefaultDeliveryLimit);
}

TEST(EffectiveConfig, ARoutingKeyWithoutAnExchangeMeansNothing) {
  const Policy policy = With({{"dead-letter-routing-key", "k"}});
  EXPECT_FALSE(EffectiveConfig({}, &policy, nullptr).dead_letter_routing_key);
  EXPECT_EQ(
      EffectiveConfig({{"x-dead-letter-exchange", "d"}}, &policy, nullptr).dead_letter_routing_key,
      "k");
}

TEST(EffectiveConfig, TheArgumentOfAnExchangeWinsOverThePolicy) {
  const Policy policy = With({{"alternate-exchange", "of policy"}});
  EXPECT_EQ(EffectiveAlternate({}, nullptr), "");
  EXPECT_EQ(EffectiveAlternate({}, &policy), "of policy");
  EXPECT_EQ(EffectiveAlternate({{"alternate-exchange", "own"}}, &policy), "own");
}

}  // namespace
}  // namespace landfall::broker
