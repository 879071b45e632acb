// /api/user-limits, /api/vhost-limits and what RabbitMQ calls parameters.
#include <fmt/format.h>

#include "admin/endpoint_common.h"
#include "admin/endpoints.h"
#include "admin/user_changes.h"
#include "server/limits_json.h"
#include "server/log.h"

namespace landfall::admin {
namespace {

using server::UserDefinitions;

constexpr const char* kVhostLimits = "vhost-limits";
constexpr const char* kOperatorPolicy = "operator_policy";

// Below 0 is none, as with RabbitMQ.
Result<UserDefinitions::Limit> ReadLimit(const json& body) {
  const auto value = body.find("value");
  if (value == body.end() || !value->is_number_integer() || *value > UINT32_MAX)
    return Fail(ErrorCode::kInvalidArgument, "value must be a whole number up to 4294967295");
  if (*value < 0) return UserDefinitions::Limit{};
  return UserDefinitions::Limit{value->get<uint32_t>()};
}

Reply NoSuchLimit(const std::string& name, const char* known) {
  return BadRequest(fmt::format("the limit '{}' does not exist here: {}", name, known));
}

// ------------------------------------------------------------------------------------ of a vhost

json VhostLimitForm(const std::string& vhost, const access::VhostLimits& limits) {
  return {{"vhost", vhost}, {"value", server::LimitsForm(limits)}};
}

awaitable<Reply> ListVhostLimits(Backend& backend, Call&) {
  json forms = json::array();
  for (const auto& [vhost, limits] : backend.broker().users().accounts()->vhost_limits)
    forms.push_back(VhostLimitForm(vhost, limits));
  co_return JsonReply(forms);
}

awaitable<Reply> GetVhostLimits(Backend& backend, Call& call) {
  const broker::SnapshotRef topology = co_await backend.Snapshot();
  const auto vhost = FindVhost(*topology, call.caller, call.names[0]);
  if (!vhost) co_return vhost.error();
  const auto limits = backend.broker().users().accounts()->LimitsOf(call.names[0]);
  json forms = json::array();
  if (limits != access::VhostLimits{}) forms.push_back(VhostLimitForm(call.names[0], limits));
  co_return JsonReply(forms);
}

awaitable<Reply> SetVhostLimit(Backend& backend, Call& call, UserDefinitions::Limit limit) {
  const broker::SnapshotRef topology = co_await backend.Snapshot();
  const auto vhost = FindVhost(*topology, call.caller, call.names[0]);
  if (!vhost) co_return vhost.error();
  UserDefinitions::VhostLimits limits{.vhost = call.names[0]};
  if (call.names[1] == server::kMaxConnectionsLimit) {
    limits.max_connections = limit;
  } else if (call.names[1] == server::kMaxQueuesLimit) {
    limits.max_queues = limit;
  } else {
    co_return NoSuchLimit(call.names[1], "of vhosts there are max-connections and max-queues");
  }
  server::LogInfo("a limit of a vhost is set",
                  {{"vhost", call.names[0]}, {"by", call.caller.user}});
  UserDefinitions change;
  change.vhost_limits.push_back(std::move(limits));
  co_return co_await ImportUsers(backend, std::move(change), NoContent());
}

awaitable<Reply> PutVhostLimit(Backend& backend, Call& call) {
  const auto body = BodyOf(call.request);
  if (!body) co_return body.error();
  const auto limit = ReadLimit(*body);
  if (!limit) co_return BadRequest(limit.error().message);
  co_return co_await SetVhostLimit(backend, call, *limit);
}

awaitable<Reply> DeleteVhostLimit(Backend& backend, Call& call) {
  co_return co_await SetVhostLimit(backend, call, UserDefinitions::Limit{});
}

// ------------------------------------------------------------------------------------- of a user

std::optional<json> UserLimitForm(const server::User& user) {
  json value = server::LimitsForm(user);
  if (value.empty()) return std::nullopt;
  return json{{"user", user.name}, {"value", std::move(value)}};
}

awaitable<Reply> ListUserLimits(Backend& backend, Call&) {
  json forms = json::array();
  for (const server::User& user : backend.broker().users().List())
    if (auto form = UserLimitForm(user)) forms.push_back(std::move(*form));
  co_return JsonReply(forms);
}

awaitable<Reply> GetUserLimits(Backend& backend, Call& call) {
  const auto user = FindUser(backend, call.names[0]);
  if (!user) co_return NotFound(fmt::format("there is no user '{}'", call.names[0]));
  json forms = json::array();
  if (auto form = UserLimitForm(*user)) forms.push_back(std::move(*form));
  co_return JsonReply(forms);
}

awaitable<Reply> SetUserLimit(Backend& backend, Call& call, UserDefinitions::Limit limit) {
  if (!FindUser(backend, call.names[0]))
    co_return NotFound(fmt::format("there is no user '{}'", call.names[0]));
  UserDefinitions::User user{.name = call.names[0]};
  if (call.names[1] == server::kMaxConnectionsLimit) {
    user.max_connections = limit;
  } else if (call.names[1] == server::kMaxChannelsLimit) {
    user.max_channels = limit;
  } else {
    co_return NoSuchLimit(call.names[1], "of users there are max-connections and max-channels");
  }
  server::LogInfo("a limit of a user is set", {{"user", call.names[0]}, {"by", call.caller.user}});
  UserDefinitions change;
  change.users.push_back(std::move(user));
  co_return co_await ImportUsers(backend, std::move(change), NoContent());
}

awaitable<Reply> PutUserLimit(Backend& backend, Call& call) {
  const auto body = BodyOf(call.request);
  if (!body) co_return body.error();
  const auto limit = ReadLimit(*body);
  if (!limit) co_return BadRequest(limit.error().message);
  co_return co_await SetUserLimit(backend, call, *limit);
}

awaitable<Reply> DeleteUserLimit(Backend& backend, Call& call) {
  co_return co_await SetUserLimit(backend, call, UserDefinitions::Limit{});
}

// ------------------------------------------------------------------------------------ parameters

// RabbitMQ keeps these two as parameters; those of plugins do not exist here.
awaitable<json> Parameters(Backend& backend, const Caller& caller) {
  const broker::SnapshotRef topology = co_await backend.Snapshot();
  const access::AccountsRef accounts = backend.broker().users().accounts();
  json forms = json::array();
  for (const broker::VhostRef& vhost : VisibleVhosts(*topology, caller)) {
    vhost->operator_policies.ForEach([&](const std::string&, const broker::PolicyRef& policy) {
      json value = PolicyForm(vhost->name, *policy);
      value.erase("vhost");
      value.erase("name");
      forms.push_back({{"vhost", vhost->name},
                       {"component", kOperatorPolicy},
                       {"name", policy->name},
                       {"value", std::move(value)}});
    });
    if (const auto limits = accounts->LimitsOf(vhost->name); limits != access::VhostLimits{}) {
      forms.push_back({{"vhost", vhost->name},
                       {"component", kVhostLimits},
                       {"name", "limits"},
                       {"value", server::LimitsForm(limits)}});
    }
  }
  co_return forms;
}

// Of a component, in a vhost, of a name: as many of these as the path has.
awaitable<Reply> ListParameters(Backend& backend, Call& call) {
  if (call.names.size() > 1) {
    const broker::SnapshotRef topology = co_await backend.Snapshot();
    if (const auto vhost = FindVhost(*topology, call.caller, call.names[1]); !vhost)
      co_return vhost.error();
  }
  json forms = co_await Parameters(backend, call.caller);
  constexpr const char* kFields[] = {"component", "vhost", "name"};
  for (size_t i = 0; i < call.names.size(); ++i) {
    json kept = json::array();
    for (json& form : forms)
      if (form[kFields[i]] == call.names[i]) kept.push_back(std::move(form));
    forms = std::move(kept);
  }
  if (call.names.size() < 3) co_return JsonReply(forms);
  if (forms.empty()) co_return NotFound("there is no such parameter");
  co_return JsonReply(forms[0]);
}

awaitable<Reply> RefuseParameter(Backend& backend, Call& call) {
  const broker::SnapshotRef topology = co_await backend.Snapshot();
  if (const auto vhost = FindVhost(*topology, call.caller, call.names[1]); !vhost)
    co_return vhost.error();
  co_return BadRequest(fmt::format(
      "the component '{}' is not changed here: operator policies and limits have paths of their "
      "own, plugins do not exist",
      call.names[0]));
}

// ------------------------------------------------------------------------------- of all of it

constexpr const char* kClusterName = "landfall";

awaitable<Reply> ListGlobalParameters(Backend&, Call&) {
  co_return JsonReply(json::array({{{"name", "cluster_name"}, {"value", kClusterName}}}));
}

awaitable<Reply> GetGlobalParameter(Backend&, Call& call) {
  if (call.names[0] != "cluster_name") co_return NotFound("there is no such global parameter");
  co_return JsonReply({{"name", "cluster_name"}, {"value", kClusterName}});
}

awaitable<Reply> RefuseGlobalParameter(Backend&, Call& call) {
  co_return BadRequest(
      fmt::format("the global parameter '{}' would mean nothing here", call.names[0]));
}

awaitable<Reply> GetClusterName(Backend&, Call&) { co_return JsonReply({{"name", kClusterName}}); }

awaitable<Reply> ListExtensions(Backend&, Call&) { co_return JsonReply(json::array()); }

}  // namespace

void AddLimitEndpoints(Router& router) {
  constexpr auto kRule = Need::kAdministrator;
  router.Add({
      {"GET", "/api/vhost-limits", kRule, ListVhostLimits},
      {"GET", "/api/vhost-limits/{vhost}", kRule, GetVhostLimits},
      {"PUT", "/api/vhost-limits/{vhost}/{limit}", kRule, PutVhostLimit},
      {"DELETE", "/api/vhost-limits/{vhost}/{limit}", kRule, DeleteVhostLimit},
      {"GET", "/api/user-limits", kRule, ListUserLimits},
      {"GET", "/api/user-limits/{user}", kRule, GetUserLimits},
      {"PUT", "/api/user-limits/{user}/{limit}", kRule, PutUserLimit},
      {"DELETE", "/api/user-limits/{user}/{limit}", kRule, DeleteUserLimit},
      {"GET", "/api/parameters", Need::kPolicymaker, ListParameters},
      {"GET", "/api/parameters/{component}", Need::kPolicymaker, ListParameters},
      {"GET", "/api/parameters/{component}/{vhost}", Need::kPolicymaker, ListParameters},
      {"GET", "/api/parameters/{component}/{vhost}/{parameter}", Need::kPolicymaker,
       ListParameters},
      {"PUT", "/api/parameters/{component}/{vhost}/{parameter}", Need::kPolicymaker,
       RefuseParameter},
      {"DELETE", "/api/parameters/{component}/{vhost}/{parameter}", Need::kPolicymaker,
       RefuseParameter},
      {"GET", "/api/global-parameters", Need::kPolicymaker, ListGlobalParameters},
      {"GET", "/api/global-parameters/{parameter}", Need::kPolicymaker, GetGlobalParameter},
      {"PUT", "/api/global-parameters/{parameter}", Need::kAdministrator, RefuseGlobalParameter},
      {"GET", "/api/cluster-name", Need::kManagement, GetClusterName},
      {"GET", "/api/extensions", Need::kManagement, ListExtensions},
  });
}

}  // namespace landfall::admin
