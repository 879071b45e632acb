#include "broker/message_properties.h"

#include <gtest/gtest.h>

#include "amqp/properties.h"

namespace landfall::broker {
namespace {

using std::chrono::milliseconds;

MessageRef With(const amqp::Properties& properties) {
  ByteBuffer encoded;
  amqp::AppendProperties(encoded, properties);
  return Message::Make("", "q", encoded, "x", true);
}

TEST(MessageProperties, GivePriorityAndTtlWhereTheyAreSet) {
  const auto plain = With({.content_type = "text/plain", .delivery_mode = 2});
  EXPECT_EQ(PriorityOf(*plain), 0);
  EXPECT_EQ(TtlOf(*plain), std::nullopt);
  const auto both = With({.priority = 7, .expiration = "1500", .message_id = "m"});
  EXPECT_EQ(PriorityOf(*both), 7);
  EXPECT_EQ(TtlOf(*both), milliseconds(1500));
  EXPECT_EQ(TtlOf(*With({.expiration = "soon"})), std::nullopt);
  EXPECT_EQ(TtlOf(*Message::Make("", "q", "", "x", true)), std::nullopt);
}

TEST(MessageProperties, SayWhatIsWrongWithAnExpirationInRabbitMqsWords) {
  EXPECT_EQ(ParseExpiration("0"), milliseconds(0));
  EXPECT_EQ(ParseExpiration("4294967295"), milliseconds(4294967295));
  EXPECT_EQ(ParseExpiration("").error(), "no_integer");
  EXPECT_EQ(ParseExpiration("soon").error(), "no_integer");
  EXPECT_EQ(ParseExpiration("5s").error(), "{leftover_string,\"s\"}");
  EXPECT_EQ(ParseExpiration("-1").error(), "{value_negative,-1}");
  EXPECT_EQ(ParseExpiration("4294967296").error(), "{value_too_big,4294967296}");
  EXPECT_EQ(ParseExpiration("99999999999999999999").error(),
            "{value_too_big,99999999999999999999}");
}

}  // namespace
}  // namespace landfall::broker
