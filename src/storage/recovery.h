#pragma once

#include "storage/log_reader.h"

namespace landfall::storage {

// ReadLog, then makes the disk a ground to build on: all that was delivered is durable, the torn
// tail and left-overs are gone. The directory must be locked and prepared. The caller starts a new
// segment with LSN next_lsn and next_epoch before it appends: what stands behind the end of the
// last one then never reads as current.
Result<LogContents> RecoverLog(Vfs& vfs, const std::string& directory, RecoveryVisitor& visitor);

}  // namespace landfall::storage
