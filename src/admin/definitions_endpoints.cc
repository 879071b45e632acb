// /api/definitions: everything but messages, out and in.
#include <fmt/format.h>

#include "admin/endpoint_common.h"
#include "admin/endpoints.h"
#include "admin/message_json.h"
#include "server/definitions.h"
#include "server/log.h"

namespace landfall::admin {
namespace {

awaitable<Reply> GetDefinitions(Backend& backend, Call&) {
  const broker::SnapshotRef topology = co_await backend.Snapshot();
  const Backend::Work work = [&backend, topology]() -> Result<std::string> {
    auto users = server::ReadUserTable(backend.broker().users().path());
    if (!users) return std::unexpected(users.error());
    return server::WriteDefinitions(*topology, &*users);
  };
  Result<std::string> text = co_await backend.Slowly(work);
  if (!text) co_return ReplyTo(text.error());
  co_return Reply{.body = std::move(*text)};
}

// What is in one vhost, without naming it, so that it can be taken to another one.
json OfVhost(const json& all, const std::string& vhost) {
  json wanted = json::object();
  for (const char* section : {"policies", "exchanges", "queues", "bindings", "parameters"}) {
    wanted[section] = json::array();
    for (json entry : all.at(section)) {
      if (entry.at("vhost") != vhost) continue;
      entry.erase("vhost");
      wanted[section].push_back(std::move(entry));
    }
  }
  // Tells what is missing.
  if (const auto it = all.find("explanation"); it != all.end()) wanted["explanation"] = *it;
  return wanted;
}

awaitable<Reply> GetDefinitionsOfVhost(Backend& backend, Call& call) {
  const broker::SnapshotRef topology = co_await backend.Snapshot();
  const auto vhost = FindVhost(*topology, call.caller, call.names[0]);
  if (!vhost) co_return vhost.error();
  auto work = [topology, name = call.names[0]]() -> Result<std::string> {
    const auto text = server::WriteDefinitions(*topology, nullptr);
    if (!text) return text;
    return JsonText(OfVhost(json::parse(*text), name));
  };
  Result<std::string> text = co_await backend.Slowly(work);
  if (!text) co_return ReplyTo(text.error());
  co_return Reply{.body = std::move(*text)};
}

// The steps in their order, some at a time; the first refusal ends it. As with RabbitMQ, what came
// before it stays.
awaitable<Result<void>> ImportTopology(Backend& backend,
                                       std::vector<server::Definitions::Step> steps) {
  const access::AccountsRef accounts = backend.broker().users().accounts();
  for (server::Definitions::Step& step : steps)
    if (auto* declare = std::get_if<broker::DeclareQueue>(&step.request.body))
      declare->max_queues = accounts->LimitsOf(step.request.vhost).max_queues;
  for (size_t first = 0; first < steps.size(); first += Backend::kRequestsAtOnce) {
    const size_t count = std::min(Backend::kRequestsAtOnce, steps.size() - first);
    std::vector<broker::TopologyRequest> requests;
    requests.reserve(count);
    for (size_t i = 0; i < count; ++i) requests.push_back(std::move(steps[first + i].request));
    const std::vector<broker::TopologyReply> replies = co_await backend.AskAll(std::move(requests));
    for (size_t i = 0; i < count; ++i) {
      if (!replies[i].error) continue;
      co_return Fail(ErrorCode::kInvalidArgument,
                     fmt::format("{}: {}", steps[first + i].place, replies[i].text));
    }
  }
  co_return Result<void>{};
}

awaitable<Reply> Import(Backend& backend, const Caller& caller, server::Definitions definitions) {
  const broker::SnapshotRef before = co_await backend.Snapshot();
  // All that can be seen to be wrong is said before anything is done.
  const auto exists = [&](const std::string& vhost) -> Result<bool> {
    return before->FindVhost(vhost) != nullptr;
  };
  if (auto checked = server::CheckPermissionVhosts(definitions, exists); !checked)
    co_return BadRequest(checked.error().message);
  if (auto can = backend.broker().users().CanImport(definitions.users); !can)
    co_return BadRequest(can.error().message);
  for (const std::string& what : definitions.left_out)
    server::LogWarn("left out of the definitions", {{"by", caller.user}, {"what", what}});
  const size_t count = definitions.steps.size();
  const Result<void> done = co_await ImportTopology(backend, std::move(definitions.steps));
  if (!done) co_return ReplyTo(done.error());
  const Backend::Work work = [&backend,
                              users = std::move(definitions.users)]() -> Result<std::string> {
    if (users.empty()) return "";
    if (auto imported = backend.broker().users().Import(users); !imported)
      return std::unexpected(imported.error());
    backend.broker().UsersChanged();
    return "";
  };
  const Result<std::string> users_done = co_await backend.Slowly(work);
  if (!users_done) co_return ReplyTo(users_done.error());
  server::LogInfo("definitions imported", {{"by", caller.user}, {"count", count}});
  co_return NoContent();
}

awaitable<Reply> PostDefinitions(Backend& backend, Call& call) {
  if (const auto refusal = RefuseValuesBeyond(kMaxDefinitionValues, call.request))
    co_return *refusal;
  auto definitions = server::ParseDefinitions(call.request.body);
  if (!definitions) co_return BadRequest(definitions.error().message);
  co_return co_await Import(backend, call.caller, std::move(*definitions));
}

awaitable<Reply> PostDefinitionsOfVhost(Backend& backend, Call& call) {
  const broker::SnapshotRef topology = co_await backend.Snapshot();
  const auto vhost = FindVhost(*topology, call.caller, call.names[0]);
  if (!vhost) co_return vhost.error();
  if (!IsUtf8(call.names[0])) co_return BadRequest("the vhost's name is no UTF-8");
  auto body = BodyOf(call.request, kMaxDefinitionValues);
  if (!body) co_return body.error();
  json wanted = json::object();
  for (const char* section : {"policies", "exchanges", "queues", "bindings", "parameters"}) {
    const auto it = body->find(section);
    if (it == body->end() || !it->is_array()) continue;
    for (json& entry : *it) {
      if (entry.is_object()) entry["vhost"] = call.names[0];
    }
    wanted[section] = std::move(*it);
  }
  auto definitions = server::ParseDefinitions(JsonText(wanted));
  if (!definitions) co_return BadRequest(definitions.error().message);
  co_return co_await Import(backend, call.caller, std::move(*definitions));
}

}  // namespace

void AddDefinitionEndpoints(Router& router) {
  constexpr auto kNeed = Need::kAdministrator;
  constexpr uint64_t kDefinitionsBytes = uint64_t{16} << 20;
  router.Add({
      {"GET", "/api/definitions", kNeed, GetDefinitions},
      {"POST", "/api/definitions", kNeed, PostDefinitions, kDefinitionsBytes},
      {"GET", "/api/definitions/{vhost}", kNeed, GetDefinitionsOfVhost},
      {"POST", "/api/definitions/{vhost}", kNeed, PostDefinitionsOfVhost, kDefinitionsBytes},
  });
}

}  // namespace landfall::admin
