#include "broker/queue_config.h"

#include <gtest/gtest.h>

#include <chrono>
#include <cmath>
#include <string>

namespace landfall::broker {
namespace {

using amqp::Decimal;
using amqp::Table;
using amqp::Value;
using std::chrono::milliseconds;

void ExpectRefused(const Table& arguments, const std::string& name) {
  const auto config = ParseQueueConfig(arguments);
  ASSERT_FALSE(config.has_value()) << name;
  EXPECT_EQ(config.error().name, name);
  EXPECT_FALSE(config.error().reason.empty());
}

TEST(QueueConfig, LeavesEverythingOffWithoutArguments) {
  const auto config = ParseQueueConfig({});
  ASSERT_TRUE(config);
  EXPECT_FALSE(config->consumer_timeout);
  EXPECT_FALSE(config->delivery_limit);
  EXPECT_FALSE(config->dead_letter_exchange);
  EXPECT_FALSE(config->RetriesAreDelayed(true));
  EXPECT_FALSE(config->RetriesAreDelayed(false));
}

TEST(QueueConfig, IgnoresArgumentsItDoesNotKnow) {
  EXPECT_TRUE(ParseQueueConfig(Table{{"x-unheard-of", Value("yes")}}));
}

TEST(QueueConfig, ReadsEveryArgument) {
  const auto config = ParseQueueConfig(Table{{"x-queue-type", "quorum"},
                                             {"x-consumer-timeout", 1500},
                                             {"x-delayed-retry-min", int64_t{100}},
                                             {"x-delayed-retry-max", Value::Integer('u', 60000)},
                                             {"x-delayed-retry-multiplier", 1.5},
                                             {"x-delayed-retry-jitter", 0.25F},
                                             {"x-delayed-retry-type", "returned"},
                                             {"x-delivery-limit", 0},
                                             {"x-dead-letter-exchange", ""},
                                             {"x-dead-letter-routing-key", "dead"}});
  ASSERT_TRUE(config);
  EXPECT_EQ(config->consumer_timeout, milliseconds(1500));
  EXPECT_EQ(config->backoff.first, milliseconds(100));
  EXPECT_EQ(config->backoff.cap, milliseconds(60000));
  EXPECT_EQ(config->backoff.multiplier, 1.5);
  EXPECT_EQ(config->backoff.jitter, 0.25);
  EXPECT_TRUE(config->RetriesAreDelayed(true));
  EXPECT_FALSE(config->RetriesAreDelayed(false));
  EXPECT_EQ(config->delivery_limit, 0u);
  EXPECT_EQ(config->dead_letter_exchange, "");
  EXPECT_EQ(config->dead_letter_routing_key, "dead");
}

TEST(QueueConfig, TurnsRetriesOnWithTheirDefaultsWhenTheFirstDelayIsGiven) {
  const auto config = ParseQueueConfig(Table{{"x-delayed-retry-min", 1000}});
  ASSERT_TRUE(config);
  EXPECT_EQ(config->retry_type, RetryType::kAll);
  EXPECT_TRUE(config->RetriesAreDelayed(true));
  EXPECT_TRUE(config->RetriesAreDelayed(false));
  EXPECT_EQ(config->backoff.multiplier, 2.0);
  EXPECT_EQ(config->backoff.cap, std::chrono::minutes(10));
  EXPECT_EQ(config->backoff.jitter, 0.1);
  EXPECT_EQ(config->delivery_limit, kDefaultDeliveryLimit);
}

TEST(QueueConfig, TakesADisabledOrPartialRetryTypeOverTheDefault) {
  const auto disabled =
      ParseQueueConfig(Table{{"x-delayed-retry-min", 1000}, {"x-delayed-retry-type", "disabled"}});
  ASSERT_TRUE(disabled);
  EXPECT_EQ(disabled->retry_type, RetryType::kDisabled);
  EXPECT_FALSE(disabled->delivery_limit);
  const auto failed =
      ParseQueueConfig(Table{{"x-delayed-retry-min", 1000}, {"x-delayed-retry-type", "failed"}});
  ASSERT_TRUE(failed);
  EXPECT_TRUE(failed->RetriesAreDelayed(false));
  EXPECT_FALSE(failed->RetriesAreDelayed(true));
}

TEST(QueueConfig, RaisesTheDefaultCapToAFirstDelayBeyondIt) {
  const auto config = ParseQueueConfig(Table{{"x-delayed-retry-min", 3'600'000}});
  ASSERT_TRUE(config);
  EXPECT_EQ(config->backoff.cap, std::chrono::hours(1));
}

TEST(QueueConfig, TakesMinusOneAsNoDeliveryLimit) {
  const auto config =
      ParseQueueConfig(Table{{"x-delayed-retry-min", 1000}, {"x-delivery-limit", -1}});
  ASSERT_TRUE(config);
  EXPECT_FALSE(config->delivery_limit);
}

TEST(QueueConfig, TakesNumbersOfEveryKind) {
  for (const Value& two : {Value(2), Value(2.0), Value(2.0F), Value(Decimal{1, 20})}) {
    const auto config =
        ParseQueueConfig(Table{{"x-delayed-retry-min", 1}, {"x-delayed-retry-multiplier", two}});
    ASSERT_TRUE(config);
    EXPECT_EQ(config->backoff.multiplier, 2.0);
  }
}

TEST(QueueConfig, RefusesWrongTypesAndValuesByName) {
  ExpectRefused(Table{{"x-queue-type", "stream"}}, "x-queue-type");
  ExpectRefused(Table{{"x-queue-type", 1}}, "x-queue-type");
  ExpectRefused(Table{{"x-consumer-timeout", 0}}, "x-consumer-timeout");
  ExpectRefused(Table{{"x-consumer-timeout", "1000"}}, "x-consumer-timeout");
  ExpectRefused(Table{{"x-consumer-timeout", int64_t{1} << 32}}, "x-consumer-timeout");
  ExpectRefused(Table{{"x-delayed-retry-min", -5}}, "x-delayed-retry-min");
  ExpectRefused(Table{{"x-delayed-retry-min", 10}, {"x-delayed-retry-max", 9}},
                "x-delayed-retry-max");
  ExpectRefused(Table{{"x-delayed-retry-min", 10}, {"x-delayed-retry-multiplier", 0.9}},
                "x-delayed-retry-multiplier");
  ExpectRefused(Table{{"x-delayed-retry-min", 10}, {"x-delayed-retry-multiplier", std::nan("")}},
                "x-delayed-retry-multiplier");
  ExpectRefused(Table{{"x-delayed-retry-min", 10}, {"x-delayed-retry-jitter", 1.1}},
                "x-delayed-retry-jitter");
  ExpectRefused(Table{{"x-delayed-retry-min", 10}, {"x-delayed-retry-jitter", true}},
                "x-delayed-retry-jitter");
  ExpectRefused(Table{{"x-delayed-retry-min", 10}, {"x-delayed-retry-type", "some"}},
                "x-delayed-retry-type");
  ExpectRefused(Table{{"x-delivery-limit", -2}}, "x-delivery-limit");
  ExpectRefused(Table{{"x-delivery-limit", 1.0}}, "x-delivery-limit");
  ExpectRefused(Table{{"x-dead-letter-exchange", 5}}, "x-dead-letter-exchange");
  ExpectRefused(Table{{"x-dead-letter-exchange", std::string(256, 'x')}}, "x-dead-letter-exchange");
}

TEST(QueueConfig, TakesTheShareToTraceAsANumberOrAFlag) {
  const auto share = [](const Value& value) {
    return ParseQueueConfig({{"x-trace", value}})->trace;
  };
  EXPECT_EQ(ParseQueueConfig({})->trace, 0);
  EXPECT_EQ(share(true), 1);
  EXPECT_EQ(share(false), 0);
  EXPECT_EQ(share(1), 1);
  EXPECT_EQ(share(0.25), 0.25);
  for (const Value& value : {Value(1.5), Value(-1), Value(std::nan("")), Value("yes")})
    ExpectRefused(Table{{"x-trace", value}}, "x-trace");
}

TEST(QueueConfig, SaysWhatAnArgumentHasToBe) {
  const auto reason = [](const Table& arguments) {
    const auto config = ParseQueueConfig(arguments);
    return config ? "" : config.error().reason;
  };
  EXPECT_EQ(reason({{"x-max-priority", 256}}), "must be an integer from 0 to 255");
  EXPECT_EQ(reason({{"x-delayed-retry-min", 10}, {"x-delayed-retry-jitter", 2}}),
            "must be a number from 0 to 1");
  EXPECT_EQ(reason({{"x-dead-letter-exchange", 5}}), "must be a string of at most 255 bytes");
  EXPECT_EQ(reason({{"x-single-active-consumer", 1}}), "must be true or false");
  EXPECT_EQ(reason({{"x-delayed-retry-min", 10}, {"x-delayed-retry-type", "some"}}),
            "must be one of disabled, failed, returned, all");
  EXPECT_EQ(reason({{"x-overflow", "burst"}}),
            "must be one of drop-head, reject-publish, reject-publish-dlx");
  EXPECT_EQ(reason({{"x-delayed-retry-min", 10}, {"x-delayed-retry-max", 9}}),
            "must not be less than x-delayed-retry-min");
  EXPECT_EQ(reason({{"x-delayed-retry-multiplier", 2}}), "needs x-delayed-retry-min as well");
  EXPECT_EQ(reason({{"x-dead-letter-routing-key", "k"}}), "needs x-dead-letter-exchange as well");
  EXPECT_EQ(reason({{"x-queue-type", "stream"}}),
            "queue type 'stream' is not offered, only classic and quorum");
}

TEST(QueueConfig, RefusesArgumentsThatWouldDoNothingAlone) {
  ExpectRefused(Table{{"x-dead-letter-routing-key", "k"}}, "x-dead-letter-routing-key");
  ExpectRefused(Table{{"x-delayed-retry-max", 10}}, "x-delayed-retry-max");
  ExpectRefused(Table{{"x-delayed-retry-multiplier", 2}}, "x-delayed-retry-multiplier");
  ExpectRefused(Table{{"x-delayed-retry-jitter", 0}}, "x-delayed-retry-jitter");
  ExpectRefused(Table{{"x-delayed-retry-type", "all"}}, "x-delayed-retry-type");
  EXPECT_TRUE(ParseQueueConfig(Table{{"x-delayed-retry-type", "disabled"}}));
}

}  // namespace
}  // namespace landfall::broker
