#pragma once

#include <cstdint>
#include <iosfwd>
#include <limits>
#include <optional>
#include <string>

#include "base/error.h"
#include "storage/store.h"
#include "storage/vfs.h"

namespace CLI {  // NOLINT(readability-identifier-naming)
class App;
}

namespace landfall::apps {

struct InspectOptions {
  std::string directory;
  std::optional<storage::ShardId> shard;  // only frames of this one; kSealShard: seals
  uint64_t limit = std::numeric_limits<uint64_t>::max();  // frames
  bool json = false;
};

// Prints each frame, and below it each record in it: as text, or as one JSON object a frame and
// line. True if all of it could be read. Errors: what storage::InspectJournal gives.
Result<bool> InspectJournal(storage::Vfs& vfs, const InspectOptions& options, std::ostream& out);

struct VerifyOptions {
  std::string directory;
  bool json = false;
};

// Reads all that recovery would read, decodes every record, and prints a summary and what is
// damaged. True if nothing is. Errors: what storage::Verify gives.
Result<bool> VerifyJournal(storage::Vfs& vfs, const VerifyOptions& options, std::ostream& out);

// `landfall journal inspect|verify|repair DIR`. Ends with 0: all is well, 1: damaged or not
// readable, 2: no data directory, or one of a newer version.
void AddJournalCommand(CLI::App& app);

}  // namespace landfall::apps
