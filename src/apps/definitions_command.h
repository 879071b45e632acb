#pragma once

#include <string>

#include "base/error.h"
#include "storage/vfs.h"

namespace CLI {  // NOLINT(readability-identifier-naming)
class App;
}

namespace landfall::apps {

// What there is in a data directory apart from messages, in RabbitMQ's JSON format. Changes nothing
// there and takes no lock; of a running broker the last changes may be missing. Errors: no data
// directory, or one that cannot be read without loss.
Result<std::string> ExportDefinitions(storage::Vfs& vfs, const std::string& directory);

// `landfall definitions export DIR`, `landfall definitions import FILE --broker URL`. Ends with 0:
// done, 1: it could not be done.
void AddDefinitionsCommand(CLI::App& app);

}  // namespace landfall::apps
