#include "broker/topology.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <ctime>
#include <deque>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/rng.h"
#include "broker/refusal.h"
#include "storage/memory_output.h"

namespace landfall::broker {
namespace {

using amqp::ReplyCode;
using amqp::Table;

constexpr SessionId kAlice = (1 << kWorkerBits) | 0;  // on worker 0
constexpr SessionId kBob = (2 << kWorkerBits) | 1;    // on worker 1

// Everything of a snapshot as text, in an order of its own; the durable part alone if asked.
std::string Dump(const TopologySnapshot& snapshot, bool durable_only = false) {
  std::set<std::string> lines;
  snapshot.vhosts.ForEach([&](const std::string& vhost, const VhostRef& v) {
    EXPECT_EQ(v->name, vhost);
    lines.insert("vhost " + vhost);
    v->queues.ForEach([&](const std::string& name, const QueueInfoRef& q) {
      EXPECT_EQ(q->name, name);
      EXPECT_EQ(snapshot.FindQueue(q->id), q);
      if (durable_only && !q->journaled()) return;
      lines.insert(vhost + " queue " + name + " " + std::to_string(q->id) + " shard " +
                   std::to_string(q->shard) + (q->durable ? " durable" : "") +
                   (q->exclusive ? " exclusive" : "") + (q->auto_delete ? " auto" : "") + " " +
                   q->arguments.Encode());
    });
    v->exchanges.ForEach([&](const std::string& name, const ExchangeRef& x) {
      EXPECT_EQ(x->name, name);
      if (durable_only && !x->durable) return;
      lines.insert(vhost + " exchange " + name + " " + std::string(ExchangeTypeName(x->type)) +
                   (x->durable ? " durable" : "") + (x->auto_delete ? " auto" : "") +
                   (x->internal ? " internal" : "") + " " + x->alternate + " " +
                   x->arguments.Encode());
      x->bindings().ForEach([&](const std::string&, const BindingRef& b) {
        if (durable_only && !b->durable) return;
        EXPECT_EQ(b->source, name);
        lines.insert(vhost + " binding " + name + " -> " + b->Identity());
        if (b->to_exchange) {
          EXPECT_NE(v->exchanges.Find(b->destination), nullptr);
        } else {
          const QueueInfoRef q = snapshot.FindQueue(b->queue.id);
          EXPECT_NE(q, nullptr);
          EXPECT_TRUE(q == nullptr || q->target() == b->queue);
        }
      });
    });
  });
  std::string text;
  for (const std::string& line : lines) text += line + "\n";
  return text;
}

// A world around the topology that does nothing by itself: the test decides when the journal lands,
// a worker installs or a shard answers.
class World : public TopologyPorts {
 public:
  explicit World(WorkerId workers = 2) : workers_(workers) { Restart(); }

  void AppendTopology(storage::Batch batch) override {
    EXPECT_EQ(batch.shard, storage::kTopologyShard);
    EXPECT_TRUE(batch.urgent);
    EXPECT_EQ(batch.shard_seq, journal.empty() ? first_seq : journal.rbegin()->first + 1);
    EXPECT_LE(batch.shard_seq, durable + 1) << "one batch at a time";
    journal[batch.shard_seq] = batch.entries;
  }
  void Install(SnapshotRef snapshot) override {
    EXPECT_TRUE(snapshots.empty() || snapshot->version > snapshots.back()->version);
    EXPECT_TRUE(journal.empty() || journal.rbegin()->first <= durable) << "not durable yet";
    snapshots.push_back(std::move(snapshot));
  }
  void Reply(TopologyReply reply) override { replies.push_back(std::move(reply)); }
  void ToShard(ShardId shard, Command&& command) override {
    EXPECT_EQ(command.session, 0u);
    EXPECT_GT(command.topology_version, 0u);
    commands.emplace_back(shard, std::move(command));
  }

  // A new process: what was journaled and landed is all there is.
  void Restart(bool from_checkpoint = false) {
    std::pair<uint64_t, ByteBuffer> checkpoint{0, ""};
    if (from_checkpoint) checkpoint = TakeCheckpoint();
    while (!journal.empty() && journal.rbegin()->first > durable) {
      journal.erase(std::prev(journal.end()));
    }
    topology = std::make_unique<Topology>(TopologyOptions{.workers = workers_, .shards = 4}, *this);
    if (from_checkpoint) {
      auto recovered = topology->RecoverCheckpoint(checkpoint.first, checkpoint.second);
      EXPECT_TRUE(recovered) << recovered.error().ToString();
    }
    for (const auto& [seq, entries] : journal) {
      auto recovered = topology->RecoverBatch(seq, entries);
      EXPECT_TRUE(recovered) << recovered.error().ToString();
    }
    snapshots.clear();
    replies.clear();
    commands.clear();
    topology->Start(std::max(durable, checkpoint.first));
    Settle();
  }

  std::pair<uint64_t, ByteBuffer> TakeCheckpoint() {
    auto [seq, source] = topology->Checkpoint();
    storage::MemoryOutput out;
    EXPECT_TRUE(source(out));
    const ByteBuffer& bytes = out.bytes;
    return {seq, bytes};
  }

  void LandJournal() {
    topology->Flush();
    if (!journal.empty() && journal.rbegin()->first > durable) {
      durable = journal.rbegin()->first;
      topology->OnDurable(durable);
    }
  }
  void InstallOn(WorkerId worker) { topology->OnInstalled(worker, snapshots.back()->version); }
  // Until nothing is under way any more, except shards that have been asked.
  void Settle() {
    for (int i = 0; i < 3; ++i) {
      LandJournal();
      for (WorkerId worker = 0; worker < workers_; ++worker) InstallOn(worker);
    }
  }

  void Send(SessionId session, TopologyRequestBody body, ChannelId channel = 1,
            std::string vhost = "/") {
    topology->OnRequest({.session = session,
                         .channel = channel,
                         .vhost = std::move(vhost),
                         .body = std::move(body)});
  }
  // Sends, settles, and takes the one answer.
  TopologyReply Ask(SessionId session, TopologyRequestBody body, std::string vhost = "/") {
    Send(session, std::move(body), 1, std::move(vhost));
    Settle();
    return TakeReply();
  }
  TopologyReply TakeReply() {
    EXPECT_EQ(replies.size(), 1u);
    if (replies.empty()) return {};
    TopologyReply reply = std::move(replies.front());
    replies.pop_front();
    return reply;
  }
  void ExpectOk(SessionId session, TopologyRequestBody body) {
    const TopologyReply reply = Ask(session, std::move(body));
    EXPECT_FALSE(reply.error) << reply.text;
  }
  void ExpectError(SessionId session, TopologyRequestBody body, ReplyCode code,
                   const std::string& text) {
    const std::string before = Dump(snapshot());
    const TopologyReply reply = Ask(session, std::move(body));
    EXPECT_EQ(reply.error, code);
    EXPECT_EQ(reply.text, text);
    EXPECT_EQ(Dump(snapshot()), before);
  }

  template <class T>
  std::pair<ShardId, T> TakeCommand() {
    EXPECT_FALSE(commands.empty());
    if (commands.empty()) return {};
    auto [shard, command] = std::move(commands.front());
    commands.pop_front();
    EXPECT_TRUE(std::holds_alternative<T>(command.body));
    const T* body = std::get_if<T>(&command.body);
    return {shard, body != nullptr ? *body : T{}};
  }
  // Answers the seal that has been asked for.
  void Seal(bool unused, bool empty, uint32_t messages = 0) {
    const auto [shard, seal] = TakeCommand<SealQueueCommand>();
    topology->OnSealed({.queue = seal.queue,
                        .token = seal.token,
                        .unused = unused,
                        .empty = empty,
                        .messages = messages});
  }

  const TopologySnapshot& snapshot() const { return *snapshots.back(); }
  QueueInfoRef Queue(std::string_view name) const { return snapshot().FindQueue("/", name); }
  const Exchange* FindExchange(std::string_view name) const {
    const ExchangeRef* found = snapshot().FindVhost("/")->exchanges.Find(name);
    return found == nullptr ? nullptr : found->get();
  }

  std::unique_ptr<Topology> topology;
  std::map<uint64_t, ByteBuffer> journal;
  uint64_t first_seq = 1;
  uint64_t durable = 0;
  std::vector<SnapshotRef> snapshots;
  std::deque<TopologyReply> replies;
  std::deque<std::pair<ShardId, Command>> commands;

 private:
  const WorkerId workers_;
};

DeclareQueue Durable(std::string name, Table arguments = {}) {
  return {.name = std::move(name), .durable = true, .arguments = std::move(arguments)};
}
DeclareQueue Transient(std::string name) { return {.name = std::move(name), .arguments = {}}; }
DeclareQueue Exclusive(std::string name) {
  return {.name = std::move(name), .exclusive = true, .arguments = {}};
}
DeclareQueue PassiveQueue(std::string name) {
  return {.name = std::move(name), .passive = true, .arguments = {}};
}
DeclareExchange NewExchange(std::string name, std::string type, bool durable = true) {
  return {.name = std::move(name), .type = std::move(type), .durable = durable, .arguments = {}};
}
DeclareExchange PassiveExchange(std::string name) {
  return {.name = std::move(name), .type = "", .passive = true, .arguments = {}};
}
Bind BindQueue(std::string source, std::string queue, std::string key = "", Table arguments = {}) {
  return {.source = std::move(source),
          .destination = std::move(queue),
          .routing_key = std::move(key),
          .arguments = std::move(arguments)};
}
Bind BindExchange(std::string source, std::string destination, std::string key = "") {
  return {.to_exchange = true,
          .source = std::move(source),
          .destination = std::move(destination),
          .routing_key = std::move(key),
          .arguments = {}};
}
Bind Unbind(Bind bind) {
  bind.unbind = true;
  return bind;
}

TEST(Topology, StartsWithTheVhostAndExchangesThatClientsExpect) {
  World world;
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
  World world(3);
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
  World world;
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
  World world;
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
  World world;
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

TEST(Topology, SpreadsDurableQueuesOverTheShardsWithFewest) {
  World world;
  std::map<ShardId, int> queues;
  for (int i = 0; i < 40; ++i) {
    const std::string name = "q" + std::to_string(i);
    world.ExpectOk(kAlice, Durable(name));
    ++queues[world.Queue(name)->shard];
  }
  EXPECT_EQ(queues, (std::map<ShardId, int>{{1, 10}, {2, 10}, {3, 10}, {4, 10}}));
}

TEST(Topology, NeverUsesAnIdTwiceNotEvenOneThatWasOnlyTransientBeforeARestart) {
  World world;
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

TEST(Topology, MakesUpNamesThatAreFree) {
  World world;
  std::set<std::string> names;
  for (int i = 0; i < 50; ++i) {
    const TopologyReply reply = world.Ask(kAlice, Durable(""));
    ASSERT_NE(reply.queue, nullptr);
    EXPECT_TRUE(reply.queue->name.starts_with("amq.gen-"));
    EXPECT_TRUE(names.insert(reply.queue->name).second);
    if (i == 25) world.Restart();  // with the same seed
  }
}

TEST(Topology, RefusesQueueDeclarationsInRabbitMQsWords) {
  World world;
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

TEST(Topology, ComparesEveryArgumentThatMeansSomething) {
  World world;
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

TEST(Topology, LetsNobodyButItsOwnerUseAnExclusiveQueue) {
  World world;
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

TEST(Topology, RefusesExchangeOperationsInRabbitMQsWords) {
  World world;
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

TEST(Topology, BindsOnceAndUnbindsWhatIsNotThere) {
  World world;
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

TEST(Topology, DeletesAnExchangeWithItsBindingsOnBothSides) {
  World world;
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

TEST(Topology, DeletesAutoDeleteExchangesWithTheirLastBindingAllAlongAChain) {
  World world;
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

TEST(Topology, DeletesAQueueBySealJournalDropInstallAndThenAnswers) {
  World world;
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

TEST(Topology, OpensAQueueAgainWhenTheConditionOfItsDeletionDoesNotHold) {
  World world;
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

TEST(Topology, LetsRequestsForAQueueThatIsBeingDeletedWaitForTheEnd) {
  World world;
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

TEST(Topology, AnswersWhoWaitedWithTheOldQueueWhenTheDeletionIsRefused) {
  World world;
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

TEST(Topology, DeletesTheExclusiveQueuesOfASessionThatEnds) {
  World world;
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

TEST(Topology, LeavesNoExclusiveQueueBehindHoweverASessionEndsAmidItsRequests) {
  World world;
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

TEST(Topology, DeletesAnAutoDeleteQueueOnlyIfItIsStillUnused) {
  World world;
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

TEST(Topology, KeepsVhostsApart) {
  World world;
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
  World world;
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
  World world;
  world.ExpectOk(0, CreateVhost{.name = "other"});
  const uint64_t before = world.snapshot().FindVhost("other")->incarnation;
  world.Send(0, DeleteVhost{.name = "other"});
  world.Send(0, CreateVhost{.name = "other"});
  world.Settle();
  ASSERT_NE(world.snapshot().FindVhost("other"), nullptr);
  EXPECT_NE(world.snapshot().FindVhost("other")->incarnation, before);
}

TEST(Topology, APausedQueueStaysPausedOverRestartsAndPolicies) {
  World world;
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

TEST(Topology, ChecksTheArgumentsAndWeightsOfAHashExchange) {
  World world;
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

TEST(Topology, RecoversHashExchanges) {
  World world;
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

TEST(Topology, ADelayedExchangeHasAQueueOfItsOwnThatNoNameLeadsTo) {
  World world;
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

TEST(Topology, PoliciesDoNotApplyToWhatADelayedExchangeHoldsBack) {
  World world;
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

TEST(Topology, RecoversDelayedExchangesWithTheirQueues) {
  World world;
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

TEST(Topology, WhatADelayedExchangeHoldsBackGoesWithIt) {
  World world;
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

TEST(Topology, RecoversQueuesWithWhatTheirArgumentsAskFor) {
  World world;
  world.ExpectOk(kAlice, Durable("q", Table{{"x-delayed-retry-min", 500}}));
  world.Restart();
  EXPECT_EQ(world.Queue("q")->config.backoff.first, std::chrono::milliseconds(500));
  world.Restart(true);
  EXPECT_EQ(world.Queue("q")->config.backoff.first, std::chrono::milliseconds(500));
}

TEST(Topology, RefusesACheckpointOrBatchThatIsNotWhole) {
  World world;
  world.ExpectOk(kAlice, Durable("q"));
  const auto [seq, bytes] = world.TakeCheckpoint();
  for (size_t n = 0; n < bytes.size(); ++n) {
    World other;
    Topology topology({}, other);
    EXPECT_FALSE(topology.RecoverCheckpoint(seq, ByteView(bytes).substr(0, n))) << n;
  }
  World other;
  Topology topology({}, other);
  EXPECT_FALSE(topology.RecoverBatch(1, ""));
  EXPECT_FALSE(topology.RecoverBatch(1, "\x02"));
  EXPECT_FALSE(topology.RecoverBatch(1, std::string_view("\x01\x01\x63", 3))) << "unknown type";
}

// Or the first message to a queue of a shard that is not there would end the broker.
TEST(Topology, RefusesToStartWithFewerShardsThanItsQueuesAreOn) {
  World world;
  for (int i = 0; i < 4; ++i) world.ExpectOk(kAlice, Durable("q" + std::to_string(i)));
  const auto [seq, bytes] = world.TakeCheckpoint();
  World other;
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
    World world;
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
    World world;
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
