#include "admin/admin.h"

#include <fmt/format.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <utility>

#include "admin/endpoints.h"
#include "admin/message_json.h"

namespace landfall::admin {
namespace asio = boost::asio;

namespace {

// Behind workers, store and clients on the same machine.
constexpr int kNiceness = 10;

void GiveWay() {
  // On Linux a thread has a niceness of its own.
  setpriority(PRIO_PROCESS, static_cast<id_t>(syscall(SYS_gettid)), kNiceness);
}

bool IsOfApi(const std::vector<std::string>& path) {
  return !path.empty() && (path.front() == "api" || path.front() == "metrics");
}

Reply ReplyToNoRoute(const Request& request, const std::string& allowed) {
  if (allowed.empty())
    return NotFound("nothing is served at this path; what there is stands in docs/http-api.md");
  if (request.method == "OPTIONS") {
    Reply reply = NoContent();
    reply.headers.emplace_back("Allow", allowed + ", OPTIONS");
    return reply;
  }
  Reply reply = ErrorReply(405, "method_not_allowed", fmt::format("this path takes {}", allowed));
  reply.headers.emplace_back("Allow", allowed);
  return reply;
}

}  // namespace

Admin::Admin() : guard_(asio::make_work_guard(io_)), http_(io_, *this) {
  AddOverviewEndpoints(router_);
  AddQueueEndpoints(router_);
  AddMessageEndpoints(router_);
  AddExchangeEndpoints(router_);
  AddBindingEndpoints(router_);
  AddConnectionEndpoints(router_);
  AddUserEndpoints(router_);
  AddPolicyEndpoints(router_);
  AddDefinitionEndpoints(router_);
  AddHealthEndpoints(router_);
  AddMetricsEndpoints(router_);
  AddSessionEndpoints(router_);
  AddLimitEndpoints(router_);
  AddPeekEndpoints(router_);
  AddMoveEndpoints(router_);
  AddWatchEndpoints(router_);
  AddTraceEndpoints(router_);
  AddStorageEndpoints(router_);
}

Admin::~Admin() {
  Stop();
  io_.shutdown();
}

Result<void> Admin::Open(const std::string& option, const server::Endpoint& endpoint) {
  return http_.Open(option, endpoint);
}

Result<void> Admin::OpenTls(const std::string& option, const server::Endpoint& endpoint,
                            server::TlsOptions tls) {
  tls_ = std::make_unique<server::TlsContext>(std::move(tls));
  if (auto loaded = tls_->Load(); !loaded) return loaded;
  return http_.OpenTls(option, endpoint, *tls_);
}

void Admin::Start(server::Server& broker) {
  backend_ = std::make_unique<Backend>(io_, broker, http_.address(), http_.tls_address());
  backend_->set_router(router_);
  asio::co_spawn(
      io_, [this]() -> asio::awaitable<void> { co_await backend_->watcher().Run(); },
      asio::detached);
  http_.Start();
  thread_ = std::thread([this] {
    GiveWay();
    io_.run();
  });
}

void Admin::Stop() {
  if (!thread_.joinable()) return;
  io_.stop();
  thread_.join();
  backend_->Stop();
  http_.Close();
}

// As RabbitMQ: who you are, whether you are somebody for the API at all, then whether for this.
asio::awaitable<std::optional<Reply>> Admin::Admit(Request& request) {
  if (IsForged(request)) {
    co_return ErrorReply(403, "forbidden", "a page of another origin must not change anything");
  }
  if (!console_.empty() && !IsOfApi(request.target.path)) co_return console_.Serve(request);
  const Router::Match match = router_.Find(request.method, request.target.path);
  if (match.route != nullptr) request.body_limit = match.route->body_limit;
  if (match.route != nullptr && match.route->need == Need::kNobody) co_return std::nullopt;
  auto caller = co_await backend_->authentication().LogIn(request);
  if (!caller) co_return std::move(caller.error());
  if (match.route == nullptr) co_return ReplyToNoRoute(request, match.allowed);
  if (!caller->Meets(match.route->need)) {
    co_return NotAuthorised(RefusalOf(match.route->need));
  }
  request.caller = std::move(*caller);
  co_return std::nullopt;
}

asio::awaitable<Reply> Admin::Serve(Request& request) {
  Router::Match match = router_.Find(request.method, request.target.path);
  // AMQP lets names be any bytes, JSON does not: what JSON cannot say is not made here.
  if (request.method == "PUT" && match.route->makes_names &&
      !std::ranges::all_of(match.names, IsUtf8))
    co_return BadRequest("a name in the path is no UTF-8");
  Call call{.request = request, .caller = request.caller, .names = std::move(match.names)};
  co_return co_await match.route->endpoint(*backend_, call);
}

}  // namespace landfall::admin
