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
#include "server/tls_context.h"

namespace landfall::admin {

// What one peer, and all of them together, may make us hold and wait for.
struct HttpLimits {
  size_t connections = 128;
  uint32_t header_bytes = 16 * 1024;
  uint64_t body_bytes = uint64_t{16} << 20;
  // Of all requests that are being read; somebody who would need more is asked to come back.
  uint64_t all_body_bytes = uint64_t{64} << 20;
  // Of all answers that wait to be taken, unless it is a single one.
  uint64_t all_answer_bytes = uint64_t{128} << 20;
  std::chrono::milliseconds idle{60'000};  // between two requests of a connection
  // From the first byte to the last one, so that nobody gains by sending one byte at a time.
  std::chrono::milliseconds header_time{10'000};
  std::chrono::milliseconds body_time{60'000};
  std::chrono::milliseconds write_time{60'000};
  // Of a stream: for one piece of it to be taken.
  std::chrono::milliseconds piece_time{10'000};
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

// HTTP/1.1 with keep-alive. At the limit of connections one of those goes that nobody who is known
// waits for: the one that has been idle, or has taken its time with a header, for the longest time.
// If there is none, the new one is closed.
//
// Thread: that of `io`; Open before it runs.
class HttpServer {
 public:
  // `handler` is not owned and outlives the server.
  HttpServer(boost::asio::io_context& io, HttpHandler& handler, HttpLimits limits = {});
  ~HttpServer();

  // `option` is what the address was configured with.
  Result<void> Open(const std::string& option, const server::Endpoint& endpoint);
  // The same with TLS, beside it or instead. What is shown is what `context` has at the time, which
  // is not owned; certificates of clients are not asked for.
  Result<void> OpenTls(const std::string& option, const server::Endpoint& endpoint,
                       const server::TlsContext& context);
  void Start();
  // Also ends the connections, those whose replies have no end among them. When the io_context does
  // not run any more.
  void Close();
  // "127.0.0.1:15672", once open; "" otherwise.
  const std::string& address() const { return listener_.address(); }
  const std::string& tls_address() const { return tls_listener_.address(); }

 private:
  class Connection;
  template <class Stream>
  class ConnectionOn;
  // What is taken. Connections share it, since some of them go only with their io_context.
  struct Books {
    const HttpLimits limits;
    uint64_t body_bytes = 0;    // reserved
    uint64_t answer_bytes = 0;  // not taken yet
    std::list<Connection*> all;
    // May go: wait for a request, or are not known to be anybody's; the first of them first.
    std::list<Connection*> expendable;
  };

  void Listen(server::Listener& listener, const server::TlsContext* tls);
  // `tls` is null where everything goes in the clear.
  void Take(boost::asio::ip::tcp::socket socket, const server::TlsContext* tls);
  bool MakeRoom();

  boost::asio::io_context& io_;
  HttpHandler& handler_;
  server::Listener listener_;
  server::Listener tls_listener_;
  const server::TlsContext* tls_ = nullptr;
  const std::shared_ptr<Books> books_;
};

}  // namespace landfall::admin
