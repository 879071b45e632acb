#include <CLI/CLI.hpp>
#include <cstdio>
#include <exception>

#include "apps/client_flags.h"
#include "apps/crashtest_command.h"
#include "apps/definitions_command.h"
#include "apps/journal_command.h"
#include "apps/operator_commands.h"
#include "apps/perf_command.h"
#include "apps/recv.h"
#include "apps/send.h"
#include "apps/user_command.h"

// `landfall`, the command line: one function a command, each in a file of its own. A command that
// fails throws CLI::RuntimeError with its exit code.
int main(int argc, char** argv) {
  CLI::App app("Talks to Landfall and to any other AMQP 0-9-1 broker", "landfall");
  app.set_version_flag("--version", "landfall " LANDFALL_VERSION);
  app.require_subcommand(1);
  landfall::apps::AddSendCommand(app);
  landfall::apps::AddRecvCommand(app);
  landfall::apps::AddPerfCommand(app);
  landfall::apps::AddCrashtestCommand(app);
  landfall::apps::AddJournalCommand(app);
  landfall::apps::AddUserCommand(app);
  landfall::apps::AddDefinitionsCommand(app);
  landfall::apps::AddStatusCommands(app);
  landfall::apps::AddQueueCommands(app);
  landfall::apps::AddConnectionCommands(app);
  landfall::apps::AddUserCommands(app);
  landfall::apps::AddPolicyCommands(app);
  landfall::apps::AddMessageCommands(app);
  landfall::apps::AddTraceCommand(app);
  landfall::apps::AddCompletionCommand(app);
  try {
    app.parse(argc, argv);
    return landfall::apps::kExitOk;
  } catch (const CLI::RuntimeError& e) {
    return e.get_exit_code();
  } catch (const CLI::ParseError& e) {
    // Help and version end here too, with 0.
    return app.exit(e) == 0 ? landfall::apps::kExitOk : landfall::apps::kExitUsage;
  } catch (const std::exception& e) {
    std::fprintf(stderr, "%s\n", e.what());
    return landfall::apps::kExitUsage;
  }
}
