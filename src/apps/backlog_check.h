#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "broker/shard_record.h"
#include "storage/store.h"
#include "storage/vfs.h"

namespace landfall::apps {

// Reads the blocks of backlog files that checkpoints name, and all messages and stories in them.
class BacklogCheck {
 public:
  struct DamagedBlock {
    uint64_t file = 0;
    broker::QueueId queue = 0;  // of a block of stories: 0
    uint64_t messages = 0;      // that were left in it
    // Where it is, why it cannot be read, and whose messages were in it.
    storage::Damage damage;
  };
  // What a shard's checkpoint says.
  struct Checkpoint {
    std::set<uint64_t> files;
    std::vector<DamagedBlock> damaged;
    std::optional<std::string> undecodable;  // why
  };

  // `vfs` is kept; not owned.
  BacklogCheck(storage::Vfs& vfs, std::string directory);

  // As storage::CheckpointCallback, of one shard after the other.
  void OnCheckpoint(storage::ShardId shard, ByteView piece, bool last);

  // kExhausted: a block could not be read and nobody knows whether it is whole.
  const Result<void>& outcome() const { return outcome_; }
  uint64_t blocks() const { return blocks_; }
  uint64_t bytes() const { return bytes_; }
  const std::map<storage::ShardId, Checkpoint>& checkpoints() const { return checkpoints_; }
  // All that is damaged: blocks that cannot be read and checkpoints that cannot be decoded.
  std::vector<storage::Damage> damages() const;

 private:
  void CheckBlock(storage::ShardId shard, const broker::BacklogBlockRecord& block);
  void CheckBlock(storage::ShardId shard, const broker::StoryBlock& block);
  using Reader = Result<void> (*)(ByteView bytes);
  void Check(storage::ShardId shard, storage::BlockPlace place, DamagedBlock block,
             std::string_view holds, Reader read);

  storage::Vfs& vfs_;
  const std::string directory_;
  broker::RecordStream records_;
  uint64_t blocks_ = 0;
  uint64_t bytes_ = 0;
  std::map<storage::ShardId, Checkpoint> checkpoints_;
  Result<void> outcome_;
};

}  // namespace landfall::apps
