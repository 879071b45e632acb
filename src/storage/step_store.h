#pragma once

#include "storage/store_core.h"

namespace landfall::storage {

// The store for simulation and tests: the code of FileStore without its threads. Nothing happens
// until Step or StepBackground is called, and completions come from within those calls; between any
// two of them the power may be cut (FaultVfs::Crash), after which the store is destroyed and a new
// one recovers. A disk with latency is a virtual timer before each Step.
//
//   store.Append(...);
//   while (store.Next() != CommitStep::kNone) clock.After(disk_latency(store.Next()), Step);
//   if (store.has_unsynced()) clock.After(lazy_sync_delay, [&] { store.Step(/*sync_lazy=*/true);
//   });
class StepStore final : public Store {
 public:
  // `vfs` is not owned. `on_fatal`: see FatalHandler; after it has returned the store does nothing.
  StepStore(Vfs& vfs, StoreOptions options, FatalHandler on_fatal)
      : vfs_(vfs), core_(vfs, std::move(options), std::move(on_fatal)) {}

  Result<RecoveryReport> Recover(RecoveryVisitor& visitor) override {
    return core_.Recover(visitor);
  }
  void Start(StoreListener& listener) override { core_.Start(listener); }
  void Append(Batch batch) override {
    const uint64_t hash = HashEntries(batch.entries);
    core_.Append({std::move(batch), hash});
  }
  void SaveCheckpoint(ShardId shard, uint64_t shard_seq, CheckpointSource source) override {
    core_.SaveCheckpoint(shard, shard_seq, std::move(source));
  }
  Result<std::vector<Damage>> KeepBacklog(
      const std::map<ShardId, std::vector<uint64_t>>& files) override {
    return core_.KeepBacklog(files);
  }
  void ReadBlock(ShardId shard, uint64_t file, BlockPlace place, uint64_t token) override {
    core_.ReadBlock(shard, file, place, token);
  }
  void DropBacklog(ShardId shard, uint64_t file) override { core_.DropBacklog(shard, file); }
  // Runs every step that is left.
  void Stop() override;

  // The next commit step: which, and doing it. kWaitForSegment: StepBackground has to run first.
  CommitStep Next(bool sync_lazy = false) const { return core_.Next(sync_lazy); }
  CommitStep Step(bool sync_lazy = false) { return core_.Step(sync_lazy); }
  bool has_unsynced() const { return core_.has_unsynced(); }
  // Runs one background task (a whole checkpoint, a read, the allocation or the release of
  // segments) of that lane. False: there was none.
  bool StepBackground(Lane lane);
  bool StepBackground() {
    return StepBackground(Lane::kSegments) || StepBackground(Lane::kCheckpoints) ||
           StepBackground(Lane::kReads);
  }
  // Everything until nothing is left, lazy batches included.
  void StepAll();
  // What FileStore does once a second.
  void Tick() { core_.Tick(); }
  bool dead() const { return core_.dead(); }

 private:
  Vfs& vfs_;
  StoreCore core_;
};

}  // namespace landfall::storage
