#include "server/connection.h"

#include <cstring>

#include "server/worker_thread.h"

namespace landfall::server {
namespace asio = boost::asio;
using boost::system::error_code;

Connection::Connection(WorkerThread& worker, Socket socket, session::Session& session,
                       std::string peer)
    : worker_(worker), socket_(std::move(socket)), session_(session), peer_(std::move(peer)) {}

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

void Connection::WaitReadable() {
  if (reading_ || closed_ || draining_ || !session_.wants_input()) return;
  reading_ = true;
  socket_.async_wait(Socket::wait_read, [self = shared_from_this()](error_code error) {
    self->reading_ = false;
    if (error || self->closed_) {
      self->Close();
    } else {
      self->OnReadable();
    }
  });
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
  error_code error;
  const size_t n =
      socket_.read_some(asio::buffer(buffer.data() + kept, WorkerThread::kReadBytes), error);
  if (error == asio::error::would_block || error == asio::error::interrupted) {
    WaitReadable();
    return;
  }
  if (error) {
    Close();
    return;
  }
  Feed({buffer.data(), kept + n});
  WaitReadable();
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
    error_code error;
    const size_t n =
        socket_.write_some(asio::buffer(out_.data() + written_, out_.size() - written_), error);
    if (error == asio::error::would_block) {
      WaitWritable();
      return;
    }
    if (error == asio::error::interrupted) continue;
    if (error) {
      Close();
      return;
    }
    written_ += n;
    session_.OnWritten(n, worker_.now());
    worker_.ScheduleTurn();
  }
  // Memory of an idle connection is what its session needs, not what its busiest moment needed.
  if (out_.capacity() > WorkerThread::kReadBytes) out_.shrink_to_fit();
}

void Connection::WaitWritable() {
  writing_ = true;
  socket_.async_wait(Socket::wait_write, [self = shared_from_this()](error_code error) {
    self->writing_ = false;
    if (error || self->closed_) {
      self->Close();
    } else {
      self->Service();
    }
  });
}

void Connection::Close() {
  if (closed_) return;
  closed_ = true;
  error_code ignored;
  socket_.shutdown(Socket::shutdown_both, ignored);
  socket_.close(ignored);
  session_.OnDisconnected(worker_.now());
  worker_.Touch(session_.id());
}

}  // namespace landfall::server
