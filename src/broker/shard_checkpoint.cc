// From a shard to a checkpoint and its backlog files.
#include <algorithm>
#include <chrono>
#include <memory>
#include <utility>

#include "base/wire.h"
#include "broker/message_properties.h"
#include "broker/shard.h"

namespace landfall::broker {
namespace {

// A queue's messages that no block has: into blocks if they are so many, otherwise into the
// checkpoint itself.
struct Unstored {
  QueueId queue = 0;
  std::vector<QueuedMessageRecord> messages;
  uint64_t bytes = 0;
  bool to_blocks = false;
};

constexpr uint64_t kFewBytes = uint64_t{16} << 10;
// A queue with as much gets a file of its own, which goes when it has been read.
constexpr uint64_t kOwnFileBytes = uint64_t{1} << 20;
constexpr size_t kPiece = 1 << 20;
// What a checkpoint takes along at most of what is alive in files that are half dead.
constexpr uint64_t kMovedBytes = uint64_t{8} << 20;
// There was no room for it.
constexpr Duration kAfterFailure = std::chrono::seconds(10);

// A shard as it was at one moment: cheap to take (messages are shared, not copied), encoded later
// on another thread.
struct Image {
  std::vector<Record> states;  // everything but messages
  std::vector<Unstored> queues;
  std::vector<BacklogBlockRecord> blocks;
  std::set<uint64_t> half_dead_files;
  std::vector<BacklogChangeRecord> changes;
  StoryLog::Unstored stories;
  std::vector<StoryBlock> story_blocks;
  uint64_t next_file = 0;
};

class Writer {
 public:
  explicit Writer(storage::CheckpointOutput& out) : out_(out) {}

  bool Add(const Record& record) {
    AppendRecord(piece_, record);
    return piece_.size() < kPiece || Flush();
  }
  // Records that are written out already.
  bool Add(const StoryChunk& chunk) {
    piece_ += *chunk.bytes;
    return piece_.size() < kPiece || Flush();
  }
  bool Flush() {
    if (piece_.empty()) return true;
    const bool ok = out_.Write(piece_);
    piece_.clear();
    return ok;
  }

 private:
  storage::CheckpointOutput& out_;
  ByteBuffer piece_;
};

// Collects a block's messages and what is to be known of them without reading it.
class BlockBuilder {
 public:
  void Add(const QueuedMessageRecord& r) {
    const Sequence s = r.position.sequence;
    if (bytes_.empty()) {
      block_ = BacklogBlock{.first = s, .born = r.born};
    } else if (s > block_.last + 1) {
      block_.settled.Add(block_.last + 1, s - 1);
    }
    block_.last = s;
    ++block_.written;
    ++block_.alive;
    block_.footprint += r.message->footprint();
    block_.body_bytes += r.message->body().size();
    block_.born = std::min(block_.born, r.born);
    if (const auto ttl = TtlOf(*r.message)) {
      block_.own_expiry = std::min(block_.own_expiry, r.born + *ttl);
    }
    AppendRecord(bytes_, r);
  }
  bool full() const { return bytes_.size() >= kBacklogBlockBytes; }
  bool empty() const { return bytes_.empty(); }

  // The block, at its place in `file`; nothing if it cannot be written.
  std::optional<BacklogBlock> Write(storage::CheckpointOutput& out, uint64_t file) {
    const auto place = out.WriteBlock(file, bytes_);
    bytes_.clear();
    if (!place) return std::nullopt;
    block_.file = file;
    block_.place = *place;
    return std::exchange(block_, BacklogBlock{});
  }

 private:
  BacklogBlock block_;
  ByteBuffer bytes_;
};

// `made`(queue, block) for each block.
template <class F>
bool WriteBlocks(const Unstored& unstored, uint64_t file, storage::CheckpointOutput& out, F made) {
  BlockBuilder builder;
  const auto write = [&] {
    auto block = builder.Write(out, file);
    if (block) made(unstored.queue, std::move(*block));
    return block.has_value();
  };
  for (const QueuedMessageRecord& r : unstored.messages) {
    builder.Add(r);
    if (builder.full() && !write()) return false;
  }
  return builder.empty() || write();
}

// Writes what is alive of a block into `file` and changes the record accordingly. False: it cannot
// be read, and stays where it is. Nothing: the output has failed.
std::optional<bool> MoveBlock(BacklogBlockRecord& block, uint64_t file,
                              storage::CheckpointOutput& out) {
  const auto bytes = out.ReadBlock(block.file, {block.offset, block.length});
  if (!bytes) return false;
  const auto messages = ReadBlockMessages(*bytes);
  if (!messages) return false;
  IntervalSet settled;
  for (const auto& range : block.settled) settled.Add(range.first, range.last);
  BlockBuilder builder;
  uint32_t alive = 0;
  for (const QueuedMessageRecord& r : *messages) {
    if (settled.Contains(r.position.sequence)) continue;
    builder.Add(r);
    ++alive;
  }
  if (alive != block.alive || builder.empty()) return false;
  const auto moved = builder.Write(out, file);
  if (!moved) return std::nullopt;
  block.file = file;
  block.offset = moved->place.offset;
  block.length = moved->place.length;
  block.written = alive;
  block.footprint = moved->footprint;
  block.body_bytes = moved->body_bytes;
  return true;
}

// Empties the half-dead files into `file`, as far as they can be read. False: the output has
// failed.
bool MoveBlocks(Image& image, uint64_t file, storage::CheckpointOutput& out,
                std::vector<BacklogBlockRecord>& all_moved, std::set<uint64_t>& unreadable) {
  for (BacklogBlockRecord& block : image.blocks) {
    if (!image.half_dead_files.contains(block.file)) continue;
    const uint64_t from = block.file;
    const auto moved = MoveBlock(block, file, out);
    if (!moved) return false;
    if (*moved) {
      all_moved.push_back(block);
    } else {
      unreadable.insert(from);
    }
  }
  return true;
}

void AddOpenStories(const Queue& queue, std::vector<Record>& states) {
  constexpr size_t kInOneRecord = 1000;
  OpenStoriesRecord record{.queue = queue.id()};
  for (const auto& [sequence, story] : queue.stories) {
    record.stories.push_back({sequence, story});
    if (record.stories.size() == kInOneRecord) {
      states.emplace_back(std::exchange(record, OpenStoriesRecord{.queue = queue.id()}));
    }
  }
  if (!record.stories.empty()) states.emplace_back(std::move(record));
}

}  // namespace

bool Shard::wants_checkpoint() const {
  return can_checkpoint() && (release_memory_ || stories_.wants_checkpoint() ||
                              demand_.unstored_bytes > options_.unstored_bytes ||
                              demand_.dead_bytes > options_.dead_bytes);
}

std::pair<uint64_t, storage::CheckpointSource> Shard::Checkpoint() {
  auto image = std::make_shared<Image>();
  image->next_file = next_file_;
  // A shard that is short of memory lets all go that can.
  const bool short_of_memory =
      std::exchange(release_memory_, false) || demand_.unstored_bytes > options_.unstored_bytes;
  std::set<uint64_t> named;
  image->stories = stories_.TakeUnstored(now_);
  image->story_blocks.assign(stories_.blocks().begin(), stories_.blocks().end());
  for (const StoryBlock& block : image->story_blocks) named.insert(block.file);
  for (auto& [id, queue] : queues_) {
    AddOpenStories(*queue, image->states);
    if (!queue->journaled()) continue;
    for (BacklogBlockRecord& block : queue->StoredBlocks()) {
      named.insert(block.file);
      image->blocks.push_back(std::move(block));
    }
    for (BacklogChangeRecord& change : queue->StoredChanges()) {
      image->changes.push_back(std::move(change));
    }
    Unstored unstored{.queue = id, .messages = queue->TakeUnstored()};
    for (const QueuedMessageRecord& r : unstored.messages) unstored.bytes += r.message->footprint();
    unstored.to_blocks = queue->pageable() && !unstored.messages.empty() &&
                         (short_of_memory || unstored.bytes >= kFewBytes);
    for (const QueuedMessageRecord& r : unstored.messages) {
      if (!unstored.to_blocks || r.due == Time{}) continue;
      image->changes.push_back({.position = r.position,
                                .failures = r.failures,
                                .redelivered = r.redelivered,
                                .due = r.due});
    }
    if (!unstored.messages.empty()) image->queues.push_back(std::move(unstored));
    image->states.emplace_back(QueueStateRecord{id, queue->last(), queue->delivered_upto()});
    CheckLedger(*queue);
    image->states.emplace_back(QueueLedgerRecord{id, queue->durable_ledger()});
    for (const auto& [name, window] : queue->dedup.producers()) {
      image->states.emplace_back(ProducerStateRecord{.queue = id,
                                                     .producer = name,
                                                     .epoch = window.epoch,
                                                     .floor = window.floor,
                                                     .last_used = window.last_used,
                                                     .taken = window.taken.ranges()});
    }
  }
  image->states.emplace_back(QueueLedgerRecord{0, deleted_});
  for (const auto& [destination, outbox] : outboxes_) {
    image->states.emplace_back(OutboxNextRecord{destination, outbox.next});
    for (const auto& [seq, transfer] : outbox.unsettled)
      image->states.emplace_back(
          OutboxStateRecord{{destination, seq, transfer.queues}, transfer.message});
  }
  for (const auto& [source, applied] : applied_)
    image->states.emplace_back(AppliedStateRecord{source, applied.floor, applied.above.ranges()});

  checkpoint_ = std::make_unique<CheckpointUnderWay>();
  checkpoint_->shard_seq = shard_seq_;
  checkpoint_->dead_bytes = std::exchange(demand_.dead_bytes, 0);
  // Where there is no room, what needs none comes first: it makes some.
  if (!no_room_) image->half_dead_files = HalfDeadFiles(image->blocks);
  checkpoint_->half_dead_files = image->half_dead_files;
  // Never twice, whatever becomes of it: one that counts as failed may be on the disk nevertheless.
  next_file_ += 2 + image->queues.size();
  checkpoint_->written = std::make_shared<Written>();
  for (const auto& [file, bytes] : files_) {
    if (!named.contains(file)) checkpoint_->unnamed_files.push_back(file);
  }
  return {shard_seq_, [image, written = checkpoint_->written](storage::CheckpointOutput& out) {
            // Blocks first: the checkpoint says where they are.
            const uint64_t shared = image->next_file;
            uint64_t next_file = shared + 1;
            if (!MoveBlocks(*image, shared, out, written->moved, written->unreadable_files)) {
              return false;
            }
            for (const bool own : {false, true}) {
              for (const Unstored& unstored : image->queues) {
                if (!unstored.to_blocks || (unstored.bytes >= kOwnFileBytes) != own) continue;
                const uint64_t file = own ? next_file++ : shared;
                const auto made = [&](QueueId queue, BacklogBlock block) {
                  written->blocks.emplace_back(queue, std::move(block));
                };
                if (!WriteBlocks(unstored, file, out, made)) return false;
              }
            }
            if (!image->stories.few) {
              const uint64_t file = next_file++;
              for (const StoryChunk& chunk : image->stories.chunks) {
                const auto place = out.WriteBlock(file, *chunk.bytes);
                if (!place) return false;
                written->stories.push_back({file, *place, chunk.first, chunk.last});
              }
            }
            written->next_file = next_file;
            Writer writer(out);
            const auto add_all = [&writer](const auto& records) {
              return std::ranges::all_of(records, [&](const auto& r) { return writer.Add(r); });
            };
            // A queue's blocks in their order, messages behind them, and its state at the end: a
            // sequence is never given out twice.
            if (!add_all(image->blocks)) return false;
            for (const auto& [queue, block] : written->blocks) {
              if (!writer.Add(RecordOf(queue, block))) return false;
            }
            // Stories before those that are open, which are among the states.
            if (!add_all(image->story_blocks) || !add_all(written->stories)) return false;
            if (image->stories.few && !add_all(image->stories.chunks)) return false;
            if (!add_all(image->changes)) return false;
            for (const Unstored& unstored : image->queues) {
              if (!unstored.to_blocks && !add_all(unstored.messages)) return false;
            }
            if (!add_all(image->states) || !writer.Flush()) return false;
            written->complete = true;
            return true;
          }};
}

void Shard::OnCheckpointFailed(Time now) {
  now_ = now;
  if (!checkpoint_) return;
  demand_.dead_bytes += checkpoint_->dead_bytes;
  checkpoint_.reset();
  next_checkpoint_ = now + kAfterFailure;
  no_room_ = true;
}

void Shard::OnCheckpointSaved(uint64_t shard_seq, Time now) {
  now_ = now;
  if (!checkpoint_ || checkpoint_->shard_seq != shard_seq) return;
  checkpointed_seq_ = shard_seq;
  const std::unique_ptr<CheckpointUnderWay> saved = std::move(checkpoint_);
  // There was one of this shard_seq already, and this one has not been written.
  if (!saved->written->complete) {
    demand_.dead_bytes += saved->dead_bytes;
    return;
  }
  no_room_ = false;
  next_file_ = std::max(next_file_, saved->written->next_file);
  for (auto& [id, block] : saved->written->blocks) {
    NoteFile(block.file, block.place);
    const auto it = queues_.find(id);
    if (it == queues_.end()) continue;  // dropped meanwhile
    it->second->Adopt(std::move(block));
  }
  for (const StoryBlock& block : saved->written->stories) NoteFile(block.file, block.place);
  stories_.OnStored(saved->written->stories);
  for (const BacklogBlockRecord& block : saved->written->moved) {
    NoteFile(block.file, {block.offset, block.length});
    const auto it = queues_.find(block.queue);
    if (it != queues_.end()) it->second->MoveBlock(block);
  }
  PageOut();
  unnamed_files_.insert(saved->unnamed_files.begin(), saved->unnamed_files.end());
  for (const uint64_t file : saved->half_dead_files) {
    if (!saved->written->unreadable_files.contains(file)) unnamed_files_.insert(file);
  }
  DropUnnamedFiles();
}

std::vector<uint64_t> Shard::BacklogFiles() const {
  std::vector<uint64_t> numbers;
  numbers.reserve(files_.size());
  for (const auto& [file, bytes] : files_) numbers.push_back(file);
  return numbers;
}

// A block stands there.
void Shard::NoteFile(uint64_t file, storage::BlockPlace place) {
  uint64_t& bytes = files_[file];
  bytes = std::max(bytes, place.offset + place.length);
}

// Those of which at most half is alive, of the blocks that a checkpoint names. What is too much for
// one checkpoint asks for another.
std::set<uint64_t> Shard::HalfDeadFiles(const std::vector<BacklogBlockRecord>& blocks) {
  FlatMap<uint64_t, uint64_t> alive;
  for (const BacklogBlockRecord& block : blocks) {
    alive[block.file] += uint64_t{block.length} * block.alive / std::max(block.written, 1u);
  }
  std::set<uint64_t> files;
  uint64_t moved = 0;
  for (const auto& [file, bytes] : alive) {
    if (bytes * 2 > files_.at(file)) continue;
    if (!files.empty() && moved + bytes > kMovedBytes) {
      demand_.dead_bytes += files_.at(file) - bytes;
      continue;
    }
    moved += bytes;
    files.insert(file);
  }
  return files;
}

// What nobody consumes shares the bound; where somebody does, what comes next is at hand.
void Shard::PageOut() {
  const auto deep = std::ranges::count_if(
      queues_, [](const auto& q) { return q.second->backlog() && !q.second->backlog()->empty(); });
  if (deep == 0) return;
  const uint64_t share = options_.resident_bytes / static_cast<uint64_t>(deep);
  for (auto& [id, queue] : queues_) {
    const uint64_t bytes = queue->consumers.empty() ? share : options_.resident_bytes;
    queue->PageOut(options_.resident_messages, bytes);
  }
}

}  // namespace landfall::broker
