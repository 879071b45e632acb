#include "apps/perf_options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <CLI/CLI.hpp>
#include <limits>
#include <string>
#include <vector>

namespace landfall::apps {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

PerfOptions Read(std::vector<std::string> arguments) {
  CLI::App app;
  PerfOptions options;
  AddPerfOptions(app, options);
  std::reverse(arguments.begin(), arguments.end());  // as CLI11 wants a vector
  app.parse(arguments);
  return options;
}

std::string Refusal(const std::vector<std::string>& arguments) {
  const auto plan = MakePerfPlan(Read(arguments));
  if (plan) return "accepted";
  EXPECT_EQ(plan.error().code, ErrorCode::kInvalidArgument);
  return plan.error().message;
}

TEST(PerfOptions, WorkWithoutAnyArgument) {
  const auto plan = MakePerfPlan(Read({}));
  ASSERT_TRUE(plan);
  EXPECT_THAT(plan->queues, ElementsAre("perf-0"));
  EXPECT_EQ(plan->broker.port, 5672);
  EXPECT_EQ(plan->options.seconds, 10);
  EXPECT_EQ(plan->options.ack_every, 100u);
  EXPECT_TRUE(plan->options.declare);
}

TEST(PerfOptions, ReadWhatTheCommandLineSays) {
  const auto plan = MakePerfPlan(Read({"--broker",    "amqp://u:p@10.0.0.1:5673/v",
                                       "--producers", "2",
                                       "--consumers", "3",
                                       "--queues",    "2",
                                       "--queue",     "load",
                                       "--size",      "1024",
                                       "--window",    "0",
                                       "--rate",      "1.5",
                                       "--messages",  "7",
                                       "--prefetch",  "10",
                                       "--transient", "--no-declare",
                                       "--keep",      "--mandatory",
                                       "--threads",   "2",
                                       "--json"}));
  ASSERT_TRUE(plan) << plan.error().message;
  EXPECT_EQ(plan->broker.host, "10.0.0.1");
  EXPECT_EQ(plan->broker.vhost, "v");
  EXPECT_THAT(plan->queues, ElementsAre("load-0", "load-1"));
  const PerfOptions& o = plan->options;
  EXPECT_EQ(o.producers, 2u);
  EXPECT_EQ(o.consumers, 3u);
  EXPECT_EQ(o.size, 1024u);
  EXPECT_EQ(o.window, 0u);
  EXPECT_EQ(o.rate, 1.5);
  EXPECT_EQ(o.messages, 7u);
  EXPECT_TRUE(o.transient && o.keep && o.mandatory && o.json);
  EXPECT_FALSE(o.declare);
}

TEST(PerfOptions, HaveNoTimeLimitWhenAskedForMessages) {
  EXPECT_EQ(MakePerfPlan(Read({"--messages", "5"}))->options.seconds, 0);
  EXPECT_EQ(MakePerfPlan(Read({"--messages", "5", "--seconds", "3"}))->options.seconds, 3);
}

TEST(PerfOptions, UseTheGivenNameForOneQueue) {
  EXPECT_THAT(MakePerfPlan(Read({"--queue", "orders"}))->queues, ElementsAre("orders"));
  EXPECT_THAT(MakePerfPlan(Read({"--queues", "2"}))->queues, ElementsAre("perf-0", "perf-1"));
}

TEST(PerfOptions, AckInTimeForASmallPrefetch) {
  EXPECT_EQ(MakePerfPlan(Read({"--prefetch", "1"}))->options.ack_every, 1u);
  EXPECT_EQ(MakePerfPlan(Read({"--prefetch", "50"}))->options.ack_every, 25u);
  EXPECT_EQ(MakePerfPlan(Read({"--prefetch", "0"}))->options.ack_every, 100u);
}

TEST(PerfOptions, GoThroughTheRoutingKeysOfAnExchange) {
  EXPECT_TRUE(MakePerfPlan(Read({}))->routing_keys.empty());
  EXPECT_THAT(MakePerfPlan(Read({"--exchange", "x"}))->routing_keys, ElementsAre(""));
  EXPECT_THAT(
      MakePerfPlan(Read({"--exchange", "x", "--routing-key", "a.{}.b", "--routing-keys", "3"}))
          ->routing_keys,
      ElementsAre("a.0.b", "a.1.b", "a.2.b"));
}

TEST(PerfOptions, GiveQueueArgumentsTheTypeTheyLookLike) {
  const auto plan = MakePerfPlan(
      Read({"--queue-arg", "x-queue-type=quorum", "--queue-arg", "x-max-length=1000", "--queue-arg",
            "x-single-active-consumer=true", "--queue-arg", "x-overflow=1000 or so"}));
  ASSERT_TRUE(plan) << plan.error().message;
  const amqp::Table& t = plan->queue_arguments;
  EXPECT_EQ(t.GetString("x-queue-type"), "quorum");
  EXPECT_EQ(t.GetInteger("x-max-length"), 1000);
  EXPECT_EQ(t.GetBool("x-single-active-consumer"), true);
  EXPECT_EQ(t.GetString("x-overflow"), "1000 or so");
}

TEST(PerfOptions, RefuseWhatCannotBe) {
  EXPECT_THAT(Refusal({"--broker", "http://localhost"}), HasSubstr("amqp://"));
  EXPECT_THAT(Refusal({"--queues", "0"}), HasSubstr("--queues"));
  EXPECT_THAT(Refusal({"--producers", "5000"}), HasSubstr("--producers"));
  EXPECT_THAT(Refusal({"--prefetch", "65536"}), HasSubstr("--prefetch"));
  EXPECT_THAT(Refusal({"--threads", "3"}), HasSubstr("--threads"));
  EXPECT_THAT(Refusal({"--rate", "-1"}), HasSubstr("--rate"));
  EXPECT_THAT(Refusal({"--seconds", "nan"}), HasSubstr("--seconds"));
  EXPECT_THAT(Refusal({"--size", "1000000000"}), HasSubstr("--size"));
  EXPECT_THAT(Refusal({"--queue-arg", "quorum"}), HasSubstr("name=value"));
  EXPECT_THAT(Refusal({"--queue-arg", "=quorum"}), HasSubstr("name=value"));
  EXPECT_THAT(Refusal({"--queue-arg", "a=1", "--queue-arg", "a=2"}), HasSubstr("twice"));
  EXPECT_THAT(Refusal({"--queue", std::string(250, 'q')}), HasSubstr("--queue"));
}

TEST(PerfOptions, RefuseWhatWouldHaveNoEffect) {
  EXPECT_THAT(Refusal({"--prefetch", "10", "--ack-every", "11"}), HasSubstr("--ack-every"));
  EXPECT_EQ(Refusal({"--prefetch", "10", "--ack-every", "11", "--auto-ack"}), "accepted");
  EXPECT_THAT(Refusal({"--consumers", "0", "--auto-ack"}), HasSubstr("--auto-ack"));
  EXPECT_THAT(Refusal({"--producers", "0", "--rate", "5"}), HasSubstr("--rate"));
  EXPECT_THAT(Refusal({"--no-declare", "--queue-arg", "a=1"}), HasSubstr("--no-declare"));
  EXPECT_THAT(Refusal({"--routing-key", "a"}), HasSubstr("--exchange"));
  EXPECT_THAT(Refusal({"--exchange", "x", "--routing-key", "a", "--routing-keys", "2"}),
              HasSubstr("{}"));
  EXPECT_THAT(Refusal({"--exchange", "x", "--routing-key", "{}", "--routing-keys", "0"}),
              HasSubstr("--routing-keys"));
  EXPECT_THAT(Refusal({"--exchange", "x", "--routing-key", "{}", "--routing-keys", "100000",
                       "--size", "20000"}),
              HasSubstr("--size"));
}

}  // namespace
}  // namespace landfall::apps
