#pragma once

#include <string>

#include "storage/vfs.h"

// What lies where in a data directory:
//
//   format                              identity and version of what follows
//   LOCK                                held by the broker that has it open
//   journal/<first lsn>.lfj             segments
//   journal/spare-<n>.lfj               allocated, waiting to become segments
//   journal/<first lsn>.lfj.damaged     released segments in which something could not be read
//   checkpoint/<shard>-<shard_seq>.lfc  checkpoints
//   checkpoint/*.tmp                    checkpoints that were being written
//   backlog/<shard>-<number>.lfb        messages that checkpoints have moved out of the journal
namespace landfall::storage {

inline constexpr int kFormatVersion = 1;

inline std::string FormatPath(const std::string& directory) { return directory + "/format"; }
inline std::string JournalDirectory(const std::string& directory) { return directory + "/journal"; }
inline std::string BacklogDirectory(const std::string& directory) { return directory + "/backlog"; }
inline std::string CheckpointDirectory(const std::string& directory) {
  return directory + "/checkpoint";
}

// Makes what is missing and checks that this program understands what is there. kInvalidArgument
// with advice if the directory was written by a newer version or is something else.
Result<void> PrepareDataDirectory(Vfs& vfs, const std::string& directory);

// Only the check. kNotFound: there is no data directory here.
Result<void> CheckDataDirectory(Vfs& vfs, const std::string& directory);

}  // namespace landfall::storage
