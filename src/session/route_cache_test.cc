#include "session/route_cache.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "broker/exchange.h"

namespace landfall::session {
namespace {

// A topology of queues that is asked through the cache.
class RouteCacheTest : public testing::Test {
 protected:
  RouteCacheTest() {
    for (const char* vhost : {"/", "other"}) AddVhost(vhost);
  }

  void AddVhost(const std::string& name) {
    auto vhost = std::make_shared<broker::Vhost>();
    vhost->name = name;
    snapshot_.vhosts.Set(name, vhost);
    ++snapshot_.version;
  }
  broker::QueueInfoRef AddQueue(const std::string& name, const std::string& vhost_name = "/") {
    auto info = std::make_shared<broker::QueueInfo>();
    info->id = ++last_queue_;
    info->shard = 1;
    info->vhost = vhost_name;
    info->name = name;
    auto vhost = std::make_shared<broker::Vhost>(*snapshot_.FindVhost(vhost_name));
    vhost->queues.Set(name, info);
    snapshot_.vhosts.Set(vhost_name, vhost);
    ++snapshot_.version;
    return info;
  }
  void AddFanout(const std::string& name, int queues) {
    auto exchange = std::make_shared<broker::Exchange>();
    exchange->name = name;
    exchange->type = broker::ExchangeType::kFanout;
    for (int i = 0; i < queues; ++i) {
      broker::Binding binding;
      binding.source = name;
      binding.queue = AddQueue(name + std::to_string(i))->target();
      exchange->Add(std::make_shared<broker::Binding>(binding));
    }
    auto vhost = std::make_shared<broker::Vhost>(*snapshot_.FindVhost("/"));
    vhost->exchanges.Set(name, exchange);
    snapshot_.vhosts.Set("/", vhost);
    ++snapshot_.version;
  }
  // The ids of the queues; 0 alone if there is no such exchange.
  std::vector<broker::QueueId> Find(const std::string& key, const std::string& exchange = "",
                                    const std::string& vhost = "/") {
    const auto outcome =
        cache_.Find(snapshot_, vhost, exchange, broker::RoutingKeys(key), amqp::PropertiesView{});
    if (outcome != RouteOutcome::kRouted) return {0};
    std::vector<broker::QueueId> ids;
    for (const ShardTargets& group : cache_.targets()) {
      ids.insert(ids.end(), group.queues.begin(), group.queues.end());
    }
    return ids;
  }

  broker::TopologySnapshot snapshot_;
  broker::QueueId last_queue_ = 0;
  RouteCache cache_;
};

using Ids = std::vector<broker::QueueId>;

TEST_F(RouteCacheTest, TellsWaysApartHoweverManyThereAre) {
  constexpr int kKeys = 20'000;  // more than it remembers
  std::vector<broker::QueueId> ids;
  for (int i = 0; i < kKeys; ++i) ids.push_back(AddQueue("q" + std::to_string(i))->id);
  for (int round = 0; round < 3; ++round) {
    for (int i = 0; i < kKeys; ++i) {
      ASSERT_EQ(Find("q" + std::to_string(i)), Ids{ids[static_cast<size_t>(i)]});
    }
  }
}

TEST_F(RouteCacheTest, TellsVhostsAndExchangesApart) {
  const auto here = AddQueue("q");
  const auto there = AddQueue("q", "other");
  AddFanout("f", 2);
  for (int round = 0; round < 3; ++round) {
    EXPECT_EQ(Find("q"), Ids{here->id});
    EXPECT_EQ(Find("q", "", "other"), Ids{there->id});
    EXPECT_EQ(Find("q", "f").size(), 2u);
    EXPECT_EQ(Find("q", "nowhere"), Ids{0});
    EXPECT_EQ(Find("q", "", "no vhost"), Ids{0});
  }
}

TEST_F(RouteCacheTest, AsksAnewWhenTheTopologyHasChanged) {
  EXPECT_EQ(Find("late"), Ids{});
  const auto late = AddQueue("late");
  EXPECT_EQ(Find("late"), Ids{late->id});
  auto vhost = std::make_shared<broker::Vhost>(*snapshot_.FindVhost("/"));
  vhost->queues.Erase("late");
  snapshot_.vhosts.Set("/", vhost);
  ++snapshot_.version;
  EXPECT_EQ(Find("late"), Ids{});
}

TEST_F(RouteCacheTest, FindsManyQueuesEachTime) {
  AddFanout("f", 100);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(Find("key", "f").size(), 100u);
}

}  // namespace
}  // namespace landfall::session
