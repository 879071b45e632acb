#pragma once

#include <gtest/gtest.h>

#include <deque>
#include <iterator>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "broker/topology.h"
#include "storage/memory_output.h"

// What the tests of the topology share.
namespace landfall::broker {

inline constexpr SessionId kAlice = (1 << kWorkerBits) | 0;  // on worker 0
inline constexpr SessionId kBob = (2 << kWorkerBits) | 1;    // on worker 1

// Everything of a snapshot as text, in an order of its own; the durable part alone if asked.
inline std::string Dump(const TopologySnapshot& snapshot, bool durable_only = false) {
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
class TopologyWorld : public TopologyPorts {
 public:
  explicit TopologyWorld(WorkerId workers = 2) : workers_(workers) { Restart(); }

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
  void ExpectError(SessionId session, TopologyRequestBody body, amqp::ReplyCode code,
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

inline DeclareQueue Durable(std::string name, amqp::Table arguments = {}) {
  return {.name = std::move(name), .durable = true, .arguments = std::move(arguments)};
}
inline DeclareQueue Transient(std::string name) {
  return {.name = std::move(name), .arguments = {}};
}
inline DeclareQueue Exclusive(std::string name) {
  return {.name = std::move(name), .exclusive = true, .arguments = {}};
}
inline DeclareQueue PassiveQueue(std::string name) {
  return {.name = std::move(name), .passive = true, .arguments = {}};
}
inline DeclareExchange NewExchange(std::string name, std::string type, bool durable = true) {
  return {.name = std::move(name), .type = std::move(type), .durable = durable, .arguments = {}};
}
inline DeclareExchange PassiveExchange(std::string name) {
  return {.name = std::move(name), .type = "", .passive = true, .arguments = {}};
}
inline Bind BindQueue(std::string source, std::string queue, std::string key = "",
                      amqp::Table arguments = {}) {
  return {.source = std::move(source),
          .destination = std::move(queue),
          .routing_key = std::move(key),
          .arguments = std::move(arguments)};
}
inline Bind BindExchange(std::string source, std::string destination, std::string key = "") {
  return {.to_exchange = true,
          .source = std::move(source),
          .destination = std::move(destination),
          .routing_key = std::move(key),
          .arguments = {}};
}
inline Bind Unbind(Bind bind) {
  bind.unbind = true;
  return bind;
}

}  // namespace landfall::broker
