#include "broker/topology.h"

#include <gtest/gtest.h>

#include <chrono>
#include <ctime>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/rng.h"
#include "broker/refusal.h"
#include "broker/topology_testing.h"

namespace landfall::broker {
namespace {

using amqp::ReplyCode;
using amqp::Table;

TEST(Topology, StartsWithTheVhostAndExchangesThatClientsExpect) {
  TopologyWorld world;
  for (const auto& [name, type] : {std::pair{"amq.direct", ExchangeType::kDirect},
                                   std::pair{"amq.fanout", ExchangeType::kFanout},
                                   std::pair{"amq.topic", ExchangeType::kTopic},
                                   std::pair{"amq.headers", ExchangeType::kHeaders},
                                   std::pair{"amq.match", ExchangeType::kHeaders}}) {
    const Exchange* exchange = world.FindExchange(name);
    ASSERT_NE(exchange, nullptr) << name;
    EXPECT_EQ(exchange->type, type);
    EXPECT_TRUE(exchange->durable);
  }
  EXPECT_EQ(world.topology->published(), world.snapshots.back());
  EXPECT_TRUE(world.journal.empty()) << "nothing of it needs the disk";
}

TEST(Topology, AnswersOnlyWhenTheChangeIsDurableAndInstalledOnEveryWorker) {
  TopologyWorld world(3);
  world.Send(kAlice, Durable("q"));
  EXPECT_TRUE(world.journal.empty()) << "not before the turn ends";
  world.topology->Flush();
  ASSERT_EQ(world.journal.size(), 1u);
  EXPECT_EQ(world.Queue("q"), nullptr) << "published before it was durable";
  EXPECT_TRUE(world.replies.empty());
  world.LandJournal();
  ASSERT_NE(world.Queue("q"), nullptr);
  world.InstallOn(0);
  world.InstallOn(2);
  EXPECT_TRUE(world.replies.empty());
  world.InstallOn(1);
  const TopologyReply reply = world.TakeReply();
  EXPECT_FALSE(reply.error);
  EXPECT_EQ(reply.queue, world.Queue("q"));
  EXPECT_EQ(reply.session, kAlice);
  EXPECT_EQ(reply.channel, 1);
}

TEST(Topology, TellsNobodyOfAQueueThatIsNotYetInstalledEverywhere) {
  TopologyWorld world;
  world.Send(kAlice, Durable("q"));
  world.LandJournal();
  world.InstallOn(0);
  world.Send(kBob, PassiveQueue("q"));
  world.Send(kBob, Durable("q"), 2);
  EXPECT_TRUE(world.replies.empty());
  world.InstallOn(1);
  EXPECT_EQ(world.replies.size(), 3u);
}

TEST(Topology, PutsWhatComesMeanwhileIntoOneRecordAndOneSnapshot) {
  TopologyWorld world;
  world.Send(kAlice, Durable("first"));
  world.topology->Flush();
  for (int i = 0; i < 1000; ++i) {
    world.Send(kAlice, Durable("q" + std::to_string(i)), 2);
    world.topology->Flush();
  }
  EXPECT_EQ(world.journal.size(), 1u);
  world.Settle();
  EXPECT_EQ(world.journal.size(), 2u);
  EXPECT_EQ(world.snapshots.size(), 3u);
  EXPECT_EQ(world.replies.size(), 1001u);
}

TEST(Topology, KeepsExclusiveAndTransientObjectsFromTheJournal) {
  TopologyWorld world;
  world.ExpectOk(kAlice, Durable("makes the ids reserved"));
  const size_t before = world.journal.size();
  world.ExpectOk(kBob, Exclusive("e"));
  world.ExpectOk(kBob, Transient("t"));
  world.ExpectOk(kBob, NewExchange("x", "topic", false));
  world.ExpectOk(kBob, BindQueue("x", "e", "k"));
  world.ExpectOk(kBob, BindQueue("amq.topic", "t", "k"));
  world.ExpectOk(kBob,
                 {DeclareQueue{.name = "de", .durable = true, .exclusive = true, .arguments = {}}});
  EXPECT_EQ(world.journal.size(), before);
  EXPECT_EQ(world.Queue("e")->shard, TransientShardOf(1));
  EXPECT_EQ(world.Queue("t")->shard, TransientShardOf(1));
  EXPECT_EQ(world.Queue("de")->shard, TransientShardOf(1));
  world.Restart();
  EXPECT_EQ(world.Queue("e"), nullptr);
  EXPECT_EQ(world.Queue("t"), nullptr);
  EXPECT_EQ(world.FindExchange("x"), nullptr);
  EXPECT_TRUE(world.FindExchange("amq.topic")->bindings().empty());
}

TEST(Topology, NeverUsesAnIdTwiceNotEvenOneThatWasOnlyTransientBeforeARestart) {
  TopologyWorld world;
  std::set<QueueId> ids;
  for (int round = 0; round < 4; ++round) {
    for (int i = 0; i < 5; ++i) {
      const std::string name = std::to_string(round) + "-" + std::to_string(i);
      world.ExpectOk(kAlice, i % 2 == 0 ? Transient(name) : Durable(name));
      EXPECT_TRUE(ids.insert(world.Queue(name)->id).second);
    }
    world.Restart(round % 2 == 1);
  }
}

TEST(Topology, KeepsVhostsApart) {
  TopologyWorld world;
  EXPECT_EQ(world.Ask(kAlice, Durable("q"), "other").text, "NOT_ALLOWED - vhost 'other' not found");
  world.ExpectOk(0, CreateVhost{.name = "other"});
  world.ExpectOk(0, CreateVhost{.name = "other"});
  world.ExpectError(0, CreateVhost{.name = ""}, ReplyCode::kPreconditionFailed,
                    "PRECONDITION_FAILED - the name of a vhost has 1 to 255 bytes");
  EXPECT_FALSE(world.Ask(kAlice, Durable("q"), "other").error);
  EXPECT_EQ(world.Queue("q"), nullptr);
  EXPECT_NE(world.snapshot().FindQueue("other", "q"), nullptr);
  EXPECT_EQ(world.snapshot().FindVhost("none"), nullptr);
  world.Restart();
  EXPECT_NE(world.snapshot().FindQueue("other", "q"), nullptr);
  EXPECT_EQ(world.snapshot().FindQueue("none", "q"), nullptr);
}

TEST(Topology, AVhostGoesWithAllThatIsInIt) {
  TopologyWorld world;
  world.ExpectError(0, DeleteVhost{.name = "other"}, ReplyCode::kNotFound,
                    "NOT_FOUND - vhost 'other' not found");
  world.ExpectError(0, DeleteVhost{.name = "/"}, ReplyCode::kPreconditionFailed,
                    "PRECONDITION_FAILED - vhost '/' is always there: delete what is in it");
  world.ExpectOk(kAlice, Durable("q"));
  world.ExpectOk(0, CreateVhost{.name = "other"});
  EXPECT_FALSE(world.Ask(kAlice, Durable("q"), "other").error);
  EXPECT_FALSE(world.Ask(kAlice, Durable("sealed"), "other").error);
  EXPECT_FALSE(world.Ask(kAlice, Exclusive("own"), "other").error);
  EXPECT_FALSE(world.Ask(kAlice, NewExchange("x", "topic"), "other").error);
  DeclareExchange delayed = NewExchange("later", "x-delayed-message");
  delayed.arguments = Table{{"x-delayed-type", "direct"}};
  EXPECT_FALSE(world.Ask(kAlice, delayed, "other").error);
  EXPECT_FALSE(world.Ask(kAlice, BindQueue("x", "q", "#"), "other").error);
  EXPECT_FALSE(world.Ask(kAlice, BindQueue("later", "q", "k"), "other").error);
  // One of its queues is being deleted meanwhile.
  world.Send(kBob, DeleteQueue{.name = "sealed"}, 1, "other");
  world.Settle();
  const auto [shard_of_sealed, seal] = world.TakeCommand<SealQueueCommand>();
  world.Send(0, DeleteVhost{.name = "other"});
  world.Settle();
  ASSERT_EQ(world.replies.size(), 2u);
  for (const TopologyReply& reply : world.replies) EXPECT_FALSE(reply.error) << reply.text;
  world.replies.clear();
  EXPECT_EQ(world.snapshot().FindVhost("other"), nullptr);
  EXPECT_EQ(world.snapshot().vhosts_deleted, 1u);
  EXPECT_NE(world.Queue("q"), nullptr);
  size_t dropped = 0;
  for (const auto& [shard, command] : world.commands)
    dropped += std::holds_alternative<DropQueueCommand>(command.body);
  EXPECT_EQ(dropped, 4u);  // with the one in which the delayed exchange holds back
  world.topology->OnSealed({.queue = seal.queue, .token = seal.token});
  world.Settle();
  EXPECT_TRUE(world.replies.empty());

  // What is made under its name later is another one.
  world.ExpectOk(0, CreateVhost{.name = "other"});
  EXPECT_EQ(world.snapshot().FindQueue("other", "q"), nullptr);
  world.Restart();
  EXPECT_NE(world.snapshot().FindVhost("other"), nullptr);
  EXPECT_EQ(world.snapshot().FindQueue("other", "q"), nullptr);
  EXPECT_NE(world.Queue("q"), nullptr);
  world.ExpectOk(0, DeleteVhost{.name = "other"});
  world.Restart();
  EXPECT_EQ(world.snapshot().FindVhost("other"), nullptr);
}

TEST(Topology, AVhostThatIsMadeAnewInOneStepIsAnotherOne) {
  TopologyWorld world;
  world.ExpectOk(0, CreateVhost{.name = "other"});
  const uint64_t before = world.snapshot().FindVhost("other")->incarnation;
  world.Send(0, DeleteVhost{.name = "other"});
  world.Send(0, CreateVhost{.name = "other"});
  world.Settle();
  ASSERT_NE(world.snapshot().FindVhost("other"), nullptr);
  EXPECT_NE(world.snapshot().FindVhost("other")->incarnation, before);
}

TEST(Topology, RefusesACheckpointOrBatchThatIsNotWhole) {
  TopologyWorld world;
  world.ExpectOk(kAlice, Durable("q"));
  const auto [seq, bytes] = world.TakeCheckpoint();
  for (size_t n = 0; n < bytes.size(); ++n) {
    TopologyWorld other;
    Topology topology({}, other);
    EXPECT_FALSE(topology.RecoverCheckpoint(seq, ByteView(bytes).substr(0, n))) << n;
  }
  TopologyWorld other;
  Topology topology({}, other);
  EXPECT_FALSE(topology.RecoverBatch(1, ""));
  EXPECT_FALSE(topology.RecoverBatch(1, "\x02"));
  EXPECT_FALSE(topology.RecoverBatch(1, std::string_view("\x01\x01\x63", 3))) << "unknown type";
}

// Or the first message to a queue of a shard that is not there would end the broker.
TEST(Topology, RefusesToStartWithFewerShardsThanItsQueuesAreOn) {
  TopologyWorld world;
  for (int i = 0; i < 4; ++i) world.ExpectOk(kAlice, Durable("q" + std::to_string(i)));
  const auto [seq, bytes] = world.TakeCheckpoint();
  TopologyWorld other;
  Topology topology({.shards = 2}, other);
  const auto recovered = topology.RecoverCheckpoint(seq, bytes);
  ASSERT_FALSE(recovered);
  EXPECT_NE(recovered.error().message.find("as many shards as the data directory was made with"),
            std::string::npos);
}

// Any operations in any order with restarts in between: what was answered is there afterwards, and
// the journal, with or without a checkpoint, gives exactly the durable part of what was published.
TEST(Topology, GivesAnEqualStateAfterReplayOfRandomOperations) {
  for (uint64_t seed = 1; seed <= 40; ++seed) {
    Rng rng(seed);
    TopologyWorld world;
    std::vector<SessionId> sessions = {kAlice, kBob};
    auto name = [&](const char* prefix) { return prefix + std::to_string(rng.Below(6)); };
    auto exchange_name = [&] { return rng.Chance(0.2) ? std::string("amq.topic") : name("x"); };
    auto random_bind = [&]() -> Bind {
      const char* keys[] = {"", "a", "a.*", "#"};
      Bind bind = rng.Chance(0.6) ? BindQueue(exchange_name(), name("q"), keys[rng.Below(4)])
                                  : BindExchange(exchange_name(), name("x"), keys[rng.Below(4)]);
      if (rng.Chance(0.3)) bind.arguments.Set("n", 1);
      bind.unbind = rng.Chance(0.35);
      return bind;
    };
    auto random_body = [&]() -> TopologyRequestBody {
      switch (rng.Below(6)) {
        case 0: {
          const char* types[] = {"direct", "fanout", "topic", "headers"};
          DeclareExchange declare = NewExchange(name("x"), types[rng.Below(4)], rng.Chance(0.7));
          declare.auto_delete = rng.Chance(0.4);
          return declare;
        }
        case 1:
        case 2: {
          DeclareQueue declare = Durable(name("q"));
          declare.durable = rng.Chance(0.7);
          declare.exclusive = rng.Chance(0.3);
          declare.auto_delete = rng.Chance(0.3);
          return declare;
        }
        case 3:
          if (rng.Chance(0.5)) return DeleteExchange{name("x"), rng.Chance(0.3)};
          return DeleteQueue{name("q"), rng.Chance(0.3), rng.Chance(0.3)};
        default:
          return random_bind();
      }
    };
    for (int step = 0; step < 600; ++step) {
      const SessionId session = sessions[rng.Below(2)];
      if (rng.Chance(0.02)) {
        world.Send(session, SessionEnded{}, 0);
      } else if (rng.Chance(0.05)) {
        world.Send(0, QueueUnused{.queue = rng.Below(200)}, 0);
      } else {
        world.Send(session, random_body(), static_cast<ChannelId>(1 + rng.Below(3)));
      }
      if (rng.Chance(0.5)) world.topology->Flush();
      if (rng.Chance(0.5)) world.LandJournal();
      if (rng.Chance(0.5)) world.InstallOn(static_cast<WorkerId>(rng.Below(2)));
      while (!world.commands.empty() && rng.Chance(0.7)) {
        if (std::holds_alternative<SealQueueCommand>(world.commands.front().second.body)) {
          world.Seal(rng.Chance(0.6), rng.Chance(0.6), 1);
        } else {
          world.commands.pop_front();
        }
      }
      if (step % 150 != 149) continue;
      if (rng.Chance(0.5)) world.Settle();  // otherwise the last batch is torn off
      // What is durable but waits for the workers to install what came before it.
      for (const WorkerId worker : {0, 1}) world.InstallOn(worker);
      const std::string durable = Dump(*world.topology->published(), true);
      world.Restart();
      EXPECT_EQ(Dump(world.snapshot()), durable) << seed;
      const std::string replayed = Dump(world.snapshot());
      world.Restart(true);
      EXPECT_EQ(Dump(world.snapshot()), replayed) << seed;
      world.Restart();
      EXPECT_EQ(Dump(world.snapshot()), replayed) << seed;
    }
  }
}

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr int kManyBinds = 10'000;
#else
constexpr int kManyBinds = 100'000;
#endif

// Each bind a round trip of its own, which is the most snapshots that there can be.
TEST(Topology, TakesAHundredThousandBindsWithoutBecomingSlower) {
  for (const char* exchange : {"amq.direct", "amq.topic", "amq.fanout"}) {
    TopologyWorld world;
    world.ExpectOk(kAlice, Durable("q"));
    const std::clock_t start = std::clock();  // of this process: others may be busy, too
    for (int i = 0; i < kManyBinds; ++i) {
      world.Send(kAlice, BindQueue(exchange, "q", "key." + std::to_string(i) + ".#"));
      world.topology->Flush();
      world.durable = world.journal.rbegin()->first;
      world.topology->OnDurable(world.durable);
      world.journal.clear();
      world.first_seq = world.durable + 1;
      for (WorkerId worker : {0, 1}) world.InstallOn(worker);
      ASSERT_EQ(world.replies.size(), 1u);
      world.replies.clear();
      world.snapshots.erase(world.snapshots.begin(), world.snapshots.end() - 1);
    }
    const double seconds = static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC;
    RecordProperty(std::string("seconds_") + exchange, std::to_string(seconds));
    EXPECT_LT(seconds, 10.0) << "well below 1 when optimized, minutes if it were quadratic";
    EXPECT_EQ(world.FindExchange(exchange)->bindings().size(), static_cast<size_t>(kManyBinds));

    // Away with all of them at once.
    world.Send(kAlice, DeleteQueue{.name = "q"});
    world.Seal(true, true);
    world.Settle();
    EXPECT_TRUE(world.FindExchange(exchange)->bindings().empty());
  }
}

}  // namespace
}  // namespace landfall::broker
