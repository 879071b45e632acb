#pragma once

namespace CLI {  // NOLINT(readability-identifier-naming)
class App;
}

namespace landfall::apps {

// `landfall perf`: a load generator for any AMQP 0-9-1 broker. Ends with 0 only if nothing failed
// and, with producers and consumers, everything confirmed was consumed.
void AddPerfCommand(CLI::App& app);

}  // namespace landfall::apps
