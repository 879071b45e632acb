#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "session/worker.h"
#include "sim/world.h"
#include "storage/fault_vfs.h"
#include "storage/step_store.h"

namespace landfall::sim {

class Node;

// A client's end of a connection.
class Peer {
 public:
  virtual ~Peer() = default;
  // `made`: when the broker wrote the last of these bytes.
  virtual void OnBytes(ByteView bytes, Time made) = 0;
  // The connection is gone, for whatever reason. Called once, never from within Link::Cut of the
  // peer itself.
  virtual void OnClosed() = 0;
};

// A connection between a client and a session: bytes take their time, come in pieces of any size,
// and the connection may be cut between any two of them.
class Link : public std::enable_shared_from_this<Link> {
 public:
  // `lingers`: after a cut the broker may learn of it later than the client.
  Link(World& world, Node& node, Peer& peer, broker::WorkerId worker, broker::SessionId session,
       Duration latency, bool lingers)
      : world_(world),
        node_(&node),
        peer_(&peer),
        worker_(worker),
        session_(session),
        latency_(latency),
        lingers_(lingers) {}

  // For the client.
  void Write(ByteView bytes);
  // Tells the other end: bytes under way arrive up to any point. `tell_peer`: also the client.
  void Cut(bool tell_peer);
  void StopReading(bool stop);
  bool open() const { return peer_ != nullptr; }
  bool Empty() const { return to_server_.empty() && unread_.empty() && to_client_.empty(); }

 private:
  friend class Node;
  struct Piece {
    Time made;
    ByteBuffer bytes;
  };

  void PumpToServer();
  void Feed();
  void PumpToClient();
  // Passes on up to `bytes`.
  void Deliver(size_t bytes);
  // After the worker's turn.
  void Service();
  void EndServerSide();
  void TellPeerClosed();
  session::Session* FindSession();

  World& world_;
  Node* node_;  // null: it is gone
  Peer* peer_;  // null: it is gone
  const broker::WorkerId worker_;
  const broker::SessionId session_;
  const Duration latency_;
  const bool lingers_;
  ByteBuffer to_server_;  // under way
  ByteBuffer unread_;     // arrived, not used by the session
  std::deque<Piece> to_client_;
  bool to_server_scheduled_ = false;
  bool to_client_scheduled_ = false;
  bool reading_stopped_ = false;
  bool cut_ = false;
  bool server_ended_ = false;
};

struct NodeOptions {
  broker::WorkerId workers = 1;
  broker::ShardId shards = 4;
  storage::StoreOptions store;
  session::SessionOptions session;
  broker::ShardOptions shard;
  uint64_t unstored_bytes = uint64_t{1} << 20;  // as session::WorkerOptions
  Duration network_latency{500};
  Duration mail_latency{500};
  Duration disk_latency{1000};
  uint64_t seed = 0;
  // A negative control: says that a batch has landed before it has.
  bool confirm_early = false;
};

// Mail between workers, and completions, take no longer than this altogether.
inline constexpr Duration kMaxHop = std::chrono::milliseconds(4);

// One life of a broker process: workers, sessions, shards, topology and store, driven by the
// world's events. Everything it has under way dies with it.
class Node final : private storage::StoreListener {
 public:
  Node(World& world, storage::FaultVfs& vfs, const NodeOptions& options,
       std::function<void(const Error&)> on_fatal);
  ~Node() override;

  // Recovers and starts.
  Result<storage::RecoveryReport> Boot();
  // Null: not listening.
  std::shared_ptr<Link> Connect(Peer& peer, bool lingers);
  // A link chosen by chance that is open; null when there is none.
  std::shared_ptr<Link> AnyLink();

  // Nothing is under way anywhere and all that was ever asked is on stable storage.
  bool Quiet() const;
  // Every message that has come to a queue is there, or has left in a way that was counted.
  void CheckLedgers();
  size_t sessions() const;
  // What it waits for, for people.
  std::string Describe();
  const broker::TopologySnapshot& snapshot() const { return workers_[0]->snapshot(); }
  broker::Shard* FindShard(broker::ShardId id);
  // Every message of a queue, in memory or in backlog files. False: the disk cannot be read now.
  bool ForEachMessage(const broker::QueueInfo& queue, const broker::Queue::Visit& visit);
  // A change of the configuration, which nobody's connection asks for.
  void Request(broker::TopologyRequestBody body);
  std::vector<session::Worker*> workers() const;
  uint64_t checkpoints_saved() const { return checkpoints_saved_; }

 private:
  friend class Link;
  class Ports;

  // StoreListener
  void OnAppended(storage::ShardId shard, uint64_t shard_seq, uint64_t lsn,
                  storage::AppendOutcome outcome) override;
  void OnCheckpointSaved(storage::ShardId shard, uint64_t shard_seq) override;
  void OnCheckpointWanted(storage::ShardId shard) override;
  void OnCheckpointFailed(storage::ShardId shard) override;
  void OnBlockRead(storage::ShardId shard, uint64_t token, Result<ByteBuffer> block) override;
  void OnSpace(bool low) override;

  // As World::After, while this life lasts.
  void After(Duration delay, std::function<void()> event);
  // The same, counted as under way.
  void Hop(Duration delay, std::function<void()> event);
  // A hop that overtakes none before it on the same way.
  void HopInOrder(Time& last, std::function<void()> event);
  void ScheduleTurn(broker::WorkerId worker);
  void Turn(broker::WorkerId worker);
  void ArmTimer(broker::WorkerId worker);
  void PumpDisk();
  void PumpBackground(storage::Lane lane);
  void StoreTick();
  broker::WorkerId WorkerOfShard(broker::ShardId shard) const {
    return session::WorkerOfShard(shard, options_.workers);
  }

  World& world_;
  storage::FaultVfs& vfs_;
  const NodeOptions options_;
  std::shared_ptr<int> alive_ = std::make_shared<int>(0);
  std::unique_ptr<storage::StepStore> store_;
  std::vector<std::unique_ptr<Ports>> ports_;
  std::vector<std::unique_ptr<session::Worker>> workers_;
  std::map<broker::SessionId, std::shared_ptr<Link>> links_;
  bool accepting_ = false;
  uint64_t under_way_ = 0;
  std::vector<bool> turn_scheduled_;
  std::vector<Time> timer_at_;
  std::vector<Time> last_mail_;      // per pair of workers
  std::vector<Time> last_appended_;  // per worker
  bool disk_busy_ = false;
  bool lazy_timer_ = false;
  bool lazy_due_ = false;
  bool background_busy_[std::size(storage::kLanes)] = {};
  bool space_low_ = false;
  uint64_t checkpoints_saved_ = 0;
};

}  // namespace landfall::sim
