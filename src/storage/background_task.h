#pragma once

#include <atomic>
#include <chrono>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "storage/backlog_file.h"
#include "storage/checkpoint_file.h"
#include "storage/log_reader.h"
#include "storage/vfs.h"

// What the store does beside committing. A task owns all it needs: StoreCore makes it, any thread
// runs it, StoreCore takes the outcome back.
namespace landfall::storage {

// Allocates a file that can become a segment.
struct AllocateSpare {
  SpareFile spare;
  Result<void> outcome;

  void Run(Vfs& vfs);
};

// Takes segments that nobody needs any more out of the log, oldest first, each of them durably
// before the next, so that the log never has a hole. The first `recycle` that fit become spares.
struct ReleaseSegments {
  std::string journal_directory;
  std::vector<SegmentInfo> segments;
  uint64_t segment_bytes = 0;            // only files of this size are reused
  std::vector<std::string> spare_paths;  // names for them, as many as may be recycled
  std::vector<SpareFile> recycled;       // outcome
  Result<void> outcome;

  void Run(Vfs& vfs);
};

struct SaveCheckpointTask {
  std::string directory;  // of the data
  CheckpointName name;
  CheckpointSource source;  // empty: such a checkpoint is there already
  std::string replaces;     // path of the one before, or empty
  const std::atomic<bool>* cancel = nullptr;
  uint64_t bytes = 0;                // outcome
  std::chrono::milliseconds took{};  // outcome, for statistics only
  Result<void> outcome;

  void Run(Vfs& vfs);
};

// Reads one block of a backlog file. A file with a block that is damaged is kept (KeepAside).
struct ReadBlockTask {
  std::string directory;  // of the backlog files
  std::string path;
  BacklogName name;
  BlockPlace place;
  uint64_t token = 0;
  Result<ByteBuffer> outcome;

  void Run(Vfs& vfs);
};

// Removes a backlog file that nobody needs. Not durably: recovery removes what comes back.
struct RemoveBacklogTask {
  std::string path;
  Result<void> outcome;

  void Run(Vfs& vfs);
};

enum class Lane { kSegments, kCheckpoints, kReads };
inline constexpr Lane kLanes[] = {Lane::kSegments, Lane::kCheckpoints, Lane::kReads};

struct BackgroundTask {
  std::variant<AllocateSpare, ReleaseSegments, SaveCheckpointTask, ReadBlockTask, RemoveBacklogTask>
      work;

  Lane lane() const {
    if (std::holds_alternative<SaveCheckpointTask>(work)) return Lane::kCheckpoints;
    if (std::holds_alternative<ReadBlockTask>(work)) return Lane::kReads;
    return Lane::kSegments;
  }
  void Run(Vfs& vfs) {
    std::visit([&](auto& task) { task.Run(vfs); }, work);
  }
};

}  // namespace landfall::storage
