#include "apps/crashtest_command.h"

#include <fmt/format.h>
#include <sys/mman.h>

#include <CLI/CLI.hpp>
#include <atomic>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "apps/client_flags.h"
#include "crashtest/crash_run.h"
#include "crashtest/descriptor.h"
#include "crashtest/isolation.h"
#include "crashtest/report.h"

namespace landfall::apps {
namespace {

using crashtest::CrashOptions;
using crashtest::Cut;

// What CTest and Automake take for a test that could not run here.
constexpr int kExitSkipped = 77;

constexpr const char* kAbout =
    "Cuts the power of a broker under load, again and again, and compares what it had confirmed "
    "with "
    "what is there afterwards. Needs root. Ends with 0 if nothing is lost, 1 if something is, 2 if "
    "the test did not work, 77 if this machine cannot do it";
constexpr const char* kColumns =
    "Columns: load s: seconds under load before the cut, a * at its number for each further cut "
    "during the recovery. recovered: there afterwards, of what had not been acked. returned: acked "
    "before, and delivered again, which is allowed; oldest: how long before the cut the oldest of "
    "these acks was sent. duplicates: there more than once. lost: "
    "confirmed, "
    "not acked and gone. vanished: delivered, then gone, neither confirmed nor acked. invented: "
    "never "
    "sent, or damaged. disorder: before one that was sent earlier, both for the first time. "
    "restart: "
    "from the start of the broker to its first login.";

struct Flags {
  CrashOptions run;
  uint64_t disk_mib = 2048;
  bool unsafe_no_sync = false;
  bool expect_loss = false;
  bool strict = false;
  bool json = false;
};

std::atomic<bool> g_stopping{false};

int Run(Flags flags) {
  CrashOptions& options = flags.run;
  std::FILE* const people = flags.json ? stderr : stdout;
  const auto show = [people](const std::string& line) {
    std::fprintf(people, "%s\n", line.c_str());
    std::fflush(people);
  };
  if (options.command.empty()) {
    // The one of the same build.
    const auto beside = std::filesystem::read_symlink("/proc/self/exe").parent_path();
    options.command = {
        beside / "landfalld", "--data-dir", "{data}/broker", "--amqp-listen", "127.0.0.1:{port}",
        "--http-listen",      "none",       "--log-level",   "warn"};
  }
  if (flags.unsafe_no_sync) options.command.emplace_back("--unsafe-no-sync");
  options.disk.bytes = flags.disk_mib << 20;
  // For its last words, should it not start.
  const crashtest::Descriptor log(memfd_create("broker.log", MFD_CLOEXEC));
  if (options.log.empty()) options.log = fmt::format("/proc/self/fd/{}", log.get());
  std::string command;
  for (const std::string& word : options.command) command += " " + word;
  show(fmt::format("crashtest: {} cuts on {}, seed {}, {} queues{}, broker:{}", options.cuts,
                   options.disk.filesystem, options.seed, options.queues,
                   options.queue_type.empty() ? "" : " (" + options.queue_type + ")", command));

  if (auto alone = crashtest::Isolate(); !alone) {
    show("skipped: " + alone.error().message);
    return kExitSkipped;
  }
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) {
    std::signal(signal, [](int) { g_stopping = true; });
  }
  std::signal(SIGPIPE, SIG_IGN);
  std::vector<Cut> cuts;
  crashtest::CrashRun run(options, g_stopping);
  const auto done = run.Run([&](const Cut& cut) {
    if (cuts.empty()) show("broker: " + run.product() + "\n" + crashtest::TableHead());
    cuts.push_back(cut);
    show(crashtest::TableRow(cuts.size(), cut));
  });
  if (!cuts.empty()) show(crashtest::TableTotal(cuts));
  if (flags.json) {
    std::printf("%s\n", crashtest::ReportJson(options, run.product(), cuts).c_str());
  }
  if (!done && !g_stopping) {
    if (done.error().code == ErrorCode::kAccessRefused) {
      show("skipped: " + done.error().message);
      return kExitSkipped;
    }
    show("the test did not work: " + done.error().message);
    return kExitUsage;
  }
  const crashtest::Verdict total = crashtest::Total(cuts);
  uint64_t undeleted = 0;
  for (const Cut& cut : cuts) undeleted += cut.undeleted;
  const bool broken =
      total.broken() || (flags.strict && total.duplicates + total.vanished + undeleted > 0);
  show(fmt::format("{}{} cuts: {} of {} confirmed messages lost",
                   g_stopping ? "interrupted after " : "", cuts.size(), total.lost,
                   total.confirmed));
  if (flags.expect_loss) {
    if (total.lost > 0) return kExitOk;
    show("a loss was expected: this test finds nothing here");
    return kExitFailed;
  }
  return broken || g_stopping ? kExitFailed : kExitOk;
}

}  // namespace

void AddCrashtestCommand(CLI::App& app) {
  CLI::App* command = app.add_subcommand("crashtest", kAbout);
  command->footer(kColumns);
  auto flags = std::make_shared<Flags>();
  CrashOptions& run = flags->run;
  run.seed = std::random_device{}();
  command->add_option("--cuts", run.cuts, "How often the power is cut")->capture_default_str();
  command->add_option("--seed", run.seed, "Decides the moments of the cuts; random if not given");
  command->add_option("--filesystem", run.disk.filesystem, "What the broker's disk is made of")
      ->check(CLI::IsMember({"ext4", "xfs"}))
      ->capture_default_str();
  command->add_option("--disk-size", flags->disk_mib, "Size of the disk in MiB")
      ->check(CLI::Range(512, 1 << 20))
      ->capture_default_str();
  command->add_option("--directory", run.disk.directory, "Where the file that is the disk lives")
      ->check(CLI::ExistingDirectory)
      ->capture_default_str();
  command->add_option("--queues", run.queues, "Durable queues; every other one has a consumer")
      ->check(CLI::Range(1, 64))
      ->capture_default_str();
  command->add_option("--queue-type", run.queue_type,
                      "x-queue-type of the queues, such as classic or quorum");
  command->add_option("--rate", run.rate, "Messages a second into each queue; 0: no limit")
      ->check(CLI::Range(0.0, 1e7))
      ->capture_default_str();
  command->add_option("--window", run.window, "Messages that a producer may have unconfirmed")
      ->check(CLI::Range(1, 1'000'000))
      ->capture_default_str();
  command->add_option("--longest", run.longest, "Most seconds under load before a cut")
      ->check(CLI::Range(0.05, 3600.0))
      ->capture_default_str();
  command
      ->add_option("--recovery-cuts", run.recovery_cuts,
                   "Share of the cuts after which the power fails again during the recovery")
      ->check(CLI::Range(0.0, 0.9))
      ->capture_default_str();
  command
      ->add_option("--start-seconds", run.start_seconds,
                   "How long the broker may take to its first login")
      ->capture_default_str();
  command->add_flag(
      "--sync-start", run.sync_start,
      "Sync the disk once the broker has started on a new one: for a broker that does "
      "not come back if the power fails soon after its first start");
  command->add_flag(
      "--sync-definitions", run.sync_definitions,
      "Sync the disk once the queues are declared: for a broker that promises to keep "
      "messages, but not queues that are new");
  command->add_flag(
      "--fresh-queues", run.fresh_queues,
      "Delete the queues after each cut, declare others, and see whether the next cut "
      "undoes either");
  command->add_option("--log", run.log, "Where to append what the broker says");
  command->add_flag("--unsafe-no-sync", flags->unsafe_no_sync,
                    "Give --unsafe-no-sync to the broker, which then has to lose messages");
  command->add_flag("--expect-loss", flags->expect_loss,
                    "End with 0 if confirmed messages are lost, and with 1 if not");
  command->add_flag(
      "--strict", flags->strict,
      "Count duplicates, what vanished and deletions that did not hold as failures too");
  command->add_flag("--json", flags->json,
                    "Print the outcome to stdout as JSON, and everything else to stderr");
  command->add_option(
      "broker", run.command,
      "-- and the broker's command, in the foreground; {data} and {port} stand for its "
      "directory and its port on 127.0.0.1, where guest/guest has to be let in. "
      "Default: landfalld of the same build");
  command->callback([flags] {
    const int code = Run(*flags);
    if (code != kExitOk) throw CLI::RuntimeError(code);
  });
}

}  // namespace landfall::apps
