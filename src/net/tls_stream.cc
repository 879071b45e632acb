#include "net/tls_stream.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>

#include <cerrno>
#include <cstring>

#include "base/assert.h"

namespace landfall::net {
namespace {

// The last one is the most particular. Nothing for a name with a NUL in it, which other programs
// may have read as a shorter one.
std::optional<std::string> CommonName(X509_NAME* subject) {
  int at = -1;
  for (int next = -1; (next = X509_NAME_get_index_by_NID(subject, NID_commonName, next)) >= 0;)
    at = next;
  if (at < 0) return std::nullopt;
  unsigned char* utf8 = nullptr;
  const int size =
      ASN1_STRING_to_UTF8(&utf8, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)));
  if (size < 0) return std::nullopt;
  std::string name(reinterpret_cast<const char*>(utf8), static_cast<size_t>(size));
  OPENSSL_free(utf8);
  if (name.empty() || name.find('\0') != std::string::npos) return std::nullopt;
  return name;
}

// As RFC 4514 writes it: CN=shop,O=Landfall.
std::optional<std::string> DistinguishedName(X509_NAME* subject) {
  const std::unique_ptr<BIO, int (*)(BIO*)> out(BIO_new(BIO_s_mem()), BIO_free);
  if (!out ||
      X509_NAME_print_ex(out.get(), subject, 0, XN_FLAG_RFC2253 & ~ASN1_STRFLGS_ESC_MSB) < 0)
    return std::nullopt;
  char* data = nullptr;
  const long size = BIO_get_mem_data(out.get(), &data);
  if (size <= 0) return std::nullopt;
  return std::string(data, static_cast<size_t>(size));
}

}  // namespace

TlsStream::TlsStream(const std::shared_ptr<SSL_CTX>& context, int socket)
    : ssl_(SSL_new(context.get()), SSL_free) {
  LANDFALL_ASSERT(ssl_ != nullptr);
  LANDFALL_ASSERT(SSL_set_fd(ssl_.get(), socket) == 1);
  SSL_set_accept_state(ssl_.get());
}

TlsStream::TlsStream(const std::shared_ptr<SSL_CTX>& context, int socket, const std::string& peer)
    : ssl_(SSL_new(context.get()), SSL_free) {
  LANDFALL_ASSERT(ssl_ != nullptr);
  LANDFALL_ASSERT(SSL_set_fd(ssl_.get(), socket) == 1);
  SSL_set_connect_state(ssl_.get());
  if (X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl_.get()), peer.c_str()) == 1) return;
  // What stands for the root of all names is no part of the name in a certificate.
  const std::string name = peer.ends_with('.') ? peer.substr(0, peer.size() - 1) : peer;
  // "b*.example" and names in the subject alone are what old certificates did, and what attacks
  // have been built on (RFC 9525).
  SSL_set_hostflags(ssl_.get(),
                    X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS | X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
  // OpenSSL would take an empty name for "any".
  LANDFALL_ASSERT(!name.empty());
  LANDFALL_ASSERT(SSL_set1_host(ssl_.get(), name.c_str()) == 1);
  // Fails for a name above 255 bytes, which no certificate has either.
  SSL_set_tlsext_host_name(ssl_.get(), name.c_str());
}

TlsStream::~TlsStream() = default;

TlsStream::Status TlsStream::StatusOf(int result) {
  switch (SSL_get_error(ssl_.get(), result)) {
    case SSL_ERROR_NONE:
      return Status::kDone;
    case SSL_ERROR_WANT_READ:
      return Status::kWantRead;
    case SSL_ERROR_WANT_WRITE:
      return Status::kWantWrite;
    case SSL_ERROR_ZERO_RETURN:
      return Status::kClosed;
    case SSL_ERROR_SYSCALL:
      error_ = errno == 0 ? "the connection was cut" : std::strerror(errno);
      return Status::kFailed;
    default:
      failure_ = ReadFailure();
      error_ = TakeTlsError();
      if (failure_ == Failure::kUntrusted || failure_ == Failure::kWrongName)
        error_ +=
            std::string(": ") + X509_verify_cert_error_string(SSL_get_verify_result(ssl_.get()));
      return Status::kFailed;
  }
}

// Of the error that OpenSSL has noted last.
TlsStream::Failure TlsStream::ReadFailure() const {
  const unsigned long error = ERR_peek_last_error();
  if (ERR_GET_LIB(error) != ERR_LIB_SSL) return Failure::kOther;
  switch (ERR_GET_REASON(error)) {
    case SSL_R_CERTIFICATE_VERIFY_FAILED: {
      const long result = SSL_get_verify_result(ssl_.get());
      return result == X509_V_ERR_HOSTNAME_MISMATCH || result == X509_V_ERR_IP_ADDRESS_MISMATCH
                 ? Failure::kWrongName
                 : Failure::kUntrusted;
    }
    case SSL_R_WRONG_VERSION_NUMBER:
    case SSL_R_HTTP_REQUEST:
      return Failure::kNoTls;
    // Alerts of the peer's.
    case SSL_AD_REASON_OFFSET + SSL_AD_BAD_CERTIFICATE:
    case SSL_AD_REASON_OFFSET + SSL_AD_UNSUPPORTED_CERTIFICATE:
    case SSL_AD_REASON_OFFSET + SSL_AD_CERTIFICATE_REVOKED:
    case SSL_AD_REASON_OFFSET + SSL_AD_CERTIFICATE_EXPIRED:
    case SSL_AD_REASON_OFFSET + SSL_AD_CERTIFICATE_UNKNOWN:
    case SSL_AD_REASON_OFFSET + SSL_AD_UNKNOWN_CA:
    case SSL_AD_REASON_OFFSET + SSL_AD_ACCESS_DENIED:
    case SSL_AD_REASON_OFFSET + SSL_AD_CERTIFICATE_REQUIRED:
      return Failure::kRefused;
    default:
      return Failure::kOther;
  }
}

// OpenSSL looks at the thread's errors to find out what happened: none may be left from before.
TlsStream::Status TlsStream::Handshake() {
  ERR_clear_error();
  errno = 0;
  return StatusOf(SSL_do_handshake(ssl_.get()));
}

TlsStream::Transferred TlsStream::Read(char* data, size_t size) {
  size_t total = 0;
  // One call gives one record at most.
  while (total < size) {
    ERR_clear_error();
    errno = 0;
    size_t bytes = 0;
    const int result = SSL_read_ex(ssl_.get(), data + total, size - total, &bytes);
    if (result != 1) {
      // What has been read counts first; the next call will come to the same end.
      if (total > 0) break;
      return {StatusOf(result)};
    }
    total += bytes;
  }
  return {Status::kDone, total};
}

TlsStream::Transferred TlsStream::Write(const char* data, size_t size) {
  ERR_clear_error();
  errno = 0;
  size_t bytes = 0;
  const int result = SSL_write_ex(ssl_.get(), data, size, &bytes);
  if (result == 1) return {Status::kDone, bytes};
  const Status status = StatusOf(result);
  if (status == Status::kFailed) LookForAlert();
  return {status};
}

// A peer that refuses us cuts the connection, often before we have written to it. Why it did so is
// still to be read then.
void TlsStream::LookForAlert() {
  const std::string written = error_;
  char byte;
  size_t bytes = 0;
  ERR_clear_error();
  const int result = SSL_peek_ex(ssl_.get(), &byte, 1, &bytes);
  if (result == 1 || StatusOf(result) != Status::kFailed || failure_ == Failure::kOther) {
    error_ = written;
  }
}

void TlsStream::Shutdown() {
  ERR_clear_error();
  if (SSL_is_init_finished(ssl_.get())) SSL_shutdown(ssl_.get());
  ERR_clear_error();
}

bool TlsStream::HasPending() const { return SSL_pending(ssl_.get()) > 0; }

std::optional<std::string> TlsStream::PeerName(TlsLoginFrom from) const {
  // Without verification OpenSSL asks for no certificate; a client cannot show one unasked.
  const std::unique_ptr<X509, void (*)(X509*)> certificate(SSL_get1_peer_certificate(ssl_.get()),
                                                           X509_free);
  if (!certificate || SSL_get_verify_result(ssl_.get()) != X509_V_OK) return std::nullopt;
  X509_NAME* subject = X509_get_subject_name(certificate.get());
  return from == TlsLoginFrom::kCommonName ? CommonName(subject) : DistinguishedName(subject);
}

std::string TlsStream::version() const { return SSL_get_version(ssl_.get()); }

}  // namespace landfall::net
