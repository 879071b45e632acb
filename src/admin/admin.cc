#include "admin/admin.h"

#include <fmt/format.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <utility>

#include "admin/endpoints.h"
#include "admin/on_thread.h"
#include "server/log.h"

namespace landfall::admin {
namespace asio = boost::asio;

namespace {

// Behind workers, store and clients on the same machine.
constexpr int kNiceness = 10;

void GiveWay() {
  // On Linux a thread has a niceness of its own.
  setpriority(PRIO_PROCESS, static_cast<id_t>(syscall(SYS_gettid)), kNiceness);
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
}

Admin::~Admin() { Stop(); }

Result<void> Admin::Open(const std::string& option, const server::Endpoint& endpoint) {
  return http_.Open(option, endpoint);
}

void Admin::Start(server::Server& broker) {
  backend_ = std::make_unique<Backend>(io_, broker, http_.address());
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
  auto caller = co_await LogIn(request);
  if (!caller) co_return std::move(caller.error());
  const Router::Match match = router_.Find(request.method, request.target.path);
  if (match.route == nullptr && request.method == "OPTIONS" && !match.allowed.empty()) {
    Reply reply = NoContent();
    reply.headers.emplace_back("Allow", match.allowed + ", OPTIONS");
    co_return reply;
  }
  if (match.route == nullptr && !match.allowed.empty()) {
    Reply reply =
        ErrorReply(405, "method_not_allowed", fmt::format("this path takes {}", match.allowed));
    reply.headers.emplace_back("Allow", match.allowed);
    co_return reply;
  }
  if (match.route == nullptr) {
    co_return NotFound("nothing is served at this path; what there is stands in docs/http-api.md");
  }
  if (!caller->Meets(match.route->need)) {
    co_return NotAuthorised(RefusalOf(match.route->need));
  }
  request.caller = std::move(*caller);
  co_return std::nullopt;
}

asio::awaitable<Reply> Admin::Serve(Request& request) {
  Router::Match match = router_.Find(request.method, request.target.path);
  Call call{.request = request, .caller = request.caller, .names = std::move(match.names)};
  co_return co_await match.route->endpoint(*backend_, call);
}

asio::awaitable<std::expected<Caller, Reply>> Admin::LogIn(const Request& request) {
  auto credentials = ParseBasic(request.authorization);
  if (!credentials) co_return std::unexpected(NotAuthenticated("Login failed"));
  if (credentials->user == "guest" && !request.loopback) {
    server::LogWarn("login failed", {{"user", "guest"},
                                     {"peer", request.peer},
                                     {"reason", "can only log in from this machine"}});
    co_return std::unexpected(NotAuthorised("User can only log in via localhost"));
  }
  Caller caller{.user = credentials->user, .account = nullptr, .loopback = request.loopback};
  session::Login login{.user = std::move(credentials->user),
                       .password = std::move(credentials->password)};
  auto start = [this, &login, &request](auto done) {
    backend_->broker().authenticator().Check(
        std::move(login), request.peer,
        [done = std::move(done)](session::AuthResult result) { done(std::move(result)); });
  };
  const session::AuthResult result = co_await Suspended<session::AuthResult>(std::move(start));
  if (!result.ok) co_return std::unexpected(NotAuthenticated("Login failed"));
  caller.account = result.accounts->Find(caller.user);
  if (!caller.account) co_return std::unexpected(NotAuthenticated("Login failed"));
  if (!caller.is_management()) co_return std::unexpected(NotAuthorised("Not management user"));
  co_return caller;
}

}  // namespace landfall::admin
