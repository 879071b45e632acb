#include "server/tls_context.h"

#include <fmt/format.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

#include <cstring>
#include <utility>

#include "base/assert.h"

namespace landfall::server {
namespace {

// A chain that is longer is nobody's; OpenSSL's own bound is ten times that.
constexpr long kMaxPeerChainBytes = 32 * 1024;

Result<void> Failed(const std::string& what, const std::string& file) {
  return Fail(ErrorCode::kInvalidArgument,
              fmt::format("cannot use {} as the {}: {}", file, what, TakeTlsError()));
}

void SetProtocol(SSL_CTX* context) {
  LANDFALL_ASSERT(SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) == 1);
  LANDFALL_ASSERT(SSL_CTX_set_max_proto_version(context, TLS1_3_VERSION) == 1);
  // A client must not make us compute for it as often as it likes, nor guess what was compressed.
  SSL_CTX_set_options(
      context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE);
  // Sessions are not resumed: a connection lives for days, and a certificate that has been taken
  // back must not live on in a ticket.
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_options(context, SSL_OP_NO_TICKET);
  SSL_CTX_set_num_tickets(context, 0);
  // The buffer that is being written may have moved when it is gone on with, and an idle
  // connection keeps none.
  SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_set_max_cert_list(context, kMaxPeerChainBytes);
}

Result<void> SetVerification(SSL_CTX* context, const TlsOptions& options) {
  if (options.verify == TlsVerify::kNone) return {};
  if (SSL_CTX_load_verify_file(context, options.ca_file.c_str()) != 1)
    return Failed("certificates of tls_ca", options.ca_file);
  STACK_OF(X509_NAME)* names = SSL_load_client_CA_file(options.ca_file.c_str());
  if (names == nullptr) return Failed("certificates of tls_ca", options.ca_file);
  SSL_CTX_set_client_CA_list(context, names);
  int mode = SSL_VERIFY_PEER;
  if (options.verify == TlsVerify::kRequired) mode |= SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
  SSL_CTX_set_verify(context, mode, nullptr);
  return {};
}

std::string Words(unsigned long error) {
  if (ERR_SYSTEM_ERROR(error)) return std::strerror(ERR_GET_REASON(error));
  const char* reason = ERR_reason_error_string(error);
  return reason == nullptr ? fmt::format("error {:x}", error) : reason;
}

}  // namespace

TlsContext::TlsContext(TlsOptions options) : options_(std::move(options)) {}

Result<void> TlsContext::Load() {
  ERR_clear_error();
  std::shared_ptr<SSL_CTX> context(SSL_CTX_new(TLS_server_method()), SSL_CTX_free);
  LANDFALL_ASSERT(context != nullptr);
  SetProtocol(context.get());
  const std::string& certificate = options_.certificate_file;
  const std::string& key = options_.key_file;
  if (SSL_CTX_use_certificate_chain_file(context.get(), certificate.c_str()) != 1)
    return Failed("certificate (tls_certificate)", certificate);
  // Without a callback OpenSSL would ask for a pass phrase at the terminal.
  SSL_CTX_set_default_passwd_cb(context.get(), [](char*, int, int, void*) { return -1; });
  if (SSL_CTX_use_PrivateKey_file(context.get(), key.c_str(), SSL_FILETYPE_PEM) != 1)
    return Failed("key (tls_key) of that certificate", key);
  if (SSL_CTX_check_private_key(context.get()) != 1)
    return Failed("key (tls_key) of the certificate " + certificate, key);
  if (auto done = SetVerification(context.get(), options_); !done) return done;
  const std::lock_guard lock(mutex_);
  current_ = std::move(context);
  return {};
}

std::shared_ptr<SSL_CTX> TlsContext::current() const {
  const std::lock_guard lock(mutex_);
  return current_;
}

std::string TakeTlsError() {
  const unsigned long oldest = ERR_get_error();
  const unsigned long last = ERR_peek_last_error();
  ERR_clear_error();
  if (oldest == 0) return "unknown error";
  if (last == 0 || last == oldest) return Words(oldest);
  return fmt::format("{} ({})", Words(last), Words(oldest));
}

}  // namespace landfall::server
