#include "net/tls_settings.h"

#include <openssl/err.h>
#include <openssl/ssl.h>

#include <cstring>

#include "base/assert.h"

namespace landfall::net {
namespace {

Result<void> Failed(std::string_view what, const TlsFile& file) {
  return Fail(ErrorCode::kInvalidArgument, "cannot use " + file.path + " as the " +
                                               std::string(what) + " (" + std::string(file.option) +
                                               "): " + TakeTlsError());
}

std::string Words(unsigned long error) {
  if (ERR_SYSTEM_ERROR(error)) return std::strerror(ERR_GET_REASON(error));
  const char* reason = ERR_reason_error_string(error);
  return reason == nullptr ? "error " + std::to_string(error) : reason;
}

}  // namespace

void RestrictTls(SSL_CTX* context) {
  LANDFALL_ASSERT(SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) == 1);
  LANDFALL_ASSERT(SSL_CTX_set_max_proto_version(context, TLS1_3_VERSION) == 1);
  // The other side must not make us compute for it as often as it likes, nor anybody guess what was
  // compressed.
  SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
  // The buffer that is being written may have moved when it is gone on with, and an idle
  // connection keeps none.
  SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                SSL_MODE_RELEASE_BUFFERS);
}

Result<void> UseTlsCertificate(SSL_CTX* context, const TlsFile& certificate, const TlsFile& key) {
  ERR_clear_error();
  if (SSL_CTX_use_certificate_chain_file(context, certificate.path.c_str()) != 1)
    return Failed("certificate", certificate);
  // Without a callback OpenSSL would ask for a pass phrase at the terminal.
  SSL_CTX_set_default_passwd_cb(context, [](char*, int, int, void*) { return -1; });
  if (SSL_CTX_use_PrivateKey_file(context, key.path.c_str(), SSL_FILETYPE_PEM) != 1 ||
      SSL_CTX_check_private_key(context) != 1) {
    return Failed("key of the certificate " + certificate.path, key);
  }
  return {};
}

Result<void> TrustAuthorities(SSL_CTX* context, const TlsFile& authorities) {
  ERR_clear_error();
  if (SSL_CTX_load_verify_file(context, authorities.path.c_str()) == 1) return {};
  return Failed("certificates of authorities", authorities);
}

std::string TakeTlsError() {
  const unsigned long oldest = ERR_get_error();
  const unsigned long last = ERR_peek_last_error();
  ERR_clear_error();
  if (oldest == 0) return "unknown error";
  if (last == 0 || last == oldest) return Words(oldest);
  return Words(last) + " (" + Words(oldest) + ")";
}

}  // namespace landfall::net
