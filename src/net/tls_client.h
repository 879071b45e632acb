#pragma once

#include <memory>
#include <string>

#include "base/error.h"
#include "net/tls_stream.h"

namespace landfall::net {

// What a client shows and whom it trusts.
struct TlsClientOptions {
  std::string ca_file;           // PEM; empty: the system's authorities
  std::string certificate_file;  // PEM, the client's own first; empty: none is shown
  std::string key_file;          // PEM, without a pass phrase
  // A DNS name or IP address that the server's certificate has to be for.
  std::string server_name;
  // false: whoever answers is believed to be the server.
  bool verify = true;
};

// Reads the files. Errors: kInvalidArgument, naming the file and the URL's parameter for it.
Result<std::shared_ptr<SSL_CTX>> MakeTlsClientContext(const TlsClientOptions& options);

// What it means for a person that a handshake, or a read or write after it, has ended with
// kClosed or kFailed. kUntrusted: the server could not prove that it is who it should be, and
// nothing has been told to it. kAccessRefused: it does not take our certificate. With TLS 1.3 that
// comes to light only at a read after the handshake.
Error DescribeTlsEnd(const TlsStream& stream, TlsStream::Status status, bool in_handshake,
                     const TlsClientOptions& options);

}  // namespace landfall::net
