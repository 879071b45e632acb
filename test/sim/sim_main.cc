// Runs histories of the simulated broker. See --help.
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <exception>

#include <CLI/CLI.hpp>

#include "sim/history.h"

namespace {

using landfall::sim::History;
using landfall::sim::HistoryOptions;
using landfall::sim::Statistics;

volatile std::sig_atomic_t in_history = 0;
uint64_t current_seed = 0;

void PrintReplay() {
  std::fprintf(stderr, "replay: sim --seed %llu --trace\n",
               static_cast<unsigned long long>(current_seed));
}

// A broken invariant ends the process; say how to see it again.
void OnAbort(int) {
  if (in_history) PrintReplay();
  std::signal(SIGABRT, SIG_DFL);
}

void Add(Statistics& to, const Statistics& from) {
  to.published += from.published;
  to.confirmed += from.confirmed;
  to.duplicates += from.duplicates;
  to.returned += from.returned;
  to.delivered += from.delivered;
  to.redelivered += from.redelivered;
  to.dead_letters += from.dead_letters;
  to.acks_landed += from.acks_landed;
  to.delays_checked += from.delays_checked;
  to.crashes += from.crashes;
  to.cuts += from.cuts;
  to.quiet_moments += from.quiet_moments;
  to.checkpoints += from.checkpoints;
  to.steps += from.steps;
}

// False: a promise was broken.
bool RunOne(uint64_t seed, const HistoryOptions& options, Statistics& sum) {
  current_seed = seed;
  in_history = 1;
  bool ok = true;
  try {
    History history(seed, options);
    try {
      history.Run();
    } catch (const landfall::sim::Violation& violation) {
      std::fflush(stdout);
      std::fprintf(stderr, "seed %llu: %s\n", static_cast<unsigned long long>(seed),
                   violation.what());
      PrintReplay();
      ok = false;
    }
    Add(sum, history.statistics());
  } catch (const std::exception& e) {
    std::fprintf(stderr, "seed %llu: %s\n", static_cast<unsigned long long>(seed), e.what());
    PrintReplay();
    ok = false;
  }
  in_history = 0;
  return ok;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Runs the whole broker in simulated histories, each made from a seed.");
  HistoryOptions options;
  std::optional<uint64_t> seed;
  std::string seeds;
  double run_for = 0;
  uint64_t from = 1;
  uint64_t give_up_after = 1;
  app.add_option("--seed", seed, "one history");
  app.add_option("--seeds", seeds, "FROM..TO, both included");
  app.add_option("--seconds", run_for, "histories from --from on, as long as this");
  app.add_option("--from", from, "the first seed of --seconds");
  app.add_option("--failures", give_up_after, "go on until so many histories have failed");
  app.add_flag("--trace", options.tracing, "print what happens");
  app.add_flag("--unsafe-no-sync", options.unsafe_no_sync,
               "a negative control: the store confirms without syncing");
  app.add_flag("--confirm-early", options.confirm_early,
               "a negative control: batches count as durable when they are handed over");
  CLI11_PARSE(app, argc, argv);
  std::signal(SIGABRT, OnAbort);

  uint64_t to = landfall::sim::kForever;
  if (seed) {
    from = to = *seed;
  } else if (!seeds.empty()) {
    const size_t dots = seeds.find("..");
    from = std::stoull(seeds);
    to = dots == std::string::npos ? from : std::stoull(seeds.substr(dots + 2));
  } else if (run_for == 0) {
    run_for = 10;
  }

  using Clock = std::chrono::steady_clock;
  const Clock::time_point start = Clock::now();
  const auto elapsed = [&] { return std::chrono::duration<double>(Clock::now() - start).count(); };
  Statistics sum;
  uint64_t histories = 0;
  uint64_t failures = 0;
  for (uint64_t s = from; s <= to && failures < give_up_after; ++s) {
    if (run_for > 0 && elapsed() >= run_for) break;
    failures += !RunOne(s, options, sum);
    ++histories;
  }
  const double took = elapsed();
  const auto n = [](uint64_t value) { return static_cast<unsigned long long>(value); };
  std::printf(
      "%llu histories (seeds %llu..%llu) in %.1f s, %.0f a minute; %llu failed\n"
      "%llu crashes, %llu connections cut, %llu checkpoints, %llu events\n"
      "%llu published, %llu confirmed (%llu duplicates), %llu returned\n"
      "%llu delivered (%llu again, %llu dead letters), %llu acks seen to land, %llu delays "
      "checked, %llu moments of rest\n",
      n(histories), n(from), n(from + histories - 1), took,
      static_cast<double>(histories) * 60 / took, n(failures), n(sum.crashes), n(sum.cuts),
      n(sum.checkpoints), n(sum.steps), n(sum.published), n(sum.confirmed), n(sum.duplicates),
      n(sum.returned), n(sum.delivered), n(sum.redelivered), n(sum.dead_letters),
      n(sum.acks_landed), n(sum.delays_checked), n(sum.quiet_moments));
  return failures == 0 ? 0 : 1;
}
