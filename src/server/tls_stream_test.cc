#include "server/tls_stream.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <sys/socket.h>
#include <unistd.h>

#include <fcntl.h>

#include <stdexcept>

#include "server/temporary_directory.h"

namespace landfall::server {
namespace {

using testing::HasSubstr;
using Key = std::shared_ptr<EVP_PKEY>;
using Certificate = std::shared_ptr<X509>;

void Check(bool ok) {
  if (!ok) throw std::runtime_error(TakeTlsError());
}

Key MakeKey() {
  Key key(EVP_EC_gen("P-256"), EVP_PKEY_free);
  Check(key != nullptr);
  return key;
}

// Of `key`, in the name CN=name,O=Landfall; signed by itself without an issuer.
Certificate MakeCertificate(const Key& key, const std::string& name, X509* issuer = nullptr,
                            EVP_PKEY* issuer_key = nullptr) {
  Certificate certificate(X509_new(), X509_free);
  X509* c = certificate.get();
  Check(X509_set_version(c, 2) == 1);
  ASN1_INTEGER_set(X509_get_serialNumber(c), static_cast<long>(name.size()) + 1);
  X509_gmtime_adj(X509_getm_notBefore(c), -3600);
  X509_gmtime_adj(X509_getm_notAfter(c), 3600);
  Check(X509_set_pubkey(c, key.get()) == 1);
  X509_NAME* subject = X509_get_subject_name(c);
  const auto add = [&](const char* field, const std::string& value) {
    Check(X509_NAME_add_entry_by_txt(subject, field, MBSTRING_UTF8,
                                     reinterpret_cast<const unsigned char*>(value.data()),
                                     static_cast<int>(value.size()), -1, 0) == 1);
  };
  add("O", "Landfall");
  add("CN", name);
  Check(X509_set_issuer_name(c, issuer ? X509_get_subject_name(issuer) : subject) == 1);
  if (issuer == nullptr) {
    X509_EXTENSION* ca =
        X509V3_EXT_conf_nid(nullptr, nullptr, NID_basic_constraints, "critical,CA:TRUE");
    Check(X509_add_ext(c, ca, -1) == 1);
    X509_EXTENSION_free(ca);
  }
  Check(X509_sign(c, issuer_key ? issuer_key : key.get(), EVP_sha256()) > 0);
  return certificate;
}

std::string Pem(const std::function<int(BIO*)>& write) {
  const std::unique_ptr<BIO, int (*)(BIO*)> out(BIO_new(BIO_s_mem()), BIO_free);
  Check(write(out.get()) == 1);
  char* data = nullptr;
  const long size = BIO_get_mem_data(out.get(), &data);
  return std::string(data, static_cast<size_t>(size));
}

// A client and the broker's end of a connection between them.
class TlsStreamTest : public testing::Test {
 protected:
  TlsStreamTest() {
    Write("ca.pem", ca_);
    Write("server.pem", server_);
    Write("server.key", server_key_);
    Check(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, sockets_) == 0);
  }
  ~TlsStreamTest() override {
    for (const int socket : sockets_) close(socket);
  }

  void Write(const std::string& name, const Certificate& certificate) {
    directory_.Write(name, Pem([&](BIO* o) { return PEM_write_bio_X509(o, certificate.get()); }));
  }
  void Write(const std::string& name, const Key& key) {
    directory_.Write(name, Pem([&](BIO* o) {
                       return PEM_write_bio_PrivateKey(o, key.get(), nullptr, nullptr, 0, nullptr,
                                                       nullptr);
                     }));
  }
  TlsOptions Options(TlsVerify verify = TlsVerify::kNone) {
    return {.certificate_file = directory_ / "server.pem",
            .key_file = directory_ / "server.key",
            .ca_file = verify == TlsVerify::kNone ? "" : directory_ / "ca.pem",
            .verify = verify};
  }
  // Makes both ends. The client shows the certificate of `user`, signed by `signer`.
  void Connect(const TlsContext& context, const std::string& user = "",
               const std::pair<Certificate, Key>* signer = nullptr, int max_version = 0) {
    server = std::make_unique<TlsStream>(context.current(), sockets_[0]);
    std::shared_ptr<SSL_CTX> client_context(SSL_CTX_new(TLS_client_method()), SSL_CTX_free);
    SSL_CTX_set_security_level(client_context.get(), 0);
    SSL_CTX_set_min_proto_version(client_context.get(), 0);
    SSL_CTX_set_max_proto_version(client_context.get(), max_version);
    if (!user.empty()) {
      const auto& [ca, ca_key] = signer ? *signer : own_;
      const Key key = MakeKey();
      const Certificate certificate = MakeCertificate(key, user, ca.get(), ca_key.get());
      Check(SSL_CTX_use_certificate(client_context.get(), certificate.get()) == 1);
      Check(SSL_CTX_use_PrivateKey(client_context.get(), key.get()) == 1);
    }
    client.reset(SSL_new(client_context.get()));
    SSL_set_fd(client.get(), sockets_[1]);
    SSL_set_connect_state(client.get());
  }
  TlsStream::Status Handshake() {
    for (int turn = 0; turn < 20; ++turn) {
      SSL_do_handshake(client.get());
      const TlsStream::Status status = server->Handshake();
      if (status == TlsStream::Status::kDone || status == TlsStream::Status::kFailed) return status;
    }
    return TlsStream::Status::kWantRead;
  }
  std::string ReadAll(size_t size) {
    std::string all;
    std::string buffer(1 << 20, '\0');
    for (int turn = 0; turn < 10'000 && all.size() < size; ++turn) {
      const auto [status, n] = server->Read(buffer.data(), buffer.size());
      if (status == TlsStream::Status::kDone) all.append(buffer, 0, n);
    }
    return all;
  }

  TemporaryDirectory directory_;
  Key ca_key_ = MakeKey();
  Certificate ca_ = MakeCertificate(ca_key_, "authority");
  std::pair<Certificate, Key> own_{ca_, ca_key_};
  Key server_key_ = MakeKey();
  Certificate server_ = MakeCertificate(server_key_, "broker", ca_.get(), ca_key_.get());
  int sockets_[2];
  std::unique_ptr<SSL, void (*)(SSL*)> client{nullptr, SSL_free};
  std::unique_ptr<TlsStream> server;
};

TEST_F(TlsStreamTest, CarriesBytesBothWays) {
  TlsContext context(Options());
  ASSERT_TRUE(context.Load());
  Connect(context);
  ASSERT_EQ(Handshake(), TlsStream::Status::kDone);
  EXPECT_EQ(server->version(), "TLSv1.3");
  EXPECT_EQ(server->PeerName(TlsLoginFrom::kCommonName), std::nullopt);
  EXPECT_EQ(SSL_write(client.get(), "hello", 5), 5);
  EXPECT_EQ(ReadAll(5), "hello");
  char byte;
  EXPECT_EQ(server->Read(&byte, 1).status, TlsStream::Status::kWantRead);
  EXPECT_EQ(server->Write("world", 5).bytes, 5u);
  char answer[5];
  EXPECT_EQ(SSL_read(client.get(), answer, 5), 5);
  EXPECT_EQ(std::string(answer, 5), "world");
}

TEST_F(TlsStreamTest, SaysThatDecryptedBytesAreLeft) {
  TlsContext context(Options());
  ASSERT_TRUE(context.Load());
  Connect(context);
  ASSERT_EQ(Handshake(), TlsStream::Status::kDone);
  SSL_write(client.get(), "hello", 5);
  char some[3];
  EXPECT_EQ(server->Read(some, 3).bytes, 3u);
  EXPECT_TRUE(server->HasPending());
  EXPECT_EQ(server->Read(some, 3).bytes, 2u);
  EXPECT_FALSE(server->HasPending());
}

TEST_F(TlsStreamTest, GoesOnWritingFromABufferThatHasMoved) {
  TlsContext context(Options());
  ASSERT_TRUE(context.Load());
  Connect(context);
  ASSERT_EQ(Handshake(), TlsStream::Status::kDone);
  std::string message(4 << 20, 'x');
  for (size_t i = 0; i < message.size(); ++i) message[i] = static_cast<char>(i * 7 + i / 251);
  std::string received;
  std::string buffer(1 << 16, '\0');
  size_t written = 0;
  bool was_full = false;
  while (received.size() < message.size()) {
    const std::string moved = message.substr(written);
    if (!moved.empty()) {
      const auto [status, n] = server->Write(moved.data(), moved.size());
      if (status == TlsStream::Status::kDone) written += n;
      was_full |= status == TlsStream::Status::kWantWrite;
      if (status == TlsStream::Status::kDone) continue;
    }
    const int n = SSL_read(client.get(), buffer.data(), static_cast<int>(buffer.size()));
    if (n > 0) received.append(buffer, 0, static_cast<size_t>(n));
  }
  EXPECT_TRUE(was_full);
  EXPECT_EQ(received, message);
}

TEST_F(TlsStreamTest, NamesTheUserOfAVerifiedCertificate) {
  TlsContext context(Options(TlsVerify::kRequired));
  ASSERT_TRUE(context.Load());
  Connect(context, "shop");
  ASSERT_EQ(Handshake(), TlsStream::Status::kDone) << server->error();
  EXPECT_EQ(server->PeerName(TlsLoginFrom::kCommonName), "shop");
  EXPECT_EQ(server->PeerName(TlsLoginFrom::kDistinguishedName), "CN=shop,O=Landfall");
}

TEST_F(TlsStreamTest, RefusesACertificateThatNobodyKnownHasSigned) {
  const Key key = MakeKey();
  const std::pair<Certificate, Key> stranger{MakeCertificate(key, "authority"), key};
  for (const TlsVerify verify : {TlsVerify::kOptional, TlsVerify::kRequired}) {
    TlsContext context(Options(verify));
    ASSERT_TRUE(context.Load());
    Connect(context, "shop", &stranger);
    EXPECT_EQ(Handshake(), TlsStream::Status::kFailed);
    EXPECT_THAT(server->error(), HasSubstr("certificate verify failed"));
    Check(close(sockets_[0]) == 0 && close(sockets_[1]) == 0);
    Check(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, sockets_) == 0);
  }
}

TEST_F(TlsStreamTest, InsistsOnACertificateOnlyIfToldTo) {
  TlsContext optional(Options(TlsVerify::kOptional));
  ASSERT_TRUE(optional.Load());
  Connect(optional);
  EXPECT_EQ(Handshake(), TlsStream::Status::kDone);
  EXPECT_EQ(server->PeerName(TlsLoginFrom::kCommonName), std::nullopt);
}

TEST_F(TlsStreamTest, RefusesAClientWithoutACertificateIfToldTo) {
  TlsContext required(Options(TlsVerify::kRequired));
  ASSERT_TRUE(required.Load());
  Connect(required);
  EXPECT_EQ(Handshake(), TlsStream::Status::kFailed);
}

// An unverified certificate must never be a login.
TEST_F(TlsStreamTest, TakesNoNameFromACertificateThatItDoesNotVerify) {
  TlsContext context(Options(TlsVerify::kNone));
  ASSERT_TRUE(context.Load());
  Connect(context, "shop");
  ASSERT_EQ(Handshake(), TlsStream::Status::kDone);
  EXPECT_EQ(server->PeerName(TlsLoginFrom::kCommonName), std::nullopt);
}

TEST_F(TlsStreamTest, Speaks12AndNothingOlder) {
  TlsContext context(Options());
  ASSERT_TRUE(context.Load());
  Connect(context, "", nullptr, TLS1_1_VERSION);
  EXPECT_EQ(Handshake(), TlsStream::Status::kFailed);
  Check(close(sockets_[0]) == 0 && close(sockets_[1]) == 0);
  Check(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, sockets_) == 0);
  Connect(context, "", nullptr, TLS1_2_VERSION);
  EXPECT_EQ(Handshake(), TlsStream::Status::kDone);
  EXPECT_EQ(server->version(), "TLSv1.2");
}

TEST_F(TlsStreamTest, RefusesWhatIsNoTls) {
  TlsContext context(Options());
  ASSERT_TRUE(context.Load());
  Connect(context);
  ASSERT_EQ(send(sockets_[1], "AMQP\0\0\x9\x1", 8, 0), 8);
  EXPECT_EQ(server->Handshake(), TlsStream::Status::kFailed);
  EXPECT_FALSE(server->error().empty());
}

TEST_F(TlsStreamTest, TellsTheEndOfTheOther) {
  TlsContext context(Options());
  ASSERT_TRUE(context.Load());
  Connect(context);
  ASSERT_EQ(Handshake(), TlsStream::Status::kDone);
  SSL_shutdown(client.get());
  char byte;
  EXPECT_EQ(server->Read(&byte, 1).status, TlsStream::Status::kClosed);
}

TEST_F(TlsStreamTest, KeepsAConnectionWhenTheCertificateIsReplaced) {
  TlsContext context(Options());
  ASSERT_TRUE(context.Load());
  Connect(context);
  ASSERT_EQ(Handshake(), TlsStream::Status::kDone);
  const Key key = MakeKey();
  Write("server.pem", MakeCertificate(key, "renewed"));
  Write("server.key", key);
  const auto before = context.current();
  ASSERT_TRUE(context.Load());
  EXPECT_NE(context.current(), before);
  SSL_write(client.get(), "hello", 5);
  EXPECT_EQ(ReadAll(5), "hello");
}

TEST_F(TlsStreamTest, KeepsItsCertificateWhenTheNewOneCannotBeUsed) {
  TlsContext context(Options());
  ASSERT_TRUE(context.Load());
  const auto before = context.current();
  Write("server.key", MakeKey());
  const auto mismatch = context.Load();
  ASSERT_FALSE(mismatch);
  EXPECT_THAT(mismatch.error().message, HasSubstr("server.key"));
  directory_.Write("server.pem", "no certificate");
  EXPECT_FALSE(context.Load());
  EXPECT_EQ(context.current(), before);
}

TEST_F(TlsStreamTest, SaysWhichFileIsMissing) {
  TlsOptions options = Options();
  options.certificate_file = directory_ / "nowhere.pem";
  const auto loaded = TlsContext(options).Load();
  ASSERT_FALSE(loaded);
  EXPECT_THAT(loaded.error().message, HasSubstr("nowhere.pem"));
  EXPECT_THAT(loaded.error().message, HasSubstr("No such file"));
}

}  // namespace
}  // namespace landfall::server
