#include "net/tls_client.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <csignal>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>

#include "base/temporary_directory.h"
#include "net/tls_testing.h"

namespace landfall::net {
namespace {

using testing::HasSubstr;
using Status = TlsStream::Status;

// A client and, by OpenSSL itself, a server at the other end of a pair of sockets.
class TlsClientTest : public testing::Test {
 protected:
  TlsClientTest() {
    options_.ca_file = directory_.Write("ca.pem", Pem(ca_));
    options_.server_name = "broker.example";
    ServerShows({.name = "broker", .alternative_names = "DNS:broker.example,IP:127.0.0.1,IP:::1"});
    Check(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, sockets_) == 0);
  }
  ~TlsClientTest() override { CloseSockets(); }

  void CloseSockets() {
    client_.reset();
    server_.reset();
    for (const int socket : sockets_) close(socket);
  }
  void Reconnect() {
    CloseSockets();
    Check(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, sockets_) == 0);
  }

  void ServerShows(CertificateParts parts) {
    if (!parts.issuer) {
      parts.issuer = ca_;
      parts.issuer_key = ca_key_;
    }
    const Key key = MakeKey();
    Check(SSL_CTX_use_certificate(server_context_.get(), MakeCertificate(key, parts).get()) == 1);
    Check(SSL_CTX_use_PrivateKey(server_context_.get(), key.get()) == 1);
  }
  void ServerWantsCertificate() {
    Check(SSL_CTX_load_verify_file(server_context_.get(), options_.ca_file.c_str()) == 1);
    SSL_CTX_set_verify(server_context_.get(), SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT,
                       nullptr);
  }
  void ClientShows(const std::string& name, const Certificate& issuer, const Key& issuer_key) {
    const Key key = MakeKey();
    options_.certificate_file = directory_.Write(
        "client.pem",
        Pem(MakeCertificate(key, {.name = name, .issuer = issuer, .issuer_key = issuer_key})));
    options_.key_file = directory_.Write("client.key", Pem(key));
  }

  // The end of the client's handshake.
  Status Handshake() {
    auto context = MakeTlsClientContext(options_);
    if (!context) throw std::runtime_error(context.error().message);
    client_ = std::make_unique<TlsStream>(*context, sockets_[0], options_.server_name);
    server_.reset(SSL_new(server_context_.get()));
    SSL_set_fd(server_.get(), sockets_[1]);
    SSL_set_accept_state(server_.get());
    for (int turn = 0; turn < 20; ++turn) {
      const Status status = client_->Handshake();
      if (status == Status::kFailed || status == Status::kClosed) return status;
      if (SSL_do_handshake(server_.get()) == 1 && status == Status::kDone) return status;
    }
    // A client that has finished hears only at its first read that it was refused.
    return Status::kDone;
  }
  Error Failure(Status status, bool in_handshake = true) {
    return DescribeTlsEnd(*client_, status, in_handshake, options_);
  }
  // Of a handshake that has to fail.
  Error Refusal() {
    const Status status = Handshake();
    EXPECT_TRUE(status == Status::kFailed || status == Status::kClosed);
    return Failure(status);
  }

  TemporaryDirectory directory_;
  Key ca_key_ = MakeKey();
  Certificate ca_ = MakeCertificate(ca_key_, {.name = "authority"});
  Key stranger_key_ = MakeKey();
  Certificate stranger_ = MakeCertificate(stranger_key_, {.name = "stranger"});
  TlsClientOptions options_;
  std::shared_ptr<SSL_CTX> server_context_{SSL_CTX_new(TLS_server_method()), SSL_CTX_free};
  int sockets_[2];
  std::unique_ptr<TlsStream> client_;
  std::unique_ptr<SSL, void (*)(SSL*)> server_{nullptr, SSL_free};
};

TEST_F(TlsClientTest, CarriesBytesBothWays) {
  ASSERT_EQ(Handshake(), Status::kDone) << client_->error();
  EXPECT_EQ(client_->version(), "TLSv1.3");
  EXPECT_EQ(client_->Write("hello", 5).bytes, 5u);
  char five[5];
  EXPECT_EQ(SSL_read(server_.get(), five, 5), 5);
  EXPECT_EQ(std::string(five, 5), "hello");
  EXPECT_EQ(SSL_write(server_.get(), "world", 5), 5);
  EXPECT_EQ(client_->Read(five, 5).bytes, 5u);
  EXPECT_EQ(std::string(five, 5), "world");
  EXPECT_EQ(client_->Read(five, 5).status, Status::kWantRead);
}

TEST_F(TlsClientTest, TellsTheServerWhichNameItWants) {
  ASSERT_EQ(Handshake(), Status::kDone);
  EXPECT_STREQ(SSL_get_servername(server_.get(), TLSEXT_NAMETYPE_host_name), "broker.example");
}

TEST_F(TlsClientTest, ChecksAnAddressAndAsksForNoNameThen) {
  for (const char* address : {"127.0.0.1", "::1"}) {
    options_.server_name = address;
    ASSERT_EQ(Handshake(), Status::kDone) << address;
    EXPECT_EQ(SSL_get_servername(server_.get(), TLSEXT_NAMETYPE_host_name), nullptr);
    Reconnect();
  }
}

TEST_F(TlsClientTest, TakesANameThatEndsInTheRoot) {
  options_.server_name = "broker.example.";
  EXPECT_EQ(Handshake(), Status::kDone);
}

TEST_F(TlsClientTest, RefusesAServerThatNobodyKnownVouchesFor) {
  ServerShows({.name = "broker",
               .alternative_names = "DNS:broker.example",
               .issuer = stranger_,
               .issuer_key = stranger_key_});
  const Error error = Refusal();
  EXPECT_EQ(error.code, ErrorCode::kUntrusted);
  EXPECT_THAT(error.message, HasSubstr("unable to get local issuer certificate"));
  EXPECT_THAT(error.message, HasSubstr(options_.ca_file));
}

TEST_F(TlsClientTest, TrustsTheSystemsAuthoritiesUnlessOthersAreNamed) {
  options_.ca_file.clear();
  const Error error = Refusal();
  EXPECT_EQ(error.code, ErrorCode::kUntrusted);
  EXPECT_THAT(error.message, HasSubstr("the system's authorities"));
}

TEST_F(TlsClientTest, RefusesACertificateInAnotherName) {
  for (const char* name : {"broker", "example", "a.broker.example", "127.0.0.2"}) {
    options_.server_name = name;
    const Error error = Refusal();
    EXPECT_EQ(error.code, ErrorCode::kUntrusted) << name;
    EXPECT_THAT(error.message, HasSubstr("not for '" + std::string(name) + "'"));
    Reconnect();
  }
}

TEST_F(TlsClientTest, DoesNotTakeTheSubjectForAName) {
  ServerShows({.name = "broker.example"});
  EXPECT_EQ(Refusal().code, ErrorCode::kUntrusted);
}

TEST_F(TlsClientTest, RefusesACertificateThatHasExpired) {
  ServerShows({.name = "broker", .alternative_names = "DNS:broker.example", .seconds_left = -60});
  const Error error = Refusal();
  EXPECT_EQ(error.code, ErrorCode::kUntrusted);
  EXPECT_THAT(error.message, HasSubstr("has expired"));
}

TEST_F(TlsClientTest, BelievesAnybodyOnlyIfToldTo) {
  ServerShows({.name = "broker", .issuer = stranger_, .issuer_key = stranger_key_});
  options_.verify = false;
  EXPECT_EQ(Handshake(), Status::kDone);
}

TEST_F(TlsClientTest, SpeaksNothingOlderThan12) {
  SSL_CTX_set_security_level(server_context_.get(), 0);
  SSL_CTX_set_min_proto_version(server_context_.get(), TLS1_VERSION);
  SSL_CTX_set_max_proto_version(server_context_.get(), TLS1_1_VERSION);
  EXPECT_EQ(Refusal().code, ErrorCode::kUnavailable);
}

TEST_F(TlsClientTest, Speaks12) {
  SSL_CTX_set_max_proto_version(server_context_.get(), TLS1_2_VERSION);
  EXPECT_EQ(Handshake(), Status::kDone);
  EXPECT_EQ(client_->version(), "TLSv1.2");
}

TEST_F(TlsClientTest, ShowsItsCertificate) {
  ServerWantsCertificate();
  ClientShows("shop", ca_, ca_key_);
  ASSERT_EQ(Handshake(), Status::kDone);
  const std::unique_ptr<X509, void (*)(X509*)> shown(SSL_get1_peer_certificate(server_.get()),
                                                     X509_free);
  EXPECT_NE(shown, nullptr);
}

TEST_F(TlsClientTest, SaysThatItsCertificateWasRefused) {
  ServerWantsCertificate();
  ClientShows("shop", stranger_, stranger_key_);
  ASSERT_EQ(Handshake(), Status::kDone);
  char byte;
  const Error error = Failure(client_->Read(&byte, 1).status, false);
  EXPECT_EQ(error.code, ErrorCode::kAccessRefused);
  EXPECT_THAT(error.message, HasSubstr("client.pem"));
  EXPECT_THAT(error.message, HasSubstr("unknown ca"));
}

TEST_F(TlsClientTest, SaysThatACertificateIsMissing) {
  ServerWantsCertificate();
  ASSERT_EQ(Handshake(), Status::kDone);
  char byte;
  const Error error = Failure(client_->Read(&byte, 1).status, false);
  EXPECT_EQ(error.code, ErrorCode::kAccessRefused);
  EXPECT_THAT(error.message, HasSubstr("certfile"));
}

// What it writes may come too late for a peer that has cut the connection already.
TEST_F(TlsClientTest, SaysThatACertificateIsMissingAlsoAtAWrite) {
  ServerWantsCertificate();
  ASSERT_EQ(Handshake(), Status::kDone);
  close(std::exchange(sockets_[1], dup(sockets_[0])));
  const auto ignored = signal(SIGPIPE, SIG_IGN);
  const Error error = Failure(client_->Write("hello", 5).status, false);
  signal(SIGPIPE, ignored);
  EXPECT_EQ(error.code, ErrorCode::kAccessRefused);
  EXPECT_THAT(error.message, HasSubstr("certfile"));
}

TEST_F(TlsClientTest, SaysThatTheOtherSideSpeaksNoTls) {
  ASSERT_EQ(send(sockets_[1], "AMQP\0\0\x9\x1", 8, 0), 8);
  const Error error = Refusal();
  EXPECT_EQ(error.code, ErrorCode::kProtocol);
  EXPECT_THAT(error.message, HasSubstr("does not speak TLS"));
}

TEST_F(TlsClientTest, ACutConnectionIsOneThatWasClosed) {
  ASSERT_EQ(Handshake(), Status::kDone);
  shutdown(sockets_[1], SHUT_RDWR);
  char byte;
  EXPECT_EQ(client_->Read(&byte, 1).status, Status::kClosed);
}

TEST_F(TlsClientTest, SaysWhichFileCannotBeUsed) {
  options_.ca_file = directory_ / "none.pem";
  EXPECT_THAT(MakeTlsClientContext(options_).error().message,
              AllOf(HasSubstr("none.pem"), HasSubstr("cacertfile"), HasSubstr("No such file")));
  options_.ca_file = directory_ / "ca.pem";
  ClientShows("shop", ca_, ca_key_);
  directory_.Write("client.key", Pem(MakeKey()));
  EXPECT_THAT(MakeTlsClientContext(options_).error().message,
              AllOf(HasSubstr("client.key"), HasSubstr("keyfile")));
}

// Nobody is there to be asked for a pass phrase.
TEST_F(TlsClientTest, RefusesAKeyWithAPassPhrase) {
  ClientShows("shop", ca_, ca_key_);
  const Key key = MakeKey();
  const std::unique_ptr<BIO, int (*)(BIO*)> file(BIO_new_file(options_.key_file.c_str(), "w"),
                                                 BIO_free);
  const std::string phrase = "secret";
  Check(PEM_write_bio_PrivateKey(file.get(), key.get(), EVP_aes_128_cbc(),
                                 reinterpret_cast<const unsigned char*>(phrase.data()),
                                 static_cast<int>(phrase.size()), nullptr, nullptr) == 1);
  Check(BIO_flush(file.get()) == 1);
  const auto context = MakeTlsClientContext(options_);
  ASSERT_FALSE(context);
  EXPECT_THAT(context.error().message, HasSubstr("client.key"));
}

}  // namespace
}  // namespace landfall::net
