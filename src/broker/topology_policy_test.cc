// Policies on their way through the topology: to queues and exchanges that are there and that come,
// and over a restart. What they mean is in effective_config_test.cc.
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "broker/topology.h"
#include "storage/memory_output.h"

namespace landfall::broker {
namespace {

using amqp::ReplyCode;
using amqp::Table;

constexpr SessionId kAlice = 1 << kWorkerBits;

// One worker on a disk that lands at once.
class TopologyPolicies : public testing::Test, public TopologyPorts {
 protected:
  TopologyPolicies() { Start(); }

  void AppendTopology(storage::Batch batch) override { journal.push_back(std::move(batch)); }
  void Install(SnapshotRef s) override { snapshot = std::move(s); }
  void Reply(TopologyReply r) override { replies.push_back(std::move(r)); }
  void ToShard(ShardId shard, Command&& command) override {
    commands.emplace_back(shard, std::move(command));
  }

  void Start() {
    topology = std::make_unique<Topology>(TopologyOptions{.shards = 4}, *this);
    for (const auto& [seq, bytes] : checkpoint) {
      auto done = topology->RecoverCheckpoint(seq, bytes);
      ASSERT_TRUE(done) << done.error().ToString();
    }
    for (const storage::Batch& batch : journal) {
      if (!checkpoint.empty() && batch.shard_seq <= checkpoint[0].first) continue;
      auto done = topology->RecoverBatch(batch.shard_seq, batch.entries);
      ASSERT_TRUE(done) << done.error().ToString();
    }
    topology->Start(journal.empty() ? 0 : journal.back().shard_seq);
    Settle();
    commands.clear();
  }
  void TakeCheckpoint() {
    auto [seq, source] = topology->Checkpoint();
    storage::MemoryOutput out;
    EXPECT_TRUE(source(out));
    const ByteBuffer& bytes = out.bytes;
    checkpoint = {{seq, bytes}};
  }
  void Settle() {
    topology->Flush();
    topology->OnDurable(journal.empty() ? 0 : journal.back().shard_seq);
    topology->OnInstalled(0, snapshot->version);
  }
  TopologyReply Ask(TopologyRequestBody body) {
    replies.clear();
    topology->OnRequest({.session = kAlice, .channel = 1, .vhost = "/", .body = std::move(body)});
    Settle();
    EXPECT_EQ(replies.size(), 1u);
    return replies.empty() ? TopologyReply{} : replies[0];
  }
  void Do(TopologyRequestBody body) {
    const TopologyReply reply = Ask(std::move(body));
    EXPECT_FALSE(reply.error) << reply.text;
  }
  void Declare(std::string name, Table arguments = {}, bool durable = true) {
    Do(DeclareQueue{
        .name = std::move(name), .durable = durable, .arguments = std::move(arguments)});
  }
  void Set(std::string name, std::string pattern, Table definition, int priority = 0,
           bool by_operator = false) {
    Do(SetPolicy{{.name = std::move(name),
                  .by_operator = by_operator,
                  .pattern = std::move(pattern),
                  .priority = priority,
                  .definition = std::move(definition)}});
  }
  const QueueConfig& Config(std::string_view name) const {
    return snapshot->FindQueue("/", name)->config;
  }
  std::string Alternate(std::string_view name) const {
    return (*snapshot->FindVhost("/")->exchanges.Find(name))->alternate;
  }
  // The queues that shards have been told of, by name.
  std::vector<std::string> Configured() {
    std::vector<std::string> names;
    for (const auto& [shard, command] : commands) {
      const auto* configure = std::get_if<ConfigureQueueCommand>(&command.body);
      if (configure == nullptr) continue;
      const QueueInfoRef queue = snapshot->FindQueue(configure->queue);
      EXPECT_EQ(shard, queue->shard);
      EXPECT_EQ(command.topology_version, snapshot->version);
      names.push_back(queue->name);
    }
    commands.clear();
    std::ranges::sort(names);
    return names;
  }

  std::unique_ptr<Topology> topology;
  std::vector<storage::Batch> journal;
  std::vector<std::pair<uint64_t, ByteBuffer>> checkpoint;
  SnapshotRef snapshot;
  std::vector<TopologyReply> replies;
  std::vector<std::pair<ShardId, Command>> commands;
};

using Names = std::vector<std::string>;

TEST_F(TopologyPolicies, ReachQueuesThatAreThereAndThatCome) {
  Declare("a1");
  Declare("a2", {}, /*durable=*/false);
  Declare("b");
  Set("limit", "^a", {{"max-length", 5}});
  EXPECT_EQ(Configured(), (Names{"a1", "a2"}));
  Declare("a3");
  EXPECT_EQ(Configured(), Names{});
  for (const char* name : {"a1", "a2", "a3"}) EXPECT_EQ(Config(name).max_length, 5u) << name;
  EXPECT_FALSE(Config("b").max_length);
  EXPECT_EQ(snapshot->FindQueue("/", "a1"),
            snapshot->FindQueue(snapshot->FindQueue("/", "a1")->id));
  EXPECT_TRUE(snapshot->FindQueue("/", "a1")->arguments.empty());
}

TEST_F(TopologyPolicies, TellNobodyOfWhatStaysAsItIs) {
  Declare("a", {{"x-max-length", 3}});
  Set("limit", "^a", {{"max-length", 5}});
  EXPECT_EQ(Configured(), Names{});
  const size_t records = journal.size();
  Set("limit", "^a", {{"max-length", 5}});
  EXPECT_EQ(journal.size(), records) << "the same again";
}

TEST_F(TopologyPolicies, CanBeChangedAndCleared) {
  Declare("a");
  Declare("b");
  Set("limit", "^a", {{"max-length", 5}});
  Set("limit", "^b", {{"max-length", 6}});
  EXPECT_FALSE(Config("a").max_length);
  EXPECT_EQ(Config("b").max_length, 6u);
  commands.clear();
  Do(ClearPolicy{.name = "limit"});
  EXPECT_EQ(Configured(), Names{"b"});
  EXPECT_FALSE(Config("b").max_length);
  const TopologyReply reply = Ask(ClearPolicy{.name = "limit"});
  EXPECT_EQ(reply.error, ReplyCode::kNotFound);
  EXPECT_EQ(reply.text, "NOT_FOUND - no policy 'limit' in vhost '/'");
}

TEST_F(TopologyPolicies, OfOperatorsHaveNamesOfTheirOwnAndLimitTheOthers) {
  Declare("q", {{"x-max-length", 50}});
  Set("p", "", {{"message-ttl", 1000}});
  Set("p", "", {{"max-length", 10}, {"message-ttl", 2000}}, 0, /*by_operator=*/true);
  EXPECT_EQ(Config("q").max_length, 10u);
  EXPECT_EQ(Config("q").message_ttl, std::chrono::milliseconds(1000));
  Do(ClearPolicy{.name = "p"});
  EXPECT_EQ(Config("q").message_ttl, std::chrono::milliseconds(2000));
}

TEST_F(TopologyPolicies, AreRefusedWhenTheyCannotBe) {
  const TopologyReply reply =
      Ask(SetPolicy{{.name = "p", .pattern = "", .definition = {{"foo", 1}}}});
  EXPECT_EQ(reply.error, ReplyCode::kPreconditionFailed);
  EXPECT_EQ(reply.text,
            "PRECONDITION_FAILED - Validation failed: [{'foo',1}] are not recognised policy "
            "settings");
  EXPECT_TRUE(snapshot->FindVhost("/")->policies.empty());
}

TEST_F(TopologyPolicies, GiveExchangesAnAlternate) {
  Do(DeclareExchange{.name = "x", .type = "fanout", .durable = true});
  Set("ae", "", {{"alternate-exchange", "other"}});
  Do(DeclareExchange{.name = "y", .type = "fanout", .durable = true});
  Do(DeclareExchange{.name = "z",
                     .type = "fanout",
                     .durable = true,
                     .arguments = {{"alternate-exchange", "own"}}});
  EXPECT_EQ(Alternate("x"), "other");
  EXPECT_EQ(Alternate("y"), "other");
  EXPECT_EQ(Alternate("z"), "own");
  Do(ClearPolicy{.name = "ae"});
  EXPECT_EQ(Alternate("x"), "");
  EXPECT_EQ(Alternate("z"), "own");
}

TEST_F(TopologyPolicies, SurviveARestart) {
  Declare("before");
  Set("gone", "", {{"max-length", 1}}, 9);
  Set("limit", "", {{"max-length", 5}, {"alternate-exchange", "other"}}, -3);
  Set("limit", "", {{"max-length-bytes", 100}}, 0, /*by_operator=*/true);
  Do(ClearPolicy{.name = "gone"});
  Declare("after");
  Do(DeclareExchange{.name = "x", .type = "fanout", .durable = true});
  for (const bool from_checkpoint : {false, true}) {
    if (from_checkpoint) TakeCheckpoint();
    Start();
    for (const char* name : {"before", "after"}) {
      EXPECT_EQ(Config(name).max_length, 5u);
      EXPECT_EQ(Config(name).max_length_bytes, 100u);
    }
    EXPECT_EQ(Alternate("x"), "other");
    EXPECT_EQ((*snapshot->FindVhost("/")->policies.Find("limit"))->priority, -3);
    EXPECT_EQ(snapshot->FindVhost("/")->policies.size(), 1u);
  }
}

TEST_F(TopologyPolicies, ThatLetAQueueExpireMakeItGo) {
  Declare("q");
  Set("expire", "", {{"expires", 1000}});
  EXPECT_EQ(Configured(), Names{"q"});
  topology->OnRequest({.body = QueueUnused{snapshot->FindQueue("/", "q")->id}});
  EXPECT_FALSE(commands.empty());
  EXPECT_TRUE(std::holds_alternative<SealQueueCommand>(commands.back().second.body));
}

TEST_F(TopologyPolicies, AreBoundedInNumber) {
  for (size_t i = 0; i < kMaxPolicies; ++i)
    Set("p" + std::to_string(i), "^none$", {{"max-length", 1}});
  const SetPolicy more{
      {.name = "more", .pattern = "^none$", .definition = Table{{"max-length", 1}}}};
  const TopologyReply refused = Ask(more);
  EXPECT_EQ(refused.error, ReplyCode::kPreconditionFailed);
  EXPECT_EQ(refused.text, "PRECONDITION_FAILED - vhost '/' has 1000 policies, and no more fit in");
  Set("p0", "^none$", {{"max-length", 2}});
  Do(ClearPolicy{.name = "p1"});
  Do(more);
}

}  // namespace
}  // namespace landfall::broker
