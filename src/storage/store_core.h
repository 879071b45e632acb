#pragma once

#include <atomic>
#include <deque>
#include <iterator>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "storage/background_task.h"
#include "storage/journal_writer.h"
#include "storage/log_reader.h"
#include "storage/options.h"
#include "storage/store.h"
#include "storage/store_statistics.h"
#include "storage/vfs.h"

namespace landfall::storage {

// What the committer does next. Each is one unit of disk work, between two of which the simulator
// may cut the power.
enum class CommitStep {
  kNone,            // nothing to do
  kWrite,           // write the batches that wait
  kSync,            // sync what was written, and report it
  kStartSegment,    // give the journal a new file
  kWaitForSegment,  // until a background task has allocated a file
};

// The store without threads: batches in, steps of disk work, completions out. FileStore drives it
// from its committer thread, StepStore from the simulator. Thread: one at a time; the listener is
// called from within the calls made here.
class StoreCore {
 public:
  StoreCore(Vfs& vfs, StoreOptions options, FatalHandler on_fatal);
  ~StoreCore();

  // As in Store. Recover makes the directory if there is none and takes its lock, which is held
  // until destruction.
  Result<RecoveryReport> Recover(RecoveryVisitor& visitor);
  void Start(StoreListener& listener);
  void Append(HashedBatch batch);
  void SaveCheckpoint(ShardId shard, uint64_t shard_seq, CheckpointSource source);
  Result<std::vector<Damage>> KeepBacklog(const std::map<ShardId, std::vector<uint64_t>>& files);
  void ReadBlock(ShardId shard, uint64_t file, BlockPlace place, uint64_t token);
  void DropBacklog(ShardId shard, uint64_t file);

  // What Step would do now. `sync_lazy`: what nobody waits for is due as well.
  CommitStep Next(bool sync_lazy) const;
  CommitStep Step(bool sync_lazy);
  // Something is written that no sync has covered yet: the caller sets a timer of lazy_sync_delay,
  // then steps with sync_lazy.
  bool has_unsynced() const { return !unsynced_.empty(); }

  // The next thing to run beside the commits, at most one a lane at a time. The caller runs it,
  // anywhere, and hands it to Finish.
  std::unique_ptr<BackgroundTask> TakeTask(Lane lane);
  void Finish(std::unique_ptr<BackgroundTask> task);
  // Once in a while (a second): looks at the free space and tries again what a full disk refused.
  void Tick();

  // After the last step: marks the end of the journal as whole.
  void Seal();
  // Makes a checkpoint under way give up.
  void CancelCheckpoints() { cancel_checkpoints_ = true; }

  // After a fatal error whose handler returned: nothing is done or reported any more.
  bool dead() const { return dead_; }
  const StoreOptions& options() const { return options_; }
  // Thread: any.
  const StoreStatistics& statistics() const { return statistics_; }

 private:
  struct CheckpointRequest {
    ShardId shard;
    uint64_t shard_seq;
    CheckpointSource source;
  };

  Result<void> OpenSpares(const LogContents& log);
  Result<void> StartWriter(const LogContents& log);
  void WriteGroup();
  void SyncAndReport();
  void StartSegment();
  void FinishSpare(AllocateSpare& task);
  void FinishRelease(ReleaseSegments& task);
  void FinishCheckpoint(SaveCheckpointTask& task);
  void FinishRead(ReadBlockTask& task);
  std::string BacklogPath(const BacklogName& name) const;
  void WantSpare(uint64_t bytes);
  void ReleaseCovered();
  bool Covered(const SegmentInfo& segment) const;
  void CheckWindow();
  void CheckSpace();
  uint64_t LiveBytes() const;
  uint64_t CheckpointBytes() const;
  bool HasSpareFor(uint64_t bytes) const;
  SpareFile TakeSpareFor(uint64_t bytes);
  SpareFile NewSpare(uint64_t bytes);
  uint64_t SegmentBytesNeeded() const;
  void ReportState();
  void Fatal(const Error& error);

  Vfs& vfs_;
  const StoreOptions options_;
  FatalHandler on_fatal_;
  StoreListener* listener_ = nullptr;
  std::unique_ptr<DirectoryLock> lock_;
  std::unique_ptr<JournalWriter> writer_;
  bool dead_ = false;
  StoreStatistics statistics_;

  std::deque<HashedBatch> waiting_;
  std::vector<HashedBatch> group_;
  // Written and not synced: per shard the highest shard_seq, in the order first written.
  std::vector<std::pair<ShardId, uint64_t>> unsynced_;
  std::vector<uint32_t> unsynced_index_;  // shard -> position in unsynced_ + 1, or 0
  bool urgent_unsynced_ = false;
  uint64_t unsynced_batches_ = 0;
  uint64_t unsynced_bytes_ = 0;

  std::deque<SegmentInfo> segments_;  // the last is the one written to
  uint64_t closed_bytes_ = 0;         // used by all but the last
  std::map<ShardId, CheckpointInfo> checkpoints_;
  std::vector<DamagedCheckpoint> damaged_checkpoints_;  // until KeepBacklog puts them aside
  FlatMap<ShardId, bool> wanted_;                       // asked for and not yet saved
  bool release_running_ = false;

  std::vector<SpareFile> spares_;
  uint64_t next_spare_number_ = 0;
  bool spare_running_ = false;
  bool spare_refused_ = false;  // for lack of space
  bool space_low_ = false;

  std::deque<BackgroundTask> segment_tasks_;
  std::deque<CheckpointRequest> checkpoint_requests_;
  std::deque<BackgroundTask> reads_;
  bool busy_[std::size(kLanes)] = {};
  uint32_t checkpoint_rest_ticks_ = 0;  // after one was refused for lack of space
  uint32_t read_rest_ticks_ = 0;        // after one had no file descriptor or memory
  uint32_t read_backoff_ticks_ = 1;     // how long after the next such one
  std::atomic<bool> cancel_checkpoints_ = false;
};

}  // namespace landfall::storage
