#pragma once

#include <boost/asio/ip/tcp.hpp>
#include <memory>
#include <string>

#include "base/bytes.h"
#include "base/time.h"
#include "net/tls_stream.h"
#include "session/session.h"

namespace landfall::server {

class WorkerThread;

// A socket and the session behind it. Reads only what the session wants, writes what it gives, and
// takes note of the end.
//
// Thread: its worker's. Owned by it through a shared pointer that pending operations hold as well.
class Connection : public std::enable_shared_from_this<Connection> {
 public:
  using Socket = boost::asio::ip::tcp::socket;

  // `tls`: the handshake on the socket is done, and everything goes through it; null: as it is.
  Connection(WorkerThread& worker, Socket socket, std::unique_ptr<net::TlsStream> tls,
             session::Session& session, std::string peer);

  // Waits for bytes; call once.
  void Start();
  // The session has something for its shell: write, resume or stop reading, close.
  void Service();
  // Off: takes nothing new, so that what is under way can finish (shutdown).
  void SetReading(bool on);

  session::Session& session() { return session_; }
  const session::Session& session() const { return session_; }
  const std::string& peer() const { return peer_; }
  // The address that it has come to; "" if it is gone.
  std::string own() const;
  // "": in the clear.
  std::string tls_version() const { return tls_ ? tls_->version() : ""; }
  // The socket is closed: nothing more will come of it.
  bool closed() const { return closed_; }
  bool written() const { return out_.size() == written_; }

 private:
  // What came of trying to read or write now.
  enum class Progress : uint8_t { kSome, kWaitReadable, kWaitWritable, kOver };

  Progress ReadSome(char* to, size_t size, size_t& bytes);
  Progress WriteSome(const char* from, size_t size, size_t& bytes);
  static Progress ProgressOf(const net::TlsStream::Transferred& transferred, size_t& bytes);
  void WaitReadable(Socket::wait_type type = Socket::wait_read);
  void OnReadable();
  void Feed(ByteView input);
  void Write();
  void WaitWritable(Socket::wait_type type);
  void Close();

  WorkerThread& worker_;
  Socket socket_;
  std::unique_ptr<net::TlsStream> tls_;
  session::Session& session_;
  const std::string peer_;
  ByteBuffer rest_;  // received, not used by the session yet
  ByteBuffer out_;   // being written, from written_ on
  size_t written_ = 0;
  bool reading_ = false;
  bool writing_ = false;
  bool draining_ = false;
  bool closed_ = false;
};

}  // namespace landfall::server
