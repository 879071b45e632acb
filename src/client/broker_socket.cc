#include "client/broker_socket.h"

#include <boost/asio/connect.hpp>
#include <boost/asio/post.hpp>
#include <string>
#include <utility>

#include "client/broker_tls.h"

namespace landfall::client {

namespace asio = boost::asio;
using boost::system::error_code;

BrokerSocket::BrokerSocket(asio::io_context& context)
    : resolver_(context), socket_(context), deadline_(context) {}

void BrokerSocket::Open(const BrokerUrl& broker, Duration at_most, Opened opened) {
  Close();
  broker_ = broker;
  opened_ = std::move(opened);
  auto context = MakeTlsContext(broker_);
  if (!context) {
    // The files were right when the program started: somebody may be renewing them.
    const Error why{ErrorCode::kUnavailable, context.error().message};
    asio::post(socket_.get_executor(), Guard([this, why] { Finish(std::unexpected(why)); }));
    return;
  }
  tls_context_ = *std::move(context);
  deadline_.expires_after(at_most);
  deadline_.async_wait(Guard([this](error_code error) {
    // Or it went off while the connection was being made.
    if (error || open_) return;
    Finish(Fail(ErrorCode::kTimeout, tls_ ? "the TLS handshake got no answer in time"
                                          : "cannot connect: no answer in time"));
  }));
  error_code is_a_name;
  const asio::ip::address address = asio::ip::make_address(broker_.host, is_a_name);
  if (is_a_name) return Resolve();
  socket_.async_connect({address, broker_.port},
                        Guard([this](error_code failed) { ConnectEnded(failed); }));
}

// The C library's look-up takes as long as it takes. One that is given up keeps the context's one
// resolver thread until the C library gives up too (by default after 10 s or so), and until then
// other names wait behind it and the end of the context waits for it. Only addresses in numbers get
// past: whoever needs to reach a second broker while the name server is silent gives those.
void BrokerSocket::Resolve() {
  resolver_.async_resolve(
      broker_.host, std::to_string(broker_.port),
      Guard([this](error_code error, const Tcp::resolver::results_type& found) {
        if (error) {
          return Finish(Fail(ErrorCode::kUnavailable, "cannot find the host: " + error.message()));
        }
        asio::async_connect(socket_, found, Guard([this](error_code failed, const Tcp::endpoint&) {
                              ConnectEnded(failed);
                            }));
      }));
}

void BrokerSocket::ConnectEnded(const error_code& failed) {
  if (failed) {
    return Finish(Fail(ErrorCode::kUnavailable, "cannot connect: " + failed.message()));
  }
  error_code ignored;
  socket_.set_option(Tcp::no_delay(true), ignored);
  socket_.non_blocking(true, ignored);
  if (!tls_context_) return Finish({});
  tls_ = std::make_unique<net::TlsStream>(tls_context_, socket_.native_handle(),
                                          ClientOptionsOf(broker_).server_name);
  Handshake();
}

void BrokerSocket::Handshake() {
  const Status status = tls_->Handshake();
  switch (status) {
    case Status::kDone:
      return Finish({});
    case Status::kWantRead:
    case Status::kWantWrite:
      return Wait(status, [this] { Handshake(); });
    case Status::kClosed:
    case Status::kFailed:
      return Finish(std::unexpected(DescribeEnd(status)));
  }
}

void BrokerSocket::Finish(const Result<void>& how) {
  deadline_.cancel();
  const Opened opened = std::exchange(opened_, nullptr);
  if (how) {
    open_ = true;
  } else {
    Close();
  }
  opened(how);
}

void BrokerSocket::Close() {
  ++number_;
  // Its descriptor may soon be another connection's.
  if (tls_) tls_->Shutdown();
  tls_.reset();
  tls_context_.reset();
  error_code ignored;
  socket_.close(ignored);
  resolver_.cancel();
  deadline_.cancel();
  opened_ = nullptr;
  open_ = false;
}

BrokerSocket::Status BrokerSocket::StatusOf(const error_code& error) {
  error_ = error;
  if (!error) return Status::kDone;
  return error == asio::error::eof ? Status::kClosed : Status::kFailed;
}

BrokerSocket::Transferred BrokerSocket::Read(char* data, size_t size) {
  if (tls_) return tls_->Read(data, size);
  error_code error;
  const size_t bytes = socket_.read_some(asio::buffer(data, size), error);
  if (error == asio::error::would_block || error == asio::error::interrupted)
    return {Status::kWantRead};
  return {StatusOf(error), bytes};
}

BrokerSocket::Transferred BrokerSocket::Write(ByteView data) {
  if (tls_) return tls_->Write(data.data(), data.size());
  error_code error;
  const size_t bytes = socket_.write_some(asio::buffer(data), error);
  if (error == asio::error::would_block || error == asio::error::interrupted)
    return {Status::kWantWrite};
  return {StatusOf(error), bytes};
}

Error BrokerSocket::DescribeEnd(Status status) const {
  if (tls_) return net::DescribeTlsEnd(*tls_, status, !open_, ClientOptionsOf(broker_));
  if (status == Status::kClosed)
    return {ErrorCode::kUnavailable, "the broker closed the connection"};
  return {ErrorCode::kUnavailable, "the connection failed: " + error_.message()};
}

void BrokerSocket::Wait(Status what, std::function<void()> ready) {
  auto go_on = Guard([ready = std::move(ready)](error_code) { ready(); });
  // The socket knows nothing of what TLS has decrypted already.
  if (what == Status::kWantRead && tls_ && tls_->HasPending()) {
    asio::post(socket_.get_executor(), [go_on = std::move(go_on)] { go_on(error_code()); });
    return;
  }
  socket_.async_wait(what == Status::kWantRead ? Tcp::socket::wait_read : Tcp::socket::wait_write,
                     std::move(go_on));
}

}  // namespace landfall::client
