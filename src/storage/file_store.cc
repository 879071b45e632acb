#include "storage/file_store.h"

#include <pthread.h>

#include <algorithm>
#include <iterator>

#include "base/assert.h"

namespace landfall::storage {
namespace {

constexpr auto kTick = std::chrono::seconds(1);

void NameThread(const char* name) { ::pthread_setname_np(::pthread_self(), name); }

}  // namespace

FileStore::FileStore(Vfs& vfs, StoreOptions options, FatalHandler on_fatal)
    : vfs_(vfs), core_(vfs, std::move(options), std::move(on_fatal)) {}

FileStore::~FileStore() { Stop(); }

Result<RecoveryReport> FileStore::Recover(RecoveryVisitor& visitor) {
  return core_.Recover(visitor);
}

void FileStore::Start(StoreListener& listener) {
  LANDFALL_ASSERT(!committer_.joinable());
  for (Worker& w : workers_) w.thread = std::thread([this, &w] { RunLane(w); });
  {
    std::lock_guard committing(committing_);
    core_.Start(listener);
  }
  committer_ = std::thread([this] { Commit(); });
}

void FileStore::Append(Batch batch) {
  const uint64_t hash = HashEntries(batch.entries);
  {
    std::lock_guard lock(mutex_);
    inbox_.batches.push_back({std::move(batch), hash});
    if (!asleep_) return;
    asleep_ = false;
  }
  wake_.notify_one();
}

void FileStore::AppendHere(std::vector<Batch> batches) {
  std::unique_lock committing(committing_, std::try_to_lock);
  if (!committing) {
    for (Batch& batch : batches) Append(std::move(batch));
    return;
  }
  std::vector<HashedBatch> hashed;
  hashed.reserve(batches.size());
  for (Batch& batch : batches) {
    const uint64_t hash = HashEntries(batch.entries);
    hashed.push_back({std::move(batch), hash});
  }
  {
    std::lock_guard lock(mutex_);
    std::move(hashed.begin(), hashed.end(), std::back_inserter(inbox_.batches));
  }
  TakeInbox();
  CommitStep step;
  do {
    step = core_.Step(/*sync_lazy=*/false);
  } while (step == CommitStep::kWrite || step == CommitStep::kSync ||
           step == CommitStep::kStartSegment);
  // Not after each step: between a write and its sync the committer would be woken for nothing.
  ScheduleLazySync();
  HandOut();
  // Waiting for a segment is for the committer.
  if (step != CommitStep::kNone) {
    std::lock_guard lock(mutex_);
    Wake();
  }
}

void FileStore::SaveCheckpoint(ShardId shard, uint64_t shard_seq, CheckpointSource source) {
  std::lock_guard lock(mutex_);
  inbox_.checkpoints.push_back({shard, shard_seq, std::move(source)});
  Wake();
}

Result<std::vector<Damage>> FileStore::KeepBacklog(
    const std::map<ShardId, std::vector<uint64_t>>& files) {
  return core_.KeepBacklog(files);
}

void FileStore::ReadBlock(ShardId shard, uint64_t file, BlockPlace place, uint64_t token) {
  std::lock_guard lock(mutex_);
  inbox_.reads.push_back({{shard, file}, place, token});
  Wake();
}

void FileStore::DropBacklog(ShardId shard, uint64_t file) {
  std::lock_guard lock(mutex_);
  inbox_.drops.push_back({shard, file});
  Wake();
}

void FileStore::Stop() {
  if (!committer_.joinable()) return;
  core_.CancelCheckpoints();
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
    Wake();
  }
  committer_.join();
  for (Worker& w : workers_) {
    {
      std::lock_guard lock(mutex_);
      w.stopping = true;
    }
    w.wake.notify_one();
    w.thread.join();
  }
}

void FileStore::Wake() {
  asleep_ = false;
  wake_.notify_one();
}

void FileStore::Wait(std::unique_lock<std::mutex>& lock, Clock::time_point until) {
  if (!inbox_.empty()) return;
  asleep_ = true;
  asleep_until_ = until;
  wake_.wait_until(lock, until, [&] { return !asleep_; });
  asleep_ = false;
}

// Taken by whoever commits and not before, so that a shard's batches stay in their order.
void FileStore::TakeInbox() {
  {
    std::lock_guard lock(mutex_);
    std::swap(taken_, inbox_);
  }
  for (auto& task : taken_.finished) core_.Finish(std::move(task));
  for (auto& batch : taken_.batches) core_.Append(std::move(batch));
  for (auto& request : taken_.checkpoints) {
    core_.SaveCheckpoint(request.shard, request.shard_seq, std::move(request.source));
  }
  for (const BlockRequest& read : taken_.reads) {
    core_.ReadBlock(read.name.shard, read.name.number, read.place, read.token);
  }
  for (const BacklogName& name : taken_.drops) core_.DropBacklog(name.shard, name.number);
  taken_.reads.clear();
  taken_.drops.clear();
  taken_.finished.clear();
  taken_.batches.clear();
  taken_.checkpoints.clear();
}

// When what nobody waits for is due to be synced.
void FileStore::ScheduleLazySync() {
  std::lock_guard lock(mutex_);
  if (!core_.has_unsynced()) {
    lazy_due_ = Clock::time_point::max();
  } else if (lazy_due_ == Clock::time_point::max()) {
    lazy_due_ = Clock::now() + core_.options().lazy_sync_delay;
    if (asleep_ && asleep_until_ > lazy_due_) Wake();
  }
}

void FileStore::HandOut() {
  for (const Lane lane : kLanes) {
    auto task = core_.TakeTask(lane);
    if (!task) continue;
    Worker& to = worker(lane);
    {
      std::lock_guard lock(mutex_);
      LANDFALL_ASSERT(to.task == nullptr);
      to.task = std::move(task);
    }
    to.wake.notify_one();
  }
}

void FileStore::Commit() {
  NameThread("lf-commit");
  auto next_tick = Clock::now() + kTick;
  CommitStep step = CommitStep::kNone;
  bool idle = false;
  while (true) {
    bool stopping = false;
    bool sync_lazy = false;
    {
      std::unique_lock lock(mutex_);
      // Stopping, there is nothing to wait for but a segment.
      if (idle && (!stopping_ || step == CommitStep::kWaitForSegment)) {
        Wait(lock, std::min(next_tick, lazy_due_));
      }
      stopping = stopping_;
      sync_lazy = stopping || Clock::now() >= lazy_due_;
    }
    std::lock_guard committing(committing_);
    TakeInbox();
    step = core_.Step(sync_lazy);
    ScheduleLazySync();
    idle = step == CommitStep::kNone || step == CommitStep::kWaitForSegment;
    if (Clock::now() >= next_tick) {
      core_.Tick();
      next_tick = Clock::now() + kTick;
    }
    HandOut();
    if (stopping && step == CommitStep::kNone) {
      std::lock_guard lock(mutex_);
      if (inbox_.batches.empty()) break;
    }
  }
  std::lock_guard committing(committing_);
  core_.Seal();
}

void FileStore::RunLane(Worker& w) {
  constexpr const char* kNames[] = {"lf-segments", "lf-checkpoint", "lf-read"};
  NameThread(kNames[&w - workers_]);
  std::unique_lock lock(mutex_);
  while (true) {
    w.wake.wait(lock, [&] { return w.stopping || w.task != nullptr; });
    if (w.stopping) return;
    auto task = std::move(w.task);
    lock.unlock();
    task->Run(vfs_);
    lock.lock();
    inbox_.finished.push_back(std::move(task));
    Wake();
  }
}

}  // namespace landfall::storage
