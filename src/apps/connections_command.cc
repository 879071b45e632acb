// `landfall connections`.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>

#include "apps/api_verb.h"
#include "apps/operator_commands.h"

namespace landfall::apps {
namespace {

Outcome<void> List(Api& api, const std::string& vhost) {
  const std::string path =
      vhost.empty() ? "/api/connections" : "/api/vhosts/" + Quoted(vhost) + "/connections";
  const auto connections = api->GetList(path);
  if (!connections) return std::unexpected(connections.error());
  api.PrintList(*connections, {{"connection", "name"},
                               {"user", "user"},
                               {"vhost", "vhost"},
                               {"state", "state"},
                               {"channels", "channels"},
                               {"in B/s", "recv_oct_details.rate"},
                               {"out B/s", "send_oct_details.rate"},
                               {"tls", "ssl_protocol"},
                               {"client", "user_provided_name"}});
  return {};
}

Outcome<void> Close(Api& api, const std::string& name) {
  const std::string path = "/api/connections/" + Quoted(name);
  const auto connection = api->Get(path);
  if (!connection) return std::unexpected(connection.error());
  const std::string question =
      fmt::format("Close connection {} of user {}?", name, connection->value("user", ""));
  if (auto ok = api.Confirm(question); !ok) return ok;
  const auto done = api->Delete(path);
  if (!done) return std::unexpected(done.error());
  api.Say(fmt::format("connection {} is closed", name));
  return {};
}

}  // namespace

void AddConnectionCommands(CLI::App& app) {
  CLI::App* connections = app.add_subcommand("connections", "Shows and closes connections");
  connections->require_subcommand(1);
  CLI::App* list = connections->add_subcommand("list", "Connections with what they do");
  const auto vhost = std::make_shared<std::string>();
  list->add_option("--vhost", *vhost, "Those to this vhost only");
  SetVerb(*list, VerbKind::kShows, [vhost](Api& api) { return List(api, *vhost); });
  CLI::App* close = connections->add_subcommand("close", "Closes one; its client may come again");
  const auto name = std::make_shared<std::string>();
  close->add_option("CONNECTION", *name, "Its name, as list shows it")->required();
  SetVerb(*close, VerbKind::kDestroys, [name](Api& api) { return Close(api, *name); });
}

}  // namespace landfall::apps
