#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <chrono>
#include <cstddef>
#include <list>
#include <memory>
#include <optional>
#include <string>

#include "admin/reply.h"
#include "admin/request.h"
#include "base/error.h"
#include "server/listener.h"

namespace landfall::admin {

// What one peer, and all of them together, may make us hold and wait for.
struct HttpLimits {
  size_t connections = 128;
  uint32_t header_bytes = 16 * 1024;
  uint64_t body_bytes = uint64_t{16} << 20;
  // Of all requests that are being read; somebody who would need more is asked to come back.
  uint64_t all_body_bytes = uint64_t{64} << 20;
  std::chrono::milliseconds idle{60'000};  // between two requests of a connection
  // From the first byte to the last one, so that nobody gains by sending one byte at a time.
  std::chrono::milliseconds header_time{10'000};
  std::chrono::milliseconds body_time{60'000};
  std::chrono::milliseconds write_time{60'000};
};

// Says who may ask what, and answers. Called on the thread of the server's io_context; several
// requests may be under way at a time.
class HttpHandler {
 public:
  virtual ~HttpHandler() = default;
  // Before the body is read: a refusal, or nothing. Whoever is refused here cannot make us hold
  // more than the header.
  virtual boost::asio::awaitable<std::optional<Reply>> Admit(Request& request) = 0;
  virtual boost::asio::awaitable<Reply> Serve(Request& request) = 0;
};

// HTTP/1.1 with keep-alive. At the limit of connections the one that has been idle for the longest
// time goes; if none is idle, the new one is closed.
//
// Thread: that of `io`; Open before it runs.
class HttpServer {
 public:
  // `handler` is not owned and outlives the server.
  HttpServer(boost::asio::io_context& io, HttpHandler& handler, HttpLimits limits = {});
  ~HttpServer();

  // `option` is what the address was configured with.
  Result<void> Open(const std::string& option, const server::Endpoint& endpoint);
  void Start();
  void Close();
  // "127.0.0.1:15672", once open.
  const std::string& address() const { return listener_.address(); }

 private:
  class Connection;
  // What is taken. Connections share it, since some of them go only with their io_context.
  struct Books {
    const HttpLimits limits;
    size_t connections = 0;
    uint64_t body_bytes = 0;      // reserved
    std::list<Connection*> idle;  // wait for a request, the one that has waited longest first
  };

  void Take(boost::asio::ip::tcp::socket socket);
  bool MakeRoom();

  boost::asio::io_context& io_;
  HttpHandler& handler_;
  server::Listener listener_;
  const std::shared_ptr<Books> books_;
};

}  // namespace landfall::admin
