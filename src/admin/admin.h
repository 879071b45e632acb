#pragma once

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <memory>
#include <optional>
#include <string>
#include <thread>

#include "admin/backend.h"
#include "admin/http_server.h"
#include "admin/router.h"
#include "server/server.h"

namespace landfall::admin {

// The HTTP API and the metrics of a broker, on a thread of their own that gives way to messages.
//
// Lives longer than the broker that it serves: what it has asked of a worker may be answered until
// the worker ends. Thread: one (main's).
class Admin : private HttpHandler {
 public:
  Admin();
  ~Admin() override;

  // Before the broker starts, so that an address that cannot be used is said before anything else
  // happens. `option` is what it was configured with.
  Result<void> Open(const std::string& option, const server::Endpoint& endpoint);
  void Start(server::Server& broker);
  // Before the broker stops. What is under way ends without an answer.
  void Stop();
  // "127.0.0.1:15672", once open.
  const std::string& address() const { return http_.address(); }

 private:
  boost::asio::awaitable<std::optional<Reply>> Admit(Request& request) override;
  boost::asio::awaitable<Reply> Serve(Request& request) override;
  boost::asio::awaitable<std::expected<Caller, Reply>> LogIn(const Request& request);

  boost::asio::io_context io_{1};
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> guard_;
  HttpServer http_;
  Router router_;
  std::unique_ptr<Backend> backend_;
  std::thread thread_;
};

}  // namespace landfall::admin
