#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "storage/store.h"
#include "storage/vfs.h"

// What lies where in a data directory:
//
//   format                              identity and version of what follows
//   LOCK                                held by the broker that has it open
//   journal/<first lsn>.lfj             segments
//   journal/spare-<n>.lfj               allocated, waiting to become segments
//   checkpoint/<shard>-<shard_seq>.lfc  checkpoints
//   */*.tmp                             checkpoints and repaired segments that were being written
//   backlog/<shard>-<number>.lfb        messages that checkpoints have moved out of the journal
//   */*.damaged                         of any of these, one in which something could not be read
namespace landfall::storage {

// 2: checkpoints may name blocks of backlog files. A directory of an older version is taken over,
// and has this one from then on.
inline constexpr int kFormatVersion = 2;

inline std::string FormatPath(const std::string& directory) { return directory + "/format"; }
inline std::string JournalDirectory(const std::string& directory) { return directory + "/journal"; }
inline std::string BacklogDirectory(const std::string& directory) { return directory + "/backlog"; }
inline std::string CheckpointDirectory(const std::string& directory) {
  return directory + "/checkpoint";
}

// The numbers of a file that belongs to a shard, `<shard>-<number><suffix>`; nothing if it is none.
std::optional<std::pair<ShardId, uint64_t>> ParseShardFileName(std::string_view name,
                                                               std::string_view suffix);

// Makes what is missing and checks that this program understands what is there. kInvalidArgument
// with advice if the directory was written by a newer version or is something else.
Result<void> PrepareDataDirectory(Vfs& vfs, const std::string& directory);

// Only the check; the version. kNotFound: there is no data directory here.
Result<int> CheckDataDirectory(Vfs& vfs, const std::string& directory);

}  // namespace landfall::storage
