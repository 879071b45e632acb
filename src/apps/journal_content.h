#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "apps/backlog_check.h"
#include "broker/shard_record.h"
#include "storage/repair.h"

namespace landfall::apps {

// What the broker's records tell the repair of a data directory.
class JournalContent final : public storage::RepairContent {
 public:
  // `vfs` is kept; not owned.
  JournalContent(storage::Vfs& vfs, const std::string& directory) : backlog_(vfs, directory) {}

  void OnCheckpoint(storage::ShardId shard, ByteView piece, bool last) override {
    backlog_.OnCheckpoint(shard, piece, last);
  }
  std::optional<std::string> Undecodable(storage::ShardId shard) override;
  std::vector<uint64_t> BacklogFiles(storage::ShardId shard) override;
  std::vector<storage::Damage> DamagedBlocks(storage::ShardId shard) override;
  bool CopyCheckpoint(storage::ShardId shard, ByteView piece,
                      storage::CheckpointOutput& out) override;
  size_t Decodable(storage::ShardId shard, ByteView entries) override;
  ByteBuffer EmptyBatch(storage::ShardId shard) override;

  // As BacklogCheck's.
  const Result<void>& outcome() const { return backlog_.outcome(); }
  // Messages in blocks that cannot be read.
  uint64_t quarantined() const;

 private:
  const BacklogCheck::Checkpoint& CheckpointOf(storage::ShardId shard) const;

  BacklogCheck backlog_;
  std::map<storage::ShardId, broker::RecordStream> copies_;
};

}  // namespace landfall::apps
