#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "storage/store.h"
#include "storage/vfs.h"

// What becomes of a file in which something could not be read: it is never reused, overwritten or
// removed, but kept as `<name>.damaged` (`<name>.2.damaged` and so on if there is one already), for
// whoever wants to look into it. Nothing reads such files.
namespace landfall::storage {

inline constexpr std::string_view kDamagedSuffix = ".damaged";

// Renames it out of the way and returns its new path. Durable only after SyncDirectory.
Result<std::string> PutAside(Vfs& vfs, const std::string& path);

// Gives it a second name, which stays when the first goes because nobody needs the rest of the file
// any more; returns that. The same again for a file that has one. Durable only after SyncDirectory.
Result<std::string> KeepAside(Vfs& vfs, const std::string& path);

struct DamagedCheckpoint {
  ShardId shard = 0;
  std::string path;
};

// Paths of the backlog files in the data directory that belong to the shard and are not among those
// `named` by a checkpoint that can be read.
Result<std::vector<std::string>> UnnamedBacklog(Vfs& vfs, const std::string& directory,
                                                ShardId shard, const std::vector<uint64_t>& named);

// Puts the checkpoint aside, and before it the backlog files of its shard that only it can have
// named: without it they would pass for left over, and be removed. Durable on return, and safe to
// do again if it was interrupted. Returns what there is to say about it.
Result<Damage> PutCheckpointAside(Vfs& vfs, const std::string& directory,
                                  const DamagedCheckpoint& damaged,
                                  const std::vector<uint64_t>& named);

}  // namespace landfall::storage
