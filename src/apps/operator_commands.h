#pragma once

namespace CLI {  // NOLINT(readability-identifier-naming)
class App;
}

// The commands over a broker's HTTP API, a file a family. docs/command-line.md describes them.
namespace landfall::apps {

void AddStatusCommands(CLI::App& app);      // status, health
void AddQueueCommands(CLI::App& app);       // queues, purge
void AddConnectionCommands(CLI::App& app);  // connections
void AddUserCommands(CLI::App& app);        // users, permissions
void AddPolicyCommands(CLI::App& app);      // policies
void AddMessageCommands(CLI::App& app);     // peek, move, redrive, jobs
void AddTraceCommand(CLI::App& app);        // trace
void AddCompletionCommand(CLI::App& app);   // completion; last, when the others are there

}  // namespace landfall::apps
