#pragma once

#include <condition_variable>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "storage/store_core.h"

namespace landfall::storage {

// The embedded store: StoreCore on threads of its own. The committer writes, syncs and reports;
// three more run checkpoints, read backlog files and look after segment files, so that none of it
// makes a commit wait. A thread
// that calls AppendHere while the committer rests does the committer's work itself.
// Thread: Append, AppendHere, SaveCheckpoint, ReadBlock and DropBacklog from any; the rest from
// one.
class FileStore final : public Store {
 public:
  // `vfs` is not owned. `on_fatal` null: ExitOnFatalError.
  FileStore(Vfs& vfs, StoreOptions options, FatalHandler on_fatal = nullptr);
  ~FileStore() override;

  Result<RecoveryReport> Recover(RecoveryVisitor& visitor) override;
  // Starts the threads.
  void Start(StoreListener& listener) override;
  // Hashes the entries on the caller's thread.
  void Append(Batch batch) override;
  void AppendHere(std::vector<Batch> batches) override;
  void SaveCheckpoint(ShardId shard, uint64_t shard_seq, CheckpointSource source) override;
  Result<std::vector<Damage>> KeepBacklog(
      const std::map<ShardId, std::vector<uint64_t>>& files) override;
  void ReadBlock(ShardId shard, uint64_t file, BlockPlace place, uint64_t token) override;
  void DropBacklog(ShardId shard, uint64_t file) override;
  // A checkpoint under way is given up. The listener is not called after the return.
  void Stop() override;
  // Thread: any.
  const StoreStatistics& statistics() const { return core_.statistics(); }
  const StoreOptions& options() const { return core_.options(); }

 private:
  struct CheckpointRequest {
    ShardId shard;
    uint64_t shard_seq;
    CheckpointSource source;
  };
  struct BlockRequest {
    BacklogName name;
    BlockPlace place;
    uint64_t token = 0;
  };
  // What other threads have put down for the committer.
  struct Inbox {
    std::vector<HashedBatch> batches;
    std::vector<CheckpointRequest> checkpoints;
    std::vector<BlockRequest> reads;
    std::vector<BacklogName> drops;
    std::vector<std::unique_ptr<BackgroundTask>> finished;

    bool empty() const {
      return batches.empty() && checkpoints.empty() && reads.empty() && drops.empty() &&
             finished.empty();
    }
  };
  // Runs one lane's tasks.
  struct Worker {
    std::unique_ptr<BackgroundTask> task;
    bool stopping = false;
    std::condition_variable wake;
    std::thread thread;
  };
  using Clock = std::chrono::steady_clock;

  void Commit();
  void RunLane(Worker& worker);
  // With committing_ held.
  void TakeInbox();
  void ScheduleLazySync();
  void HandOut();
  // Sleeps until there is something in the inbox or to stop, or `until`.
  void Wait(std::unique_lock<std::mutex>& lock, Clock::time_point until);
  void Wake();
  Worker& worker(Lane lane) { return workers_[static_cast<size_t>(lane)]; }

  Vfs& vfs_;

  // Held by whoever commits. Before mutex_.
  std::mutex committing_;
  StoreCore core_;
  Inbox taken_;

  std::mutex mutex_;
  Inbox inbox_;
  Clock::time_point lazy_due_ = Clock::time_point::max();
  bool stopping_ = false;
  bool asleep_ = false;
  Clock::time_point asleep_until_;
  std::condition_variable wake_;

  Worker workers_[std::size(kLanes)];
  std::thread committer_;
};

}  // namespace landfall::storage
