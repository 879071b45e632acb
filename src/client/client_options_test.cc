#include "client/client_options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/temporary_directory.h"
#include "net/tls_testing.h"

namespace landfall::client {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

class ClientOptionsTest : public ::testing::Test {
 protected:
  ClientOptionsTest() {
    const net::Key key = net::MakeKey();
    ca_ = directory_.Write("ca.pem", net::Pem(net::MakeCertificate(key, {.name = "authority"})));
    certificate_ =
        directory_.Write("own.pem", net::Pem(net::MakeCertificate(key, {.name = "own"})));
    key_ = directory_.Write("own.key", net::Pem(key));
  }

  LinkOptions Make(const std::vector<std::string>& brokers, const TlsOptions& tls) {
    return MakeLinkOptions(brokers, {}, std::chrono::seconds(1), std::chrono::seconds(10), "", tls);
  }
  // "" if they are taken.
  std::string Complaint(const std::vector<std::string>& brokers, const TlsOptions& tls = {}) {
    try {
      Make(brokers, tls);
    } catch (const std::invalid_argument& e) {
      return e.what();
    }
    return "";
  }

  TemporaryDirectory directory_;
  std::string ca_;
  std::string certificate_;
  std::string key_;
};

TEST_F(ClientOptionsTest, VerifiesUnlessToldNotTo) {
  EXPECT_EQ(Make({"amqps://b"}, {}).brokers[0].tls->verify, true);
  EXPECT_EQ(Make({"amqps://b?verify=verify_none"}, {}).brokers[0].tls->verify, false);
  const TlsOptions anybody{.dangerously_accept_any_certificate = true};
  EXPECT_EQ(Make({"amqps://b"}, anybody).brokers[0].tls->verify, false);
  EXPECT_EQ(Make({"amqps://b?verify=verify_peer"}, anybody).brokers[0].tls->verify, true);
}

TEST_F(ClientOptionsTest, FillInWhatTheUrlsLeaveOut) {
  const TlsOptions tls{.ca_file = ca_,
                       .certificate_file = certificate_,
                       .key_file = key_,
                       .server_name = "name",
                       .login_with_certificate = true};
  const LinkOptions link =
      Make({"amqps://a", "amqps://b?server_name_indication=other&auth_mechanism=plain"}, tls);
  const BrokerUrl& first = link.brokers[0];
  EXPECT_EQ(first.tls->ca_file, ca_);
  EXPECT_EQ(first.tls->certificate_file, certificate_);
  EXPECT_EQ(first.tls->key_file, key_);
  EXPECT_EQ(first.tls->server_name, "name");
  EXPECT_EQ(first.mechanism, SaslMechanism::kExternal);
  EXPECT_EQ(link.brokers[1].tls->server_name, "other");
  EXPECT_EQ(link.brokers[1].mechanism, SaslMechanism::kPlain);
}

TEST_F(ClientOptionsTest, NeverMixACertificateWithTheKeyOfAnother) {
  EXPECT_THAT(Complaint({"amqps://b?certfile=" + certificate_},
                        {.certificate_file = certificate_, .key_file = key_}),
              HasSubstr("need each other"));
  EXPECT_THAT(Complaint({"amqps://b"}, {.certificate_file = certificate_}),
              HasSubstr("need each other"));
}

// Whoever names an authority believes that nobody can listen.
TEST_F(ClientOptionsTest, AreRefusedIfAUrlMakesThemWithoutEffect) {
  for (const TlsOptions& tls : {TlsOptions{.ca_file = ca_}, TlsOptions{.server_name = "b"},
                                TlsOptions{.login_with_certificate = true},
                                TlsOptions{.dangerously_accept_any_certificate = true}}) {
    EXPECT_THAT(
        Complaint({"amqps://a?certfile=" + certificate_ + "&keyfile=" + key_, "amqp://b"}, tls),
        AllOf(HasSubstr("b:5672"), HasSubstr("not amqps://")));
  }
}

TEST_F(ClientOptionsTest, SayAtOnceWhichFileCannotBeUsed) {
  EXPECT_THAT(Complaint({"amqps://b?cacertfile=/nowhere/ca.pem"}), HasSubstr("/nowhere/ca.pem"));
  EXPECT_THAT(Complaint({"amqps://b"}, {.certificate_file = ca_, .key_file = "/nowhere/key"}),
              HasSubstr("/nowhere/key"));
}

TEST_F(ClientOptionsTest, NeedACertificateToLogInWith) {
  EXPECT_THAT(Complaint({"amqps://b?auth_mechanism=external"}), HasSubstr("certfile"));
  EXPECT_THAT(Complaint({"amqp://b?auth_mechanism=external"}), HasSubstr("amqps://"));
  EXPECT_THAT(Complaint({"amqps://b"}, {.login_with_certificate = true}), HasSubstr("certfile"));
  EXPECT_EQ(Complaint({"amqp://b?auth_mechanism=plain"}), "");
}

TEST_F(ClientOptionsTest, RefuseANameThatEndsEarly) {
  EXPECT_THAT(Complaint({"amqps://b"}, {.server_name = std::string("a\0b", 3)}), HasSubstr("NUL"));
}

}  // namespace
}  // namespace landfall::client
