#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "storage/store.h"
#include "storage/vfs.h"

// Makes a damaged data directory one that recovery does not complain about, and takes nothing from
// it that recovery could have read: what recovery delivers afterwards is what it would have
// delivered before, and batches without effect in place of those that are lost. The original of
// every file that is replaced is kept (damaged_file.h), and each replacement is a rename, so that
// an interruption anywhere leaves a directory that recovers to the same and can be repaired
// further.
//
//   a frame that cannot be read    in its place stands a batch without effect if it is known whose
//                                  it was, otherwise a seal, which says nothing either; all other
//                                  frames of the segment are copied as they are
//   a segment without a header     the same for all of its frames
//   batches missing at the start   the shard's checkpoint, or an empty one, is written anew under
//   the
//                                  number of the last of them
//   a torn tail                    is cut
//   a damaged checkpoint           is put aside (PutCheckpointAside)
//   a damaged block                leaves the checkpoint that names it
namespace landfall::storage {

// What repair has to know of bytes that the store does not look into.
class RepairContent {
 public:
  virtual ~RepairContent() = default;

  // The checkpoints in force, as RecoveryVisitor gets them; before anything else is asked.
  virtual void OnCheckpoint(ShardId shard, ByteView piece, bool last) = 0;
  // Why the shard's checkpoint makes no sense although its checksums hold; nothing if it does.
  virtual std::optional<std::string> Undecodable(ShardId shard) = 0;
  // Numbers of the backlog files that the shard's checkpoint names.
  virtual std::vector<uint64_t> BacklogFiles(ShardId shard) = 0;
  // Blocks that the checkpoint names and that cannot be read, with what it costs.
  virtual std::vector<Damage> DamagedBlocks(ShardId shard) = 0;
  // Passes the checkpoint on to `out`, piece by piece, without those blocks. False: `out` failed.
  virtual bool CopyCheckpoint(ShardId shard, ByteView piece, CheckpointOutput& out) = 0;
  // How many bytes at the front of a batch's entries are records that can be decoded.
  virtual size_t Decodable(ShardId shard, ByteView entries) = 0;
  // The entries of a batch without effect.
  virtual ByteBuffer EmptyBatch(ShardId shard) = 0;
};

struct RepairStep {
  // What is done about what, and what it costs, a line each.
  std::vector<Damage> said;
  // Does it, durably. Empty: it is beyond repair, and `said` tells what a person can do.
  std::function<Result<void>()> run;
};

// What has to be done, in this order, without doing it; nothing if all is well. After it has been
// done there may be more, which only then can be seen. `vfs` and `content` are kept by the steps.
// The directory must be locked. Errors: as ReadLog.
Result<std::vector<RepairStep>> PlanRepair(Vfs& vfs, const std::string& directory,
                                           RepairContent& content);

}  // namespace landfall::storage
