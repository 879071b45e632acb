#include "amqp/properties.h"

#include <gtest/gtest.h>

#include "base/wire.h"

namespace landfall::amqp {
namespace {

using namespace std::literals;

Properties EveryProperty() {
  return Properties{
      .content_type = "application/json",
      .content_encoding = "gzip",
      .headers = Table{{"x-delivery-count", 3}},
      .delivery_mode = kPersistent,
      .priority = 9,
      .correlation_id = "c-1",
      .reply_to = "amq.rabbitmq.reply-to",
      .expiration = "60000",
      .message_id = std::string(255, 'm'),
      .timestamp = 1700000000,
      .type = "order.created",
      .user_id = "guest",
      .app_id = "shop",
      .cluster_id = "",
  };
}

TEST(Properties, HasTheBytesOfTheSpecification) {
  ByteBuffer out;
  AppendProperties(out, Properties{.content_type = "text/plain", .delivery_mode = kPersistent});
  EXPECT_EQ(out, "\x90\0\x0atext/plain\2"s);
  out.clear();
  AppendProperties(out, PropertiesView{});
  EXPECT_EQ(out, "\0\0"s);
  out.clear();
  AppendProperties(out, Properties{.headers = Table{{"k", true}}, .priority = 1});
  EXPECT_EQ(out, "\x28\0\0\0\0\4\1kt\1\1"s);
}

TEST(Properties, ReadsBackEveryProperty) {
  const Properties properties = EveryProperty();
  ByteBuffer bytes;
  AppendProperties(bytes, properties);
  const Result<PropertiesView> view = DecodeProperties(bytes);
  ASSERT_TRUE(view) << view.error().ToString();
  EXPECT_EQ(view->content_type, "application/json");
  EXPECT_EQ(view->content_encoding, "gzip");
  EXPECT_EQ(view->headers.FindInteger("x-delivery-count"), 3);
  EXPECT_TRUE(view->IsPersistent());
  EXPECT_EQ(view->priority, 9);
  EXPECT_EQ(view->correlation_id, "c-1");
  EXPECT_EQ(view->reply_to, "amq.rabbitmq.reply-to");
  EXPECT_EQ(view->expiration, "60000");
  EXPECT_EQ(view->message_id, std::string(255, 'm'));
  EXPECT_EQ(view->timestamp, 1700000000u);
  EXPECT_EQ(view->type, "order.created");
  EXPECT_EQ(view->user_id, "guest");
  EXPECT_EQ(view->app_id, "shop");
  EXPECT_TRUE(view->Has(kHasClusterId));
  EXPECT_EQ(view->cluster_id, "");

  EXPECT_EQ(Properties::From(*view), properties);
  ByteBuffer again;
  AppendProperties(again, *view);
  EXPECT_EQ(again, bytes);
}

TEST(Properties, ReadsBackEveryCombinationOfPresence) {
  const Properties all = EveryProperty();
  ByteBuffer headers;
  for (uint32_t flags = 0; flags <= 0xffff; flags += 4) {
    PropertiesView view = all.View(headers);
    view.flags = static_cast<uint16_t>(flags);
    ByteBuffer bytes;
    AppendProperties(bytes, view);
    const Result<PropertiesView> read = DecodeProperties(bytes);
    ASSERT_TRUE(read) << flags;
    ASSERT_EQ(read->flags, flags);
    ByteBuffer again;
    AppendProperties(again, *read);
    ASSERT_EQ(again, bytes);
  }
}

TEST(Properties, RefusesEveryTruncationAndAnyByteMore) {
  ByteBuffer bytes;
  AppendProperties(bytes, EveryProperty());
  for (size_t n = 0; n < bytes.size(); ++n) {
    const Result<PropertiesView> cut = DecodeProperties(ByteBuffer(bytes.data(), n));
    ASSERT_FALSE(cut) << n;
    EXPECT_EQ(cut.error().code, ErrorCode::kProtocol);
  }
  EXPECT_FALSE(DecodeProperties(bytes + '\0'));
}

TEST(Properties, RefusesPresenceBitsThatClassBasicDoesNotHave) {
  EXPECT_FALSE(DecodeProperties("\0\1"s));
  EXPECT_FALSE(DecodeProperties("\0\1\0\0"s));
  EXPECT_FALSE(DecodeProperties("\0\2"s));
}

TEST(Properties, RefusesBrokenHeaders) {
  EXPECT_FALSE(DecodeProperties("\x20\0\0\0\0\3\1kz"s));
  EXPECT_FALSE(DecodeProperties("\x20\0\0\0\0\4\1kt"s));
}

TEST(Properties, RewritesHeadersInAView) {
  ByteBuffer bytes;
  AppendProperties(bytes, Properties{.message_id = "m"});
  PropertiesView view = *DecodeProperties(bytes);
  const ByteBuffer headers = Table{{"x-delivery-count", 1}}.Encode();
  view.SetHeaders(TableView(headers));
  ByteBuffer rewritten;
  AppendProperties(rewritten, view);
  const Result<PropertiesView> read = DecodeProperties(rewritten);
  ASSERT_TRUE(read);
  EXPECT_EQ(read->message_id, "m");
  EXPECT_EQ(read->headers.FindInteger("x-delivery-count"), 1);
}

TEST(Properties, DoesNotTakeOverAViewWithBrokenHeaders) {
  PropertiesView view;
  view.SetHeaders(TableView("\1kz"));
  EXPECT_FALSE(Properties::From(view));
}

TEST(ContentHeader, ReadsTheFixedPartAndLeavesThePropertiesEncoded) {
  const Result<ContentHeader> header = DecodeContentHeader("\0\x3c\0\0\0\0\0\0\0\0\1\2\x10\0\2"sv);
  ASSERT_TRUE(header);
  EXPECT_EQ(header->class_id, 60);
  EXPECT_EQ(header->body_size, 258u);
  EXPECT_EQ(header->properties, "\x10\0\2"sv);
}

TEST(ContentHeader, RefusesATruncationAndAWeight) {
  const ByteBuffer good = "\0\x3c\0\0\0\0\0\0\0\0\1\2\0\0"s;
  EXPECT_TRUE(DecodeContentHeader(good));
  for (size_t n = 0; n < good.size(); ++n) {
    EXPECT_FALSE(DecodeContentHeader(ByteBuffer(good.data(), n))) << n;
  }
  EXPECT_FALSE(DecodeContentHeader("\0\x3c\0\1\0\0\0\0\0\0\1\2\0\0"s));
}

}  // namespace
}  // namespace landfall::amqp
