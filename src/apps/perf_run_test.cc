#include "apps/perf_run.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <nlohmann/json.hpp>
#include <string>

#include "apps/perf_fake_broker.h"

namespace landfall::apps {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using Fate = PerfFakeBroker::Fate;

Fate AlwaysDeliver(uint64_t) { return Fate::kDeliver; }

PerfOptions Options(uint64_t messages) {
  PerfOptions options;
  options.messages = messages;
  options.drain = 10;
  options.quiet = true;
  return options;
}

PerfPlan Plan(const PerfFakeBroker& broker, PerfOptions options) {
  options.url = broker.Url();
  return MakePerfPlan(std::move(options)).value();
}

PerfResult ResultOf(const PerfFakeBroker& broker, PerfOptions options) {
  return PerfRun(Plan(broker, std::move(options)), [](const std::string&) {}).Run();
}

TEST(PerfRun, FindsNothingWrongWithABrokerThatWorks) {
  const PerfFakeBroker broker(AlwaysDeliver);
  const PerfResult r = ResultOf(broker, Options(100'000));
  EXPECT_THAT(r.errors, IsEmpty());
  EXPECT_EQ(r.product, "Fake 1");
  EXPECT_EQ(r.counts.published, 100'000u);
  EXPECT_EQ(r.counts.confirmed, 100'000u);
  EXPECT_EQ(r.counts.delivered, 100'000u);
  EXPECT_EQ(r.counts.acked, 100'000u);
  EXPECT_EQ(broker.acked(), 100'000u);
  EXPECT_EQ(r.lost, 0u);
  EXPECT_EQ(r.duplicated, 0u);
  EXPECT_EQ(r.confirm.count(), 100'000u);
  EXPECT_EQ(r.end_to_end.count(), 100'000u);
  EXPECT_GT(r.delivery_seconds, 0);
}

TEST(PerfRun, SpreadsWorkOverManyConnectionsAndTwoThreads) {
  const PerfFakeBroker broker(AlwaysDeliver);
  PerfOptions options = Options(10'001);
  options.producers = 3;
  options.consumers = 2;
  options.queues = 5;
  options.threads = 2;
  options.prefetch = 10;
  options.window = 7;
  const PerfResult r = ResultOf(broker, options);
  EXPECT_THAT(r.errors, IsEmpty());
  EXPECT_EQ(r.counts.delivered, 10'001u);
  EXPECT_EQ(r.lost, 0u);
}

TEST(PerfRun, WorksWithBodiesOfEverySize) {
  for (const uint64_t size : {0, 1, 8, 15, 16, 17, 200'000}) {
    const PerfFakeBroker broker(AlwaysDeliver);
    PerfOptions options = Options(50);
    options.size = size;
    const PerfResult r = ResultOf(broker, options);
    EXPECT_THAT(r.errors, IsEmpty()) << size;
    EXPECT_EQ(r.counts.delivered, 50u) << size;
    EXPECT_EQ(r.lost, 0u) << size;
    EXPECT_EQ(r.duplicated.has_value(), size >= 16) << size;
    EXPECT_EQ(r.end_to_end.count(), size >= 8 ? 50u : 0u) << size;
  }
}

TEST(PerfRun, CountsTheMessagesThatTheBrokerLost) {
  const PerfFakeBroker broker(
      [](uint64_t n) { return n % 100 == 7 ? Fate::kLose : Fate::kDeliver; });
  PerfOptions options = Options(1000);
  options.drain = 0.2;
  for (const uint64_t size : {8, 16}) {
    options.size = size;
    const PerfResult r = ResultOf(broker, options);
    EXPECT_EQ(r.lost, 10u);
    EXPECT_THAT(r.errors, ElementsAre(HasSubstr("10 confirmed messages were not consumed")));
  }
}

TEST(PerfRun, CountsDuplicatesWithoutTakingThemForTheMissing) {
  const PerfFakeBroker broker([](uint64_t n) {
    return n == 5 ? Fate::kRepeat : n == 6 ? Fate::kLose : Fate::kDeliver;
  });
  PerfOptions options = Options(1000);
  options.drain = 0.2;
  const PerfResult r = ResultOf(broker, options);
  EXPECT_EQ(r.counts.delivered, 1000u);
  EXPECT_EQ(r.duplicated, 1u);
  EXPECT_EQ(r.lost, 1u);
}

TEST(PerfRun, DoesNotExpectWhatTheBrokerRefused) {
  const PerfFakeBroker broker([](uint64_t n) {
    return n == 3 || n == 4 ? Fate::kNack : n == 500 ? Fate::kReturn : Fate::kDeliver;
  });
  const PerfResult r = ResultOf(broker, Options(1000));
  EXPECT_EQ(r.counts.nacked, 2u);
  EXPECT_EQ(r.counts.returned, 1u);
  EXPECT_EQ(r.counts.confirmed, 998u);
  EXPECT_EQ(r.lost, 0u);
  EXPECT_THAT(r.errors, ElementsAre(HasSubstr("nacked 2"), HasSubstr("returned 1")));
}

TEST(PerfRun, ReportsMessagesThatAreNeverConfirmed) {
  const PerfFakeBroker broker([](uint64_t n) { return n == 99 ? Fate::kIgnore : Fate::kDeliver; });
  PerfOptions options = Options(100);
  options.drain = 0.2;
  const PerfResult r = ResultOf(broker, options);
  EXPECT_EQ(r.unconfirmed, 1u);
  EXPECT_EQ(r.lost, 0u);
  EXPECT_THAT(r.errors, ElementsAre(HasSubstr("1 messages were not confirmed")));
}

TEST(PerfRun, EndsWhenTheBrokerGoesAway) {
  const PerfFakeBroker broker([](uint64_t n) { return n == 50 ? Fate::kHangUp : Fate::kDeliver; });
  const PerfResult r = ResultOf(broker, Options(1'000'000));
  ASSERT_FALSE(r.errors.empty());
  EXPECT_THAT(r.errors.front(), HasSubstr("closed the connection"));
}

// What the sockets in between hold is full long before the second is over.
TEST(PerfRun, EndsOnTimeWhenTheBrokerStopsReading) {
  for (const uint32_t window : {0u, 100'000u}) {
    const PerfFakeBroker broker(
        [](uint64_t n) { return n == 50 ? Fate::kDeafen : Fate::kDeliver; });
    PerfOptions options = Options(0);
    options.window = window;
    options.size = 100'000;
    options.seconds = 1;
    options.drain = 0.2;
    const auto start = std::chrono::steady_clock::now();
    const PerfResult r = ResultOf(broker, options);
    EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(4));
    ASSERT_FALSE(r.errors.empty());
    EXPECT_THAT(r.errors.front(), window == 0 ? HasSubstr("has not read everything")
                                              : HasSubstr("were not confirmed"));
  }
}

TEST(PerfRun, SaysThatNobodyListens) {
  PerfOptions options = Options(1);
  options.url = "amqp://127.0.0.1:1/";
  PerfRun run(MakePerfPlan(options).value(), [](const std::string&) {});
  EXPECT_THAT(run.Run().errors, ElementsAre(HasSubstr("cannot connect to 127.0.0.1:1")));
}

TEST(PerfRun, PublishesWithoutConfirms) {
  const PerfFakeBroker broker(AlwaysDeliver);
  PerfOptions options = Options(50'000);
  options.window = 0;
  const PerfResult r = ResultOf(broker, options);
  EXPECT_THAT(r.errors, IsEmpty());
  EXPECT_EQ(r.counts.confirmed, 0u);
  EXPECT_EQ(r.counts.delivered, 50'000u);
  EXPECT_EQ(r.lost, 0u);
}

TEST(PerfRun, ConsumesWhatAnEarlierRunLeft) {
  const PerfFakeBroker broker(AlwaysDeliver);
  PerfOptions options = Options(500);
  options.consumers = 0;
  options.keep = true;
  EXPECT_THAT(ResultOf(broker, options).errors, IsEmpty());
  options.consumers = 1;
  options.producers = 0;
  const PerfResult r = ResultOf(broker, options);
  EXPECT_THAT(r.errors, IsEmpty());
  EXPECT_EQ(r.counts.delivered, 500u);
  EXPECT_EQ(r.counts.foreign, 500u);
  EXPECT_EQ(r.end_to_end.count(), 500u);
  EXPECT_FALSE(r.lost.has_value());
}

TEST(PerfRun, KeepsToItsRate) {
  const PerfFakeBroker broker(AlwaysDeliver);
  PerfOptions options = Options(0);
  options.rate = 1000;
  options.seconds = 0.5;
  const PerfResult r = ResultOf(broker, options);
  EXPECT_THAT(r.errors, IsEmpty());
  EXPECT_GT(r.counts.published, 100u);
  EXPECT_LE(r.counts.published, 501u);
}

TEST(PerfRun, HoldsIdleConnections) {
  const PerfFakeBroker broker(AlwaysDeliver);
  PerfOptions options = Options(0);
  options.producers = options.consumers = 0;
  options.idle_connections = 20;
  options.seconds = 0.1;
  const PerfResult r = ResultOf(broker, options);
  EXPECT_THAT(r.errors, IsEmpty());
  EXPECT_GE(r.seconds, 0.1);
}

TEST(PerfRun, ReportsInJson) {
  const PerfFakeBroker broker(AlwaysDeliver);
  const PerfPlan plan = Plan(broker, Options(100));
  const PerfResult r = PerfRun(plan, [](const std::string&) {}).Run();
  const auto json = nlohmann::json::parse(FormatPerfJson(plan, r));
  EXPECT_EQ(json["ok"], true);
  EXPECT_EQ(json["published"], 100);
  EXPECT_EQ(json["lost"], 0);
  EXPECT_EQ(json["settings"]["window"], 3000);
  EXPECT_EQ(json["confirm_latency_us"]["count"], 100);
  EXPECT_GT(json["end_to_end_latency_us"]["p99.9"], 0);
  EXPECT_THAT(FormatPerfSummary(plan, r), HasSubstr("0 lost, 0 duplicated"));
}

}  // namespace
}  // namespace landfall::apps
