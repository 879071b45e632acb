#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <vector>

#include "base/bytes.h"
#include "base/time.h"
#include "broker/story.h"
#include "storage/store.h"

namespace landfall::broker {

// Stories one after the other, as AppendRecord writes them.
struct StoryChunk {
  Time first{};
  Time last{};
  std::shared_ptr<const ByteBuffer> bytes;
};
// A chunk that is in a file of the shard's backlog. Record 22.
struct StoryBlock {
  uint64_t file = 0;
  storage::BlockPlace place;
  Time first{};
  Time last{};
};
// All that a shard has to tell, from the oldest to the newest: to be read on any thread. A file may
// go while it is read, with what was in it.
struct StoryView {
  storage::ShardId shard = 0;
  std::vector<StoryBlock> blocks;
  std::vector<StoryChunk> chunks;  // newer than the blocks
  uint64_t dropped_bytes = 0;      // see StoryLog
};

struct StoryLimits {
  uint64_t disk_bytes = uint64_t{64} << 20;  // of a shard, in files
  // ... and in memory, of what no checkpoint has written: more comes to be where there are none.
  uint64_t memory_bytes = uint64_t{8} << 20;
  // Less than this makes no block: the checkpoint holds it itself, so that there are never many
  // small files.
  uint64_t few_bytes = uint64_t{64} << 10;
  Duration age = std::chrono::hours(24) * 7;
  // Messages of a shard that are traced at a time; beyond it others are not.
  uint64_t open = 100'000;
};

// What a shard tells of its traced messages: in memory until a checkpoint writes it to a file, and
// no more than the limits say, of which the oldest goes first.
//
// Thread: its shard's.
class StoryLog {
 public:
  explicit StoryLog(StoryLimits limits) : limits_(limits) {}

  const StoryLimits& limits() const { return limits_; }
  // Messages that are traced now; kept by the shard.
  uint64_t open = 0;

  // `bytes`: a story's record, type and all.
  void Add(ByteView bytes, Time time);
  uint64_t unstored_bytes() const { return unstored_bytes_; }
  // Of those, what a checkpoint would take out of memory.
  uint64_t releasable_bytes() const {
    return unstored_bytes_ < limits_.few_bytes ? 0 : unstored_bytes_;
  }
  // A checkpoint should come before something has to go for want of room.
  bool wants_checkpoint() const { return unstored_bytes_ > limits_.memory_bytes / 2; }
  // Bytes that have gone and been in no file, for want of room.
  uint64_t dropped_bytes() const { return dropped_bytes_; }

  // What a checkpoint has to write. Answered by OnStored with the blocks that it has made, or not
  // at all: then it is written again.
  struct Unstored {
    std::vector<StoryChunk> chunks;
    bool few = false;  // into the checkpoint itself: no blocks, and they stay here as well
  };
  Unstored TakeUnstored(Time now);
  // What it has to name. Those that are too old or too many have gone with TakeUnstored.
  const std::deque<StoryBlock>& blocks() const { return blocks_; }
  void OnStored(const std::vector<StoryBlock>& blocks);
  void RestoreBlock(const StoryBlock& block);

  StoryView View(storage::ShardId shard) const;

 private:
  void CloseChunk();
  void DropBeyondMemory();
  void DropOldBlocks(Time now);
  std::vector<StoryChunk> Chunks() const;

  const StoryLimits limits_;
  std::deque<StoryBlock> blocks_;
  uint64_t block_bytes_ = 0;
  std::deque<StoryChunk> chunks_;
  // The first ones, as many as a checkpoint writes now.
  size_t being_stored_ = 0;
  StoryChunk current_;  // its times
  ByteBuffer current_bytes_;
  uint64_t unstored_bytes_ = 0;
  uint64_t dropped_bytes_ = 0;
};

}  // namespace landfall::broker
