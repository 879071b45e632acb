#pragma once

#include <deque>
#include <map>
#include <string>
#include <vector>

#include "base/flat_map.h"
#include "storage/damaged_file.h"
#include "storage/journal_writer.h"
#include "storage/segment.h"
#include "storage/store.h"
#include "storage/vfs.h"

// Reads a whole data directory: what recovery delivers and what verification counts.
namespace landfall::storage {

// A segment that has frames, as the store keeps track of it.
struct SegmentInfo {
  uint64_t first_lsn = 0;
  std::string path;
  uint64_t file_bytes = 0;
  uint64_t used_bytes = 0;
  // Highest shard_seq per shard in it: what checkpoints must cover before it can go.
  FlatMap<ShardId, uint64_t> last_seq;
  // Something in it could not be read: it is put aside instead of reused.
  bool damaged = false;
};

struct CheckpointInfo {
  uint64_t shard_seq = 0;
  uint64_t bytes = 0;
  std::string path;
};

// Batches of a shard that should stand between two of its frames and are nowhere.
struct LostBatches {
  ShardId shard = 0;
  uint64_t first_seq = 0;
  uint64_t last_seq = 0;
  uint64_t after_lsn =
      0;  // of the frame before; 0: there was none that a checkpoint does not cover
  uint64_t before_lsn = 0;
};

struct LogContents {
  RecoveryReport report;
  std::deque<SegmentInfo> segments;               // in order of LSN
  std::map<ShardId, CheckpointInfo> checkpoints;  // in force: the newest valid one of each shard
  std::vector<DamagedCheckpoint> damaged_checkpoints;  // newer than what is in force
  std::vector<std::string> superseded;  // paths of checkpoints that newer ones replace
  std::vector<std::string> left_over;   // paths of temporary files
  std::vector<std::string> spares;      // paths
  uint64_t next_spare_number = 0;
  uint64_t next_lsn = 1;
  uint32_t next_epoch = 1;
  // In the last segment: frames from this offset to its used_bytes were not known to be durable.
  uint64_t unproven_offset = 0;
  // What the report says, for whoever repairs it.
  std::vector<LostBatches> lost;
  std::vector<uint64_t> misplaced;  // LSNs of frames with a batch older than one before
  std::vector<std::string> strays;  // paths of files among the checkpoints that are none
};

// Delivers to `visitor` in the order Store::Recover promises. Changes nothing on the disk. Errors:
// those of the visitor, and files that cannot be read at all (a disk that gives EIO); damaged bytes
// are in report.damages. Holds one segment or one checkpoint in memory at a time.
Result<LogContents> ReadLog(Vfs& vfs, const std::string& directory, RecoveryVisitor& visitor);

}  // namespace landfall::storage
