#include "storage/damaged_file.h"

#include <fmt/format.h>

#include <algorithm>

#include "storage/backlog_file.h"
#include "storage/data_directory.h"

namespace landfall::storage {
namespace {

std::string NameAside(const std::string& path, uint64_t number) {
  return number == 1 ? fmt::format("{}{}", path, kDamagedSuffix)
                     : fmt::format("{}.{}{}", path, number, kDamagedSuffix);
}

}  // namespace

Result<std::string> PutAside(Vfs& vfs, const std::string& path) {
  for (uint64_t number = 1;; ++number) {
    std::string aside = NameAside(path, number);
    const auto taken = vfs.Exists(aside);
    if (!taken) return std::unexpected(taken.error());
    if (*taken) continue;
    if (auto ok = vfs.Rename(path, aside); !ok) return std::unexpected(ok.error());
    return aside;
  }
}

Result<std::string> KeepAside(Vfs& vfs, const std::string& path) {
  for (uint64_t number = 1;; ++number) {
    std::string aside = NameAside(path, number);
    const auto linked = vfs.Link(path, aside);
    if (linked) return aside;
    if (linked.error().code != ErrorCode::kExists) return std::unexpected(linked.error());
  }
}

Result<std::vector<std::string>> UnnamedBacklog(Vfs& vfs, const std::string& directory,
                                                ShardId shard, const std::vector<uint64_t>& named) {
  const std::string backlog = BacklogDirectory(directory);
  std::vector<std::string> unnamed;
  const auto names = vfs.List(backlog);
  if (!names) return std::unexpected(names.error());
  for (const std::string& name : *names) {
    const auto parsed = ParseBacklogFileName(name);
    if (!parsed || parsed->shard != shard) continue;
    if (std::ranges::find(named, parsed->number) != named.end()) continue;
    unnamed.push_back(fmt::format("{}/{}", backlog, name));
  }
  return unnamed;
}

Result<Damage> PutCheckpointAside(Vfs& vfs, const std::string& directory,
                                  const DamagedCheckpoint& damaged,
                                  const std::vector<uint64_t>& named) {
  const auto files = UnnamedBacklog(vfs, directory, damaged.shard, named);
  if (!files) return std::unexpected(files.error());
  for (const std::string& path : *files) {
    if (auto put = PutAside(vfs, path); !put) return std::unexpected(put.error());
  }
  const std::string backlog = BacklogDirectory(directory);
  if (auto ok = vfs.SyncDirectory(backlog); !ok) return std::unexpected(ok.error());
  auto aside = PutAside(vfs, damaged.path);
  if (!aside) return std::unexpected(aside.error());
  if (auto ok = vfs.SyncDirectory(CheckpointDirectory(directory)); !ok) {
    return std::unexpected(ok.error());
  }
  return Damage{
      .file = std::move(*aside),
      .what = fmt::format(
          "the checkpoint of shard {} that cannot be read is kept here, and {} backlog files that "
          "it may have named are kept as {}/{}-*{}: what they hold is not served. If it is missed, "
          "stop the broker and restore the data directory from a backup; remove these files only "
          "when nobody wants to look into them any more",
          damaged.shard, files->size(), backlog, damaged.shard, kDamagedSuffix)};
}

}  // namespace landfall::storage
