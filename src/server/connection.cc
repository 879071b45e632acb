#include "server/connection.h"

#include <boost/asio/post.hpp>
#include <cstring>

#include "server/listener.h"
#include "server/worker_thread.h"

namespace landfall::server {
namespace asio = boost::asio;
using boost::system::error_code;

Connection::Connection(WorkerThread& worker, Socket socket, std::unique_ptr<net::TlsStream> tls,
                       session::Session& session, std::string peer)
    : worker_(worker),
      socket_(std::move(socket)),
      tls_(std::move(tls)),
      session_(session),
      peer_(std::move(peer)) {}

void Connection::Start() {
  error_code ignored;
  socket_.non_blocking(true, ignored);
  socket_.set_option(asio::ip::tcp::no_delay(true), ignored);
  WaitReadable();
}

void Connection::SetReading(bool on) {
  draining_ = !on;
  WaitReadable();
}

Connection::Progress Connection::ReadSome(char* to, size_t size, size_t& bytes) {
  if (tls_) return ProgressOf(tls_->Read(to, size), bytes);
  error_code error;
  bytes = socket_.read_some(asio::buffer(to, size), error);
  if (!error) return Progress::kSome;
  if (error == asio::error::would_block || error == asio::error::interrupted)
    return Progress::kWaitReadable;
  return Progress::kOver;
}

Connection::Progress Connection::WriteSome(const char* from, size_t size, size_t& bytes) {
  if (tls_) return ProgressOf(tls_->Write(from, size), bytes);
  while (true) {
    error_code error;
    bytes = socket_.write_some(asio::buffer(from, size), error);
    if (!error) return Progress::kSome;
    if (error == asio::error::would_block) return Progress::kWaitWritable;
    if (error != asio::error::interrupted) return Progress::kOver;
  }
}

Connection::Progress Connection::ProgressOf(const net::TlsStream::Transferred& transferred,
                                            size_t& bytes) {
  bytes = transferred.bytes;
  switch (transferred.status) {
    case net::TlsStream::Status::kDone:
      return Progress::kSome;
    case net::TlsStream::Status::kWantRead:
      return Progress::kWaitReadable;
    case net::TlsStream::Status::kWantWrite:
      return Progress::kWaitWritable;
    case net::TlsStream::Status::kClosed:
    case net::TlsStream::Status::kFailed:
      break;
  }
  return Progress::kOver;
}

void Connection::WaitReadable(Socket::wait_type type) {
  if (reading_ || closed_ || draining_ || !session_.wants_input()) return;
  reading_ = true;
  auto go_on = [self = shared_from_this()](error_code error) {
    self->reading_ = false;
    if (error || self->closed_) {
      self->Close();
    } else {
      self->OnReadable();
    }
  };
  // The socket knows nothing of what TLS has decrypted already.
  if (tls_ && tls_->HasPending()) {
    asio::post(socket_.get_executor(), [go_on = std::move(go_on)] { go_on({}); });
    return;
  }
  socket_.async_wait(type, std::move(go_on));
}

// One read into the worker's buffer, so that an idle connection needs no buffer of its own. What a
// session leaves (half a frame) is kept until the next one.
void Connection::OnReadable() {
  if (draining_) return;
  ByteBuffer& buffer = worker_.read_buffer();
  const size_t kept = rest_.size();
  if (kept + WorkerThread::kReadBytes > buffer.size())
    buffer.resize(kept + WorkerThread::kReadBytes);
  std::memcpy(buffer.data(), rest_.data(), kept);
  size_t n = 0;
  switch (ReadSome(buffer.data() + kept, WorkerThread::kReadBytes, n)) {
    case Progress::kSome:
      Feed({buffer.data(), kept + n});
      WaitReadable();
      return;
    case Progress::kWaitReadable:
      WaitReadable();
      return;
    case Progress::kWaitWritable:
      WaitReadable(Socket::wait_write);
      return;
    case Progress::kOver:
      Close();
      return;
  }
}

void Connection::Feed(ByteView input) {
  const size_t used = session_.OnBytes(input, worker_.now());
  rest_.assign(input.substr(used));
  if (rest_.empty() && rest_.capacity() > 4096) rest_.shrink_to_fit();
  worker_.Touch(session_.id());
}

void Connection::Service() {
  if (closed_) return;
  Write();
  if (closed_) return;
  // Not waiting for the socket: it was the session that did not want what is left over.
  if (!reading_ && !rest_.empty() && !draining_ && session_.wants_input())
    Feed(ByteBuffer(std::move(rest_)));
  WaitReadable();
  if (session_.wants_close() && written() && session_.output().empty()) Close();
}

void Connection::Write() {
  if (writing_) return;
  while (true) {
    if (written()) {
      out_.clear();
      written_ = 0;
      ByteBuffer& output = session_.output();
      if (output.empty()) break;
      out_.swap(output);
    }
    size_t n = 0;
    const Progress progress = WriteSome(out_.data() + written_, out_.size() - written_, n);
    if (progress == Progress::kOver) {
      Close();
      return;
    }
    if (progress != Progress::kSome) {
      WaitWritable(progress == Progress::kWaitReadable ? Socket::wait_read : Socket::wait_write);
      return;
    }
    written_ += n;
    session_.OnWritten(n, worker_.now());
    worker_.ScheduleTurn();
  }
  // Memory of an idle connection is what its session needs, not what its busiest moment needed.
  if (out_.capacity() > WorkerThread::kReadBytes) out_.shrink_to_fit();
}

void Connection::WaitWritable(Socket::wait_type type) {
  writing_ = true;
  socket_.async_wait(type, [self = shared_from_this()](error_code error) {
    self->writing_ = false;
    if (error || self->closed_) {
      self->Close();
    } else {
      self->Service();
    }
  });
}

std::string Connection::own() const {
  error_code error;
  const auto endpoint = socket_.local_endpoint(error);
  return error ? "" : EndpointText(endpoint);
}

void Connection::Close() {
  if (closed_) return;
  closed_ = true;
  if (tls_) tls_->Shutdown();
  // Its descriptor may soon be another connection's.
  tls_.reset();
  error_code ignored;
  socket_.shutdown(Socket::shutdown_both, ignored);
  socket_.close(ignored);
  session_.OnDisconnected(worker_.now());
  worker_.Touch(session_.id());
}

}  // namespace landfall::server
