#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "base/flat_map.h"
#include "base/time.h"
#include "broker/shard.h"
#include "broker/topology.h"
#include "session/session.h"
#include "storage/store.h"

namespace landfall::session {

// What workers say to each other. From one worker to another, mail arrives in the order in which it
// was posted.
struct CommandMail {
  broker::ShardId shard = 0;
  broker::Command command;
};
struct OutcomeMail {
  broker::SessionId session = 0;
  broker::Outcome outcome;
};
struct InstallMail {
  broker::SnapshotRef snapshot;
};
struct InstalledMail {
  broker::WorkerId worker = 0;
  uint64_t version = 0;
};
using Mail =
    std::variant<CommandMail, OutcomeMail, broker::TopologyRequest, broker::TopologyReply,
                 broker::Sealed, InstallMail, InstalledMail, DirectReply, DirectReplySettled>;

// The worker a shard is assigned to on a node with so many workers.
broker::WorkerId WorkerOfShard(broker::ShardId shard, broker::WorkerId workers);

// What a worker needs from its shell (a thread with sockets, or the simulator). All calls come from
// within Worker's own methods and must not call back into it.
class WorkerPorts {
 public:
  virtual ~WorkerPorts() = default;
  // Deliver to another worker's OnMail, in order.
  virtual void Post(broker::WorkerId to, std::vector<Mail> mail) = 0;
  // Answered by OnAppended.
  virtual void Append(storage::Batch batch) = 0;
  // The image of a shard is going to be taken, which its messages wait for; SaveCheckpoint follows.
  virtual void BeginCheckpoint(broker::ShardId shard) { (void)shard; }
  virtual void SaveCheckpoint(broker::ShardId shard, uint64_t shard_seq,
                              storage::CheckpointSource source) = 0;
  // As storage::Store; the first is answered by OnBlockRead.
  virtual void ReadBlock(broker::ShardId shard, uint64_t file, storage::BlockPlace place,
                         uint64_t token) = 0;
  virtual void DropBacklog(broker::ShardId shard, uint64_t file) = 0;
  // Messages of a queue cannot be read back and are lost.
  virtual void ReportDamage(const broker::QueueInfoRef& queue, uint64_t messages,
                            const Error& error) = 0;
  // As broker::ShardPorts::LedgerUnbalanced.
  virtual void ReportImbalance(const broker::QueueInfoRef& queue, const broker::Ledger& ledger,
                               uint64_t held) = 0;
  // Answered by OnAuthenticated.
  virtual void Authenticate(broker::SessionId session, Login login) = 0;
};

struct WorkerOptions {
  broker::WorkerId id = 0;
  broker::WorkerId workers = 1;
  broker::ShardId shards = broker::kDefaultShards;
  uint64_t seed = 0;
  SessionOptions session;
  broker::ShardOptions shard;  // of each
  // As ShardOptions::unstored_bytes, of all shards of this worker together.
  uint64_t unstored_bytes = uint64_t{32} << 20;
};

// One thread's share of a node: the sessions of its connections, the shards assigned to it and, on
// worker 0, the topology. Pure: events in, effects through WorkerPorts.
//
// Events only take note; Turn does the work, round by round until nothing is left: commands run in
// their shards, shards flush, outcomes reach sessions, which may issue more commands. Within a
// worker there is no hop and no lock; to another worker everything goes as mail at the end of the
// turn.
//
// Thread: one, its shell's.
class Worker : private broker::ShardPorts, private broker::TopologyPorts, private SessionPorts {
 public:
  Worker(const WorkerOptions& options, WorkerPorts& ports);
  ~Worker() override;

  broker::WorkerId id() const { return options_.id; }

  // Recovery, before anything else; see Recover below.
  broker::Topology* topology_writer() { return topology_.get(); }
  broker::Shard* FindShard(broker::ShardId shard);
  void InstallRecovered(broker::SnapshotRef snapshot) { snapshot_ = std::move(snapshot); }
  // Starts its shards, each with the shard_seq after which its stream goes on (none: 0). What they
  // still owe to others (transfers whose answer was lost) leaves with the first Turn.
  void StartShards(const FlatMap<storage::ShardId, uint64_t>& last_shard_seq, uint32_t epoch,
                   Time now);

  // A connection came in. Valid until RemoveSession; ids are never used twice.
  Session& AddSession(Peer peer, Time now);
  Session* FindSession(broker::SessionId session);
  void RemoveSession(broker::SessionId session);
  size_t session_count() const { return sessions_.size(); }

  // After anything was asked of a session, so that what it asked for is done in the next Turn.
  void Touch(broker::SessionId session);

  void OnMail(std::vector<Mail> mail);
  void OnAppended(broker::ShardId shard, uint64_t shard_seq, uint64_t lsn, Time now);
  void OnCheckpointWanted(broker::ShardId shard);
  void OnCheckpointSaved(broker::ShardId shard, uint64_t shard_seq, Time now);
  void OnCheckpointFailed(broker::ShardId shard);
  void OnBlockRead(broker::ShardId shard, uint64_t token, Result<ByteBuffer> block, Time now);
  void OnAuthenticated(broker::SessionId session, const AuthResult& result, Time now);
  // The users have changed.
  void OnAccounts(const access::AccountsRef& accounts, Time now);
  // A request of nobody's session (configuration), on worker 0; answered in a Turn. Requests are
  // answered in their order.
  using OnReply = std::function<void(const broker::TopologyReply&)>;
  void Request(broker::TopologyRequest request, OnReply on_reply = nullptr) {
    on_replies_.push_back(std::move(on_reply));
    ToTopology(std::move(request));
  }

  // An operator's wish, of a shard of this worker; a Turn must follow.
  broker::MovedByHand Execute(broker::ShardId shard, const broker::MoveByHand& move, Time now);

  // Does all that can be done now. Returns the sessions that have something for their shell: output
  // to write, or a change of wants_input, wants_close or done. Valid until the next Turn.
  const std::vector<broker::SessionId>& Turn(Time now);
  // When Turn is next of use without another event.
  Time NextDeadline() const;

  // The first snapshot has been installed: connections may be accepted.
  bool ready() const { return snapshot_->version > 0; }
  const broker::TopologySnapshot& snapshot() const { return *snapshot_; }
  // The same, to be kept: a snapshot does not change.
  const broker::SnapshotRef& snapshot_ref() const { return snapshot_; }
  const std::vector<std::unique_ptr<broker::Shard>>& shards() const { return shards_; }
  // Nothing waits for the disk, another worker or the next Turn.
  bool idle() const;
  template <class F>
  void ForEachSession(F f) {
    for (auto& [id, session] : sessions_) f(*session);
  }

 private:
  // ShardPorts, TopologyPorts, SessionPorts
  void ToSession(broker::SessionId session, broker::Outcome&& outcome) override;
  void ToShard(broker::ShardId shard, broker::Command&& command) override;
  void SealedToTopology(broker::Sealed sealed) override;
  void UnusedToTopology(broker::QueueId queue) override;
  void Append(storage::Batch batch) override;
  void ReadBlock(broker::ShardId shard, uint64_t file, storage::BlockPlace place,
                 uint64_t token) override {
    ports_.ReadBlock(shard, file, place, token);
  }
  void DropBacklog(broker::ShardId shard, uint64_t file) override {
    ports_.DropBacklog(shard, file);
  }
  void BacklogDamaged(broker::QueueId queue, uint64_t messages, const Error& error) override {
    ports_.ReportDamage(snapshot_->FindQueue(queue), messages, error);
  }
  void LedgerUnbalanced(broker::QueueId queue, const broker::Ledger& ledger,
                        uint64_t held) override {
    ports_.ReportImbalance(snapshot_->FindQueue(queue), ledger, held);
  }
  const broker::TopologySnapshot& topology() const override { return *snapshot_; }
  RouteCache& routes() override { return routes_; }
  void AppendTopology(storage::Batch batch) override;
  void Install(broker::SnapshotRef snapshot) override;
  void Reply(broker::TopologyReply reply) override;
  void ToTopology(broker::TopologyRequest request) override;
  void SendReply(DirectReply reply) override;
  void Authenticate(broker::SessionId session, Login login) override;

  void On(CommandMail& mail);
  void On(OutcomeMail& mail);
  void On(broker::TopologyRequest& request);
  void On(broker::TopologyReply& reply);
  void On(broker::Sealed& sealed);
  void On(InstallMail& mail);
  void On(InstalledMail& mail);
  void On(DirectReply& reply);
  void On(DirectReplySettled& settled);

  // To this worker's own next round or to another worker.
  void Send(broker::WorkerId to, Mail mail);
  void Run(CommandMail& mail);
  void MarkDirty(broker::Shard& shard);
  void CloseWithoutVhost(const broker::TopologySnapshot& before);
  void BoundMemory();
  void SaveCheckpoints();
  void TickSessions();

  const WorkerOptions options_;
  WorkerPorts& ports_;
  Time now_{};
  broker::SnapshotRef snapshot_;
  std::unique_ptr<broker::Topology> topology_;  // worker 0
  bool topology_dirty_ = false;

  std::vector<std::unique_ptr<broker::Shard>> shards_;  // those of this worker, the transient last
  std::vector<broker::Shard*> shard_by_id_;             // null: of another worker
  std::vector<broker::Shard*> dirty_shards_;
  FlatSet<broker::ShardId> dirty_set_;
  std::vector<broker::ShardId> checkpoints_wanted_;

  FlatMap<broker::SessionId, std::unique_ptr<Session>> sessions_;
  Session* last_session_ = nullptr;  // that was found
  uint64_t next_session_ = 1;
  std::vector<broker::SessionId> touched_;
  std::vector<broker::SessionId> reported_;
  FlatSet<broker::SessionId> touched_set_;
  Time next_session_tick_{};

  RouteCache routes_;

  // For the next round. Commands to this worker's own shards are nearly all there is and are kept
  // apart, which spares them the moves that a variant of all mail costs.
  std::vector<CommandMail> local_commands_;
  std::vector<CommandMail> round_commands_;
  std::vector<Mail> local_;
  // Commands made with a topology that has not arrived here yet, and what came after them.
  std::deque<CommandMail> held_;
  std::deque<OnReply> on_replies_;           // to requests of nobody's session
  std::vector<std::vector<Mail>> outgoing_;  // per worker
  std::vector<storage::Batch> appends_;
};

// Replays `store` into the workers (all of them, worker 0 first) and starts topology and shards.
// The caller then calls Store::Start and the workers' first Turn.
Result<storage::RecoveryReport> Recover(storage::Store& store, const std::vector<Worker*>& workers,
                                        Time now);

}  // namespace landfall::session
