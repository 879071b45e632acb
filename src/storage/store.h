#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/error.h"

// What is durable, as the broker sees it. Shards append batches of entries and hear when they have
// landed; a checkpoint replaces everything a shard has appended up to a point; recovery hands both
// back. The store never looks inside an entry or a checkpoint.
namespace landfall::storage {

// A stream of records with an order of its own inside the one journal. Stream 0 is the topology's;
// queue shards count from 1.
using ShardId = uint16_t;
inline constexpr ShardId kTopologyShard = 0;

// One shard's next piece of its stream.
struct Batch {
  ShardId shard = 0;
  // Dense: the first batch of a shard is 1, each further one +1, across restarts.
  uint64_t shard_seq = 0;
  ByteBuffer entries;
  // True: somebody waits for it; sync at once. False: written at once, synced together with the
  // next urgent batch or within StoreOptions::lazy_sync_delay, whichever is first.
  bool urgent = true;
};

enum class AppendOutcome {
  kDurable,  // on stable storage
  kFenced,   // another writer owns the shard: drop it (a cluster's store only)
  kUnknown,  // may or may not be there: fence and replay before doing anything else (same)
};

// Where a block stands in a backlog file.
struct BlockPlace {
  uint64_t offset = 0;
  uint32_t length = 0;

  bool operator==(const BlockPlace&) const = default;
};

// Takes what a checkpoint is made of. After a call that failed the source stops.
class CheckpointOutput {
 public:
  virtual ~CheckpointOutput() = default;
  // The checkpoint's own bytes, in pieces of any size. False: the write failed.
  virtual bool Write(ByteView bytes) = 0;
  // A block of the shard's backlog file `file`. Files are written one after the other; a number is
  // not used again once a checkpoint that names it has been saved. Durable when the checkpoint is.
  // Nothing: the write failed.
  virtual std::optional<BlockPlace> WriteBlock(uint64_t file, ByteView block) = 0;
  // A block that the newest checkpoint names, to be written anew elsewhere. An error is no failure
  // of the output: it may go on without.
  virtual Result<ByteBuffer> ReadBlock(uint64_t file, BlockPlace place) = 0;
};

// Called once, on a thread of the store's choosing (with the simulator: inline), to produce the
// checkpoint. It must own all that it reads. Returns false when a call of the output failed.
using CheckpointSource = std::function<bool(CheckpointOutput&)>;

// Hears completions. Called on the store's thread or on one that appends, one at a time (with the
// simulator: from StepStore::Step); an implementation passes them on to the shard's own thread.
class StoreListener {
 public:
  virtual ~StoreListener() = default;
  // All batches of `shard` up to and including `shard_seq` have this outcome. `lsn`: kDurable, and
  // so has everything in the journal up to there.
  virtual void OnAppended(ShardId shard, uint64_t shard_seq, uint64_t lsn,
                          AppendOutcome outcome) = 0;
  // The checkpoint of `shard` at `shard_seq` is durable; older records of it may be gone.
  virtual void OnCheckpointSaved(ShardId shard, uint64_t shard_seq) = 0;
  // A checkpoint could not be saved, for lack of space: what it would have replaced is still there.
  virtual void OnCheckpointFailed(ShardId shard) { (void)shard; }
  // The journal has outgrown its window and `shard` pins its oldest segment: save a checkpoint of
  // it soon. Repeated only after that checkpoint has been saved, or if it could not be for lack of
  // space.
  virtual void OnCheckpointWanted(ShardId shard) = 0;
  // A block that was asked for, or why it cannot be had. kCorrupt: it is not what was written.
  virtual void OnBlockRead(ShardId shard, uint64_t token, Result<ByteBuffer> block) {
    (void)shard, (void)token, (void)block;
  }
  // A block cannot be read now, for want of file descriptors or memory. All reads wait `seconds`,
  // then it is tried again, as often as it takes.
  virtual void OnReadsDelayed(const Error& why, uint32_t seconds) { (void)why, (void)seconds; }
  // The disk is nearly full (true) or no longer so (false). What is appended still lands, out of
  // reserved space: stop publishers now, so that acks can go on.
  virtual void OnSpace(bool low) { (void)low; }
};

// Receives what survived, before the first Append. Per shard: at most one checkpoint first, in
// pieces that end anywhere (memory for all of it at once may not be there), then the batches after
// it in order of shard_seq. Between shards there is no order, except that
// everything of the topology's stream comes before everything else.
class RecoveryVisitor {
 public:
  virtual ~RecoveryVisitor() = default;
  virtual Result<void> OnCheckpoint(ShardId shard, uint64_t shard_seq, ByteView piece,
                                    bool last) = 0;
  virtual Result<void> OnBatch(ShardId shard, uint64_t shard_seq, ByteView entries) = 0;
};

// A place where bytes were not what was written, other than the torn tail.
struct Damage {
  std::string file;
  uint64_t offset = 0;
  std::string what;
};

struct RecoveryReport {
  uint32_t epoch = 0;  // +1 each time the directory is opened
  uint64_t segments = 0;
  uint64_t frames = 0;
  uint64_t bytes = 0;
  uint64_t torn_tail_bytes = 0;  // cut from the end: written, never confirmed
  std::vector<Damage> damages;
  // Per shard, the shard_seq after which appends go on.
  std::vector<std::pair<ShardId, uint64_t>> last_shard_seq;
};

class Store {
 public:
  virtual ~Store() = default;

  // Once, before anything else. Replays into `visitor`.
  virtual Result<RecoveryReport> Recover(RecoveryVisitor& visitor) = 0;
  // From here on `listener` (not owned; must outlive the store or Stop) hears of everything.
  virtual void Start(StoreListener& listener) = 0;
  // Takes one shard's batches in order of shard_seq. Never blocks on the disk; the caller bounds
  // what it has under way. Thread: any, one at a time per shard.
  virtual void Append(Batch batch) = 0;
  // The same for the batches of one turn of a thread that has nothing else to do: if the store is
  // at rest it may write and sync them before it returns and call the listener from within, which
  // spares a small batch two changes of thread. Otherwise it is Append.
  virtual void AppendHere(std::vector<Batch> batches) {
    for (Batch& batch : batches) Append(std::move(batch));
  }
  // Saves what the shard is after shard_seq; `source` need not have been called on return.
  virtual void SaveCheckpoint(ShardId shard, uint64_t shard_seq, CheckpointSource source) = 0;
  // Once, between Recover and Start: which backlog files each shard still needs. Others are left
  // over and removed; but those of a shard with a checkpoint that could not be read, which may have
  // named them, are put aside with it (damaged_file.h). Returns what there is to say about that.
  virtual Result<std::vector<Damage>> KeepBacklog(
      const std::map<ShardId, std::vector<uint64_t>>& files) = 0;
  // Answered by OnBlockRead with the same token, in any order.
  virtual void ReadBlock(ShardId shard, uint64_t file, BlockPlace place, uint64_t token) = 0;
  // No checkpoint that has been saved names the file any more, and nobody reads from it.
  virtual void DropBacklog(ShardId shard, uint64_t file) = 0;
  // Writes and syncs all that was appended, reports it, then stops. No Append after it.
  virtual void Stop() = 0;
};

}  // namespace landfall::storage
