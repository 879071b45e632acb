#pragma once

namespace CLI {  // NOLINT(readability-identifier-naming)
class App;
}

namespace landfall::apps {

// `landfall recv`: prints the messages of a queue. Ends with 0 if it got as many as were asked for.
void AddRecvCommand(CLI::App& app);

}  // namespace landfall::apps
