#pragma once

#include <iosfwd>
#include <string>

#include "base/error.h"
#include "storage/vfs.h"

namespace landfall::apps {

struct RepairOptions {
  std::string directory;
  std::string to;        // not empty: a copy is made there and repaired
  bool dry_run = false;  // only says what it would do, and makes no copy
};

// Takes out of a data directory what VerifyJournal finds damaged, keeps it beside, and verifies
// what is left (storage/repair.h). Prints each thing it does. True if nothing is damaged any more.
// Errors: no data directory, one that a broker has open, a copy where something is already, and
// what the disk refuses; what has been done by then stays done, and the next repair goes on.
Result<bool> RepairJournal(storage::Vfs& vfs, const RepairOptions& options, std::ostream& out);

}  // namespace landfall::apps
