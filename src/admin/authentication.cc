#include "admin/authentication.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "admin/on_thread.h"
#include "server/log.h"

namespace landfall::admin {
namespace asio = boost::asio;

namespace {

using Clock = std::chrono::steady_clock;

std::unexpected<Reply> Refuse(Reply reply) { return std::unexpected(std::move(reply)); }

Reply TooManyAttempts(std::chrono::seconds wait) {
  Reply reply =
      ErrorReply(429, "too_many_requests", "too many failed attempts to log in; try again later");
  reply.headers.emplace_back("Retry-After", std::to_string(wait.count()));
  return reply;
}

// Of a name that nobody can have, as much as is worth to be remembered.
std::string_view Shortened(std::string_view user) {
  return user.substr(0, server::kMaxUserNameBytes + 1);
}

bool IsGuestFromElsewhere(const Request& request, std::string_view user) {
  if (user != "guest" || request.loopback) return false;
  server::LogWarn(
      "login failed",
      {{"user", "guest"}, {"peer", request.peer}, {"reason", "can only log in from this machine"}});
  return true;
}

std::string HashOf(const std::vector<server::User>& users, std::string_view name) {
  const auto it = std::ranges::find(users, name, &server::User::name);
  return it == users.end() ? "" : it->password_hash;
}

// Not readable by scripts, not sent along by pages of other sites.
std::string CookieText(std::string_view token, const Request& request) {
  return fmt::format("{}={}; Path=/; HttpOnly; SameSite=Strict{}", Authentication::kCookie, token,
                     request.tls ? "; Secure" : "");
}

}  // namespace

asio::awaitable<std::expected<Caller, Reply>> Authentication::LogIn(const Request& request) {
  if (auto credentials = ParseBasic(request.authorization)) {
    Credentials named = std::move(*credentials);
    co_return co_await Check(request, std::move(named));
  }
  const auto token = FindCookie(request.cookie, kCookie);
  if (!request.authorization.empty() || !token) co_return Refuse(NotAuthenticated("Login failed"));
  co_return Continue(request, *token);
}

std::expected<Caller, Reply> Authentication::Continue(const Request& request,
                                                      std::string_view token) {
  // A browser sends the cookie whoever has written the page; only our page sets the header.
  if (!IsSafe(request.method) && !request.from_console) {
    return Refuse(ErrorReply(403, "forbidden",
                             "with a session's cookie this needs the header X-Landfall-Console"));
  }
  EndStaleSessions();
  const auto found = sessions_.Find(token, Clock::now());
  if (!found) return Refuse(NotAuthenticated("the session has ended"));
  if (IsGuestFromElsewhere(request, found->user))
    return Refuse(NotAuthorised("User can only log in via localhost"));
  Caller caller{.user = found->user,
                .account = broker_.users().accounts()->Find(found->user),
                .loopback = request.loopback,
                .session = found->id};
  if (!caller.account) return Refuse(NotAuthenticated("the session has ended"));
  if (!caller.is_management()) return Refuse(NotAuthorised("Not management user"));
  return caller;
}

asio::awaitable<std::expected<Caller, Reply>> Authentication::Check(const Request& request,
                                                                    Credentials credentials) {
  if (IsGuestFromElsewhere(request, credentials.user))
    co_return Refuse(NotAuthorised("User can only log in via localhost"));
  Caller caller{.user = credentials.user, .account = nullptr, .loopback = request.loopback};
  const std::string_view limited = Shortened(caller.user);
  session::Login login{.user = std::move(credentials.user),
                       .password = std::move(credentials.password)};
  // Who has been right a moment ago guesses nothing, and is not held up by those who do.
  const bool is_known = broker_.authenticator().Remembers(login);
  if (!is_known) {
    if (const auto wait = limiter_.Take(limited, request.peer, Clock::now()))
      co_return Refuse(TooManyAttempts(*wait));
  }
  auto start = [this, &login, &request](auto done) {
    broker_.authenticator().Check(
        std::move(login), request.peer,
        [done = std::move(done)](session::AuthResult result) { done(std::move(result)); });
  };
  const session::AuthResult result = co_await Suspended<session::AuthResult>(std::move(start));
  if (!result.ok) co_return Refuse(NotAuthenticated("Login failed"));
  if (!is_known) limiter_.OnSuccess(limited, request.peer, Clock::now());
  caller.account = result.accounts->Find(caller.user);
  if (!caller.account) co_return Refuse(NotAuthenticated("Login failed"));
  if (!caller.is_management()) co_return Refuse(NotAuthorised("Not management user"));
  co_return caller;
}

asio::awaitable<std::expected<Authentication::Opened, Reply>> Authentication::OpenSession(
    const Request& request, Credentials credentials) {
  const auto previous = FindCookie(request.cookie, kCookie);
  if (previous && !request.from_console) {
    co_return Refuse(ErrorReply(
        403, "forbidden", "with a session's cookie this needs the header X-Landfall-Console"));
  }
  // From before the password is looked at: if it is changed meanwhile, the session ends with it.
  const access::AccountsRef before = broker_.users().accounts();
  std::string hash = HashOf(broker_.users().List(), credentials.user);
  auto caller = co_await Check(request, std::move(credentials));
  if (!caller) co_return Refuse(std::move(caller.error()));
  if (previous) {
    if (const auto found = sessions_.Find(*previous, Clock::now())) sessions_.Close(found->id);
  }
  const auto now = Clock::now();
  const std::string token = sessions_.Open(caller->user, std::move(hash), now);
  if (broker_.users().accounts() != before) seen_ = nullptr;
  EndStaleSessions();
  const auto found = sessions_.Find(token, now);
  if (!found) co_return Refuse(NotAuthenticated("Login failed"));
  caller->session = found->id;
  server::LogInfo("a console session is opened", {{"user", caller->user}, {"peer", request.peer}});
  co_return Opened{.caller = std::move(*caller), .cookie = CookieText(token, request)};
}

std::string Authentication::CloseSession(const Request& request, const Caller& caller) {
  sessions_.Close(caller.session);
  server::LogInfo("a console session is closed", {{"user", caller.user}, {"peer", request.peer}});
  return CookieText("", request) + "; Max-Age=0";
}

std::optional<Caller> Authentication::Renew(const Caller& caller) {
  EndStaleSessions();
  if (caller.session != 0 && !sessions_.Use(caller.session, Clock::now())) return std::nullopt;
  Caller renewed = caller;
  renewed.account = broker_.users().accounts()->Find(caller.user);
  if (!renewed.account || !renewed.is_management()) return std::nullopt;
  return renewed;
}

void Authentication::EndStaleSessions() {
  access::AccountsRef now = broker_.users().accounts();
  if (now == seen_) return;
  seen_ = std::move(now);
  const std::vector<server::User> users = broker_.users().List();
  sessions_.Keep([&](std::string_view name, std::string_view hash) {
    const auto it = std::ranges::find(users, name, &server::User::name);
    return it != users.end() && it->password_hash == hash;
  });
}

}  // namespace landfall::admin
