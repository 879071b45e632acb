// `landfall status` and `landfall health`.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <iostream>
#include <memory>

#include "apps/api_verb.h"
#include "apps/operator_commands.h"

namespace landfall::apps {
namespace {
using nlohmann::json;

// What only monitors may see; null for others.
Outcome<json> GetIfAllowed(Api& api, const std::string& path) {
  auto answer = api->Send("GET", path);
  if (!answer) return std::unexpected(std::move(answer).error());
  if (answer->status == 401 || answer->status == 403 || answer->status == 404) return json();
  if (answer->status != 200) return std::unexpected(FailureOf(*answer));
  return std::move(answer->body);
}

Outcome<void> Status(Api& api) {
  auto overview = api->Get("/api/overview");
  if (!overview) return std::unexpected(overview.error());
  auto nodes = GetIfAllowed(api, "/api/nodes");
  if (!nodes) return std::unexpected(nodes.error());
  auto ledger = GetIfAllowed(api, "/api/landfall/ledger");
  if (!ledger) return std::unexpected(ledger.error());
  const json node = nodes->is_array() && !nodes->empty() ? nodes->front() : json();
  const json all{{"overview", *overview}, {"node", node}, {"ledger", *ledger}};
  api.PrintOne(all, {{"version", "overview.product_version"},
                     {"node", "overview.node"},
                     {"uptime (ms)", "node.uptime"},
                     {"connections", "overview.object_totals.connections"},
                     {"channels", "overview.object_totals.channels"},
                     {"consumers", "overview.object_totals.consumers"},
                     {"queues", "overview.object_totals.queues"},
                     {"messages", "overview.queue_totals.messages"},
                     {"ready", "overview.queue_totals.messages_ready"},
                     {"unacked", "overview.queue_totals.messages_unacknowledged"},
                     {"come/s", "overview.message_stats.publish_details.rate"},
                     {"delivered/s", "overview.message_stats.deliver_get_details.rate"},
                     {"acked/s", "overview.message_stats.ack_details.rate"},
                     {"memory", "node.mem_used"},
                     {"memory limit", "node.mem_limit"},
                     {"memory alarm", "node.mem_alarm"},
                     {"disk free", "node.disk_free"},
                     {"disk alarm", "node.disk_free_alarm"},
                     {"unbalanced", "ledger.queues_unbalanced"}});
  return {};
}

// What a check has found, empty: nothing.
Outcome<std::string> Check(Api& api, const std::string& path) {
  auto answer = api->Send("GET", path);
  if (!answer) return std::unexpected(std::move(answer).error());
  if (answer->status == 200) return "";
  if (answer->status == 503 && answer->body.value("status", "") == "failed") {
    std::string reason = answer->body.value("reason", "it failed");
    for (const json& alarm : answer->body.value("alarms", json::array()))
      reason += fmt::format(" ({})", alarm.value("resource", ""));
    return reason;
  }
  return std::unexpected(FailureOf(*answer));
}

struct HealthFlags {
  std::string aliveness;
  uint16_t port = 0;
};

Outcome<void> Health(Api& api, const HealthFlags& flags) {
  std::vector<std::pair<std::string, std::string>> checks{
      {"alarms", "/api/health/checks/alarms"}, {"vhosts", "/api/health/checks/virtual-hosts"}};
  if (flags.port != 0)
    checks.emplace_back("port", fmt::format("/api/health/checks/port-listener/{}", flags.port));
  if (!flags.aliveness.empty())
    checks.emplace_back("aliveness", "/api/aliveness-test/" + Quoted(flags.aliveness));
  json rows = json::array();
  bool well = true;
  const auto add = [&](const std::string& name, const std::string& reason) {
    well &= reason.empty();
    rows.push_back({{"check", name}, {"ok", reason.empty()}, {"reason", reason}});
  };
  for (const auto& [name, path] : checks) {
    auto reason = Check(api, path);
    if (!reason) return std::unexpected(reason.error());
    add(name, *reason);
  }
  auto ledger = GetIfAllowed(api, "/api/landfall/ledger");
  if (!ledger) return std::unexpected(ledger.error());
  if (!ledger->is_null()) {
    const auto unbalanced = ledger->value("queues_unbalanced", uint64_t{0});
    add("ledger", unbalanced == 0 ? "" : fmt::format("{} queues do not balance", unbalanced));
  }
  api.PrintList(rows, {{"check", "check"}, {"ok", "ok"}, {"reason", "reason"}});
  if (!well) return Failing(kExitUnhealthy, "the broker is not well");
  return {};
}

}  // namespace

void AddStatusCommands(CLI::App& app) {
  CLI::App* status = app.add_subcommand("status", "What a broker is doing, in numbers");
  SetVerb(*status, VerbKind::kShows, Status);
  CLI::App* health = app.add_subcommand("health", "Whether a broker is well; ends with 6 if not");
  const auto flags = std::make_shared<HealthFlags>();
  health->add_option("--port", flags->port, "Something has to listen on this port");
  health->add_option("--aliveness", flags->aliveness,
                     "A message has to go through a queue of its own in this vhost");
  SetVerb(*health, VerbKind::kShows, [flags](Api& api) { return Health(api, *flags); });
}

}  // namespace landfall::apps
