#include "client/url.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace landfall::client {
namespace {

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
        "amqp://u:secret@h/%zz", "amqp://u:secret@h?x=1", "amqp://:secret@h",
        "amqp://u:secret@[::1", "amqp://u:secret@[::1]x"}) {
    const auto url = ParseBrokerUrl(text);
    ASSERT_FALSE(url) << text;
    EXPECT_EQ(url.error().code, ErrorCode::kInvalidArgument);
    EXPECT_THAT(url.error().message, Not(HasSubstr("secret")));
  }
  EXPECT_THAT(ParseBrokerUrl("amqps://u:secret@h").error().message, HasSubstr("TLS"));
}

}  // namespace
}  // namespace landfall::client
