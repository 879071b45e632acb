#pragma once

namespace CLI {  // NOLINT(readability-identifier-naming)
class App;
}

namespace landfall::apps {

// `landfall user add|passwd|delete|list`, on a broker's user file; passwords come from stdin or a
// prompt. A running broker reads the file again on SIGHUP. Ends with 0: done, 1: it could not be
// done, 2: it was not tried.
void AddUserCommand(CLI::App& app);

}  // namespace landfall::apps
