#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>
#include <variant>

#include "broker/policy.h"
#include "server/definition_entry.h"
#include "server/definitions.h"
#include "server/table_json.h"
#include "server/user_definitions_read.h"

namespace landfall::server {
namespace {

using nlohmann::json;

std::unexpected<Error> Refuse(std::string message) {
  return Fail(ErrorCode::kInvalidArgument, std::move(message));
}

// What there is around the sections, for people to read.
constexpr std::string_view kRemarks[] = {
    "rabbit_version",  "rabbitmq_version",           "product_name",
    "product_version", "rabbitmq_definition_format", "original_cluster_name",
    "explanation"};

class Reader {
 public:
  explicit Reader(const json& root) : root_(root) {}

  Result<Definitions> Read() {
    Section("users", [this](DefinitionEntry& e) { users_.ReadUser(e); });
    Section("vhosts", [this](DefinitionEntry& e) {
      const std::string name = e.Text("name");
      e.Name(name);
      users_.ReadVhostLimits(e, "limits", name);
      Add(e, "", broker::CreateVhost{name});
    });
    Section("permissions", [this](DefinitionEntry& e) { users_.ReadPermission(e); });
    Section("topic_permissions", [this](DefinitionEntry& e) { users_.ReadTopicPermission(e); });
    Section("parameters", [this](DefinitionEntry& e) { ReadParameter(e); });
    Section("policies", [this](DefinitionEntry& e) { ReadPolicy(e, e, false); });
    Section("exchanges", [this](DefinitionEntry& e) {
      broker::DeclareExchange r;
      const std::string vhost = NameOf(e, r.name);
      if (IsReserved(r.name)) return LeaveOut(e, kReserved);
      r.type = e.Text("type", "direct");
      r.durable = e.Flag("durable");
      r.auto_delete = e.Flag("auto_delete");
      r.internal = e.Flag("internal");
      r.arguments = e.Table("arguments");
      Add(e, vhost, std::move(r));
    });
    Section("queues", [this](DefinitionEntry& e) {
      broker::DeclareQueue r;
      const std::string vhost = NameOf(e, r.name);
      if (r.name.empty()) e.Wrong("name must not be empty");
      if (IsReserved(r.name)) return LeaveOut(e, kReserved);
      r.durable = e.Flag("durable");
      r.auto_delete = e.Flag("auto_delete");
      r.arguments = e.Table("arguments");
      Add(e, vhost, std::move(r));
    });
    Section("bindings", [this](DefinitionEntry& e) { ReadBinding(e); });
    Section("global_parameters", [this](DefinitionEntry& e) {
      e.Name(e.Text("name"));
      LeaveOut(e, "global parameters do not exist here");
    });
    for (const auto& [name, section] : root_.items()) {
      if (!sections_.contains(name) && std::ranges::find(kRemarks, name) == std::end(kRemarks))
        definitions_.left_out.push_back(
            fmt::format("{}: not a section of definitions that is known here", name));
    }
    if (!error_.empty()) return Refuse(error_);
    definitions_.users = std::move(users_.read);
    std::ranges::move(users_.left_out, std::back_inserter(definitions_.left_out));
    return std::move(definitions_);
  }

 private:
  template <class F>
  void Section(const char* name, F&& read) {
    sections_.insert(name);
    const auto section = root_.find(name);
    if (section == root_.end() || !error_.empty()) return;
    if (!section->is_array()) {
      error_ = fmt::format("{} must be a list", name);
      return;
    }
    for (size_t i = 0; i < section->size() && error_.empty(); ++i) {
      DefinitionEntry entry((*section)[i], fmt::format("{}[{}]", name, i));
      if (entry.error().empty()) read(entry);
      error_ = entry.error();
    }
  }

  // Nobody may declare such a name; queues have one that a broker chose for a client.
  static constexpr std::string_view kReserved = "names that begin with amq. are the broker's own";
  static bool IsReserved(std::string_view name) { return name.starts_with("amq."); }

  // What AMQP sends as a short string.
  static std::string ShortText(DefinitionEntry& e, const char* name,
                               const char* otherwise = nullptr) {
    std::string text = e.Text(name, otherwise);
    if (text.size() > amqp::kMaxShortString)
      e.Wrong(fmt::format("{} is longer than {} bytes", name, amqp::kMaxShortString));
    return text;
  }

  static std::string NameOf(DefinitionEntry& e, std::string& name) {
    name = ShortText(e, "name");
    std::string vhost = e.Text("vhost");
    e.Name(name, vhost);
    return vhost;
  }

  void Add(DefinitionEntry& e, std::string vhost, broker::TopologyRequestBody body) {
    broker::TopologyRequest request;
    request.vhost = std::move(vhost);
    request.body = std::move(body);
    definitions_.steps.push_back({e.place(), std::move(request)});
  }

  void LeaveOut(const DefinitionEntry& e, std::string_view why) {
    definitions_.left_out.push_back(fmt::format("{}: {}", e.place(), why));
  }

  // An operator policy is a parameter, and so are the limits of a vhost: their fields are in the
  // parameter's value. Others are of plugins.
  void ReadParameter(DefinitionEntry& e) {
    const std::string component = e.Text("component");
    if (component == "operator_policy") return ReadOperatorPolicy(e);
    std::string name;
    const std::string vhost = NameOf(e, name);
    if (component == "vhost-limits") return users_.ReadVhostLimits(e, "value", vhost);
    LeaveOut(e, fmt::format("there is no {} here", component));
  }

  void ReadOperatorPolicy(DefinitionEntry& e) {
    DefinitionEntry value = e.Object("value");
    ReadPolicy(e, value, true);
    if (!value.error().empty() && e.error().empty()) e.Wrong(value.error());
  }

  void ReadPolicy(DefinitionEntry& e, DefinitionEntry& fields, bool by_operator) {
    broker::SetPolicy r;
    const std::string vhost = NameOf(e, r.policy.name);
    r.policy.by_operator = by_operator;
    r.policy.pattern = fields.Text("pattern");
    r.policy.priority = fields.Number("priority");
    r.policy.definition = fields.Table("definition");
    const std::string scope = fields.Text("apply-to", "all");
    if (const auto parsed = broker::ParsePolicyScope(scope)) {
      r.policy.apply_to = *parsed;
    } else {
      e.Wrong(
          fmt::format("apply-to '{}' unrecognised; should be one of all, queues, "
                      "classic_queues, quorum_queues, exchanges",
                      scope));
    }
    if (const auto checked = broker::CheckPolicy(r.policy); !checked) e.Wrong(checked.error());
    Add(e, vhost, std::move(r));
  }

  void ReadBinding(DefinitionEntry& e) {
    broker::Bind r;
    r.source = ShortText(e, "source");
    r.destination = ShortText(e, "destination");
    const std::string vhost = e.Text("vhost");
    e.Name(r.source + " to " + r.destination, vhost);
    const std::string type = e.Text("destination_type");
    if (type != "queue" && type != "exchange") {
      e.Wrong("destination_type must be queue or exchange");
    }
    r.to_exchange = type == "exchange";
    r.routing_key = ShortText(e, "routing_key", "");
    r.arguments = e.Table("arguments");
    if (r.source.empty()) return;  // the default exchange's, which are implied
    if (!r.to_exchange && IsReserved(r.destination)) return LeaveOut(e, kReserved);
    Add(e, vhost, std::move(r));
  }

  const json& root_;
  std::set<std::string, std::less<>> sections_;  // that are known
  UserDefinitionsReader users_;
  Definitions definitions_;
  std::string error_;
};

}  // namespace

Result<Definitions> ParseDefinitions(std::string_view text) {
  const auto root = ParseJson(text);
  if (!root) return std::unexpected(root.error());
  if (!root->is_object()) return Refuse("definitions are one JSON object");
  try {
    return Reader(*root).Read();
  } catch (const json::exception& e) {
    return Refuse(fmt::format("not definitions (error {} of the JSON reader)", e.id));
  }
}

Result<Definitions> ReadDefinitions(const std::string& file) {
  std::ifstream in(file, std::ios::binary);
  std::ostringstream text;
  if (in) text << in.rdbuf();
  if (!in) return Refuse(fmt::format("cannot read {}: {}", file, std::strerror(errno)));
  auto definitions = ParseDefinitions(text.str());
  if (!definitions) return Refuse(fmt::format("{}: {}", file, definitions.error().message));
  return definitions;
}

Result<void> CheckPermissionVhosts(const Definitions& definitions,
                                   const std::function<Result<bool>(const std::string&)>& exists) {
  std::set<std::string> known;
  for (const Definitions::Step& step : definitions.steps)
    if (const auto* vhost = std::get_if<broker::CreateVhost>(&step.request.body))
      known.insert(vhost->name);
  const auto check = [&](const auto& permission) -> Result<void> {
    if (known.contains(permission.vhost)) return {};
    const Result<bool> there = exists(permission.vhost);
    if (!there) return std::unexpected(there.error());
    if (!*there)
      return Fail(ErrorCode::kNotFound,
                  fmt::format("{}: user {} has permissions in vhost {}, which is neither in these "
                              "definitions nor already there",
                              permission.place, permission.user, permission.vhost));
    known.insert(permission.vhost);
    return {};
  };
  for (const auto& permission : definitions.users.permissions)
    if (auto checked = check(permission); !checked) return checked;
  for (const auto& permission : definitions.users.topic_permissions)
    if (auto checked = check(permission); !checked) return checked;
  return {};
}

}  // namespace landfall::server
