#include "storage/store_core.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <random>
#include <set>

#include "base/assert.h"
#include "storage/data_directory.h"
#include "storage/recovery.h"

namespace landfall::storage {
namespace {

constexpr uint32_t kCheckpointRestTicks = 10;
constexpr uint32_t kMostReadRestTicks = 32;

uint64_t NonceSeed(uint64_t chosen) {
  if (chosen != 0) return chosen;
  std::random_device device;
  return (static_cast<uint64_t>(device()) << 32) | device();
}

}  // namespace

StoreCore::StoreCore(Vfs& vfs, StoreOptions options, FatalHandler on_fatal)
    : vfs_(vfs), options_(std::move(options)), on_fatal_(std::move(on_fatal)) {
  if (!on_fatal_) on_fatal_ = ExitOnFatalError;
  LANDFALL_ASSERT(options_.segment_bytes >= 2 * kSegmentHeaderBytes);
}

StoreCore::~StoreCore() = default;

Result<RecoveryReport> StoreCore::Recover(RecoveryVisitor& visitor) {
  LANDFALL_ASSERT(writer_ == nullptr);
  if (auto ok = vfs_.MakeDirectory(options_.directory); !ok) return std::unexpected(ok.error());
  auto lock = vfs_.Lock(options_.directory);
  if (!lock) return std::unexpected(lock.error());
  lock_ = std::move(*lock);
  if (auto ok = PrepareDataDirectory(vfs_, options_.directory); !ok) {
    return std::unexpected(ok.error());
  }
  auto log = RecoverLog(vfs_, options_.directory, visitor);
  if (!log) return std::unexpected(log.error());
  if (auto ok = OpenSpares(*log); !ok) return std::unexpected(ok.error());
  if (auto ok = StartWriter(*log); !ok) return std::unexpected(ok.error());
  log->report.epoch = log->next_epoch;
  return std::move(log->report);
}

Result<void> StoreCore::OpenSpares(const LogContents& log) {
  next_spare_number_ = log.next_spare_number;
  for (const auto& path : log.spares) {
    uint64_t bytes = 0;
    {
      auto file = vfs_.Open(path, OpenMode::kReadWrite);
      if (!file) return std::unexpected(file.error());
      auto size = (*file)->Size();
      if (!size) return std::unexpected(size.error());
      bytes = *size;
      // A crash may have kept the size and lost the blocks.
      if (bytes == options_.segment_bytes && !(*file)->Allocate(bytes)) bytes = 0;
    }
    if (bytes == options_.segment_bytes) {
      spares_.push_back({path, bytes});
    } else if (auto ok = vfs_.Remove(path); !ok) {
      return ok;
    }
  }
  return {};
}

Result<void> StoreCore::StartWriter(const LogContents& log) {
  segments_ = log.segments;
  checkpoints_ = log.checkpoints;
  damaged_checkpoints_ = log.damaged_checkpoints;
  for (const auto& segment : segments_) closed_bytes_ += segment.used_bytes;
  if (!HasSpareFor(options_.segment_bytes)) {
    AllocateSpare task{.spare = NewSpare(options_.segment_bytes), .outcome = {}};
    task.Run(vfs_);
    if (!task.outcome) return task.outcome;
    spares_.push_back(task.spare);
  }
  writer_ = std::make_unique<JournalWriter>(
      vfs_, JournalDirectory(options_.directory), log.next_epoch, log.next_lsn,
      NonceSeed(options_.nonce_seed) + log.next_epoch, !options_.unsafe_no_sync);
  const SpareFile spare = TakeSpareFor(options_.segment_bytes);
  if (auto ok = writer_->StartSegment(spare); !ok) return ok;
  SegmentInfo info;
  info.first_lsn = writer_->first_lsn();
  info.path = writer_->path();
  info.file_bytes = spare.bytes;
  segments_.push_back(std::move(info));
  return {};
}

void StoreCore::Start(StoreListener& listener) {
  LANDFALL_ASSERT(writer_ != nullptr && listener_ == nullptr);
  // The next checkpoint could take the name of one of them.
  LANDFALL_ASSERT(damaged_checkpoints_.empty());
  listener_ = &listener;
  ReportState();
  ReleaseCovered();
  WantSpare(options_.segment_bytes);
  CheckSpace();
  CheckWindow();
}

void StoreCore::Append(HashedBatch batch) {
  if (dead_) return;
  LANDFALL_ASSERT(batch.batch.entries.size() <= kMaxEntriesBytes);
  LANDFALL_ASSERT(batch.batch.shard != kSealShard);
  waiting_.push_back(std::move(batch));
}

void StoreCore::SaveCheckpoint(ShardId shard, uint64_t shard_seq, CheckpointSource source) {
  if (dead_) return;
  checkpoint_requests_.push_back({shard, shard_seq, std::move(source)});
}

CommitStep StoreCore::Next(bool sync_lazy) const {
  if (dead_) return CommitStep::kNone;
  if (urgent_unsynced_) return CommitStep::kSync;
  if (!waiting_.empty()) {
    if (writer_->Fits(FrameBytes(waiting_.front().batch.entries.size()))) return CommitStep::kWrite;
    if (has_unsynced()) return CommitStep::kSync;
    return HasSpareFor(SegmentBytesNeeded()) ? CommitStep::kStartSegment
                                             : CommitStep::kWaitForSegment;
  }
  return sync_lazy && has_unsynced() ? CommitStep::kSync : CommitStep::kNone;
}

CommitStep StoreCore::Step(bool sync_lazy) {
  const CommitStep step = Next(sync_lazy);
  switch (step) {
    case CommitStep::kNone:
      break;
    case CommitStep::kWrite:
      WriteGroup();
      break;
    case CommitStep::kSync:
      SyncAndReport();
      break;
    case CommitStep::kStartSegment:
      StartSegment();
      break;
    case CommitStep::kWaitForSegment:
      WantSpare(SegmentBytesNeeded());
      break;
  }
  return step;
}

void StoreCore::WriteGroup() {
  uint64_t bytes = 0;
  while (!waiting_.empty()) {
    const uint64_t more = FrameBytes(waiting_.front().batch.entries.size());
    if (!group_.empty() && bytes + more > options_.max_group_bytes) break;
    if (!writer_->Fits(bytes + more)) break;
    bytes += more;
    group_.push_back(std::move(waiting_.front()));
    waiting_.pop_front();
  }
  if (auto ok = writer_->Write(group_); !ok) return Fatal(ok.error());
  unsynced_batches_ += group_.size();
  unsynced_bytes_ += bytes;
  SegmentInfo& segment = segments_.back();
  segment.used_bytes = writer_->used_bytes();
  for (const auto& [batch, hash] : group_) {
    segment.last_seq[batch.shard] = batch.shard_seq;
    if (batch.shard >= unsynced_index_.size()) unsynced_index_.resize(batch.shard + 1, 0);
    uint32_t& index = unsynced_index_[batch.shard];
    if (index == 0) {
      unsynced_.emplace_back(batch.shard, 0);
      index = static_cast<uint32_t>(unsynced_.size());
    }
    LANDFALL_ASSERT(unsynced_[index - 1].second < batch.shard_seq);
    unsynced_[index - 1].second = batch.shard_seq;
    urgent_unsynced_ |= batch.urgent;
  }
  group_.clear();
}

void StoreCore::SyncAndReport() {
  // A clock for statistics only: nothing that the store does depends on it.
  const auto began = std::chrono::steady_clock::now();
  if (auto ok = writer_->Sync(); !ok) return Fatal(ok.error());
  const auto took = std::chrono::steady_clock::now() - began;
  statistics_.sync_us.Add(
      static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::microseconds>(took).count()));
  statistics_.batches_per_sync.Add(std::exchange(unsynced_batches_, 0));
  statistics_.bytes_per_sync.Add(std::exchange(unsynced_bytes_, 0));
  const auto landed = std::exchange(unsynced_, {});
  for (const auto& [shard, shard_seq] : landed) unsynced_index_[shard] = 0;
  urgent_unsynced_ = false;
  const uint64_t lsn = writer_->written_lsn();
  for (const auto& [shard, shard_seq] : landed) {
    listener_->OnAppended(shard, shard_seq, lsn, AppendOutcome::kDurable);
  }
  CheckWindow();
}

void StoreCore::StartSegment() {
  const SpareFile spare = TakeSpareFor(SegmentBytesNeeded());
  const bool replaces = writer_->written_lsn() < writer_->first_lsn();
  if (auto ok = writer_->StartSegment(spare); !ok) return Fatal(ok.error());
  if (replaces) {
    // The first batch was too large for an empty segment: the new file has taken its name.
    segments_.pop_back();
  } else {
    closed_bytes_ += segments_.back().used_bytes;
  }
  SegmentInfo info;
  info.first_lsn = writer_->first_lsn();
  info.path = writer_->path();
  info.file_bytes = spare.bytes;
  info.used_bytes = writer_->used_bytes();
  segments_.push_back(std::move(info));
  ReleaseCovered();
  WantSpare(options_.segment_bytes);
  CheckSpace();
  CheckWindow();
}

void StoreCore::Seal() {
  // An empty segment is left empty: the next start replaces it.
  if (dead_ || writer_ == nullptr || writer_->written_lsn() < writer_->first_lsn()) return;
  LANDFALL_ASSERT(Next(true) == CommitStep::kNone);
  if (auto ok = writer_->WriteSeal(); !ok) return Fatal(ok.error());
  if (auto ok = writer_->Sync(); !ok) return Fatal(ok.error());
}

std::string StoreCore::BacklogPath(const BacklogName& name) const {
  return BacklogDirectory(options_.directory) + "/" + BacklogFileName(name);
}

Result<std::vector<Damage>> StoreCore::KeepBacklog(
    const std::map<ShardId, std::vector<uint64_t>>& files) {
  const auto named_by = [&files](ShardId shard) {
    const auto named = files.find(shard);
    return named == files.end() ? std::vector<uint64_t>() : named->second;
  };
  std::vector<Damage> said;
  for (const DamagedCheckpoint& damaged : std::exchange(damaged_checkpoints_, {})) {
    auto aside = PutCheckpointAside(vfs_, options_.directory, damaged, named_by(damaged.shard));
    if (!aside) return std::unexpected(aside.error());
    said.push_back(std::move(*aside));
  }
  // The rest a checkpoint that was never saved has left, or a removal that was not durable.
  const auto names = vfs_.List(BacklogDirectory(options_.directory));
  if (!names) return std::unexpected(names.error());
  std::set<ShardId> shards;
  for (const std::string& name : *names) {
    if (const auto parsed = ParseBacklogFileName(name)) shards.insert(parsed->shard);
  }
  for (const ShardId shard : shards) {
    const auto unnamed = UnnamedBacklog(vfs_, options_.directory, shard, named_by(shard));
    if (!unnamed) return std::unexpected(unnamed.error());
    for (const std::string& path : *unnamed) {
      if (auto ok = vfs_.Remove(path); !ok) return std::unexpected(ok.error());
    }
  }
  return said;
}

void StoreCore::ReadBlock(ShardId shard, uint64_t file, BlockPlace place, uint64_t token) {
  if (dead_) return;
  const BacklogName name{shard, file};
  reads_.push_back({ReadBlockTask{.directory = BacklogDirectory(options_.directory),
                                  .path = BacklogPath(name),
                                  .name = name,
                                  .place = place,
                                  .token = token,
                                  .outcome = {}}});
}

void StoreCore::DropBacklog(ShardId shard, uint64_t file) {
  if (dead_) return;
  segment_tasks_.push_back({RemoveBacklogTask{.path = BacklogPath({shard, file}), .outcome = {}}});
}

std::unique_ptr<BackgroundTask> StoreCore::TakeTask(Lane lane) {
  bool& busy = busy_[static_cast<size_t>(lane)];
  if (dead_ || busy) return nullptr;
  const auto take = [&](std::deque<BackgroundTask>& tasks) -> std::unique_ptr<BackgroundTask> {
    if (tasks.empty()) return nullptr;
    busy = true;
    auto task = std::make_unique<BackgroundTask>(std::move(tasks.front()));
    tasks.pop_front();
    return task;
  };
  if (lane == Lane::kReads) return read_rest_ticks_ > 0 ? nullptr : take(reads_);
  if (lane == Lane::kSegments) return take(segment_tasks_);
  if (checkpoint_requests_.empty()) return nullptr;
  busy = true;
  CheckpointRequest request = std::move(checkpoint_requests_.front());
  checkpoint_requests_.pop_front();
  SaveCheckpointTask task;
  task.directory = options_.directory;
  task.name = {request.shard, request.shard_seq};
  task.cancel = &cancel_checkpoints_;
  const auto it = checkpoints_.find(request.shard);
  if (it == checkpoints_.end()) {
    task.source = std::move(request.source);
  } else if (it->second.shard_seq < request.shard_seq) {
    task.source = std::move(request.source);
    task.replaces = it->second.path;
  }
  return std::make_unique<BackgroundTask>(std::move(task));
}

void StoreCore::Finish(std::unique_ptr<BackgroundTask> task) {
  busy_[static_cast<size_t>(task->lane())] = false;
  if (dead_) return;
  if (auto* spare = std::get_if<AllocateSpare>(&task->work)) FinishSpare(*spare);
  if (auto* release = std::get_if<ReleaseSegments>(&task->work)) FinishRelease(*release);
  if (auto* save = std::get_if<SaveCheckpointTask>(&task->work)) FinishCheckpoint(*save);
  if (auto* read = std::get_if<ReadBlockTask>(&task->work)) FinishRead(*read);
  if (auto* remove = std::get_if<RemoveBacklogTask>(&task->work)) {
    if (!remove->outcome) return Fatal(remove->outcome.error());
    CheckSpace();
  }
}

void StoreCore::FinishSpare(AllocateSpare& task) {
  spare_running_ = false;
  if (task.outcome) {
    spares_.push_back(task.spare);
    spare_refused_ = false;
  } else if (task.outcome.error().code != ErrorCode::kNoSpace) {
    return Fatal(task.outcome.error());
  } else {
    spare_refused_ = true;
    // Segments on their way out may still become what is needed.
    if (Next(true) == CommitStep::kWaitForSegment && !release_running_) {
      return Fatal(task.outcome.error());
    }
  }
  CheckSpace();
}

void StoreCore::FinishRelease(ReleaseSegments& task) {
  release_running_ = false;
  if (!task.outcome) return Fatal(task.outcome.error());
  for (auto& spare : task.recycled) spares_.push_back(std::move(spare));
  ReleaseCovered();
  WantSpare(options_.segment_bytes);
  CheckSpace();
}

void StoreCore::FinishCheckpoint(SaveCheckpointTask& task) {
  const ShardId shard = task.name.shard;
  if (!task.outcome) {
    switch (task.outcome.error().code) {
      case ErrorCode::kUnavailable:  // cancelled: the store is stopping
        return;
      case ErrorCode::kNoSpace:  // the journal still holds everything: ask again later
        wanted_.erase(shard);
        statistics_.checkpoints_refused.fetch_add(1, std::memory_order_relaxed);
        checkpoint_rest_ticks_ = kCheckpointRestTicks;
        listener_->OnCheckpointFailed(shard);
        CheckSpace();
        return;
      default:
        return Fatal(task.outcome.error());
    }
  }
  if (task.bytes > 0) {
    statistics_.checkpoint_ms.Add(static_cast<uint64_t>(task.took.count()));
    checkpoints_[shard] = {
        .shard_seq = task.name.shard_seq,
        .bytes = task.bytes,
        .path = CheckpointDirectory(options_.directory) + "/" + CheckpointFileName(task.name)};
  }
  wanted_.erase(shard);
  listener_->OnCheckpointSaved(shard, task.name.shard_seq);
  ReleaseCovered();
  CheckWindow();
}

void StoreCore::FinishRead(ReadBlockTask& task) {
  const ErrorCode code = task.outcome ? ErrorCode::kInternal : task.outcome.error().code;
  if (code == ErrorCode::kExhausted) {
    // Says nothing of the block: whoever asked for it waits.
    read_rest_ticks_ = read_backoff_ticks_;
    read_backoff_ticks_ = std::min(2 * read_backoff_ticks_, kMostReadRestTicks);
    const Error why = std::exchange(task.outcome, {}).error();
    reads_.push_front({std::move(task)});
    listener_->OnReadsDelayed(why, read_rest_ticks_);
    return;
  }
  read_backoff_ticks_ = 1;
  // What is not there, or not what was written, is damage: its messages are set apart. A disk that
  // cannot be read now may be able to later.
  if (!task.outcome && code != ErrorCode::kCorrupt && code != ErrorCode::kNotFound) {
    return Fatal(task.outcome.error());
  }
  listener_->OnBlockRead(task.name.shard, task.token, std::move(task.outcome));
}

void StoreCore::Tick() {
  if (dead_ || listener_ == nullptr) return;
  ReportState();
  WantSpare(options_.segment_bytes);
  CheckSpace();
  if (read_rest_ticks_ > 0) --read_rest_ticks_;
  if (checkpoint_rest_ticks_ > 0) --checkpoint_rest_ticks_;
  if (checkpoint_rest_ticks_ > 0) return;
  CheckWindow();
}

void StoreCore::WantSpare(uint64_t bytes) {
  if (dead_ || spare_running_ || HasSpareFor(bytes)) return;
  spare_running_ = true;
  segment_tasks_.push_back({AllocateSpare{.spare = NewSpare(bytes), .outcome = {}}});
}

void StoreCore::ReleaseCovered() {
  if (dead_ || release_running_) return;
  ReleaseSegments task;
  while (segments_.size() > 1 && Covered(segments_.front())) {
    closed_bytes_ -= segments_.front().used_bytes;
    task.segments.push_back(std::move(segments_.front()));
    segments_.pop_front();
  }
  if (task.segments.empty()) return;
  task.journal_directory = JournalDirectory(options_.directory);
  task.segment_bytes = options_.segment_bytes;
  while (spares_.size() + task.spare_paths.size() < options_.recycle_segments) {
    task.spare_paths.push_back(NewSpare(0).path);
  }
  release_running_ = true;
  segment_tasks_.push_back({std::move(task)});
}

bool StoreCore::Covered(const SegmentInfo& segment) const {
  return std::ranges::all_of(segment.last_seq, [&](const auto& entry) {
    const auto it = checkpoints_.find(entry.first);
    return it != checkpoints_.end() && it->second.shard_seq >= entry.second;
  });
}

void StoreCore::CheckWindow() {
  if (dead_ || checkpoint_rest_ticks_ > 0 || segments_.size() < 2) return;
  // Many small segments, each left by a short life, count as well.
  const uint64_t most_segments = 16 + 2 * options_.window_bytes / options_.segment_bytes;
  const bool too_long = LiveBytes() > options_.window_bytes && LiveBytes() > CheckpointBytes();
  if (!too_long && segments_.size() <= most_segments) return;
  for (const auto& [shard, shard_seq] : segments_.front().last_seq) {
    const auto it = checkpoints_.find(shard);
    if (it != checkpoints_.end() && it->second.shard_seq >= shard_seq) continue;
    if (!wanted_.emplace(shard, true).second) continue;
    listener_->OnCheckpointWanted(shard);
  }
}

void StoreCore::CheckSpace() {
  if (dead_ || listener_ == nullptr) return;
  // Another file may have taken the place of the one that was refused, which then nobody asks for
  // again.
  if (HasSpareFor(options_.segment_bytes)) spare_refused_ = false;
  const auto free = vfs_.FreeSpace(options_.directory);
  if (!free) return;
  // Once low, some more than the bound must be free, so that it does not flutter.
  const uint64_t bound = options_.low_space_bytes + (space_low_ ? options_.low_space_bytes / 4 : 0);
  const bool low = spare_refused_ || *free < bound;
  if (low == space_low_) return;
  space_low_ = low;
  listener_->OnSpace(low);
}

uint64_t StoreCore::LiveBytes() const { return closed_bytes_ + writer_->used_bytes(); }

uint64_t StoreCore::CheckpointBytes() const {
  uint64_t bytes = 0;
  for (const auto& [shard, checkpoint] : checkpoints_) bytes += checkpoint.bytes;
  return bytes;
}

bool StoreCore::HasSpareFor(uint64_t bytes) const {
  return std::ranges::any_of(spares_, [&](const SpareFile& s) { return s.bytes >= bytes; });
}

SpareFile StoreCore::TakeSpareFor(uint64_t bytes) {
  auto best = spares_.end();
  for (auto it = spares_.begin(); it != spares_.end(); ++it) {
    if (it->bytes >= bytes && (best == spares_.end() || it->bytes < best->bytes)) best = it;
  }
  LANDFALL_ASSERT(best != spares_.end());
  SpareFile spare = std::move(*best);
  spares_.erase(best);
  return spare;
}

SpareFile StoreCore::NewSpare(uint64_t bytes) {
  return {JournalDirectory(options_.directory) + "/" + SpareName(next_spare_number_++), bytes};
}

uint64_t StoreCore::SegmentBytesNeeded() const {
  if (waiting_.empty()) return options_.segment_bytes;
  const uint64_t frame = FrameBytes(waiting_.front().batch.entries.size());
  return std::max(options_.segment_bytes, JournalWriter::SegmentBytesFor(frame));
}

void StoreCore::ReportState() {
  constexpr auto kRelaxed = std::memory_order_relaxed;
  statistics_.journal_bytes.store(LiveBytes(), kRelaxed);
  statistics_.journal_segments.store(segments_.size(), kRelaxed);
  statistics_.journal_spares.store(spares_.size(), kRelaxed);
  statistics_.checkpoint_bytes.store(CheckpointBytes(), kRelaxed);
  statistics_.synced_lsn.store(writer_->synced_lsn(), kRelaxed);
}

void StoreCore::Fatal(const Error& error) {
  dead_ = true;
  const char* advice = error.code == ErrorCode::kNoSpace
                           ? "free space on that disk, then start again"
                           : "look at the disk and the kernel's log, then start again";
  on_fatal_({error.code, fmt::format("the store stops: {}. Nothing that was confirmed is lost; {}",
                                     error.message, advice)});
}

}  // namespace landfall::storage
