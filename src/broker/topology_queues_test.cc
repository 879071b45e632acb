// The life of a queue: declared, refused, compared, deleted.
#include <gtest/gtest.h>

#include <set>
#include <string>
#include <vector>

#include "broker/refusal.h"
#include "broker/topology_testing.h"

namespace landfall::broker {
namespace {

using amqp::ReplyCode;
using amqp::Table;

TEST(TopologyQueues, SpreadsDurableQueuesOverTheShardsWithFewest) {
  TopologyWorld world;
  std::map<ShardId, int> queues;
  for (int i = 0; i < 40; ++i) {
    const std::string name = "q" + std::to_string(i);
    world.ExpectOk(kAlice, Durable(name));
    ++queues[world.Queue(name)->shard];
  }
  EXPECT_EQ(queues, (std::map<ShardId, int>{{1, 10}, {2, 10}, {3, 10}, {4, 10}}));
}

TEST(TopologyQueues, MakesUpNamesThatAreFree) {
  TopologyWorld world;
  std::set<std::string> names;
  for (int i = 0; i < 50; ++i) {
    const TopologyReply reply = world.Ask(kAlice, Durable(""));
    ASSERT_NE(reply.queue, nullptr);
    EXPECT_TRUE(reply.queue->name.starts_with("amq.gen-"));
    EXPECT_TRUE(names.insert(reply.queue->name).second);
    if (i == 25) world.Restart();  // with the same seed
  }
}

TEST(TopologyQueues, RefusesQueueDeclarationsInRabbitMQsWords) {
  TopologyWorld world;
  world.ExpectOk(kAlice, Durable("q", Table{{"x-message-ttl", 1000}}));
  world.ExpectOk(kAlice, Durable("q", Table{{"x-message-ttl", int64_t{1000}}, {"note", "any"}}));
  world.ExpectOk(kAlice, Durable("q", Table{{"x-message-ttl", 1000}, {"x-queue-type", "classic"}}));
  world.ExpectOk(kAlice, PassiveQueue("q"));
  constexpr ReplyCode k406 = ReplyCode::kPreconditionFailed;
  world.ExpectError(kAlice, Transient("q"), k406,
                    "PRECONDITION_FAILED - inequivalent arg 'durable' for queue 'q' in vhost '/': "
                    "received 'false' but current is 'true'");
  DeclareQueue auto_delete = Durable("q");
  auto_delete.auto_delete = true;
  world.ExpectError(kAlice, auto_delete, k406,
                    "PRECONDITION_FAILED - inequivalent arg 'auto_delete' for queue 'q' in vhost "
                    "'/': received 'true' but current is 'false'");
  world.ExpectError(kAlice, Durable("q"), k406,
                    "PRECONDITION_FAILED - inequivalent arg 'x-message-ttl' for queue 'q' in vhost "
                    "'/': received none but current is the value '1000' of type 'signedint'");
  world.ExpectError(kAlice, Durable("q", Table{{"x-message-ttl", 2000}}), k406,
                    "PRECONDITION_FAILED - inequivalent arg 'x-message-ttl' for queue 'q' in vhost "
                    "'/': received '2000' but current is '1000'");
  world.ExpectError(kAlice, Durable("other", Table{{"x-delivery-limit", "no"}}), k406,
                    "PRECONDITION_FAILED - invalid arg 'x-delivery-limit' for queue 'other' in "
                    "vhost '/': must be an integer from -1 to 4294967295");
  world.ExpectError(kAlice, PassiveQueue("none"), ReplyCode::kNotFound,
                    "NOT_FOUND - no queue 'none' in vhost '/'");
  world.ExpectError(kAlice, PassiveQueue("amq.none"), ReplyCode::kNotFound,
                    "NOT_FOUND - no queue 'amq.none' in vhost '/'");
  world.ExpectError(kAlice, Durable("amq.mine"), ReplyCode::kAccessRefused,
                    "ACCESS_REFUSED - queue name 'amq.mine' contains reserved prefix 'amq.*'");
}

TEST(TopologyQueues, AVhostTakesNoMoreQueuesThanItMay) {
  TopologyWorld world;
  const auto declare = [](const std::string& name, bool exclusive = false) {
    return DeclareQueue{.name = name,
                        .durable = !exclusive,
                        .exclusive = exclusive,
                        .arguments = {},
                        .max_queues = 2};
  };
  // What it holds back is in no queue that anybody has declared.
  DeclareExchange delayed = NewExchange("later", "x-delayed-message");
  delayed.arguments = Table{{"x-delayed-type", "topic"}};
  world.ExpectOk(kAlice, delayed);
  world.ExpectOk(kAlice, declare("a"));
  world.ExpectOk(kAlice, declare("b", /*exclusive=*/true));
  constexpr auto kRefused = ReplyCode::kPreconditionFailed;
  world.ExpectError(kAlice, declare("c"), kRefused,
                    "PRECONDITION_FAILED - cannot declare queue 'c': queue limit in vhost '/' (2) "
                    "is reached");
  world.ExpectOk(kAlice, declare("a"));  // that is there
  world.ExpectOk(kAlice, PassiveQueue("a"));
  world.ExpectOk(kAlice, delayed);
  world.ExpectOk(kAlice, Durable("c"));  // without a limit
}

TEST(TopologyQueues, ComparesEveryArgumentThatMeansSomething) {
  TopologyWorld world;
  const Table arguments{{"x-consumer-timeout", 60'000},
                        {"x-dead-letter-exchange", "dlx"},
                        {"x-dead-letter-routing-key", "dead"},
                        {"x-dead-letter-strategy", "at-least-once"},
                        {"x-delayed-retry-jitter", 0.5},
                        {"x-delayed-retry-max", 9000},
                        {"x-delayed-retry-min", 1000},
                        {"x-delayed-retry-multiplier", 3},
                        {"x-delayed-retry-type", "failed"},
                        {"x-delivery-limit", 7},
                        {"x-expires", 60'000},
                        {"x-max-length", 10},
                        {"x-max-length-bytes", 1000},
                        {"x-max-priority", 5},
                        {"x-message-ttl", 1000},
                        {"x-overflow", "reject-publish"},
                        {"x-queue-type", "quorum"},
                        {"x-single-active-consumer", true}};
  world.ExpectOk(kAlice, Durable("q", arguments));
  world.ExpectOk(kAlice, Durable("q", arguments));
  for (const amqp::TableEntry& entry : arguments) {
    Table without = arguments;
    without.Erase(entry.name);
    const TopologyReply reply = world.Ask(kAlice, Durable("q", without));
    EXPECT_EQ(reply.error, ReplyCode::kPreconditionFailed) << entry.name;
    EXPECT_TRUE(reply.text.starts_with("PRECONDITION_FAILED - inequivalent arg '" + entry.name +
                                       "' for queue 'q' in vhost '/': received none but current is "
                                       "the value '"))
        << reply.text;
  }
}

TEST(TopologyQueues, LetsNobodyButItsOwnerUseAnExclusiveQueue) {
  TopologyWorld world;
  world.ExpectOk(kAlice, Exclusive("e"));
  world.ExpectOk(kAlice, Exclusive("e"));
  world.ExpectOk(kAlice, PassiveQueue("e"));
  world.ExpectOk(kAlice, Transient("shared"));
  const std::string locked =
      "RESOURCE_LOCKED - cannot obtain exclusive access to locked queue 'e' in vhost '/'. It could "
      "be originally declared on another connection or the exclusive property value does not match "
      "that of the original declaration.";
  for (const TopologyRequestBody& body : std::vector<TopologyRequestBody>{
           PassiveQueue("e"), Exclusive("e"), Transient("e"), DeleteQueue{.name = "e"},
           BindQueue("amq.direct", "e"), Unbind(BindQueue("amq.direct", "e"))}) {
    world.ExpectError(kBob, body, ReplyCode::kResourceLocked, locked);
  }
  world.ExpectError(kAlice, Transient("e"), ReplyCode::kResourceLocked, locked);
  const TopologyReply reply = world.Ask(kAlice, Exclusive("shared"));
  EXPECT_EQ(reply.error, ReplyCode::kResourceLocked) << "exclusive or not is part of what it is";
  EXPECT_FALSE(CheckExclusiveAccess(*world.Queue("e"), kAlice));
  EXPECT_TRUE(CheckExclusiveAccess(*world.Queue("e"), kBob));
  EXPECT_FALSE(CheckExclusiveAccess(*world.Queue("shared"), kBob));
}

TEST(TopologyQueues, DeletesAQueueBySealJournalDropInstallAndThenAnswers) {
  TopologyWorld world;
  world.ExpectOk(kAlice, Durable("q"));
  world.ExpectOk(kAlice, BindQueue("amq.direct", "q", "k"));
  const QueueInfoRef queue = world.Queue("q");
  world.Send(kAlice, DeleteQueue{.name = "q"});
  world.Settle();
  EXPECT_TRUE(world.replies.empty());
  EXPECT_NE(world.Queue("q"), nullptr) << "still there until the shard has sealed it";
  ASSERT_EQ(world.commands.size(), 1u);
  EXPECT_EQ(world.commands.front().first, queue->shard);
  world.Seal(false, false, 17);
  world.topology->Flush();
  EXPECT_TRUE(world.commands.empty()) << "nothing is dropped before the deletion is durable";
  world.LandJournal();
  const auto [shard, drop] = world.TakeCommand<DropQueueCommand>();
  EXPECT_EQ(shard, queue->shard);
  EXPECT_EQ(drop.queue, queue->id);
  EXPECT_EQ(world.Queue("q"), nullptr);
  EXPECT_TRUE(world.FindExchange("amq.direct")->bindings().empty());
  EXPECT_TRUE(world.replies.empty());
  world.Settle();
  const TopologyReply reply = world.TakeReply();
  EXPECT_FALSE(reply.error);
  EXPECT_EQ(reply.messages, 17u);
  world.ExpectOk(kAlice, DeleteQueue{.name = "q"});
}

TEST(TopologyQueues, OpensAQueueAgainWhenTheConditionOfItsDeletionDoesNotHold) {
  TopologyWorld world;
  world.ExpectOk(kAlice, Durable("q"));
  for (const bool if_unused : {true, false}) {
    world.Send(kAlice, DeleteQueue{.name = "q", .if_unused = if_unused, .if_empty = !if_unused});
    const auto& seal = std::get<SealQueueCommand>(world.commands.front().second.body);
    EXPECT_EQ(seal.if_unused, if_unused);
    EXPECT_EQ(seal.if_empty, !if_unused);
    world.Seal(false, false, 3);
    world.TakeCommand<UnsealQueueCommand>();
    world.Settle();
    const TopologyReply reply = world.TakeReply();
    EXPECT_EQ(reply.error, ReplyCode::kPreconditionFailed);
    EXPECT_EQ(reply.text, std::string("PRECONDITION_FAILED - queue 'q' in vhost '/' ") +
                              (if_unused ? "in use" : "not empty"));
    EXPECT_NE(world.Queue("q"), nullptr);
  }
  world.Send(kAlice, DeleteQueue{.name = "q", .if_unused = true, .if_empty = true});
  world.Seal(true, true);
  world.Settle();
  EXPECT_FALSE(world.TakeReply().error);
  EXPECT_EQ(world.Queue("q"), nullptr);
}

TEST(TopologyQueues, LetsRequestsForAQueueThatIsBeingDeletedWaitForTheEnd) {
  TopologyWorld world;
  world.ExpectOk(kAlice, Durable("q"));
  const QueueId old_id = world.Queue("q")->id;
  world.Send(kAlice, DeleteQueue{.name = "q"});
  world.Send(kBob, DeleteQueue{.name = "q"});
  world.Send(kBob, Durable("q"), 2);
  world.Send(kBob, Durable("behind"), 2);
  world.Settle();
  EXPECT_TRUE(world.replies.empty());
  EXPECT_EQ(world.Queue("behind"), nullptr) << "answers of one channel keep their order";
  world.Seal(true, false, 5);
  world.Settle();
  ASSERT_EQ(world.replies.size(), 4u);
  std::map<std::pair<SessionId, ChannelId>, std::vector<TopologyReply>> by_channel;
  for (TopologyReply& reply : world.replies) {
    EXPECT_FALSE(reply.error) << reply.text;
    by_channel[{reply.session, reply.channel}].push_back(reply);
  }
  EXPECT_EQ((by_channel[{kAlice, 1}].at(0).messages), 5u);
  EXPECT_EQ((by_channel[{kBob, 1}].at(0).messages), 0u);
  EXPECT_EQ((by_channel[{kBob, 2}].at(0).queue->name), "q");
  EXPECT_EQ((by_channel[{kBob, 2}].at(1).queue->name), "behind");
  EXPECT_NE(world.Queue("q")->id, old_id);
}

TEST(TopologyQueues, AnswersWhoWaitedWithTheOldQueueWhenTheDeletionIsRefused) {
  TopologyWorld world;
  world.ExpectOk(kAlice, Durable("q"));
  const QueueId id = world.Queue("q")->id;
  world.Send(kAlice, DeleteQueue{.name = "q", .if_empty = true});
  world.Send(kBob, PassiveQueue("q"));
  world.Seal(true, false, 5);
  world.Settle();
  ASSERT_EQ(world.replies.size(), 2u);
  EXPECT_TRUE(world.replies[0].error);
  EXPECT_FALSE(world.replies[1].error);
  EXPECT_EQ(world.replies[1].queue->id, id);
}

TEST(TopologyQueues, DeletesTheExclusiveQueuesOfASessionThatEnds) {
  TopologyWorld world;
  world.ExpectOk(kAlice, Exclusive("a1"));
  world.ExpectOk(kAlice, Exclusive("a2"));
  world.ExpectOk(kAlice, Transient("t"));
  world.ExpectOk(kBob, Exclusive("b"));
  world.ExpectOk(kAlice, BindQueue("amq.fanout", "a1"));
  world.Send(kAlice, SessionEnded{}, 0);
  world.Settle();
  EXPECT_TRUE(world.replies.empty());
  EXPECT_EQ(world.Queue("a1"), nullptr);
  EXPECT_EQ(world.Queue("a2"), nullptr);
  EXPECT_NE(world.Queue("t"), nullptr);
  EXPECT_NE(world.Queue("b"), nullptr);
  EXPECT_TRUE(world.FindExchange("amq.fanout")->bindings().empty());
  world.TakeCommand<DropQueueCommand>();
  world.TakeCommand<DropQueueCommand>();
  EXPECT_TRUE(world.commands.empty());
}

TEST(TopologyQueues, LeavesNoExclusiveQueueBehindHoweverASessionEndsAmidItsRequests) {
  TopologyWorld world;
  world.ExpectOk(kAlice, Exclusive("e"));
  world.ExpectOk(kBob, Transient("t"));
  world.Send(kAlice, DeleteQueue{.name = "e", .if_empty = true});
  world.Send(kBob, DeleteQueue{.name = "t"});
  world.Send(kAlice, Exclusive("t"), 2);  // waits for Bob
  world.Send(kAlice, Exclusive("u"), 2);  // waits behind it
  world.Send(kAlice, SessionEnded{}, 0);
  world.Seal(true, false, 2);  // refused, but nobody is left to whom e could belong
  world.Seal(true, true);
  world.Settle();
  EXPECT_EQ(world.Queue("e"), nullptr);
  EXPECT_EQ(world.Queue("t"), nullptr);
  EXPECT_EQ(world.Queue("u"), nullptr);
}

TEST(TopologyQueues, DeletesAnAutoDeleteQueueOnlyIfItIsStillUnused) {
  TopologyWorld world;
  DeclareQueue declare = Durable("q");
  declare.auto_delete = true;
  world.ExpectOk(kAlice, declare);
  world.ExpectOk(kAlice, Durable("stays"));
  const QueueId id = world.Queue("q")->id;
  world.Send(0, QueueUnused{.queue = world.Queue("stays")->id}, 0);
  world.Send(0, QueueUnused{.queue = 4711}, 0);
  EXPECT_TRUE(world.commands.empty());

  world.Send(0, QueueUnused{.queue = id}, 0);
  world.Seal(false, true);  // a consumer was quicker
  world.TakeCommand<UnsealQueueCommand>();
  world.Settle();
  EXPECT_NE(world.Queue("q"), nullptr);

  world.Send(0, QueueUnused{.queue = id}, 0);
  world.Send(0, QueueUnused{.queue = id}, 0);  // and it has gone already
  world.Seal(false, true);
  world.TakeCommand<UnsealQueueCommand>();
  world.Seal(true, false);
  world.Settle();
  EXPECT_EQ(world.Queue("q"), nullptr);
  EXPECT_TRUE(world.replies.empty());
}

TEST(TopologyQueues, APausedQueueStaysPausedOverRestartsAndPolicies) {
  TopologyWorld world;
  world.ExpectError(0, PauseQueue{.name = "q"}, ReplyCode::kNotFound,
                    "NOT_FOUND - no queue 'q' in vhost '/'");
  world.ExpectOk(kAlice, Durable("q"));
  world.ExpectOk(kAlice, DeclareQueue{.name = "transient"});
  world.commands.clear();
  world.ExpectOk(0, PauseQueue{.name = "q"});
  world.ExpectOk(0, PauseQueue{.name = "transient"});
  EXPECT_TRUE(world.Queue("q")->paused);
  EXPECT_TRUE(world.Queue("transient")->paused);
  EXPECT_EQ(world.commands.size(), 2u);
  world.commands.clear();
  world.ExpectOk(0, PauseQueue{.name = "q"});
  EXPECT_TRUE(world.commands.empty());  // nothing new
  Policy policy;
  policy.name = "short";
  policy.pattern = "^q$";
  policy.definition = Table{{"max-length", 1}};
  world.ExpectOk(0, SetPolicy{policy});
  EXPECT_TRUE(world.Queue("q")->paused);
  world.ExpectOk(kAlice, Durable("q"));  // declared again it is the same
  for (const bool from_checkpoint : {false, true}) {
    world.Restart(from_checkpoint);
    EXPECT_TRUE(world.Queue("q")->paused);
    EXPECT_EQ(world.Queue("q")->config.max_length, 1u);
  }
  world.ExpectOk(0, PauseQueue{.name = "q", .paused = false});
  EXPECT_FALSE(world.Queue("q")->paused);
  for (const bool from_checkpoint : {false, true}) {
    world.Restart(from_checkpoint);
    EXPECT_FALSE(world.Queue("q")->paused);
  }
}

TEST(TopologyQueues, RecoversQueuesWithWhatTheirArgumentsAskFor) {
  TopologyWorld world;
  world.ExpectOk(kAlice, Durable("q", Table{{"x-delayed-retry-min", 500}}));
  world.Restart();
  EXPECT_EQ(world.Queue("q")->config.backoff.first, std::chrono::milliseconds(500));
  world.Restart(true);
  EXPECT_EQ(world.Queue("q")->config.backoff.first, std::chrono::milliseconds(500));
}

}  // namespace
}  // namespace landfall::broker
