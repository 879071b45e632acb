#include "storage/log_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <optional>

#include "base/assert.h"
#include "storage/checkpoint_file.h"
#include "storage/data_directory.h"

namespace landfall::storage {
namespace {

class LogReader {
 public:
  LogReader(Vfs& vfs, const std::string& directory, RecoveryVisitor& visitor)
      : vfs_(vfs), directory_(directory), visitor_(visitor) {}

  Result<LogContents> Read() {
    if (auto ok = ListCheckpoints(); !ok) return std::unexpected(ok.error());
    if (auto ok = ListSegments(); !ok) return std::unexpected(ok.error());
    // The topology entirely before everything else: hence two passes over the segments.
    if (auto ok = ReadCheckpoints(/*topology=*/true); !ok) return std::unexpected(ok.error());
    for (size_t i = 0; i < log_.segments.size(); ++i) {
      if (auto ok = FirstPass(i); !ok) return std::unexpected(ok.error());
    }
    if (auto ok = ReadCheckpoints(/*topology=*/false); !ok) return std::unexpected(ok.error());
    for (size_t i = 0; i < log_.segments.size(); ++i) {
      if (auto ok = SecondPass(i); !ok) return std::unexpected(ok.error());
    }
    for (const auto& [shard, seq] : last_seq_) log_.report.last_shard_seq.emplace_back(shard, seq);
    return std::move(log_);
  }

 private:
  Result<void> ListCheckpoints() {
    const std::string directory = CheckpointDirectory(directory_);
    auto names = vfs_.List(directory);
    if (!names) return std::unexpected(names.error());
    for (const auto& name : *names) {
      const std::string path = fmt::format("{}/{}", directory, name);
      if (name.ends_with(".tmp")) {
        log_.left_over.push_back(path);
      } else if (auto parsed = ParseCheckpointFileName(name)) {
        candidates_[parsed->shard].emplace_back(parsed->shard_seq, path);
      } else if (!name.ends_with(kDamagedSuffix)) {
        AddDamage(path, 0, "a file that is not a checkpoint");
        log_.strays.push_back(path);
      }
    }
    for (auto& [shard, files] : candidates_) std::ranges::sort(files, std::greater());
    return {};
  }

  Result<void> ListSegments() {
    const std::string directory = JournalDirectory(directory_);
    auto names = vfs_.List(directory);
    if (!names) return std::unexpected(names.error());
    for (const auto& name : *names) {
      const std::string path = fmt::format("{}/{}", directory, name);
      if (auto number = ParseSpareName(name)) {
        log_.spares.push_back(path);
        log_.next_spare_number = std::max(log_.next_spare_number, *number + 1);
      } else if (auto first_lsn = ParseSegmentName(name)) {
        SegmentInfo info;
        info.first_lsn = *first_lsn;
        info.path = path;
        log_.segments.push_back(std::move(info));
      } else if (name.ends_with(".tmp")) {
        log_.left_over.push_back(path);
      }
    }
    std::ranges::sort(log_.segments, {}, &SegmentInfo::first_lsn);
    log_.report.segments = log_.segments.size();
    return {};
  }

  Result<void> ReadCheckpoints(bool topology) {
    for (const auto& [shard, files] : candidates_) {
      if ((shard == kTopologyShard) != topology) continue;
      if (auto ok = ReadNewestCheckpoint(shard, files); !ok) return ok;
    }
    return {};
  }

  Result<void> ReadNewestCheckpoint(ShardId shard,
                                    const std::vector<std::pair<uint64_t, std::string>>& files) {
    // A damaged checkpoint's name still says how far the shard had come: no shard_seq up to there
    // may be used again.
    last_seq_[shard] = files.front().first;
    uint64_t& delivered = delivered_[shard];
    for (const auto& [shard_seq, path] : files) {
      if (log_.checkpoints.contains(shard)) {
        log_.superseded.push_back(path);
        continue;
      }
      // Twice: nothing of a damaged one may be delivered.
      auto bytes = ReadCheckpoint(vfs_, path, {shard, shard_seq}, nullptr);
      if (!bytes) {
        if (bytes.error().code != ErrorCode::kCorrupt) return std::unexpected(bytes.error());
        AddDamage(path, 0,
                  fmt::format("the checkpoint of shard {} at {} cannot be used: {}", shard,
                              shard_seq, bytes.error().message));
        log_.damaged_checkpoints.push_back({shard, path});
        continue;
      }
      log_.checkpoints[shard] = {shard_seq, *bytes, path};
      log_.report.bytes += *bytes;
      delivered = shard_seq;
      uint64_t left = *bytes;
      const auto deliver = [&](ByteView piece) {
        left -= piece.size();
        return visitor_.OnCheckpoint(shard, shard_seq, piece, /*last=*/left == 0);
      };
      if (left == 0) {
        if (auto ok = deliver({}); !ok) return ok;
      } else if (auto ok = ReadCheckpoint(vfs_, path, {shard, shard_seq}, deliver); !ok) {
        return std::unexpected(ok.error());
      }
    }
    return {};
  }

  // Judges the segment's frames and delivers the topology's.
  Result<void> FirstPass(size_t index) {
    SegmentInfo& info = log_.segments[index];
    const bool last = index + 1 == log_.segments.size();
    auto bytes = ReadWhole(vfs_, info.path);
    if (!bytes) return std::unexpected(bytes.error());
    info.file_bytes = bytes->size();
    const auto header = ReadSegmentHeader(*bytes);
    if (!header || header->first_lsn != info.first_lsn) {
      UnreadableSegment(index);
      return {};
    }
    log_.next_epoch = std::max(log_.next_epoch, header->epoch + 1);
    const SegmentScan scan = ScanSegment(*bytes, *header, NextFirstLsn(index));
    info.used_bytes = scan.end_offset;
    info.damaged = !scan.gaps.empty();
    for (const auto& gap : scan.gaps) {
      AddDamage(info.path, gap.offset,
                gap.first_lsn == gap.last_lsn
                    ? fmt::format("the frame with LSN {} cannot be read", gap.first_lsn)
                    : fmt::format("the frames with LSN {} to {} cannot be read", gap.first_lsn,
                                  gap.last_lsn));
    }
    log_.report.frames += scan.frames.size();
    log_.report.bytes += scan.end_offset - kSegmentHeaderBytes;
    log_.report.torn_tail_bytes += scan.torn_bytes;
    log_.next_lsn = scan.next_lsn;
    for (const auto& frame : scan.frames) {
      if (frame.header.shard == kSealShard) continue;
      uint64_t& seq = info.last_seq[frame.header.shard];
      seq = std::max(seq, frame.header.shard_seq);
    }
    if (last) {
      log_.unproven_offset = scan.end_offset;
      for (const auto& frame : scan.frames) {
        if (frame.header.lsn <= scan.synced_lsn) continue;
        log_.unproven_offset = frame.offset;
        break;
      }
    }
    if (info.last_seq.contains(kTopologyShard)) {
      return Deliver(info, *bytes, scan.frames, /*topology=*/true);
    }
    return {};
  }

  Result<void> SecondPass(size_t index) {
    const SegmentInfo& info = log_.segments[index];
    const bool anything = std::ranges::any_of(info.last_seq, [&](const auto& entry) {
      return entry.first != kTopologyShard && entry.second > delivered_[entry.first];
    });
    if (!anything) return {};
    auto bytes = ReadWhole(vfs_, info.path);
    if (!bytes) return std::unexpected(bytes.error());
    const auto header = ReadSegmentHeader(*bytes);
    if (!header) return Fail(ErrorCode::kIo, info.path + " changed while it was read");
    const SegmentScan scan = ScanSegment(*bytes, *header, NextFirstLsn(index));
    return Deliver(info, *bytes, scan.frames, /*topology=*/false);
  }

  Result<void> Deliver(const SegmentInfo& info, ByteView bytes,
                       const std::vector<ScannedFrame>& frames, bool topology) {
    for (const auto& frame : frames) {
      const ShardId shard = frame.header.shard;
      if (shard == kSealShard || (shard == kTopologyShard) != topology) continue;
      const uint64_t seq = frame.header.shard_seq;
      uint64_t& delivered = delivered_[shard];
      if (seq <= delivered) {
        // Covered by the checkpoint, unless the shard went back on its own frames.
        const auto checkpoint = log_.checkpoints.find(shard);
        if (checkpoint == log_.checkpoints.end() || seq > checkpoint->second.shard_seq) {
          AddDamage(
              info.path, frame.offset,
              fmt::format("batch {} of shard {} comes after batch {}", seq, shard, delivered));
          log_.misplaced.push_back(frame.header.lsn);
        }
        continue;
      }
      uint64_t& delivered_lsn = delivered_lsn_[shard];
      if (seq > delivered + 1) {
        log_.lost.push_back({.shard = shard,
                             .first_seq = delivered + 1,
                             .last_seq = seq - 1,
                             .after_lsn = delivered_lsn,
                             .before_lsn = frame.header.lsn});
        AddDamage(info.path, frame.offset,
                  fmt::format("of shard {} the batches {} to {} are missing", shard, delivered + 1,
                              seq - 1));
      }
      delivered = seq;
      delivered_lsn = frame.header.lsn;
      uint64_t& last = last_seq_[shard];
      last = std::max(last, seq);
      const ByteView entries = bytes.substr(frame.offset + kFrameHeaderBytes, frame.header.length);
      if (auto ok = visitor_.OnBatch(shard, seq, entries); !ok) return ok;
    }
    return {};
  }

  void UnreadableSegment(size_t index) {
    SegmentInfo& info = log_.segments[index];
    info.damaged = true;
    info.used_bytes = info.file_bytes;
    const auto next = NextFirstLsn(index);
    AddDamage(info.path, 0,
              "the segment's header cannot be read or is not of this file, and so none of its "
              "frames");
    // If it is the last, nobody knows how many frames it had: more than fit are skipped, so that no
    // LSN is used twice.
    log_.next_lsn = next.value_or(info.first_lsn + info.file_bytes / kFrameHeaderBytes + 1);
    log_.unproven_offset = info.used_bytes;
  }

  std::optional<uint64_t> NextFirstLsn(size_t index) const {
    if (index + 1 == log_.segments.size()) return std::nullopt;
    return log_.segments[index + 1].first_lsn;
  }

  void AddDamage(std::string file, uint64_t offset, std::string what) {
    log_.report.damages.push_back({std::move(file), offset, std::move(what)});
  }

  Vfs& vfs_;
  const std::string& directory_;
  RecoveryVisitor& visitor_;
  LogContents log_;
  std::map<ShardId, std::vector<std::pair<uint64_t, std::string>>> candidates_;
  std::map<ShardId, uint64_t> last_seq_;
  std::map<ShardId, uint64_t> delivered_;
  std::map<ShardId, uint64_t> delivered_lsn_;
};

}  // namespace

Result<LogContents> ReadLog(Vfs& vfs, const std::string& directory, RecoveryVisitor& visitor) {
  return LogReader(vfs, directory, visitor).Read();
}

}  // namespace landfall::storage
