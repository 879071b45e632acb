#pragma once

#include <functional>
#include <string>

#include "storage/segment.h"
#include "storage/store.h"
#include "storage/vfs.h"

// Looks into a data directory without changing it or taking its lock. While a broker has it open
// the end of the journal moves, and the last frames may look torn.
namespace landfall::storage {

enum class FrameState {
  kValid,
  kCut,         // whole, but behind a hole in the torn tail: recovery ignores it
  kUnreadable,  // LSNs that should be here and cannot be read
};

struct InspectedFrame {
  std::string file;
  uint64_t offset = 0;
  FrameState state = FrameState::kValid;
  FrameHeader header;     // with kUnreadable only `lsn`, the first
  uint64_t last_lsn = 0;  // with kUnreadable, otherwise header.lsn
  ByteView entries;       // valid during the call; empty with kUnreadable
};

// In order of LSN. False: enough.
using FrameCallback = std::function<bool(const InspectedFrame&)>;

// Every frame of every segment, damaged places included. A segment whose header is gone counts as
// one unreadable frame. Errors: no data directory, a newer format, files that cannot be read.
Result<void> InspectJournal(Vfs& vfs, const std::string& directory, const FrameCallback& callback);

struct VerifyReport {
  // As recovery would report it.
  RecoveryReport log;
  uint64_t checkpoints = 0;
  uint64_t checkpoint_bytes = 0;
  uint64_t batches = 0;  // that recovery would deliver after the checkpoints

  // Nothing is damaged. A torn tail is none: it was never confirmed.
  bool ok() const { return log.damages.empty(); }
};

// A piece of a shard's checkpoint, in order; `last`: it is complete.
using CheckpointCallback = std::function<void(ShardId shard, ByteView piece, bool last)>;

// Reads all that recovery would read, says what it would find, and shows `callback` (may be null)
// the checkpoints: what backlog files hold is in there.
Result<VerifyReport> Verify(Vfs& vfs, const std::string& directory,
                            const CheckpointCallback& callback = nullptr);

}  // namespace landfall::storage
