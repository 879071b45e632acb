#include "admin/message_json.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "amqp/properties.h"

namespace landfall::admin {
namespace {

using nlohmann::json;

json Body() {
  return {{"routing_key", "k"},
          {"properties", json::object()},
          {"payload", "hello"},
          {"payload_encoding", "string"}};
}

TEST(PublishBody, GivesWhatAClientWouldSend) {
  json body = Body();
  body["properties"] = {{"delivery_mode", "2"}, {"headers", {{"n", 1}}}, {"type", "t"}};
  const auto read = ReadPublishBody(body);
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(read->payload, "hello");
  const auto properties = amqp::DecodeProperties(read->properties);
  ASSERT_TRUE(properties);
  EXPECT_TRUE(properties->IsPersistent());
  EXPECT_EQ(properties->type, "t");
  EXPECT_EQ(properties->headers.FindInteger("n"), 1);
}

TEST(PublishBody, DecodesBase64) {
  json body = Body();
  body["payload_encoding"] = "base64";
  body["payload"] = "AP8=";
  EXPECT_EQ(ReadPublishBody(body)->payload, std::string("\0\xff", 2));
}

TEST(PublishBody, IsRefusedWhenSomethingIsMissingOrWrong) {
  for (const char* key : {"routing_key", "properties", "payload", "payload_encoding"}) {
    json body = Body();
    body.erase(key);
    const auto read = ReadPublishBody(body);
    ASSERT_FALSE(read) << key;
    EXPECT_NE(read.error().message.find(key), std::string::npos);
  }
  json body = Body();
  body["properties"] = {{"priority", 256}};
  EXPECT_FALSE(ReadPublishBody(body));
  body["properties"] = {{"priority", -1}};
  EXPECT_FALSE(ReadPublishBody(body));
  body["properties"] = {{"app_id", std::string(256, 'x')}};
  EXPECT_FALSE(ReadPublishBody(body));
}

TEST(GetBody, KnowsRabbitMqsModes) {
  const auto mode = [](const char* name) {
    return ReadGetBody({{"count", 1}, {"ackmode", name}, {"encoding", "auto"}}, 10)->mode;
  };
  EXPECT_EQ(mode("ack_requeue_false"), GetBody::Mode::kAck);
  EXPECT_EQ(mode("ack_requeue_true"), GetBody::Mode::kRequeue);
  EXPECT_EQ(mode("reject_requeue_true"), GetBody::Mode::kRequeue);
  EXPECT_EQ(mode("reject_requeue_false"), GetBody::Mode::kReject);
  EXPECT_FALSE(ReadGetBody({{"count", 1}, {"ackmode", "x"}, {"encoding", "auto"}}, 10));
  EXPECT_FALSE(
      ReadGetBody({{"count", 11}, {"ackmode", "ack_requeue_true"}, {"encoding", "auto"}}, 10));
}

TEST(Utf8, IsToldFromOtherBytes) {
  for (const char* text : {"", "abc", "\xC3\xBC", "\xE2\x82\xAC", "\xF0\x9F\x98\x80"})
    EXPECT_TRUE(IsUtf8(text)) << text;
  // Cut short, overlong, a surrogate, beyond the last character, a lone continuation.
  for (const char* bytes : {"\xC3", "\xC0\xAF", "\xE0\x80\xAF", "\xED\xA0\x80", "\xF4\x90\x80\x80",
                            "\x80", "\xFF", "a\xE2\x82"})
    EXPECT_FALSE(IsUtf8(bytes));
}

}  // namespace
}  // namespace landfall::admin
