#pragma once

#include <string>

#include "base/error.h"
#include "server/user_table.h"
#include "storage/vfs.h"

namespace CLI {  // NOLINT(readability-identifier-naming)
class App;
}

namespace landfall::apps {

// What there is in a data directory apart from messages, in RabbitMQ's JSON format, and the users
// if they are not null. Changes nothing there and takes no lock; of a running broker the last
// changes may be missing. Errors: no data directory, or one that cannot be read without loss.
Result<std::string> ExportDefinitions(storage::Vfs& vfs, const std::string& directory,
                                      const server::UserTable* users);

// `landfall definitions export DIR`, `landfall definitions import FILE --broker URL`, with users
// where it is said whose. Ends with 0: done, 1: it could not be done.
void AddDefinitionsCommand(CLI::App& app);

}  // namespace landfall::apps
