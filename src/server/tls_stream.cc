#include "server/tls_stream.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <cerrno>
#include <cstring>

#include "base/assert.h"

namespace landfall::server {
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
      error_ = TakeTlsError();
      return Status::kFailed;
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
  if (result != 1) return {StatusOf(result)};
  return {Status::kDone, bytes};
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

}  // namespace landfall::server
