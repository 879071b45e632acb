// /api/landfall/session: the console logs in and out.
#include "admin/endpoint_common.h"
#include "admin/endpoints.h"

namespace landfall::admin {
namespace {

// Name and password; nobody knows yet who sends it.
constexpr uint64_t kLoginBytes = 4096;

Reply SessionReply(Backend& backend, const Caller& caller, const broker::TopologySnapshot& now) {
  json vhosts = json::array();
  for (const broker::VhostRef& vhost : VisibleVhosts(now, caller)) vhosts.push_back(vhost->name);
  Reply reply = JsonReply({{"name", caller.user},
                           {"tags", caller.account->tags},
                           {"vhosts", std::move(vhosts)},
                           {"version", LANDFALL_VERSION},
                           {"node", backend.node()}});
  reply.headers.emplace_back("Cache-Control", "no-store");
  return reply;
}

awaitable<Reply> OpenSession(Backend& backend, Call& call) {
  const auto body = BodyOf(call.request);
  if (!body) co_return body.error();
  const auto user = body->find("username");
  const auto password = body->find("password");
  if (user == body->end() || !user->is_string() || password == body->end() ||
      !password->is_string())
    co_return BadRequest("the body must have a username and a password");
  Credentials credentials{.user = user->get<std::string>(),
                          .password = password->get<std::string>()};
  auto opened = co_await backend.authentication().OpenSession(call.request, std::move(credentials));
  if (!opened) co_return std::move(opened.error());
  const broker::SnapshotRef topology = co_await backend.Snapshot();
  Reply reply = SessionReply(backend, opened->caller, *topology);
  reply.headers.emplace_back("Set-Cookie", opened->cookie);
  co_return reply;
}

awaitable<Reply> GetSession(Backend& backend, Call& call) {
  if (call.caller.session == 0) co_return NotAuthenticated("there is no session");
  const broker::SnapshotRef topology = co_await backend.Snapshot();
  co_return SessionReply(backend, call.caller, *topology);
}

awaitable<Reply> CloseSession(Backend& backend, Call& call) {
  if (call.caller.session == 0) co_return NotAuthenticated("there is no session");
  Reply reply = NoContent();
  reply.headers.emplace_back("Set-Cookie",
                             backend.authentication().CloseSession(call.request, call.caller));
  co_return reply;
}

}  // namespace

void AddSessionEndpoints(Router& router) {
  router.Add({
      {"POST", "/api/landfall/session", Need::kNobody, OpenSession, kLoginBytes},
      {"GET", "/api/landfall/session", Need::kManagement, GetSession},
      {"DELETE", "/api/landfall/session", Need::kManagement, CloseSession},
  });
}

}  // namespace landfall::admin
