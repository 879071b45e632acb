#pragma once

#include <gmock/gmock.h>

#include <map>
#include <string>
#include <vector>

#include "broker/exchange.h"
#include "broker/shard.h"

// A shard with a topology, a journal and a session around it that only take note. For tests.
namespace landfall::broker {

struct FakePorts : ShardPorts {
  std::vector<std::pair<SessionId, Outcome>> outcomes;
  std::vector<std::pair<ShardId, Command>> commands;
  std::vector<Sealed> sealed;
  std::vector<QueueId> unused;
  std::vector<storage::Batch> batches;
  struct BlockRead {
    uint64_t file = 0;
    storage::BlockPlace place;
    uint64_t token = 0;
  };
  std::vector<BlockRead> reads;
  std::vector<uint64_t> dropped_files;
  uint64_t damaged = 0;
  std::vector<QueueId> unbalanced;
  TopologySnapshot snapshot;

  void ToSession(SessionId session, Outcome&& outcome) override {
    outcomes.emplace_back(session, std::move(outcome));
  }
  void ToShard(ShardId shard, Command&& command) override {
    commands.emplace_back(shard, std::move(command));
  }
  void SealedToTopology(Sealed s) override { sealed.push_back(s); }
  void UnusedToTopology(QueueId queue) override { unused.push_back(queue); }
  void Append(storage::Batch batch) override { batches.push_back(std::move(batch)); }
  void ReadBlock(ShardId, uint64_t file, storage::BlockPlace place, uint64_t token) override {
    reads.push_back({file, place, token});
  }
  void DropBacklog(ShardId, uint64_t file) override { dropped_files.push_back(file); }
  void BacklogDamaged(QueueId, uint64_t messages, const Error&) override { damaged += messages; }
  void LedgerUnbalanced(QueueId queue, const Ledger&, uint64_t) override {
    unbalanced.push_back(queue);
  }
  const TopologySnapshot& topology() const override { return snapshot; }

  void AddQueue(QueueId id, ShardId shard, const std::string& name, QueueConfig config = {},
                bool durable = true) {
    auto info = std::make_shared<QueueInfo>();
    info->id = id;
    info->shard = shard;
    info->vhost = "/";
    info->name = name;
    info->durable = durable;
    info->config = std::move(config);
    const VhostRef* known = snapshot.vhosts.Find("/");
    auto vhost = known ? std::make_shared<Vhost>(**known) : std::make_shared<Vhost>();
    vhost->name = "/";
    vhost->queues.Set(name, info);
    snapshot.vhosts.Set("/", vhost);
    snapshot.queues_by_id.Set(id, info);
    ++snapshot.version;
  }

  void AddExchange(Exchange exchange) {
    auto vhost = std::make_shared<Vhost>(*snapshot.FindVhost("/"));
    const std::string name = exchange.name;
    vhost->exchanges.Set(name, std::make_shared<const Exchange>(std::move(exchange)));
    snapshot.vhosts.Set("/", vhost);
    ++snapshot.version;
  }

  template <class T>
  std::vector<T> Take() {
    std::vector<T> found;
    std::erase_if(outcomes, [&](auto& o) {
      if (!std::holds_alternative<T>(o.second)) return false;
      found.push_back(std::move(std::get<T>(o.second)));
      return true;
    });
    return found;
  }
};

inline MessageRef PersistentMessage(ByteView body, ByteView key = "q") {
  return Message::Make("", key, ByteView("\x10\0\2", 3), body, true);
}
inline MessageRef TransientMessage(ByteView body) {
  return Message::Make("", "q", ByteView("\0\0", 2), body, false);
}

// Drives one shard as a worker would.
struct ShardDriver {
  FakePorts& ports;
  Shard shard;
  Time now{Duration(1'000'000'000)};
  uint64_t publish_seq = 0;
  static constexpr SessionId kSession = 1024;

  explicit ShardDriver(FakePorts& p, ShardId id = 1) : ports(p), shard(id, 1, p) {}
  ~ShardDriver() {
    shard.CheckLedgers();
    EXPECT_THAT(ports.unbalanced, ::testing::IsEmpty());
  }

  void Do(CommandBody body, SessionId session = kSession) {
    shard.Execute({.session = session, .topology_version = 0, .body = std::move(body)}, now);
  }
  void Flush() { shard.Flush(now); }
  // Everything appended so far is on the disk.
  void Land() {
    if (!ports.batches.empty()) shard.OnDurable(shard.last_shard_seq(), /*lsn=*/7, now);
    Flush();
  }
  void Pass(Duration d) {
    now += d;
    shard.OnTick(now);
    Flush();
  }
  void Publish(MessageRef m, std::vector<QueueId> queues = {1},
               std::unique_ptr<const Identity> identity = nullptr) {
    PublishCommand c{.publish_seq = ++publish_seq, .message = std::move(m)};
    c.queues.assign(queues.begin(), queues.end());
    c.identity = std::move(identity);
    Do(std::move(c));
  }
  void Consume(ConsumerId consumer, QueueId queue = 1, uint32_t prefetch = 0, bool no_ack = false) {
    Do(ConsumeCommand{.channel = 1,
                      .consumer = consumer,
                      .queue = queue,
                      .no_ack = no_ack,
                      .prefetch = prefetch,
                      .credit = {1000, 1 << 20}});
  }
  void Settle(Settlement kind, const Deliver& d, uint64_t token = 0) {
    Do(SettleCommand{.kind = kind,
                     .channel = d.channel,
                     .consumer = d.consumer,
                     .attempt = d.attempt,
                     .queue = d.queue,
                     .first = d.sequence,
                     .last = d.sequence,
                     .notify_token = token});
  }
  std::vector<std::string> Delivered() {
    std::vector<std::string> bodies;
    for (const Deliver& d : ports.Take<Deliver>()) bodies.emplace_back(d.message->body());
    return bodies;
  }
};

// A shard with one queue.
class ShardTest : public testing::Test {
 protected:
  ShardTest() {
    ports.AddQueue(1, 1, "q");
    driver.shard.Start(0, /*epoch=*/1, driver.now);
  }

  // A fresh shard from what the journal holds (`batches`), as after a crash.
  struct Revived {
    FakePorts ports;
    std::unique_ptr<ShardDriver> driver;
  };
  std::unique_ptr<Revived> Revive(size_t batches) {
    auto r = std::make_unique<Revived>();
    r->ports.snapshot = ports.snapshot;
    r->driver = std::make_unique<ShardDriver>(r->ports);
    r->driver->now = driver.now;
    for (size_t i = 0; i < batches; ++i) {
      const auto done = r->driver->shard.RecoverBatch(ports.batches[i].entries);
      EXPECT_TRUE(done) << done.error().ToString();
    }
    r->driver->shard.Start(batches, /*epoch=*/1, driver.now);
    r->driver->Flush();
    return r;
  }
  std::unique_ptr<Revived> Revive() { return Revive(ports.batches.size()); }

  QueueConfig Retrying(std::optional<uint32_t> limit = {}) {
    QueueConfig c;
    c.consumer_timeout = std::chrono::seconds(5);
    c.retry_type = RetryType::kAll;
    c.backoff = {.first = std::chrono::seconds(1),
                 .multiplier = 2,
                 .cap = std::chrono::seconds(60),
                 .jitter = 0};
    c.delivery_limit = limit;
    return c;
  }

  FakePorts ports;
  ShardDriver driver{ports};
};

}  // namespace landfall::broker
