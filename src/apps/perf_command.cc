#include "apps/perf_command.h"

#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdio>
#include <memory>
#include <string>
#include <utility>

#include "apps/client_flags.h"
#include "apps/perf_options.h"
#include "apps/perf_report.h"
#include "apps/perf_run.h"

namespace landfall::apps {
namespace {

void OnSignal(int) { PerfRun::Interrupt(); }

int RunPerf(const PerfOptions& options) {
  auto plan = MakePerfPlan(options);
  if (!plan) {
    std::fprintf(stderr, "landfall perf: %s\n", plan.error().message.c_str());
    return kExitUsage;
  }
  std::FILE* const people = options.json ? stderr : stdout;
  const auto show = [people](const std::string& line) {
    std::fprintf(people, "%s\n", line.c_str());
    std::fflush(people);
  };
  std::signal(SIGINT, OnSignal);
  std::signal(SIGTERM, OnSignal);
  const PerfResult result = PerfRun(*plan, show).Run();
  std::fputs(FormatPerfSummary(*plan, result).c_str(), people);
  if (options.json) std::printf("%s\n", FormatPerfJson(*plan, result).c_str());
  return result.errors.empty() ? kExitOk : kExitFailed;
}

}  // namespace

void AddPerfCommand(CLI::App& app) {
  CLI::App* command = app.add_subcommand(
      "perf", "Measures any AMQP 0-9-1 broker: publishes and consumes, with rates and latencies");
  auto options = std::make_shared<PerfOptions>();
  AddPerfOptions(*command, *options);
  command->callback([options] {
    const int code = RunPerf(*options);
    // How a command tells its exit code to main: CLI::App::exit prints nothing for it.
    if (code != kExitOk) throw CLI::RuntimeError(code);
  });
}

}  // namespace landfall::apps
