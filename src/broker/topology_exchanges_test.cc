// Exchanges of every type and their bindings.
#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "broker/refusal.h"
#include "broker/topology_testing.h"

namespace landfall::broker {
namespace {

using amqp::ReplyCode;
using amqp::Table;

TEST(TopologyExchanges, RefusesExchangeOperationsInRabbitMQsWords) {
  TopologyWorld world;
  world.ExpectOk(kAlice, NewExchange("x", "topic"));
  world.ExpectOk(kAlice, NewExchange("x", "topic"));
  world.ExpectOk(kAlice, PassiveExchange("x"));
  world.ExpectOk(kAlice, NewExchange("amq.direct", "direct"));
  constexpr ReplyCode k406 = ReplyCode::kPreconditionFailed;
  constexpr ReplyCode k403 = ReplyCode::kAccessRefused;
  world.ExpectError(kAlice, NewExchange("x", "fanout"), k406,
                    "PRECONDITION_FAILED - inequivalent arg 'type' for exchange 'x' in vhost '/': "
                    "received 'fanout' but current is 'topic'");
  world.ExpectError(kAlice, NewExchange("x", "topic", false), k406,
                    "PRECONDITION_FAILED - inequivalent arg 'durable' for exchange 'x' in vhost "
                    "'/': received 'false' but current is 'true'");
  DeclareExchange internal = NewExchange("x", "topic");
  internal.internal = true;
  world.ExpectError(kAlice, internal, k406,
                    "PRECONDITION_FAILED - inequivalent arg 'internal' for exchange 'x' in vhost "
                    "'/': received 'true' but current is 'false'");
  DeclareExchange alternate = NewExchange("x", "topic");
  alternate.arguments.Set("alternate-exchange", "y");
  world.ExpectError(kAlice, alternate, k406,
                    "PRECONDITION_FAILED - inequivalent arg 'alternate-exchange' for exchange 'x' "
                    "in vhost '/': received the value 'y' of type 'longstr' but current is none");
  alternate.name = "new";
  alternate.arguments.Set("alternate-exchange", 5);
  world.ExpectError(kAlice, alternate, k406,
                    "PRECONDITION_FAILED - invalid arg 'alternate-exchange' for exchange 'new' in "
                    "vhost '/': must be a string");
  world.ExpectError(kAlice, NewExchange("y", "x-odd"), ReplyCode::kCommandInvalid,
                    "COMMAND_INVALID - unknown exchange type 'x-odd'");
  world.ExpectError(kAlice, PassiveExchange("none"), ReplyCode::kNotFound,
                    "NOT_FOUND - no exchange 'none' in vhost '/'");
  world.ExpectError(kAlice, NewExchange("amq.mine", "direct"), k403,
                    "ACCESS_REFUSED - exchange name 'amq.mine' contains reserved prefix 'amq.*'");
  world.ExpectError(kAlice, DeleteExchange{.name = "amq.direct"}, k403,
                    "ACCESS_REFUSED - deletion of system exchange 'amq.direct' in vhost '/' not "
                    "allowed");
  const std::string on_default = "ACCESS_REFUSED - operation not permitted on the default exchange";
  world.ExpectOk(kAlice, Durable("q"));
  for (const TopologyRequestBody& body : std::vector<TopologyRequestBody>{
           NewExchange("", "direct"), PassiveExchange(""), DeleteExchange{.name = ""},
           BindQueue("", "q"), BindExchange("x", ""), Unbind(BindQueue("", "q"))}) {
    world.ExpectError(kAlice, body, k403, on_default);
  }
}

TEST(TopologyExchanges, BindsOnceAndUnbindsWhatIsNotThere) {
  TopologyWorld world;
  world.ExpectOk(kAlice, Durable("q"));
  world.ExpectOk(kAlice, BindQueue("amq.topic", "q", "a.*"));
  const size_t journaled = world.journal.size();
  world.ExpectOk(kAlice, BindQueue("amq.topic", "q", "a.*"));
  EXPECT_EQ(world.journal.size(), journaled) << "there already";
  world.ExpectOk(kAlice, BindQueue("amq.topic", "q", "a.*", Table{{"n", 1}}));
  EXPECT_EQ(world.FindExchange("amq.topic")->bindings().size(), 2u);
  world.ExpectOk(kAlice, Unbind(BindQueue("amq.topic", "q", "b")));
  world.ExpectOk(kAlice, Unbind(BindQueue("none", "q")));
  world.ExpectOk(kAlice, Unbind(BindQueue("amq.topic", "none")));
  world.ExpectOk(kAlice, Unbind(BindExchange("amq.topic", "none")));
  EXPECT_EQ(world.FindExchange("amq.topic")->bindings().size(), 2u);
  world.ExpectOk(kAlice, Unbind(BindQueue("amq.topic", "q", "a.*")));
  EXPECT_EQ(world.FindExchange("amq.topic")->bindings().size(), 1u);
  world.ExpectError(kAlice, BindQueue("amq.topic", "none"), ReplyCode::kNotFound,
                    "NOT_FOUND - no queue 'none' in vhost '/'");
  world.ExpectError(kAlice, BindQueue("none", "nothing"), ReplyCode::kNotFound,
                    "NOT_FOUND - no exchange 'none' in vhost '/'");
  world.ExpectError(kAlice, BindExchange("amq.topic", "none"), ReplyCode::kNotFound,
                    "NOT_FOUND - no exchange 'none' in vhost '/'");
  world.ExpectError(kAlice, BindQueue("amq.headers", "q", "", Table{{"x-match", "most"}}),
                    ReplyCode::kPreconditionFailed,
                    "PRECONDITION_FAILED - Invalid x-match field value 'most'; expected all, any, "
                    "all-with-x or any-with-x");
}

TEST(TopologyExchanges, DeletesAnExchangeWithItsBindingsOnBothSides) {
  TopologyWorld world;
  world.ExpectOk(kAlice, NewExchange("x", "fanout"));
  world.ExpectOk(kAlice, Durable("q"));
  world.ExpectOk(kAlice, BindQueue("x", "q"));
  world.ExpectOk(kAlice, BindExchange("amq.direct", "x", "k"));
  world.ExpectOk(kAlice, BindExchange("x", "x"));
  world.ExpectError(kAlice, DeleteExchange{.name = "x", .if_unused = true},
                    ReplyCode::kPreconditionFailed,
                    "PRECONDITION_FAILED - exchange 'x' in vhost '/' in use");
  world.ExpectOk(kAlice, DeleteExchange{.name = "x"});
  EXPECT_EQ(world.FindExchange("x"), nullptr);
  EXPECT_TRUE(world.FindExchange("amq.direct")->bindings().empty());
  world.ExpectOk(kAlice, DeleteExchange{.name = "x"});
  world.ExpectOk(kAlice, NewExchange("x", "topic"));
  EXPECT_TRUE(world.FindExchange("x")->bindings().empty());
  world.ExpectOk(kAlice, DeleteExchange{.name = "x", .if_unused = true});
  const std::string before = Dump(world.snapshot());
  world.Restart();
  EXPECT_EQ(Dump(world.snapshot()), before);
}

TEST(TopologyExchanges, DeletesAutoDeleteExchangesWithTheirLastBindingAllAlongAChain) {
  TopologyWorld world;
  for (const char* name : {"a", "b", "c"}) {
    DeclareExchange exchange = NewExchange(name, "fanout");
    exchange.auto_delete = true;
    world.ExpectOk(kAlice, exchange);
  }
  world.ExpectOk(kAlice, Durable("q"));
  world.ExpectOk(kAlice, BindExchange("a", "b"));
  world.ExpectOk(kAlice, BindExchange("b", "c"));
  world.ExpectOk(kAlice, BindQueue("c", "q", "1"));
  world.ExpectOk(kAlice, BindQueue("c", "q", "2"));
  world.ExpectOk(kAlice, Unbind(BindQueue("c", "q", "1")));
  EXPECT_NE(world.FindExchange("c"), nullptr);
  world.ExpectOk(kAlice, Unbind(BindQueue("c", "q", "2")));
  for (const char* name : {"a", "b", "c"}) EXPECT_EQ(world.FindExchange(name), nullptr) << name;
  world.Restart();
  for (const char* name : {"a", "b", "c"}) EXPECT_EQ(world.FindExchange(name), nullptr) << name;
}

TEST(TopologyExchanges, ChecksTheArgumentsAndWeightsOfAHashExchange) {
  TopologyWorld world;
  constexpr auto k406 = ReplyCode::kPreconditionFailed;
  world.ExpectOk(kAlice, Durable("q"));
  DeclareExchange declare = NewExchange("h", "x-consistent-hash");
  declare.arguments = Table{{"hash-property", "app_id"}};
  world.ExpectError(kAlice, declare, k406, "PRECONDITION_FAILED - Unsupported property: app_id");
  declare.arguments = Table{{"hash-header", "customer"}};
  world.ExpectOk(kAlice, declare);
  world.ExpectError(kAlice, BindQueue("h", "q", "x"), k406,
                    "PRECONDITION_FAILED - The binding key must be an integer: <<\"x\">>");
  world.ExpectError(kAlice, BindQueue("h", "q", "0"), k406,
                    "PRECONDITION_FAILED - The binding key must be greater than 0");
  world.ExpectOk(kAlice, BindQueue("h", "q", "10"));
}

TEST(TopologyExchanges, RecoversHashExchanges) {
  TopologyWorld world;
  world.ExpectOk(kAlice, Durable("q"));
  DeclareExchange declare = NewExchange("h", "x-consistent-hash");
  declare.durable = true;
  declare.arguments = Table{{"hash-property", "message_id"}};
  world.ExpectOk(kAlice, declare);
  world.ExpectOk(kAlice, BindQueue("h", "q", "10"));
  for (const bool from_checkpoint : {false, true}) {
    world.Restart(from_checkpoint);
    const ExchangeRef exchange = *world.snapshot().FindVhost("/")->exchanges.Find("h");
    EXPECT_EQ(exchange->type, ExchangeType::kConsistentHash);
    EXPECT_EQ(exchange->arguments.GetString("hash-property"), "message_id");
    EXPECT_EQ(exchange->bindings().size(), 1u);
  }
}

DeclareExchange NewDelayed(std::string name, bool durable = true) {
  DeclareExchange declare = NewExchange(std::move(name), "x-delayed-message", durable);
  declare.arguments = Table{{"x-delayed-type", "topic"}};
  return declare;
}

TEST(TopologyExchanges, ADelayedExchangeHasAQueueOfItsOwnThatNoNameLeadsTo) {
  TopologyWorld world;
  world.ExpectError(kAlice, NewExchange("x", "x-delayed-message"), ReplyCode::kPreconditionFailed,
                    "PRECONDITION_FAILED - Invalid argument, 'x-delayed-type' must be an existing "
                    "exchange type");
  world.ExpectOk(kAlice, NewDelayed("x"));
  const Exchange* exchange = world.FindExchange("x");
  EXPECT_EQ(exchange->routing(), ExchangeType::kTopic);
  const QueueInfoRef queue = world.snapshot().FindQueue(exchange->delay_queue.id);
  ASSERT_NE(queue, nullptr);
  EXPECT_TRUE(queue->config.holds_back);
  EXPECT_TRUE(queue->journaled());
  EXPECT_EQ(world.Queue("x"), nullptr);
  // Which leaves the name to whoever wants it.
  world.ExpectOk(kAlice, Durable("x"));
  EXPECT_NE(world.Queue("x")->id, queue->id);
  world.ExpectOk(kAlice, BindQueue("x", "x", "a.#"));
  EXPECT_FALSE(world.FindExchange("x")->topics().empty());
}

TEST(TopologyExchanges, PoliciesDoNotApplyToWhatADelayedExchangeHoldsBack) {
  TopologyWorld world;
  world.ExpectOk(kAlice, NewDelayed("x"));
  Policy policy;
  policy.name = "short";
  policy.pattern = ".*";
  policy.definition = Table{{"max-length", 1}};
  world.ExpectOk(kAlice, SetPolicy{policy});
  const QueueId id = world.FindExchange("x")->delay_queue.id;
  EXPECT_FALSE(world.snapshot().FindQueue(id)->config.limited());
  world.Restart();
  EXPECT_FALSE(world.snapshot().FindQueue(id)->config.limited());
}

TEST(TopologyExchanges, RecoversDelayedExchangesWithTheirQueues) {
  TopologyWorld world;
  world.ExpectOk(kAlice, NewDelayed("x"));
  world.ExpectOk(kAlice, NewDelayed("passing", /*durable=*/false));
  const QueueTarget queue = world.FindExchange("x")->delay_queue;
  for (const bool from_checkpoint : {false, true, true}) {
    world.Restart(from_checkpoint);
    ASSERT_NE(world.FindExchange("x"), nullptr);
    EXPECT_EQ(world.FindExchange("x")->routing(), ExchangeType::kTopic);
    EXPECT_EQ(world.FindExchange("x")->delay_queue, queue);
    EXPECT_TRUE(world.snapshot().FindQueue(queue.id)->config.holds_back);
    EXPECT_EQ(world.FindExchange("passing"), nullptr);
  }
}

TEST(TopologyExchanges, WhatADelayedExchangeHoldsBackGoesWithIt) {
  TopologyWorld world;
  world.ExpectOk(kAlice, NewDelayed("x"));
  const QueueTarget queue = world.FindExchange("x")->delay_queue;
  world.ExpectOk(kAlice, DeleteExchange{.name = "x"});
  const auto [shard, drop] = world.TakeCommand<DropQueueCommand>();
  EXPECT_EQ(shard, queue.shard);
  EXPECT_EQ(drop.queue, queue.id);
  EXPECT_EQ(world.snapshot().FindQueue(queue.id), nullptr);
  world.ExpectOk(kAlice, NewDelayed("x"));
  EXPECT_NE(world.FindExchange("x")->delay_queue.id, queue.id);
  const QueueTarget second = world.FindExchange("x")->delay_queue;
  for (const bool from_checkpoint : {false, true}) {
    world.Restart(from_checkpoint);
    EXPECT_EQ(world.snapshot().FindQueue(queue.id), nullptr);
    EXPECT_EQ(world.FindExchange("x")->delay_queue, second);
  }
}

}  // namespace
}  // namespace landfall::broker
