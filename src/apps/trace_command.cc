// `landfall trace`: what has happened to a message.
#include <fmt/chrono.h>
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <iostream>
#include <memory>

#include "apps/api_verb.h"
#include "apps/operator_commands.h"

namespace landfall::apps {
namespace {
using nlohmann::json;

struct TraceFlags {
  std::string vhost = "/";
  std::string message_id, correlation_id, header, queue;
  size_t limit = 50;
};

std::string TimeOf(const json& event, const char* name = "time") {
  const auto at = event.find(name);
  if (at == event.end() || !at->is_number()) return "";
  const std::chrono::sys_time<std::chrono::milliseconds> time{
      std::chrono::milliseconds(at->get<int64_t>())};
  const auto second = std::chrono::floor<std::chrono::seconds>(time);
  return fmt::format("{:%F %T}.{:03}Z", fmt::gmtime(std::chrono::system_clock::to_time_t(second)),
                     (time - second).count());
}

// Whatever an event says besides when and what.
std::string DetailsOf(const json& event) {
  std::string details;
  for (const auto& [name, value] : event.items()) {
    if (name == "time" || name == "kind" || name == "queue") continue;
    const std::string text = name == "until" ? TimeOf(event, "until") : CellOf(event, name);
    if (!text.empty()) details += fmt::format("{}{} {}", details.empty() ? "" : ", ", name, text);
  }
  return details;
}

void PrintStory(const json& story) {
  for (const char* name : {"message_id", "correlation_id", "traceparent"}) {
    const std::string value = CellOf(story, name);
    if (!value.empty()) std::cout << fmt::format("{} {}  ", name, Visible(value));
  }
  std::cout << fmt::format("exchange '{}'  routing key '{}'\n", Visible(CellOf(story, "exchange")),
                           Visible(CellOf(story, "routing_key")));
  Table table({{"time"}, {"queue"}, {"what"}, {"details"}});
  for (const json& event : story.value("events", json::array()))
    table.Add({TimeOf(event), CellOf(event, "queue"), CellOf(event, "kind"), DetailsOf(event)});
  std::cout << table.Text();
  if (const auto left_out = story.find("events_left_out"); left_out != story.end())
    std::cout << fmt::format("({} more events are not shown)\n", left_out->dump());
  std::cout << '\n';
}

Outcome<void> Trace(Api& api, const TraceFlags& flags) {
  QueryFields query{{"vhost", flags.vhost}, {"limit", std::to_string(flags.limit)}};
  const auto by = [&](const char* name, const std::string& value) {
    if (!value.empty()) query.emplace_back(name, value);
  };
  by("message_id", flags.message_id);
  by("correlation_id", flags.correlation_id);
  by("header", flags.header);
  by("queue", flags.queue);
  const auto found = api->Get(WithQuery("/api/landfall/trace", query));
  if (!found) return std::unexpected(found.error());
  const json stories = found->value("stories", json::array());
  if (api.wants_json()) {
    Api::PrintJson(*found);
  } else {
    for (const json& story : stories) PrintStory(story);
  }
  if (!found->value("/searched/complete"_json_pointer, true))
    std::cerr << "landfall: not all could be looked through; there may be more\n";
  if (stories.empty())
    return Failing(kExitNotFound,
                   "no message like that is known; is tracing on for its queue (x-trace)?");
  return {};
}

}  // namespace

void AddTraceCommand(CLI::App& app) {
  CLI::App* trace = app.add_subcommand("trace", "Where a message is and what has happened to it");
  const auto flags = std::make_shared<TraceFlags>();
  trace->add_option("--vhost", flags->vhost, "The vhost")->capture_default_str();
  CLI::Option_group* by = trace->add_option_group("Which");
  by->add_option("--message-id", flags->message_id, "By message-id");
  by->add_option("--correlation-id", flags->correlation_id, "By correlation-id");
  by->add_option("--header", flags->header, "By a header, NAME:VALUE");
  by->add_option("--queue", flags->queue, "The last ones of a queue");
  by->require_option(1);
  trace->add_option("--limit", flags->limit, "So many at most")->capture_default_str();
  SetVerb(*trace, VerbKind::kShows, [flags](Api& api) { return Trace(api, *flags); });
}

}  // namespace landfall::apps
