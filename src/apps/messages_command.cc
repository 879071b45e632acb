// `landfall peek`, `move`, `redrive` and `jobs`.
#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <iostream>
#include <memory>
#include <optional>
#include <thread>

#include "apps/api_verb.h"
#include "apps/operator_commands.h"

namespace landfall::apps {
namespace {
using nlohmann::json;

struct MessageFlags {
  std::string vhost = "/";
  std::string queue;
  std::string search;
  std::string header;
  // peek
  size_t count = 20;
  std::string after;
  uint64_t truncate = 50000;
  // move and redrive
  std::string to_queue, to_exchange;
  std::optional<std::string> routing_key;
  std::string reason, origin_queue;
  uint64_t limit = 0;
  double rate = 0;
  bool dry_run = false;
  bool detach = false;

  std::string path() const { return "/api/landfall/queues/" + Quoted(vhost) + "/" + Quoted(queue); }
};

void PrintMessage(const json& message) {
  const json properties = message.value("properties", json::object());
  std::string head =
      fmt::format("--- {}  {}  exchange '{}'  routing key '{}'  {} bytes", CellOf(message, "id"),
                  CellOf(message, "state"), CellOf(message, "exchange"),
                  CellOf(message, "routing_key"), CellOf(message, "payload_bytes"));
  if (const std::string attempts = CellOf(message, "attempts"); !attempts.empty())
    head += fmt::format("  attempts {}", attempts);
  std::cout << Visible(head) << '\n';
  for (const auto& [name, value] : properties.items()) {
    if (!value.is_object() || !value.empty())
      std::cout << Visible(fmt::format("{}: {}", name, CellOf(properties, name))) << '\n';
  }
  if (CellOf(message, "payload_encoding") == "base64") std::cout << "(base64) ";
  std::cout << Visible(CellOf(message, "payload"), /*multiline=*/true) << '\n';
}

Outcome<void> Peek(Api& api, const MessageFlags& flags) {
  QueryFields query{{"count", std::to_string(flags.count)},
                    {"truncate", std::to_string(flags.truncate)}};
  if (!flags.after.empty()) query.emplace_back("after", flags.after);
  if (!flags.search.empty()) query.emplace_back("search", flags.search);
  if (!flags.header.empty()) query.emplace_back("header", flags.header);
  const auto page = api->Get(WithQuery(flags.path() + "/messages", query));
  if (!page) return std::unexpected(page.error());
  if (api.wants_json()) {
    Api::PrintJson(*page);
    return {};
  }
  for (const json& message : page->value("messages", json::array())) PrintMessage(message);
  if (const std::string next = CellOf(*page, "next"); !next.empty())
    std::cerr << Visible(fmt::format("there is more: --after {}", next)) << '\n';
  return {};
}

// --------------------------------------------------------------------------------------- jobs

void DrawProgress(const json& job) {
  if (isatty(STDERR_FILENO) == 0) return;
  const auto number = [&](const char* name) {
    const auto at = job.find(name);
    return at != job.end() && at->is_number() ? at->get<double>() : 0.0;
  };
  const double total = number("total");
  const double share = total > 0 ? std::min(1.0, number("scanned") / total) : 0.0;
  constexpr int kWidth = 30;
  const int full = static_cast<int>(share * kWidth);
  std::cerr << fmt::format("\r[{}{}] {:3.0f} %  moved {:.0f}, looked at {:.0f} of {:.0f} ",
                           std::string(full, '#'), std::string(kWidth - full, '-'), share * 100,
                           number("moved"), number("scanned"), total)
            << std::flush;
}

void SayWhatStayed(Api& api, const json& job) {
  if (const std::string n = CellOf(job, "unroutable"); n != "0")
    api.Say(fmt::format("{} have nowhere to go and have stayed", n));
  if (const std::string n = CellOf(job, "unacked"); n != "0")
    api.Say(fmt::format("{} are with a consumer and have stayed", n));
}

Outcome<void> Follow(Api& api, const std::string& id) {
  while (true) {
    const auto job = api->Get("/api/landfall/jobs/" + Quoted(id));
    if (!job) return std::unexpected(job.error());
    DrawProgress(*job);
    const std::string state = CellOf(*job, "state");
    if (state == "running") {
      std::this_thread::sleep_for(std::chrono::milliseconds(300));
      continue;
    }
    if (isatty(STDERR_FILENO) != 0) std::cerr << '\n';
    const std::string moved = CellOf(*job, "moved");
    if (state == "done") {
      api.Say(fmt::format("moved {} messages", moved));
      SayWhatStayed(api, *job);
      return {};
    }
    return Failing(
        state == "cancelled" ? kExitCancelled : kExitFailed,
        fmt::format("job {} {} after {} messages: {}", id, state, moved, CellOf(*job, "error")));
  }
}

json RequestOf(const MessageFlags& flags, bool redrive) {
  json request{{"filter", json::object()}};
  if (redrive) {
    request["to"] = "origin";
  } else if (!flags.to_queue.empty()) {
    request["to"] = {{"queue", flags.to_queue}};
  } else {
    request["to"] = {{"exchange", flags.to_exchange}};
    if (flags.routing_key) request["to"]["routing_key"] = *flags.routing_key;
  }
  const auto filter = [&](const char* name, const std::string& value) {
    if (!value.empty()) request["filter"][name] = value;
  };
  filter("search", flags.search);
  filter("header", flags.header);
  filter("reason", flags.reason);
  filter("origin_queue", flags.origin_queue);
  if (flags.limit > 0) request["limit"] = flags.limit;
  if (flags.rate > 0) request["rate"] = flags.rate;
  return request;
}

// Counts first, so that the question says what is going to happen.
Outcome<void> Move(Api& api, const MessageFlags& flags, bool redrive) {
  json request = RequestOf(flags, redrive);
  const std::string path = flags.path() + "/move";
  request["dry_run"] = true;
  const auto plan = api->Post(path, request);
  if (!plan) return std::unexpected(plan.error());
  if (flags.dry_run) {
    api.PrintList(plan->value("destinations", json::array()), {{"to", "queues"},
                                                               {"exchange", "exchange"},
                                                               {"routing key", "routing_key"},
                                                               {"messages", "count"}});
    api.Say(fmt::format("{} of {} messages; {} more have nowhere to go", CellOf(*plan, "matched"),
                        CellOf(*plan, "scanned"), CellOf(*plan, "unroutable")));
    return {};
  }
  const std::string where = redrive                   ? "to where they came from"
                            : !flags.to_queue.empty() ? "to queue " + flags.to_queue
                                                      : "to exchange " + flags.to_exchange;
  const std::string question =
      fmt::format("Move {} messages of queue {} {}?", CellOf(*plan, "matched"), flags.queue, where);
  if (auto ok = api.Confirm(question); !ok) return ok;
  request["dry_run"] = false;
  const auto started = api->Post(path, request);
  if (!started) return std::unexpected(started.error());
  const std::string id = CellOf(*started, "id");
  if (!flags.detach) return Follow(api, id);
  std::cout << Visible(id) << '\n';
  return {};
}

void AddFilters(CLI::App& command, MessageFlags& flags) {
  command.add_option("QUEUE", flags.queue, "The queue's name")->required();
  command.add_option("--vhost", flags.vhost, "Its vhost")->capture_default_str();
  command.add_option("--search", flags.search, "Messages with this in body or properties only");
  command.add_option("--header", flags.header, "NAME:VALUE: messages with this header only");
}

void AddPeek(CLI::App& app) {
  CLI::App* peek = app.add_subcommand("peek", "Shows messages of a queue and leaves them there");
  const auto flags = std::make_shared<MessageFlags>();
  AddFilters(*peek, *flags);
  peek->add_option("--count", flags->count, "So many at most")->capture_default_str();
  peek->add_option("--after", flags->after, "Goes on where a peek before has ended");
  peek->add_option("--truncate", flags->truncate, "Bytes of a body that are shown")
      ->capture_default_str();
  SetVerb(*peek, VerbKind::kShows, [flags](Api& api) { return Peek(api, *flags); });
}

void AddMoving(CLI::App& app, bool redrive) {
  CLI::App* command =
      redrive ? app.add_subcommand("redrive", "Sends dead letters to where they came from")
              : app.add_subcommand("move", "Moves messages to another queue or exchange");
  const auto flags = std::make_shared<MessageFlags>();
  AddFilters(*command, *flags);
  if (!redrive) {
    auto* queue = command->add_option("--to", flags->to_queue, "A queue of the same vhost");
    auto* exchange = command->add_option("--to-exchange", flags->to_exchange, "An exchange");
    queue->excludes(exchange);
    command
        ->add_option("--routing-key", flags->routing_key,
                     "With --to-exchange: instead of their own")
        ->needs(exchange);
  }
  command->add_option("--reason", flags->reason, "Dead letters of this reason only");
  command->add_option("--origin", flags->origin_queue, "Dead letters of this queue only");
  command->add_option("--limit", flags->limit, "So many at most");
  command->add_option("--rate", flags->rate, "So many a second at most");
  command->add_flag("--dry-run", flags->dry_run, "Only counts, and says where they would go");
  command->add_flag("--detach", flags->detach, "Prints the job's id and does not wait for it");
  SetVerb(*command, VerbKind::kDestroys, [flags, redrive](Api& api) -> Outcome<void> {
    if (!redrive && flags->to_queue.empty() && flags->to_exchange.empty())
      return Failing(kExitUsage, "say --to QUEUE or --to-exchange EXCHANGE");
    return Move(api, *flags, redrive);
  });
}

Outcome<void> ListJobs(Api& api) {
  const auto jobs = api->Get("/api/landfall/jobs");
  if (!jobs) return std::unexpected(jobs.error());
  api.PrintList(*jobs, {{"job", "id"},
                        {"kind", "kind"},
                        {"state", "state"},
                        {"moved", "moved"},
                        {"looked at", "scanned"},
                        {"of", "total"},
                        {"user", "user"},
                        {"error", "error"}});
  return {};
}

Outcome<void> CancelJob(Api& api, const std::string& id) {
  const auto done = api->Delete("/api/landfall/jobs/" + Quoted(id));
  if (!done) return std::unexpected(done.error());
  api.Say(fmt::format("job {} is cancelled; what it has moved stays moved", id));
  return {};
}

using JobVerb = Outcome<void> (*)(Api&, const std::string&);
void AddForJob(CLI::App& jobs, const std::string& name, const std::string& help, JobVerb verb) {
  CLI::App* command = jobs.add_subcommand(name, help);
  const auto id = std::make_shared<std::string>();
  command->add_option("JOB", *id, "Its id")->required();
  SetVerb(*command, VerbKind::kChanges, [id, verb](Api& api) { return verb(api, *id); });
}

void AddJobs(CLI::App& app) {
  CLI::App* jobs = app.add_subcommand("jobs", "What move and redrive have begun");
  jobs->require_subcommand(1);
  SetVerb(*jobs->add_subcommand("list", "Jobs that run or have ended"), VerbKind::kShows, ListJobs);
  AddForJob(*jobs, "wait", "Waits until a job has ended", Follow);
  AddForJob(*jobs, "cancel", "Ends a job", CancelJob);
}

}  // namespace

void AddMessageCommands(CLI::App& app) {
  AddPeek(app);
  AddMoving(app, /*redrive=*/false);
  AddMoving(app, /*redrive=*/true);
  AddJobs(app);
}

}  // namespace landfall::apps
