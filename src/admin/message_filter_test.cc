#include "admin/message_filter.h"

#include <gtest/gtest.h>

#include "amqp/properties.h"

namespace landfall::admin {
namespace {

broker::MessageRef Make(amqp::Table headers, const std::string& body,
                        const std::string& message_id = "") {
  amqp::Properties properties;
  properties.headers = std::move(headers);
  if (!message_id.empty()) properties.message_id = message_id;
  ByteBuffer encoded;
  amqp::AppendProperties(encoded, properties);
  return broker::Message::Make("shop", "order.new", encoded, body, true);
}

MessageFilter WithHeader(std::string_view condition) {
  MessageFilter filter;
  EXPECT_TRUE(ReadHeaderCondition(condition, filter));
  return filter;
}

TEST(MessageFilter, SearchesBodyPropertiesAndAddress) {
  amqp::Table headers;
  headers.Append("customer", "ada");
  const auto message = Make(headers, "{\"total\": 12}", "id-7");
  for (const char* there : {"total", "id-7", "customer", "ada", "order.new", "shop", ""})
    EXPECT_TRUE(MessageFilter{.search = there}.Matches(*message)) << there;
  for (const char* absent : {"Total", "id-8", "nobody"})
    EXPECT_FALSE(MessageFilter{.search = absent}.Matches(*message)) << absent;
}

TEST(MessageFilter, ComparesHeadersAsText) {
  amqp::Table headers;
  headers.Append("customer", "ada:1");
  headers.Append("retries", int64_t{3});
  headers.Append("vip", true);
  const auto message = Make(headers, "");
  for (const char* there : {"customer", "customer:ada:1", "retries:3", "vip:true"})
    EXPECT_TRUE(WithHeader(there).Matches(*message)) << there;
  for (const char* absent : {"customer:ada", "customer:", "retries:33", "vip:1", "name"})
    EXPECT_FALSE(WithHeader(absent).Matches(*message)) << absent;
}

TEST(MessageFilter, AHeaderWithoutANameIsRefused) {
  MessageFilter filter;
  EXPECT_FALSE(ReadHeaderCondition(":x", filter));
  EXPECT_FALSE(ReadHeaderCondition("", filter));
}

TEST(MessageFilter, TellsDeadLettersByTheirNewestDeath) {
  const auto death = [](const char* queue, const char* reason) {
    amqp::Table entry;
    entry.Append("queue", queue);
    entry.Append("reason", reason);
    return amqp::Value(entry);
  };
  amqp::Table headers;
  headers.Append("x-death", amqp::Array{death("work", "rejected"), death("old", "expired")});
  const auto message = Make(headers, "");
  EXPECT_TRUE((MessageFilter{.reason = "rejected", .origin_queue = "work"}.Matches(*message)));
  EXPECT_FALSE((MessageFilter{.reason = "expired"}.Matches(*message)));
  EXPECT_FALSE((MessageFilter{.origin_queue = "old"}.Matches(*message)));
  EXPECT_FALSE((MessageFilter{.reason = "rejected"}.Matches(*Make({}, ""))));
  // Whatever a publisher writes there.
  amqp::Table odd;
  odd.Append("x-death", amqp::Array{amqp::Value(int64_t{1})});
  EXPECT_FALSE((MessageFilter{.reason = "rejected"}.Matches(*Make(odd, ""))));
}

}  // namespace
}  // namespace landfall::admin
