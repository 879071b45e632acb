#pragma once

namespace CLI {  // NOLINT(readability-identifier-naming)
class App;
}

namespace landfall::apps {

// `landfall send`: sends messages and says what became of them. Ends with 0 only if a broker has
// taken all of them.
void AddSendCommand(CLI::App& app);

}  // namespace landfall::apps
