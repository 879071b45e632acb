#include "storage/file_store.h"

#include <pthread.h>

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
  // On the committer's thread already, so that the listener is never called from two.
  committer_ = std::thread([this, &listener] {
    core_.Start(listener);
    Commit();
  });
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

void FileStore::SaveCheckpoint(ShardId shard, uint64_t shard_seq, CheckpointSource source) {
  std::lock_guard lock(mutex_);
  inbox_.checkpoints.push_back({shard, shard_seq, std::move(source)});
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
  wake_.wait_until(lock, until, [&] { return !asleep_; });
  asleep_ = false;
}

void FileStore::TakeIn(Inbox& inbox) {
  for (auto& task : inbox.finished) core_.Finish(std::move(task));
  for (auto& batch : inbox.batches) core_.Append(std::move(batch));
  for (auto& request : inbox.checkpoints) {
    core_.SaveCheckpoint(request.shard, request.shard_seq, std::move(request.source));
  }
  inbox.finished.clear();
  inbox.batches.clear();
  inbox.checkpoints.clear();
}

void FileStore::HandOut() {
  for (const Lane lane : {Lane::kSegments, Lane::kCheckpoints}) {
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
  Inbox inbox;
  auto next_tick = Clock::now() + kTick;
  auto lazy_due = Clock::time_point::max();
  CommitStep step = CommitStep::kNone;
  bool idle = false;
  while (true) {
    bool stopping = false;
    {
      std::unique_lock lock(mutex_);
      // Stopping, there is nothing to wait for but a segment.
      if (idle && (!stopping_ || step == CommitStep::kWaitForSegment)) {
        Wait(lock, std::min(next_tick, lazy_due));
      }
      std::swap(inbox, inbox_);
      stopping = stopping_;
    }
    TakeIn(inbox);
    const bool sync_lazy =
        stopping || (lazy_due != Clock::time_point::max() && Clock::now() >= lazy_due);
    step = core_.Step(sync_lazy);
    if (!core_.has_unsynced()) {
      lazy_due = Clock::time_point::max();
    } else if (lazy_due == Clock::time_point::max()) {
      lazy_due = Clock::now() + core_.options().lazy_sync_delay;
    }
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
  core_.Seal();
}

void FileStore::RunLane(Worker& w) {
  NameThread(&w == &workers_[0] ? "lf-segments" : "lf-checkpoint");
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
