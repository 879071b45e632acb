#include "net/tls_testing.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <functional>
#include <stdexcept>

#include "net/tls_settings.h"

namespace landfall::net {
namespace {

std::string Written(const std::function<int(BIO*)>& write) {
  const std::unique_ptr<BIO, int (*)(BIO*)> out(BIO_new(BIO_s_mem()), BIO_free);
  Check(write(out.get()) == 1);
  char* data = nullptr;
  const long size = BIO_get_mem_data(out.get(), &data);
  return {data, static_cast<size_t>(size)};
}

void AddExtension(X509* certificate, int what, const std::string& value) {
  X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, nullptr, what, value.c_str());
  Check(extension != nullptr);
  Check(X509_add_ext(certificate, extension, -1) == 1);
  X509_EXTENSION_free(extension);
}

}  // namespace

void Check(bool ok) {
  if (!ok) throw std::runtime_error(TakeTlsError());
}

Key MakeKey() {
  Key key(EVP_EC_gen("P-256"), EVP_PKEY_free);
  Check(key != nullptr);
  return key;
}

Certificate MakeCertificate(const Key& key, const CertificateParts& parts) {
  Certificate certificate(X509_new(), X509_free);
  X509* c = certificate.get();
  Check(X509_set_version(c, 2) == 1);
  ASN1_INTEGER_set(X509_get_serialNumber(c), static_cast<long>(parts.name.size()) + 1);
  X509_gmtime_adj(X509_getm_notBefore(c), -3600);
  X509_gmtime_adj(X509_getm_notAfter(c), parts.seconds_left);
  Check(X509_set_pubkey(c, key.get()) == 1);
  X509_NAME* subject = X509_get_subject_name(c);
  const auto add = [&](const char* field, const std::string& value) {
    Check(X509_NAME_add_entry_by_txt(subject, field, MBSTRING_UTF8,
                                     reinterpret_cast<const unsigned char*>(value.data()),
                                     static_cast<int>(value.size()), -1, 0) == 1);
  };
  add("O", "Landfall");
  add("CN", parts.name);
  X509_NAME* issuer = parts.issuer ? X509_get_subject_name(parts.issuer.get()) : subject;
  Check(X509_set_issuer_name(c, issuer) == 1);
  if (!parts.issuer) AddExtension(c, NID_basic_constraints, "critical,CA:TRUE");
  if (!parts.alternative_names.empty()) {
    AddExtension(c, NID_subject_alt_name, parts.alternative_names);
  }
  EVP_PKEY* signer = parts.issuer ? parts.issuer_key.get() : key.get();
  Check(X509_sign(c, signer, EVP_sha256()) > 0);
  return certificate;
}

std::string Pem(const Certificate& certificate) {
  return Written([&](BIO* out) { return PEM_write_bio_X509(out, certificate.get()); });
}

std::string Pem(const Key& key) {
  return Written([&](BIO* out) {
    return PEM_write_bio_PrivateKey(out, key.get(), nullptr, nullptr, 0, nullptr, nullptr);
  });
}

}  // namespace landfall::net
