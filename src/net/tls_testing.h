#pragma once

#include <memory>
#include <string>

using X509 = struct x509_st;
using EVP_PKEY = struct evp_pkey_st;  // NOLINT(readability-identifier-naming)

namespace landfall::net {

// For tests: keys and certificates. What cannot be made throws std::runtime_error.
using Key = std::shared_ptr<EVP_PKEY>;
using Certificate = std::shared_ptr<X509>;

Key MakeKey();

struct CertificateParts {
  std::string name;  // CN=name,O=Landfall
  // As "DNS:broker.example,IP:10.0.0.1"; empty: none.
  std::string alternative_names{};
  // Signed by itself, and an authority, without an issuer.
  Certificate issuer{};
  Key issuer_key{};
  // Valid from an hour ago until then.
  long seconds_left = 3600;
};
Certificate MakeCertificate(const Key& key, const CertificateParts& parts);

// As files have them.
std::string Pem(const Certificate& certificate);
std::string Pem(const Key& key);

// Throws with OpenSSL's words.
void Check(bool ok);

}  // namespace landfall::net
