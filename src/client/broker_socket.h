#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>

#include "base/bytes.h"
#include "base/error.h"
#include "base/time.h"
#include "client/url.h"
#include "net/tls_client.h"

namespace landfall::client {

// The socket of one connection after another, each to a broker, with TLS if its URL says so. Reads
// and writes never wait.
//
// Thread: its io_context's. With SIGPIPE blocked: OpenSSL writes as it does, and the signal is the
// program's.
class BrokerSocket {
 public:
  using Status = net::TlsStream::Status;
  using Transferred = net::TlsStream::Transferred;
  using Opened = std::function<void(const Result<void>&)>;

  explicit BrokerSocket(boost::asio::io_context& context);

  // Closes what is open, then finds the host, connects, and shakes hands if there is TLS, all of it
  // within `at_most`. Calls `opened` once, later, unless Close comes first.
  void Open(const BrokerUrl& broker, Duration at_most, Opened opened);
  // Nothing that was waited for is called any more.
  void Close();
  // From when Open has succeeded to Close.
  bool is_open() const { return open_; }

  // As TlsStream's.
  Transferred Read(char* data, size_t size);
  Transferred Write(ByteView data);
  // What a Read or Write that ended with kClosed or kFailed means.
  Error DescribeEnd(Status status) const;

  // Calls `ready` when it is time to try again: `what` is kWantRead or kWantWrite, as the last try
  // said.
  void Wait(Status what, std::function<void()> ready);

 private:
  using Tcp = boost::asio::ip::tcp;

  void Resolve();
  void ConnectEnded(const boost::system::error_code& failed);
  void Handshake();
  void Finish(const Result<void>& how);
  Status StatusOf(const boost::system::error_code& error);

  // A handler that does nothing once the socket it was made for has been closed.
  template <class Handler>
  auto Guard(Handler handler) {
    return [this, number = number_, handler = std::move(handler)](const auto&... results) {
      if (number == number_) handler(results...);
    };
  }

  Tcp::resolver resolver_;
  Tcp::socket socket_;
  boost::asio::steady_timer deadline_;
  BrokerUrl broker_;
  Opened opened_;
  bool open_ = false;
  uint64_t number_ = 0;  // of the socket, to know what comes too late
  std::shared_ptr<SSL_CTX> tls_context_;
  std::unique_ptr<net::TlsStream> tls_;
  boost::system::error_code error_;  // of the last Read or Write without TLS
};

}  // namespace landfall::client
