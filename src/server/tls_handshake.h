#pragma once

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <functional>
#include <memory>
#include <string>

#include "net/tls_stream.h"

namespace landfall::server {

// What happens on a socket between its arrival and the first byte of AMQP. Bounded in time, and by
// what OpenSSL keeps of a peer's certificates in memory.
//
// Thread: its io_context's. Lives until it is done: pending operations hold it.
class TlsHandshake : public std::enable_shared_from_this<TlsHandshake> {
 public:
  using Socket = boost::asio::ip::tcp::socket;
  // Called once, without a stream if it failed; `error` says why then. Not from within Start.
  using Done =
      std::function<void(Socket socket, std::unique_ptr<net::TlsStream> stream, std::string error)>;

  TlsHandshake(Socket socket, const std::shared_ptr<SSL_CTX>& context, Done done);

  void Start(std::chrono::milliseconds at_most);
  // Fails it now.
  void Cancel();

 private:
  void Wait(Socket::wait_type type);
  void GoOn();
  void Finish(std::string error);

  Socket socket_;
  boost::asio::steady_timer deadline_;
  std::unique_ptr<net::TlsStream> stream_;
  Done done_;
  bool timed_out_ = false;
};

}  // namespace landfall::server
