#include "storage/inspect.h"

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "storage/data_directory.h"
#include "storage/log_reader.h"

namespace landfall::storage {
namespace {

// What a segment holds, in order of LSN.
std::vector<InspectedFrame> FramesOf(const std::string& path, ByteView bytes,
                                     const SegmentScan& scan) {
  std::vector<InspectedFrame> frames;
  const auto add = [&](const ScannedFrame& frame, FrameState state) {
    frames.push_back(
        {.file = path,
         .offset = frame.offset,
         .state = state,
         .header = frame.header,
         .last_lsn = frame.header.lsn,
         .entries = bytes.substr(frame.offset + kFrameHeaderBytes, frame.header.length)});
  };
  for (const auto& frame : scan.frames) add(frame, FrameState::kValid);
  for (const auto& frame : scan.cut) add(frame, FrameState::kCut);
  for (const auto& gap : scan.gaps) {
    InspectedFrame frame{.file = path,
                         .offset = gap.offset,
                         .state = FrameState::kUnreadable,
                         .header = {},
                         .last_lsn = gap.last_lsn,
                         .entries = {}};
    frame.header.lsn = gap.first_lsn;
    frames.push_back(std::move(frame));
  }
  std::ranges::stable_sort(frames, {}, [](const InspectedFrame& f) { return f.header.lsn; });
  return frames;
}

class Counter final : public RecoveryVisitor {
 public:
  explicit Counter(const CheckpointCallback& callback) : callback_(callback) {}

  Result<void> OnCheckpoint(ShardId shard, uint64_t, ByteView piece, bool last) override {
    checkpoints += last;
    checkpoint_bytes += piece.size();
    if (callback_) callback_(shard, piece, last);
    return {};
  }
  Result<void> OnBatch(ShardId, uint64_t, ByteView) override {
    ++batches;
    return {};
  }

  uint64_t checkpoints = 0;
  uint64_t checkpoint_bytes = 0;
  uint64_t batches = 0;

 private:
  const CheckpointCallback& callback_;
};

}  // namespace

Result<void> InspectJournal(Vfs& vfs, const std::string& directory, const FrameCallback& callback) {
  if (auto ok = CheckDataDirectory(vfs, directory); !ok) return std::unexpected(ok.error());
  auto names = vfs.List(JournalDirectory(directory));
  if (!names) return std::unexpected(names.error());
  std::vector<std::pair<uint64_t, std::string>> segments;
  for (const auto& name : *names) {
    if (auto lsn = ParseSegmentName(name)) {
      segments.emplace_back(*lsn, JournalDirectory(directory) + "/" + name);
    }
  }
  std::ranges::sort(segments);
  for (size_t i = 0; i < segments.size(); ++i) {
    const auto& [first_lsn, path] = segments[i];
    auto bytes = ReadWhole(vfs, path);
    if (!bytes) return std::unexpected(bytes.error());
    std::optional<uint64_t> next;
    if (i + 1 < segments.size()) next = segments[i + 1].first;
    SegmentScan scan;
    const auto header = ReadSegmentHeader(*bytes);
    if (header && header->first_lsn == first_lsn) {
      scan = ScanSegment(*bytes, *header, next);
    } else {
      scan.gaps.push_back({0, first_lsn, next.value_or(first_lsn + 1) - 1});
    }
    for (const auto& frame : FramesOf(path, *bytes, scan)) {
      if (!callback(frame)) return {};
    }
  }
  return {};
}

Result<VerifyReport> Verify(Vfs& vfs, const std::string& directory,
                            const CheckpointCallback& callback) {
  if (auto ok = CheckDataDirectory(vfs, directory); !ok) return std::unexpected(ok.error());
  Counter counter(callback);
  auto log = ReadLog(vfs, directory, counter);
  if (!log) return std::unexpected(log.error());
  VerifyReport report;
  report.log = std::move(log->report);
  report.checkpoints = counter.checkpoints;
  report.checkpoint_bytes = counter.checkpoint_bytes;
  report.batches = counter.batches;
  return report;
}

}  // namespace landfall::storage
