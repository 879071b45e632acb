#include "client/message_encoding.h"

#include <gtest/gtest.h>

namespace landfall::client {
namespace {

TEST(PropertyEncoder, MakesThePlainMessagePersistentWithItsIdentity) {
  PropertyEncoder encoder("shop", 42);
  encoder.Encode(nullptr, 1, 1);
  const auto p = amqp::DecodeProperties(encoder.Encode(nullptr, 8, 6));
  ASSERT_TRUE(p);
  EXPECT_TRUE(p->IsPersistent());
  EXPECT_EQ(p->headers.FindString("x-producer"), "shop");
  EXPECT_EQ(p->headers.FindInteger("x-producer-epoch"), 42);
  EXPECT_EQ(p->headers.FindInteger("x-producer-sequence"), 8);
  EXPECT_EQ(p->headers.FindInteger("x-producer-lowest"), 6);
}

TEST(PropertyEncoder, BringsEveryOption) {
  PropertyEncoder encoder("p", 1);
  MessageOptions o;
  o.headers = {{"n", 1}, {"t", "text"}, {"b", true}, {"d", 0.5}, {"v", std::monostate()}};
  o.message_id = "id";
  o.content_type = "text/plain";
  o.content_encoding = "gzip";
  o.correlation_id = "c";
  o.reply_to = "r";
  o.type = "t";
  o.app_id = "a";
  o.priority = 0;
  o.expiration = std::chrono::milliseconds(1500);
  o.timestamp = std::chrono::system_clock::time_point(std::chrono::seconds(77));
  const auto p = amqp::DecodeProperties(encoder.Encode(&o, 2, 1));
  ASSERT_TRUE(p);
  EXPECT_TRUE(p->IsPersistent());
  EXPECT_EQ(p->message_id, "id");
  EXPECT_EQ(p->content_type, "text/plain");
  EXPECT_EQ(p->content_encoding, "gzip");
  EXPECT_EQ(p->correlation_id, "c");
  EXPECT_EQ(p->reply_to, "r");
  EXPECT_EQ(p->type, "t");
  EXPECT_EQ(p->app_id, "a");
  EXPECT_TRUE(p->Has(amqp::kHasPriority));
  EXPECT_EQ(p->expiration, "1500");
  EXPECT_EQ(p->timestamp, 77u);
  EXPECT_EQ(p->headers.FindInteger("x-producer-sequence"), 2);
  EXPECT_EQ(ToHeaders(p->headers), o.headers);
}

TEST(ToHeaders, LeavesOutWhatAHeaderValueCannotHold) {
  const amqp::Table table{{"table", amqp::Table{{"a", 1}}}, {"n", int32_t{7}}};
  const ByteBuffer encoded = table.Encode();
  EXPECT_EQ(ToHeaders(amqp::TableView(encoded)), (Headers{{"n", 7}}));
}

}  // namespace
}  // namespace landfall::client
