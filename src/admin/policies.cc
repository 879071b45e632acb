// /api/policies and /api/operator-policies.
#include <fmt/format.h>

#include "admin/endpoint_common.h"
#include "admin/endpoints.h"
#include "server/definitions.h"
#include "server/log.h"

namespace landfall::admin {
namespace {

const broker::PolicyMap& PoliciesOf(const broker::Vhost& vhost, bool by_operator) {
  return by_operator ? vhost.operator_policies : vhost.policies;
}

void AddPolicies(const broker::Vhost& vhost, bool by_operator, std::vector<ListItem>& items) {
  PoliciesOf(vhost, by_operator).ForEach([&](const std::string&, const broker::PolicyRef& policy) {
    items.push_back({.vhost = vhost.name, .name = policy->name, .build = [&vhost, &policy] {
                       return PolicyForm(vhost.name, *policy);
                     }});
  });
}

template <bool ByOperator>
awaitable<Reply> ListPolicies(Backend& backend, Call& call) {
  const broker::SnapshotRef topology = co_await backend.Snapshot();
  std::vector<ListItem> items;
  for (const broker::VhostRef& vhost : VisibleVhosts(*topology, call.caller))
    AddPolicies(*vhost, ByOperator, items);
  co_return ListReply(std::move(items), call.query());
}

template <bool ByOperator>
awaitable<Reply> ListPoliciesOfVhost(Backend& backend, Call& call) {
  const broker::SnapshotRef topology = co_await backend.Snapshot();
  const auto vhost = FindVhost(*topology, call.caller, call.names[0]);
  if (!vhost) co_return vhost.error();
  std::vector<ListItem> items;
  AddPolicies(**vhost, ByOperator, items);
  co_return ListReply(std::move(items), call.query());
}

Reply NoPolicy(const Call& call) {
  return NotFound(
      fmt::format("there is no policy '{}' in vhost '{}'", call.names[1], call.names[0]));
}

template <bool ByOperator>
awaitable<Reply> GetPolicy(Backend& backend, Call& call) {
  const broker::SnapshotRef topology = co_await backend.Snapshot();
  const auto vhost = FindVhost(*topology, call.caller, call.names[0]);
  if (!vhost) co_return vhost.error();
  const broker::PolicyRef* policy = PoliciesOf(**vhost, ByOperator).Find(call.names[1]);
  if (policy == nullptr) co_return NoPolicy(call);
  co_return JsonReply(PolicyForm((*vhost)->name, **policy));
}

// As definitions would say it: read by the same rules.
Result<broker::TopologyRequest> ReadPolicy(const Call& call, json fields, bool by_operator) {
  json entry = by_operator ? json{{"component", "operator_policy"}, {"value", std::move(fields)}}
                           : std::move(fields);
  entry["vhost"] = call.names[0];
  entry["name"] = call.names[1];
  json all;
  all[by_operator ? "parameters" : "policies"] = json::array({std::move(entry)});
  auto read = server::ParseDefinitions(JsonText(all));
  if (!read) return std::unexpected(read.error());
  return std::move(read->steps.at(0).request);
}

template <bool ByOperator>
awaitable<Reply> PutPolicy(Backend& backend, Call& call) {
  auto body = BodyOf(call.request);
  if (!body) co_return body.error();
  const broker::SnapshotRef before = co_await backend.Snapshot();
  const auto vhost = FindVhost(*before, call.caller, call.names[0]);
  if (!vhost) co_return vhost.error();
  const bool is_new = !PoliciesOf(**vhost, ByOperator).Contains(call.names[1]);
  auto request = ReadPolicy(call, std::move(*body), ByOperator);
  if (!request) co_return BadRequest(request.error().message);
  const broker::TopologyReply done = co_await backend.Ask(std::move(*request));
  if (done.error) co_return BadRequest(done.text);
  server::LogInfo("a policy is set", {{"policy", call.names[1]},
                                      {"vhost", call.names[0]},
                                      {"by_operator", ByOperator},
                                      {"by", call.caller.user}});
  co_return is_new ? Created() : NoContent();
}

template <bool ByOperator>
awaitable<Reply> DeletePolicy(Backend& backend, Call& call) {
  const broker::SnapshotRef before = co_await backend.Snapshot();
  const auto vhost = FindVhost(*before, call.caller, call.names[0]);
  if (!vhost) co_return vhost.error();
  if (!PoliciesOf(**vhost, ByOperator).Contains(call.names[1])) co_return NoPolicy(call);
  broker::TopologyRequest request;
  request.vhost = call.names[0];
  request.body = broker::ClearPolicy{.name = call.names[1], .by_operator = ByOperator};
  const broker::TopologyReply done = co_await backend.Ask(std::move(request));
  if (done.error) co_return NoPolicy(call);
  server::LogInfo("a policy is cleared", {{"policy", call.names[1]},
                                          {"vhost", call.names[0]},
                                          {"by_operator", ByOperator},
                                          {"by", call.caller.user}});
  co_return NoContent();
}

}  // namespace

void AddPolicyEndpoints(Router& router) {
  constexpr auto kSee = Need::kManagement;
  router.Add({
      {"GET", "/api/policies", kSee, ListPolicies<false>},
      {"GET", "/api/policies/{vhost}", kSee, ListPoliciesOfVhost<false>},
      {"GET", "/api/policies/{vhost}/{policy}", kSee, GetPolicy<false>},
      {"PUT", "/api/policies/{vhost}/{policy}", Need::kPolicymaker, PutPolicy<false>},
      {"DELETE", "/api/policies/{vhost}/{policy}", Need::kPolicymaker, DeletePolicy<false>},
      {"GET", "/api/operator-policies", kSee, ListPolicies<true>},
      {"GET", "/api/operator-policies/{vhost}", kSee, ListPoliciesOfVhost<true>},
      {"GET", "/api/operator-policies/{vhost}/{policy}", kSee, GetPolicy<true>},
      {"PUT", "/api/operator-policies/{vhost}/{policy}", Need::kAdministrator, PutPolicy<true>},
      {"DELETE", "/api/operator-policies/{vhost}/{policy}", Need::kAdministrator,
       DeletePolicy<true>},
  });
}

}  // namespace landfall::admin
