#include "server/tls_context.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/ssl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <memory>
#include <utility>

#include "base/temporary_directory.h"
#include "net/tls_testing.h"

namespace landfall::server {
namespace {

using net::Certificate;
using net::Check;
using net::Key;
using net::MakeCertificate;
using net::MakeKey;
using net::Pem;
using net::TlsStream;
using testing::HasSubstr;

// A client and the broker's end of a connection between them.
class TlsContextTest : public testing::Test {
 protected:
  TlsContextTest() {
    Write("ca.pem", ca_);
    Write("server.pem", server_certificate_);
    Write("server.key", server_key_);
    Check(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, sockets_) == 0);
  }
  ~TlsContextTest() override {
    for (const int socket : sockets_) close(socket);
  }

  void Write(const std::string& name, const Certificate& certificate) {
    directory_.Write(name, Pem(certificate));
  }
  void Write(const std::string& name, const Key& key) { directory_.Write(name, Pem(key)); }
  TlsOptions Options(TlsVerify verify = TlsVerify::kNone) {
    return {.certificate_file = directory_ / "server.pem",
            .key_file = directory_ / "server.key",
            .ca_file = verify == TlsVerify::kNone ? "" : directory_ / "ca.pem",
            .verify = verify};
  }
  // Makes both ends. The client shows the certificate of `user`, signed by `signer`.
  void Connect(const TlsContext& context, const std::string& user = "",
               const std::pair<Certificate, Key>* signer = nullptr, int max_version = 0) {
    server_ = std::make_unique<TlsStream>(context.current(), sockets_[0]);
    std::shared_ptr<SSL_CTX> client_context(SSL_CTX_new(TLS_client_method()), SSL_CTX_free);
    SSL_CTX_set_security_level(client_context.get(), 0);
    SSL_CTX_set_min_proto_version(client_context.get(), 0);
    SSL_CTX_set_max_proto_version(client_context.get(), max_version);
    if (!user.empty()) {
      const auto& [ca, ca_key] = signer ? *signer : own_;
      const Key key = MakeKey();
      const Certificate certificate =
          MakeCertificate(key, {.name = user, .issuer = ca, .issuer_key = ca_key});
      Check(SSL_CTX_use_certificate(client_context.get(), certificate.get()) == 1);
      Check(SSL_CTX_use_PrivateKey(client_context.get(), key.get()) == 1);
    }
    client_.reset(SSL_new(client_context.get()));
    SSL_set_fd(client_.get(), sockets_[1]);
    SSL_set_connect_state(client_.get());
  }
  TlsStream::Status Handshake() {
    for (int turn = 0; turn < 20; ++turn) {
      SSL_do_handshake(client_.get());
      const TlsStream::Status status = server_->Handshake();
      if (status == TlsStream::Status::kDone || status == TlsStream::Status::kFailed) return status;
    }
    return TlsStream::Status::kWantRead;
  }
  std::string ReadAll(size_t size) {
    std::string all;
    std::string buffer(1 << 20, '\0');
    for (int turn = 0; turn < 10'000 && all.size() < size; ++turn) {
      const auto [status, n] = server_->Read(buffer.data(), buffer.size());
      if (status == TlsStream::Status::kDone) all.append(buffer, 0, n);
    }
    return all;
  }

  TemporaryDirectory directory_;
  Key ca_key_ = MakeKey();
  Certificate ca_ = MakeCertificate(ca_key_, {.name = "authority"});
  std::pair<Certificate, Key> own_{ca_, ca_key_};
  Key server_key_ = MakeKey();
  Certificate server_certificate_ =
      MakeCertificate(server_key_, {.name = "broker", .issuer = ca_, .issuer_key = ca_key_});
  int sockets_[2];
  std::unique_ptr<SSL, void (*)(SSL*)> client_{nullptr, SSL_free};
  std::unique_ptr<TlsStream> server_;
};

TEST_F(TlsContextTest, CarriesBytesBothWays) {
  TlsContext context(Options());
  ASSERT_TRUE(context.Load());
  Connect(context);
  ASSERT_EQ(Handshake(), TlsStream::Status::kDone);
  EXPECT_EQ(server_->version(), "TLSv1.3");
  EXPECT_EQ(server_->PeerName(TlsLoginFrom::kCommonName), std::nullopt);
  EXPECT_EQ(SSL_write(client_.get(), "hello", 5), 5);
  EXPECT_EQ(ReadAll(5), "hello");
  char byte;
  EXPECT_EQ(server_->Read(&byte, 1).status, TlsStream::Status::kWantRead);
  EXPECT_EQ(server_->Write("world", 5).bytes, 5u);
  char answer[5];
  EXPECT_EQ(SSL_read(client_.get(), answer, 5), 5);
  EXPECT_EQ(std::string(answer, 5), "world");
}

TEST_F(TlsContextTest, SaysThatDecryptedBytesAreLeft) {
  TlsContext context(Options());
  ASSERT_TRUE(context.Load());
  Connect(context);
  ASSERT_EQ(Handshake(), TlsStream::Status::kDone);
  SSL_write(client_.get(), "hello", 5);
  char some[3];
  EXPECT_EQ(server_->Read(some, 3).bytes, 3u);
  EXPECT_TRUE(server_->HasPending());
  EXPECT_EQ(server_->Read(some, 3).bytes, 2u);
  EXPECT_FALSE(server_->HasPending());
}

TEST_F(TlsContextTest, GoesOnWritingFromABufferThatHasMoved) {
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
      const auto [status, n] = server_->Write(moved.data(), moved.size());
      if (status == TlsStream::Status::kDone) written += n;
      was_full |= status == TlsStream::Status::kWantWrite;
      if (status == TlsStream::Status::kDone) continue;
    }
    const int n = SSL_read(client_.get(), buffer.data(), static_cast<int>(buffer.size()));
    if (n > 0) received.append(buffer, 0, static_cast<size_t>(n));
  }
  EXPECT_TRUE(was_full);
  EXPECT_EQ(received, message);
}

TEST_F(TlsContextTest, NamesTheUserOfAVerifiedCertificate) {
  TlsContext context(Options(TlsVerify::kRequired));
  ASSERT_TRUE(context.Load());
  Connect(context, "shop");
  ASSERT_EQ(Handshake(), TlsStream::Status::kDone) << server_->error();
  EXPECT_EQ(server_->PeerName(TlsLoginFrom::kCommonName), "shop");
  EXPECT_EQ(server_->PeerName(TlsLoginFrom::kDistinguishedName), "CN=shop,O=Landfall");
}

TEST_F(TlsContextTest, RefusesACertificateThatNobodyKnownHasSigned) {
  const Key key = MakeKey();
  const std::pair<Certificate, Key> stranger{MakeCertificate(key, {.name = "authority"}), key};
  for (const TlsVerify verify : {TlsVerify::kOptional, TlsVerify::kRequired}) {
    TlsContext context(Options(verify));
    ASSERT_TRUE(context.Load());
    Connect(context, "shop", &stranger);
    EXPECT_EQ(Handshake(), TlsStream::Status::kFailed);
    EXPECT_THAT(server_->error(), HasSubstr("certificate verify failed"));
    Check(close(sockets_[0]) == 0 && close(sockets_[1]) == 0);
    Check(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, sockets_) == 0);
  }
}

TEST_F(TlsContextTest, InsistsOnACertificateOnlyIfToldTo) {
  TlsContext optional(Options(TlsVerify::kOptional));
  ASSERT_TRUE(optional.Load());
  Connect(optional);
  EXPECT_EQ(Handshake(), TlsStream::Status::kDone);
  EXPECT_EQ(server_->PeerName(TlsLoginFrom::kCommonName), std::nullopt);
}

TEST_F(TlsContextTest, RefusesAClientWithoutACertificateIfToldTo) {
  TlsContext required(Options(TlsVerify::kRequired));
  ASSERT_TRUE(required.Load());
  Connect(required);
  EXPECT_EQ(Handshake(), TlsStream::Status::kFailed);
}

// An unverified certificate must never be a login.
TEST_F(TlsContextTest, TakesNoNameFromACertificateThatItDoesNotVerify) {
  TlsContext context(Options(TlsVerify::kNone));
  ASSERT_TRUE(context.Load());
  Connect(context, "shop");
  ASSERT_EQ(Handshake(), TlsStream::Status::kDone);
  EXPECT_EQ(server_->PeerName(TlsLoginFrom::kCommonName), std::nullopt);
}

TEST_F(TlsContextTest, Speaks12AndNothingOlder) {
  TlsContext context(Options());
  ASSERT_TRUE(context.Load());
  Connect(context, "", nullptr, TLS1_1_VERSION);
  EXPECT_EQ(Handshake(), TlsStream::Status::kFailed);
  Check(close(sockets_[0]) == 0 && close(sockets_[1]) == 0);
  Check(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, sockets_) == 0);
  Connect(context, "", nullptr, TLS1_2_VERSION);
  EXPECT_EQ(Handshake(), TlsStream::Status::kDone);
  EXPECT_EQ(server_->version(), "TLSv1.2");
}

TEST_F(TlsContextTest, RefusesWhatIsNoTls) {
  TlsContext context(Options());
  ASSERT_TRUE(context.Load());
  Connect(context);
  ASSERT_EQ(send(sockets_[1], "AMQP\0\0\x9\x1", 8, 0), 8);
  EXPECT_EQ(server_->Handshake(), TlsStream::Status::kFailed);
  EXPECT_FALSE(server_->error().empty());
}

TEST_F(TlsContextTest, TellsTheEndOfTheOther) {
  TlsContext context(Options());
  ASSERT_TRUE(context.Load());
  Connect(context);
  ASSERT_EQ(Handshake(), TlsStream::Status::kDone);
  SSL_shutdown(client_.get());
  char byte;
  EXPECT_EQ(server_->Read(&byte, 1).status, TlsStream::Status::kClosed);
}

TEST_F(TlsContextTest, KeepsAConnectionWhenTheCertificateIsReplaced) {
  TlsContext context(Options());
  ASSERT_TRUE(context.Load());
  Connect(context);
  ASSERT_EQ(Handshake(), TlsStream::Status::kDone);
  const Key key = MakeKey();
  Write("server.pem", MakeCertificate(key, {.name = "renewed"}));
  Write("server.key", key);
  const auto before = context.current();
  ASSERT_TRUE(context.Load());
  EXPECT_NE(context.current(), before);
  SSL_write(client_.get(), "hello", 5);
  EXPECT_EQ(ReadAll(5), "hello");
}

TEST_F(TlsContextTest, KeepsItsCertificateWhenTheNewOneCannotBeUsed) {
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

TEST_F(TlsContextTest, SaysWhichFileIsMissing) {
  TlsOptions options = Options();
  options.certificate_file = directory_ / "nowhere.pem";
  const auto loaded = TlsContext(options).Load();
  ASSERT_FALSE(loaded);
  EXPECT_THAT(loaded.error().message, HasSubstr("nowhere.pem"));
  EXPECT_THAT(loaded.error().message, HasSubstr("No such file"));
}

}  // namespace
}  // namespace landfall::server
