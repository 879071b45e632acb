#include "client/url.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>
#include <utility>

namespace landfall::client {
namespace {

using ::testing::AnyOf;
using ::testing::HasSubstr;
using ::testing::Not;

TEST(BrokerUrl, FillsInWhatIsLeftOut) {
  for (const char* text : {"amqp://broker", "amqp://broker/", "amqp://broker:5672/%2f"}) {
    const auto url = ParseBrokerUrl(text);
    ASSERT_TRUE(url) << text;
    EXPECT_EQ(url->host, "broker");
    EXPECT_EQ(url->port, 5672);
    EXPECT_EQ(url->user, "guest");
    EXPECT_EQ(url->password, "guest");
    EXPECT_EQ(url->vhost, "/");
  }
}

TEST(BrokerUrl, ReadsEveryPartAndDecodesIt) {
  const auto url = ParseBrokerUrl("amqp://us%40er:p%3Aa%2Fss@[::1]:35672/team%2Fa");
  ASSERT_TRUE(url);
  EXPECT_EQ(url->user, "us@er");
  EXPECT_EQ(url->password, "p:a/ss");
  EXPECT_EQ(url->host, "::1");
  EXPECT_EQ(url->port, 35672);
  EXPECT_EQ(url->vhost, "team/a");
  EXPECT_EQ(url->Address(), "[::1]:35672");
}

TEST(BrokerUrl, SaysWhatIsWrongWithoutThePassword) {
  for (const char* text :
       {"localhost:5672", "http://u:secret@h", "amqp://", "amqp://u:secret@h:0",
        "amqp://u:secret@h:70000", "amqp://u:secret@h:12x", "amqp://u:secret@h/a/b",
        "amqp://u:secret@h/%zz", "amqp://u:secret@h?x=1", "amqps://u:secret@h?x=1",
        "amqps://h?password=secret", "amqps://h?password=se@cret", "amqp://u:sec?ret@h",
        "amqps://u:secret@h#x", "amqps://.", "amqp://:secret@h", "amqp://u:secret@[::1",
        "amqp://u:secret@[::1]x"}) {
    const auto url = ParseBrokerUrl(text);
    ASSERT_FALSE(url) << text;
    EXPECT_EQ(url.error().code, ErrorCode::kInvalidArgument);
    EXPECT_THAT(url.error().message, Not(AnyOf(HasSubstr("sec"), HasSubstr("ret")))) << text;
  }
}

TEST(BrokerUrl, SpeaksTlsOnlyIfTheSchemeSaysSo) {
  const auto with = ParseBrokerUrl("amqps://broker/");
  ASSERT_TRUE(with);
  EXPECT_TRUE(with->tls);
  EXPECT_EQ(with->port, 5671);
  EXPECT_EQ(with->tls->verify, std::nullopt);
  EXPECT_EQ(with->mechanism, std::nullopt);
  EXPECT_EQ(ParseBrokerUrl("amqps://broker:35671")->port, 35671);
  EXPECT_FALSE(ParseBrokerUrl("amqp://broker")->tls);
}

TEST(BrokerUrl, ReadsTheParametersOfTls) {
  const auto url = ParseBrokerUrl(
      "amqps://u:p@broker/v?cacertfile=/etc/ca.pem&certfile=/etc/my%20own.pem&keyfile=/etc/own.key"
      "&verify=verify_none&server_name_indication=other.example&auth_mechanism=EXTERNAL");
  ASSERT_TRUE(url) << url.error().message;
  EXPECT_EQ(url->host, "broker");
  EXPECT_EQ(url->vhost, "v");
  EXPECT_EQ(url->tls->ca_file, "/etc/ca.pem");
  EXPECT_EQ(url->tls->certificate_file, "/etc/my own.pem");
  EXPECT_EQ(url->tls->key_file, "/etc/own.key");
  EXPECT_EQ(url->tls->verify, false);
  EXPECT_EQ(url->tls->server_name, "other.example");
  EXPECT_EQ(url->mechanism, SaslMechanism::kExternal);
}

TEST(BrokerUrl, VerifiesIfTold) {
  EXPECT_EQ(ParseBrokerUrl("amqps://broker?verify=verify_peer")->tls->verify, true);
}

TEST(BrokerUrl, TakesNoParameterThatItDoesNotKnowOrThatHasNoEffect) {
  for (const auto& [text, says] : {
           std::pair("amqps://h?cacert=/x", "'cacert' is none of"),
           std::pair("amqps://h?heartbeat=5", "'heartbeat' is none of"),
           std::pair("amqp://h?cacertfile=/x", "among the parameters of amqp://"),
           std::pair("amqp://h?verify=verify_none", "among the parameters of amqp://"),
           std::pair("amqps://h?verify=none", "verify_peer or verify_none"),
           std::pair("amqps://h?verify", "verify_peer or verify_none"),
           std::pair("amqps://h?auth_mechanism=amqplain", "plain or external"),
           std::pair("amqps://h?cacertfile=", "needs a value"),
           std::pair("amqps://h?cacertfile=/x%00y", "needs a value"),
           std::pair("amqps://h?server_name_indication=.", "no server"),
           std::pair("amqps://h?verify=verify_peer&verify=verify_none", "given twice"),
           std::pair("amqps://h?certfile=%zz", "two hex digits"),
       }) {
    const auto url = ParseBrokerUrl(text);
    ASSERT_FALSE(url) << text;
    EXPECT_THAT(url.error().message, HasSubstr(says)) << text;
  }
}

}  // namespace
}  // namespace landfall::client
