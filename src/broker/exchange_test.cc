#include "broker/exchange.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "broker/topology_snapshot.h"

namespace landfall::broker {
namespace {

using amqp::Table;
using amqp::TableView;

// A vhost to route in, put together by hand.
class Routing : public testing::Test {
 protected:
  void Declare(std::string name, ExchangeType type, std::string alternate = "") {
    Exchange exchange;
    exchange.name = name;
    exchange.type = type;
    exchange.alternate = std::move(alternate);
    vhost_.exchanges.Set(name, std::make_shared<Exchange>(exchange));
  }
  void Change(const std::string& name, const std::function<void(Exchange&)>& change) {
    auto copy = std::make_shared<Exchange>(**vhost_.exchanges.Find(name));
    change(*copy);
    vhost_.exchanges.Set(name, copy);
  }
  static BindingRef Make(QueueId queue, std::string key, Table arguments = {}) {
    Binding binding;
    binding.queue = {.id = queue, .shard = static_cast<ShardId>(queue % 64 + 1), .durable = true};
    binding.routing_key = std::move(key);
    binding.arguments = std::move(arguments);
    return std::make_shared<Binding>(binding);
  }
  bool Bind(const std::string& source, QueueId queue, std::string key, Table arguments = {}) {
    bool added = false;
    Change(source, [&](Exchange& exchange) {
      added = exchange.Add(Make(queue, std::move(key), std::move(arguments)));
    });
    return added;
  }
  void BindExchange(const std::string& source, std::string destination, std::string key,
                    Table arguments = {}) {
    Binding binding;
    binding.to_exchange = true;
    binding.destination = std::move(destination);
    binding.routing_key = std::move(key);
    binding.arguments = std::move(arguments);
    Change(source, [&](Exchange& exchange) { exchange.Add(std::make_shared<Binding>(binding)); });
  }
  std::vector<QueueId> RouteTo(std::string_view exchange, std::string_view key,
                               const Table& headers = {}) {
    QueueTargets targets;
    const ByteBuffer encoded = headers.Encode();
    amqp::PropertiesView properties;
    if (!headers.empty()) properties.SetHeaders(TableView(encoded));
    const auto keys = RoutingKeys::Of(key, properties.headers);
    EXPECT_TRUE(keys && Route(vhost_, exchange, *keys, properties, targets));
    std::vector<QueueId> ids;
    for (const QueueTarget& target : targets) ids.push_back(target.id);
    std::sort(ids.begin(), ids.end());
    return ids;
  }

  using Ids = std::vector<QueueId>;
  Vhost vhost_;
};

TEST_F(Routing, TellsAnUnknownExchange) {
  QueueTargets targets;
  EXPECT_FALSE(Route(vhost_, "none", RoutingKeys("k"), {}, targets));
  EXPECT_TRUE(targets.empty());
}

TEST_F(Routing, FindsAQueueByItsNameThroughTheDefaultExchange) {
  QueueInfo queue;
  queue.id = 7;
  queue.shard = 3;
  queue.name = "q";
  queue.durable = true;
  vhost_.queues.Set("q", std::make_shared<QueueInfo>(queue));
  EXPECT_EQ(RouteTo("", "q"), Ids{7});
  EXPECT_EQ(RouteTo("", "other"), Ids{});
  QueueTargets targets = {{.id = 7, .shard = 3, .durable = true}};
  Route(vhost_, "", RoutingKeys("q"), {}, targets);
  EXPECT_EQ(targets.size(), 1u);
}

TEST_F(Routing, FollowsEveryKeyOfAMessageAndReachesAQueueOnce) {
  Declare("d", ExchangeType::kDirect);
  Declare("t", ExchangeType::kTopic);
  Bind("d", 1, "a");
  Bind("d", 2, "b");
  Bind("d", 2, "c");
  Bind("t", 3, "x.*");
  Bind("t", 4, "#.y");
  const Table keys = {{"CC", amqp::Array{"b", "c", "x.1"}}, {"BCC", amqp::Array{"a.y"}}};
  EXPECT_EQ(RouteTo("d", "a", keys), (Ids{1, 2}));
  EXPECT_EQ(RouteTo("d", "none", keys), Ids{2});
  EXPECT_EQ(RouteTo("t", "none", keys), (Ids{3, 4}));
}

TEST_F(Routing, TakesTheAlternateOnlyWhenNoKeyIsBound) {
  Declare("d", ExchangeType::kDirect);
  Declare("unrouted", ExchangeType::kFanout);
  Change("d", [](Exchange& exchange) { exchange.alternate = "unrouted"; });
  Bind("unrouted", 9, "");
  Bind("d", 1, "a");
  EXPECT_EQ(RouteTo("d", "a", {{"CC", amqp::Array{"nobody"}}}), Ids{1});
  EXPECT_EQ(RouteTo("d", "nobody", {{"CC", amqp::Array{"a"}}}), Ids{1});
  EXPECT_EQ(RouteTo("d", "nobody", {{"CC", amqp::Array{"no one"}}}), Ids{9});
}

TEST_F(Routing, SendsByTheWholeKeyThroughADirectExchange) {
  Declare("d", ExchangeType::kDirect);
  Bind("d", 1, "a");
  Bind("d", 2, "a");
  Bind("d", 3, "b");
  EXPECT_EQ(RouteTo("d", "a"), (Ids{1, 2}));
  EXPECT_EQ(RouteTo("d", "b"), (Ids{3}));
  EXPECT_EQ(RouteTo("d", "a.b"), Ids{});
}

TEST_F(Routing, SendsToEachQueueOnceHoweverManyBindingsLeadThere) {
  for (const ExchangeType type :
       {ExchangeType::kFanout, ExchangeType::kTopic, ExchangeType::kHeaders}) {
    const std::string name(ExchangeTypeName(type));
    Declare(name, type);
    Bind(name, 1, "a.b");
    Bind(name, 1, "a.*");
    Bind(name, 1, "#");
    Bind(name, 2, "#");
    EXPECT_EQ(RouteTo(name, "a.b"), (Ids{1, 2})) << name;
  }
}

TEST_F(Routing, KeepsBindingsApartThatDifferInTheirArgumentsOnly) {
  for (const ExchangeType type : {ExchangeType::kDirect, ExchangeType::kFanout,
                                  ExchangeType::kTopic, ExchangeType::kHeaders}) {
    const std::string name(ExchangeTypeName(type));
    Declare(name, type);
    EXPECT_TRUE(Bind(name, 1, "k", Table{{"a", 1}, {"b", 2}}));
    EXPECT_TRUE(Bind(name, 1, "k", Table{{"a", 1}}));
    EXPECT_FALSE(Bind(name, 1, "k", Table{{"b", 2}, {"a", 1}})) << "only the order differs";
    EXPECT_EQ((*vhost_.exchanges.Find(name))->bindings().size(), 2u);
    const Table headers{{"a", 1}, {"b", 2}};
    EXPECT_EQ(RouteTo(name, "k", headers), Ids{1});
    Change(name, [](Exchange& exchange) {
      EXPECT_TRUE(exchange.Remove(*Make(1, "k", Table{{"a", 1}})));
      EXPECT_FALSE(exchange.Remove(*Make(1, "k", Table{{"a", 1}})));
    });
    EXPECT_EQ(RouteTo(name, "k", headers), Ids{1});
    Change(name, [](Exchange& exchange) {
      EXPECT_TRUE(exchange.Remove(*Make(1, "k", Table{{"a", 1}, {"b", 2}})));
    });
    EXPECT_EQ(RouteTo(name, "k", headers), Ids{});
  }
}

TEST_F(Routing, EndsInACycleOfExchanges) {
  Declare("a", ExchangeType::kFanout);
  Declare("b", ExchangeType::kTopic);
  Declare("c", ExchangeType::kDirect);
  BindExchange("a", "b", "");
  BindExchange("b", "c", "k.#");
  BindExchange("c", "a", "k");
  BindExchange("c", "c", "k");
  BindExchange("c", "gone", "k");
  Bind("a", 1, "");
  Bind("b", 2, "k");
  Bind("c", 1, "k");
  for (const char* start : {"a", "b", "c"}) EXPECT_EQ(RouteTo(start, "k"), (Ids{1, 2})) << start;
  EXPECT_EQ(RouteTo("a", "other"), Ids{1});
}

TEST_F(Routing, UsesTheAlternateExchangeForWhatNoBindingTakes) {
  Declare("d", ExchangeType::kDirect, "alt");
  Declare("alt", ExchangeType::kFanout);
  Bind("d", 1, "k");
  Bind("alt", 2, "");
  EXPECT_EQ(RouteTo("d", "k"), Ids{1});
  EXPECT_EQ(RouteTo("d", "else"), Ids{2});
}

TEST_F(Routing, KeepsEachQueueOnceAmongThousands) {
  Declare("f", ExchangeType::kFanout);
  Declare("g", ExchangeType::kFanout);
  Change("f", [](Exchange& exchange) {
    for (QueueId id = 1; id <= 3000; ++id) exchange.Add(Make(id, ""));
  });
  Change("g", [](Exchange& exchange) {
    for (QueueId id = 2000; id <= 5000; ++id) exchange.Add(Make(id, ""));
  });
  BindExchange("f", "g", "");
  const Ids ids = RouteTo("f", "k");
  ASSERT_EQ(ids.size(), 5000u);
  for (QueueId id = 1; id <= 5000; ++id) EXPECT_EQ(ids[id - 1], id);
}

TEST_F(Routing, GoesOnToOtherQueuesWhenTheFirstOfAKeyIsUnbound) {
  Declare("d", ExchangeType::kDirect);
  for (QueueId id = 1; id <= 20; ++id) Bind("d", id, "k");
  for (QueueId id = 1; id <= 19; ++id) {
    Change("d", [&](Exchange& exchange) { EXPECT_TRUE(exchange.Remove(*Make(id, "k"))); });
    EXPECT_EQ(RouteTo("d", "k").size(), 20 - id);
  }
  EXPECT_EQ(RouteTo("d", "k"), Ids{20});
}

TEST(HeadersMatch, FollowsXMatch) {
  const Table headers{{"a", int64_t{1}}, {"b", "two"}, {"x-c", true}};
  EXPECT_TRUE(HeadersMatch(Table{}, headers));
  EXPECT_TRUE(HeadersMatch(Table{{"a", 1}, {"b", "two"}}, headers)) << "width does not matter";
  EXPECT_FALSE(HeadersMatch(Table{{"a", 1}, {"b", "three"}}, headers));
  EXPECT_FALSE(HeadersMatch(Table{{"a", "1"}}, headers));
  EXPECT_TRUE(HeadersMatch(Table{{"a", amqp::Value()}}, headers)) << "no value: presence";
  EXPECT_FALSE(HeadersMatch(Table{{"d", amqp::Value()}}, headers));
  EXPECT_TRUE(HeadersMatch(Table{{"x-match", "any"}, {"a", 5}, {"b", "two"}}, headers));
  EXPECT_FALSE(HeadersMatch(Table{{"x-match", "any"}, {"a", 5}}, headers));
  EXPECT_FALSE(HeadersMatch(Table{{"x-match", "any"}}, headers));
  EXPECT_TRUE(HeadersMatch(Table{{"x-match", "all"}, {"x-c", false}}, headers)) << "not looked at";
  EXPECT_FALSE(HeadersMatch(Table{{"x-match", "all-with-x"}, {"x-c", false}}, headers));
  EXPECT_TRUE(HeadersMatch(Table{{"x-match", "any-with-x"}, {"x-c", true}}, headers));
}

TEST(HeadersMatch, KnowsWhichXMatchThereIs) {
  EXPECT_FALSE(CheckHeadersBinding(Table{}));
  EXPECT_FALSE(CheckHeadersBinding(Table{{"x-match", "any-with-x"}}));
  EXPECT_EQ(CheckHeadersBinding(Table{{"x-match", "some"}}),
            "Invalid x-match field value 'some'; expected all, any, all-with-x or any-with-x");
  EXPECT_EQ(CheckHeadersBinding(Table{{"x-match", 1}}),
            "Invalid x-match field type; expected longstr");
}

}  // namespace
}  // namespace landfall::broker
