#pragma once

namespace CLI {  // NOLINT(readability-identifier-naming)
class App;
}

namespace landfall::apps {

// `landfall crashtest`: cuts the power of a broker under load and looks for what it has lost.
void AddCrashtestCommand(CLI::App& app);

}  // namespace landfall::apps
