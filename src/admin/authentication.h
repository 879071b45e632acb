#pragma once

#include <boost/asio/awaitable.hpp>
#include <expected>
#include <optional>
#include <string>
#include <string_view>

#include "admin/caller.h"
#include "admin/login_limiter.h"
#include "admin/reply.h"
#include "admin/request.h"
#include "admin/session_store.h"
#include "server/server.h"

namespace landfall::admin {

// Who sends a request: somebody with name and password (HTTP Basic), or the console with the cookie
// of a session. How often passwords are guessed is bounded.
//
// Thread: the administration's.
class Authentication {
 public:
  static constexpr std::string_view kCookie = "landfall_session";

  // `broker` has started and outlives it.
  explicit Authentication(server::Server& broker) : broker_(broker) {}

  // 401: nobody that we know, or nobody for the API; 403: see docs/http-api.md on forged requests;
  // 429: too many attempts.
  boost::asio::awaitable<std::expected<Caller, Reply>> LogIn(const Request& request);

  struct Opened {
    Caller caller;
    std::string cookie;  // for a Set-Cookie header
  };
  // A session of the user, in place of that which the request may have.
  boost::asio::awaitable<std::expected<Opened, Reply>> OpenSession(const Request& request,
                                                                   Credentials credentials);
  // Returns the cookie that makes the browser forget.
  std::string CloseSession(const Request& request, const Caller& caller);
  // Who has sent a request still may do what they might then, with the rights of now; nothing: the
  // session or the user is gone, or is nobody for the API any more. Counts as use of the session.
  std::optional<Caller> Renew(const Caller& caller);

 private:
  boost::asio::awaitable<std::expected<Caller, Reply>> Check(const Request& request,
                                                             Credentials credentials);
  std::expected<Caller, Reply> Continue(const Request& request, std::string_view token);
  void EndStaleSessions();

  server::Server& broker_;
  SessionStore sessions_;
  LoginLimiter limiter_;
  access::AccountsRef seen_;  // that sessions_ agrees with
};

}  // namespace landfall::admin
