#pragma once

#include <string>
#include <string_view>

#include "base/error.h"

// OpenSSL's own name, so that its header stays out of this one.
using SSL_CTX = struct ssl_ctx_st;  // NOLINT(readability-identifier-naming)

namespace landfall::net {

// What the server and the client want alike: TLS 1.2 and 1.3, no renegotiation, no compression, and
// writing as TlsStream does it.
void RestrictTls(SSL_CTX* context);

// A file and what a person knows it by: the name of an option.
struct TlsFile {
  std::string path;
  std::string_view option;
};

// Shows the certificate in the PEM file (its own first, then what leads to the root) to the other
// side. The key has no pass phrase. Errors: kInvalidArgument, naming file and option.
Result<void> UseTlsCertificate(SSL_CTX* context, const TlsFile& certificate, const TlsFile& key);
// Trusts the authorities in the PEM file. Errors as above.
Result<void> TrustAuthorities(SSL_CTX* context, const TlsFile& authorities);

// What OpenSSL has noted in this thread, in its words: what failed and, where that is something
// else, why. Forgets it.
std::string TakeTlsError();

}  // namespace landfall::net
