#include "storage/recovery.h"

#include <algorithm>

#include "storage/data_directory.h"

namespace landfall::storage {
namespace {

// The last process may have died before it synced what we have just read, or after a sync that
// failed and left its pages marked clean: in both cases we read from the page cache what the disk
// does not hold. Writing the same bytes again makes the pages dirty, so that the sync means
// something.
Result<void> MakeTailDurable(Vfs& vfs, const LogContents& log) {
  const SegmentInfo& last = log.segments.back();
  auto file = vfs.Open(last.path, OpenMode::kReadWrite);
  if (!file) return std::unexpected(file.error());
  constexpr uint64_t kStep = uint64_t{1} << 20;
  for (uint64_t at = log.unproven_offset; at < last.used_bytes; at += kStep) {
    ByteBuffer bytes(std::min(kStep, last.used_bytes - at), '\0');
    auto read = (*file)->Read(at, std::span(bytes.data(), bytes.size()));
    if (!read) return std::unexpected(read.error());
    if (auto ok = WriteAll(**file, at, ByteView(bytes).substr(0, *read)); !ok) return ok;
  }
  // Every start leaves a segment behind: it keeps only what it uses. With a torn tail it stays
  // whole, as evidence, until it is released.
  if (log.report.torn_tail_bytes == 0 && !last.damaged && last.used_bytes < last.file_bytes) {
    if (auto ok = (*file)->Truncate(last.used_bytes); !ok) return ok;
  }
  return (*file)->Sync();
}

}  // namespace

Result<LogContents> RecoverLog(Vfs& vfs, const std::string& directory, RecoveryVisitor& visitor) {
  auto log = ReadLog(vfs, directory, visitor);
  if (!log) return log;
  if (!log->segments.empty()) {
    if (auto ok = MakeTailDurable(vfs, *log); !ok) return std::unexpected(ok.error());
    SegmentInfo& last = log->segments.back();
    if (log->report.torn_tail_bytes == 0 && !last.damaged) last.file_bytes = last.used_bytes;
    // Without frames it is replaced by the segment that starts now, which has the same first LSN.
    if (log->next_lsn == last.first_lsn) log->segments.pop_back();
  }
  // Before older checkpoints go, the newer one's name must be durable.
  for (const auto& path : {JournalDirectory(directory), CheckpointDirectory(directory)}) {
    if (auto ok = vfs.SyncDirectory(path); !ok) return std::unexpected(ok.error());
  }
  for (const auto* paths : {&log->superseded, &log->left_over}) {
    for (const auto& path : *paths) {
      if (auto ok = vfs.Remove(path); !ok) return std::unexpected(ok.error());
    }
  }
  return log;
}

}  // namespace landfall::storage
