#include "net/tls_client.h"

#include <openssl/err.h>
#include <openssl/ssl.h>

#include "base/assert.h"

namespace landfall::net {
namespace {

std::string Untrusted(const TlsStream& stream, const TlsClientOptions& options) {
  return "cannot trust the broker's certificate: " + stream.error() + " (asked of " +
         (options.ca_file.empty() ? "the system's authorities; cacertfile names others"
                                  : options.ca_file) +
         ")";
}

std::string WrongName(const TlsStream& stream, const TlsClientOptions& options) {
  return "the broker's certificate is not for '" + options.server_name + "': " + stream.error() +
         "; use a name that is in it, or give one with server_name_indication";
}

std::string Refused(const TlsStream& stream, const TlsClientOptions& options) {
  if (options.certificate_file.empty()) {
    return "the broker wants a client's certificate, and there is none (certfile, keyfile): " +
           stream.error();
  }
  return "the broker refuses the certificate " + options.certificate_file + ": " + stream.error();
}

}  // namespace

Result<std::shared_ptr<SSL_CTX>> MakeTlsClientContext(const TlsClientOptions& options) {
  ERR_clear_error();
  std::shared_ptr<SSL_CTX> context(SSL_CTX_new(TLS_client_method()), SSL_CTX_free);
  LANDFALL_ASSERT(context != nullptr);
  RestrictTls(context.get());
  // Each connection proves anew who is at its other end. And AMQP says itself where a connection is
  // at its end: one that is cut without TLS saying so is one that is cut.
  SSL_CTX_set_options(context.get(), SSL_OP_NO_TICKET | SSL_OP_IGNORE_UNEXPECTED_EOF);
  if (options.verify) {
    SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER, nullptr);
    if (options.ca_file.empty()) {
      SSL_CTX_set_default_verify_paths(context.get());
    } else if (auto ok = TrustAuthorities(context.get(), {options.ca_file, "cacertfile"}); !ok) {
      return std::unexpected(ok.error());
    }
  }
  if (!options.certificate_file.empty()) {
    auto ok = UseTlsCertificate(context.get(), {options.certificate_file, "certfile"},
                                {options.key_file, "keyfile"});
    if (!ok) return std::unexpected(ok.error());
  }
  return context;
}

Error DescribeTlsEnd(const TlsStream& stream, TlsStream::Status status, bool in_handshake,
                     const TlsClientOptions& options) {
  if (status == TlsStream::Status::kClosed) {
    return {ErrorCode::kUnavailable,
            in_handshake ? "the broker closed the connection during the TLS handshake; is this its "
                           "port for amqps?"
                         : "the broker closed the connection"};
  }
  switch (stream.failure()) {
    case TlsStream::Failure::kUntrusted:
      return {ErrorCode::kUntrusted, Untrusted(stream, options)};
    case TlsStream::Failure::kWrongName:
      return {ErrorCode::kUntrusted, WrongName(stream, options)};
    case TlsStream::Failure::kRefused:
      return {ErrorCode::kAccessRefused, Refused(stream, options)};
    case TlsStream::Failure::kNoTls:
      return {ErrorCode::kProtocol, "what answers does not speak TLS; is this its port for amqps?"};
    case TlsStream::Failure::kOther:
      break;
  }
  return {
      ErrorCode::kUnavailable,
      (in_handshake ? "the TLS handshake failed: " : "the connection failed: ") + stream.error()};
}

}  // namespace landfall::net
