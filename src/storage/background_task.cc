#include "storage/background_task.h"

#include <fmt/format.h>

#include "storage/damaged_file.h"

namespace landfall::storage {

void AllocateSpare::Run(Vfs& vfs) {
  auto exists = vfs.Exists(spare.path);
  if (!exists) {
    outcome = std::unexpected(exists.error());
    return;
  }
  auto file = vfs.Open(spare.path, *exists ? OpenMode::kReadWrite : OpenMode::kCreate);
  if (!file) {
    outcome = std::unexpected(file.error());
    return;
  }
  outcome = (*file)->Allocate(spare.bytes);
  file->reset();
  // Gives back what was taken before the disk was full. Should this fail, recovery finds the file.
  if (!outcome) (void)vfs.Remove(spare.path);
}

void ReleaseSegments::Run(Vfs& vfs) {
  for (const auto& segment : segments) {
    if (segment.damaged) {
      const auto aside = PutAside(vfs, segment.path);
      if (!aside) outcome = std::unexpected(aside.error());
    } else if (segment.file_bytes == segment_bytes && recycled.size() < spare_paths.size()) {
      const std::string& path = spare_paths[recycled.size()];
      outcome = vfs.Rename(segment.path, path);
      if (outcome) recycled.push_back({path, segment.file_bytes});
    } else {
      outcome = vfs.Remove(segment.path);
    }
    if (outcome) outcome = vfs.SyncDirectory(journal_directory);
    if (!outcome) return;
  }
}

void SaveCheckpointTask::Run(Vfs& vfs) {
  if (!source) return;
  const auto began = std::chrono::steady_clock::now();
  auto written = WriteCheckpoint(vfs, directory, name, source, cancel);
  source = nullptr;  // what it owns may be large
  if (!written) {
    outcome = std::unexpected(written.error());
    return;
  }
  bytes = *written;
  if (!replaces.empty()) outcome = vfs.Remove(replaces);
  took = std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() -
                                                               began);
}

void ReadBlockTask::Run(Vfs& vfs) {
  auto file = vfs.Open(path, OpenMode::kRead);
  outcome = file ? ReadBacklogBlock(**file, name, place) : std::unexpected(file.error());
  if (outcome || outcome.error().code != ErrorCode::kCorrupt) return;
  // The file goes when nobody needs its other blocks, perhaps in another life of the process.
  const auto aside = KeepAside(vfs, path);
  const auto durable = aside ? vfs.SyncDirectory(directory) : std::unexpected(aside.error());
  outcome.error().message = fmt::format(
      "{}: {}; {}", path, outcome.error().message,
      durable ? fmt::format("the file is kept as {}, to be looked into or removed", *aside)
              : fmt::format("and it cannot be kept for whoever looks into it, so copy it before "
                            "its other messages are gone: {}",
                            durable.error().message));
}

void RemoveBacklogTask::Run(Vfs& vfs) {
  outcome = vfs.Remove(path);
  // Somebody else has: what was in it has been reported when it was read, if anybody wanted it.
  if (!outcome && outcome.error().code == ErrorCode::kNotFound) outcome = {};
}

}  // namespace landfall::storage
