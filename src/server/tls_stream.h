#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>

#include "server/tls_context.h"

using SSL = struct ssl_st;

namespace landfall::server {

// TLS on a socket that does not block, for somebody who waits for the socket in their own way: each
// call does what can be done now and says what to wait for. OpenSSL works on the descriptor itself;
// Asio's ssl::stream has no reads and writes that return when the socket would block.
//
// Thread: one at a time. The socket is not owned, and is closed only after this is gone.
class TlsStream {
 public:
  enum class Status {
    kDone,
    kWantRead,   // again when the socket is readable
    kWantWrite,  // again when the socket is writable
    kClosed,     // by the peer, in order or not
    kFailed,     // see error()
  };
  struct Transferred {
    Status status;
    size_t bytes = 0;
  };

  // `context` is the one to begin with.
  TlsStream(const std::shared_ptr<SSL_CTX>& context, int socket);
  ~TlsStream();
  TlsStream(const TlsStream&) = delete;
  TlsStream& operator=(const TlsStream&) = delete;

  Status Handshake();
  // As many bytes as there are, up to `size`: kDone with at least one.
  Transferred Read(char* data, size_t size);
  // After kWantWrite the same bytes have to be offered again first, with more behind them or not.
  Transferred Write(const char* data, size_t size);
  // Tells the peer that nothing more comes, if the socket takes it now.
  void Shutdown();

  // Decrypted bytes wait here: the socket need not become readable for them.
  bool HasPending() const;
  // What the certificate that the peer has shown calls it; nothing without one that was verified.
  std::optional<std::string> PeerName(TlsLoginFrom from) const;
  // Like "TLSv1.3", once the handshake is done.
  std::string version() const;
  const std::string& error() const { return error_; }

 private:
  Status StatusOf(int result);

  std::unique_ptr<SSL, void (*)(SSL*)> ssl_;
  std::string error_;
};

}  // namespace landfall::server
