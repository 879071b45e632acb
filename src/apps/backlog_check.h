#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "storage/store.h"
#include "storage/vfs.h"

namespace landfall::apps {

// Reads the blocks of backlog files that checkpoints name, and all messages in them.
class BacklogCheck {
 public:
  // `vfs` is kept; not owned.
  BacklogCheck(storage::Vfs& vfs, std::string directory);

  // As storage::CheckpointCallback, of one shard after the other.
  void OnCheckpoint(storage::ShardId shard, ByteView piece, bool last);

  uint64_t blocks() const { return blocks_; }
  uint64_t bytes() const { return bytes_; }
  // Blocks that cannot be read, with the queue and how many messages are in them; checkpoints that
  // cannot be decoded.
  const std::vector<storage::Damage>& damages() const { return damages_; }

 private:
  void CheckRecords(storage::ShardId shard, bool last);

  storage::Vfs& vfs_;
  const std::string directory_;
  ByteBuffer unfinished_;
  bool decodable_ = true;
  uint64_t blocks_ = 0;
  uint64_t bytes_ = 0;
  std::vector<storage::Damage> damages_;
};

}  // namespace landfall::apps
