#include "server/tls_context.h"

#include <fmt/format.h>
#include <openssl/ssl.h>

#include <utility>

#include "base/assert.h"
#include "net/tls_settings.h"

namespace landfall::server {
namespace {

// A chain that is longer is nobody's; OpenSSL's own bound is ten times that.
constexpr long kMaxPeerChainBytes = 32 * 1024;

void SetProtocol(SSL_CTX* context) {
  net::RestrictTls(context);
  SSL_CTX_set_options(context, SSL_OP_CIPHER_SERVER_PREFERENCE);
  // Sessions are not resumed: a connection lives for days, and a certificate that has been taken
  // back must not live on in a ticket.
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_options(context, SSL_OP_NO_TICKET);
  SSL_CTX_set_num_tickets(context, 0);
  SSL_CTX_set_max_cert_list(context, kMaxPeerChainBytes);
}

Result<void> SetVerification(SSL_CTX* context, const TlsOptions& options) {
  if (options.verify == TlsVerify::kNone) return {};
  if (auto ok = net::TrustAuthorities(context, {options.ca_file, "tls_ca"}); !ok) return ok;
  STACK_OF(X509_NAME)* names = SSL_load_client_CA_file(options.ca_file.c_str());
  if (names == nullptr) {
    return Fail(ErrorCode::kInvalidArgument,
                fmt::format("cannot read the names of the authorities in {} (tls_ca): {}",
                            options.ca_file, net::TakeTlsError()));
  }
  SSL_CTX_set_client_CA_list(context, names);
  int mode = SSL_VERIFY_PEER;
  if (options.verify == TlsVerify::kRequired) mode |= SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
  SSL_CTX_set_verify(context, mode, nullptr);
  return {};
}

}  // namespace

TlsContext::TlsContext(TlsOptions options) : options_(std::move(options)) {}

Result<void> TlsContext::Load() {
  std::shared_ptr<SSL_CTX> context(SSL_CTX_new(TLS_server_method()), SSL_CTX_free);
  LANDFALL_ASSERT(context != nullptr);
  SetProtocol(context.get());
  if (auto done =
          net::UseTlsCertificate(context.get(), {options_.certificate_file, "tls_certificate"},
                                 {options_.key_file, "tls_key"});
      !done) {
    return done;
  }
  if (auto done = SetVerification(context.get(), options_); !done) return done;
  const std::lock_guard lock(mutex_);
  current_ = std::move(context);
  return {};
}

std::shared_ptr<SSL_CTX> TlsContext::current() const {
  const std::lock_guard lock(mutex_);
  return current_;
}

}  // namespace landfall::server
