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
#include "admin/static_files.h"
#include "server/server.h"
#include "server/tls_context.h"

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
  // The same with TLS, beside it or instead. Errors also as of TlsContext::Load.
  Result<void> OpenTls(const std::string& option, const server::Endpoint& endpoint,
                       server::TlsOptions tls);
  bool has_tls() const { return tls_ != nullptr; }
  // Reads the files with certificate and key again, for handshakes to come. On an error those from
  // before stay in force. Thread: any.
  Result<void> ReloadCertificates() { return tls_ ? tls_->Load() : Result<void>{}; }
  // Also before: serves the console, too. Errors as of StaticFiles.
  Result<void> LoadConsole(const std::string& directory) { return console_.Load(directory); }
  bool has_console() const { return !console_.empty(); }
  void Start(server::Server& broker);
  // Before the broker stops. What is under way ends without an answer.
  void Stop();
  // "127.0.0.1:15672", once open.
  const std::string& address() const { return http_.address(); }
  const std::string& tls_address() const { return http_.tls_address(); }

 private:
  boost::asio::awaitable<std::optional<Reply>> Admit(Request& request) override;
  boost::asio::awaitable<Reply> Serve(Request& request) override;

  // What is under way when it ends goes before what it uses.
  class Context : public boost::asio::io_context {
   public:
    using execution_context::shutdown;
    using io_context::io_context;
  };

  Context io_{1};
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> guard_;
  std::unique_ptr<server::TlsContext> tls_;  // null: no TLS
  HttpServer http_;
  Router router_;
  StaticFiles console_;
  std::unique_ptr<Backend> backend_;
  std::thread thread_;
};

}  // namespace landfall::admin
