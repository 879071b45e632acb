#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>

#include "net/tls_settings.h"

using SSL = struct ssl_st;

namespace landfall::net {

// What a certificate's user is called: SASL EXTERNAL.
enum class TlsLoginFrom { kCommonName, kDistinguishedName };

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
    kFailed,     // see error() and failure()
  };
  // What kFailed was about.
  enum class Failure {
    kOther,
    kUntrusted,  // the peer's certificate does not lead to an authority that we know, or is expired
                 // …
    kWrongName,  // it is trusted, but in another name than the one we asked for
    kNoTls,      // what the peer says is no TLS
    kRefused,    // the peer does not take our certificate, or misses one
  };
  struct Transferred {
    Status status;
    size_t bytes = 0;
  };

  // The server's side. `context` is the one to begin with.
  TlsStream(const std::shared_ptr<SSL_CTX>& context, int socket);
  // The client's side. The certificate has to be for `peer`, a DNS name (which the server is told:
  // SNI) or an IP address, if the context asks for verification.
  TlsStream(const std::shared_ptr<SSL_CTX>& context, int socket, const std::string& peer);
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
  Failure failure() const { return failure_; }

 private:
  Status StatusOf(int result);
  Failure ReadFailure() const;
  void LookForAlert();

  std::unique_ptr<SSL, void (*)(SSL*)> ssl_;
  std::string error_;
  Failure failure_ = Failure::kOther;
};

}  // namespace landfall::net
