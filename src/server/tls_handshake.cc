#include "server/tls_handshake.h"

#include <utility>

namespace landfall::server {
namespace asio = boost::asio;
using boost::system::error_code;

TlsHandshake::TlsHandshake(Socket socket, const std::shared_ptr<SSL_CTX>& context, Done done)
    : socket_(std::move(socket)),
      deadline_(socket_.get_executor()),
      stream_(std::make_unique<net::TlsStream>(context, socket_.native_handle())),
      done_(std::move(done)) {}

void TlsHandshake::Start(std::chrono::milliseconds at_most) {
  error_code ignored;
  socket_.non_blocking(true, ignored);
  deadline_.expires_after(at_most);
  deadline_.async_wait([self = shared_from_this()](error_code error) {
    if (error) return;
    self->timed_out_ = true;
    self->Cancel();
  });
  // The client speaks first.
  Wait(Socket::wait_read);
}

void TlsHandshake::Cancel() {
  error_code ignored;
  socket_.cancel(ignored);
}

void TlsHandshake::Wait(Socket::wait_type type) {
  socket_.async_wait(type, [self = shared_from_this()](error_code error) {
    if (!error && !self->timed_out_) {
      self->GoOn();
    } else {
      self->Finish(self->timed_out_ ? "it took too long" : error.message());
    }
  });
}

void TlsHandshake::GoOn() {
  switch (stream_->Handshake()) {
    case net::TlsStream::Status::kDone:
      Finish("");
      return;
    case net::TlsStream::Status::kWantRead:
      Wait(Socket::wait_read);
      return;
    case net::TlsStream::Status::kWantWrite:
      Wait(Socket::wait_write);
      return;
    case net::TlsStream::Status::kClosed:
      Finish("the peer has closed the connection");
      return;
    case net::TlsStream::Status::kFailed:
      Finish(stream_->error());
      return;
  }
}

void TlsHandshake::Finish(std::string error) {
  deadline_.cancel();
  if (!error.empty()) stream_.reset();
  // What it holds must not hold this.
  const Done done = std::exchange(done_, nullptr);
  done(std::move(socket_), std::move(stream_), std::move(error));
}

}  // namespace landfall::server
