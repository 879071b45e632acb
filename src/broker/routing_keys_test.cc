#include "broker/routing_keys.h"

#include <gtest/gtest.h>

#include "amqp/properties.h"
#include "broker/dead_letter.h"

namespace landfall::broker {
namespace {

using amqp::Array;
using amqp::Table;
using amqp::TableView;
using amqp::Value;

std::vector<std::string> All(const RoutingKeys& keys) {
  std::vector<std::string> all;
  keys.ForEach([&](ByteView key) { all.emplace_back(key); });
  return all;
}

ByteBuffer WithHeaders(Table headers) {
  amqp::Properties properties;
  properties.message_id = "m";
  properties.headers = std::move(headers);
  ByteBuffer encoded;
  amqp::AppendProperties(encoded, properties);
  return encoded;
}

TEST(RoutingKeys, AreTheMessagesOwnAndThoseOfCcAndBcc) {
  const ByteBuffer headers =
      Table{{"BCC", Array{Value("b")}}, {"CC", Array{Value("c1"), Value("c2")}}}.Encode();
  const auto keys = RoutingKeys::Of("own", TableView(headers));
  ASSERT_TRUE(keys);
  EXPECT_TRUE(keys->has_more());
  EXPECT_EQ(All(*keys), (std::vector<std::string>{"own", "c1", "c2", "b"}));
}

TEST(RoutingKeys, AreOneWithoutTheHeaders) {
  const ByteBuffer headers = Table{{"cc", Array{Value("no")}}}.Encode();
  EXPECT_FALSE(RoutingKeys::Of("own", TableView(headers))->has_more());
  EXPECT_FALSE(RoutingKeys::Of("own", TableView())->has_more());
}

TEST(RoutingKeys, LeaveOutWhatIsNoString) {
  const ByteBuffer headers = Table{{"CC", Array{Value(1), Value("c"), Value(true)}}}.Encode();
  EXPECT_EQ(All(*RoutingKeys::Of("own", TableView(headers))),
            (std::vector<std::string>{"own", "c"}));
}

TEST(RoutingKeys, AreRefusedInAnythingButAnArray) {
  const ByteBuffer cc = Table{{"CC", "key"}}.Encode();
  EXPECT_EQ(RoutingKeys::Of("own", TableView(cc)).error().message,
            "invalid message: {unacceptable_type_in_header,\"CC\",longstr}");
  const ByteBuffer bcc = Table{{"BCC", 1}}.Encode();
  EXPECT_EQ(RoutingKeys::Of("own", TableView(bcc)).error().message,
            "invalid message: {unacceptable_type_in_header,\"BCC\",signedint}");
}

TEST(RoutingKeys, OfBccAreHiddenFromReceivers) {
  const ByteBuffer encoded =
      WithHeaders({{"BCC", Array{Value("b")}}, {"CC", Array{Value("c")}}, {"k", "v"}});
  ByteBuffer buffer;
  EXPECT_EQ(WithoutBcc(encoded, buffer),
            ByteView(WithHeaders({{"CC", Array{Value("c")}}, {"k", "v"}})));
}

TEST(RoutingKeys, LeavePropertiesWithoutBccAsTheyAre) {
  ByteBuffer buffer;
  const ByteBuffer value_only = WithHeaders({{"k", "\3BCC"}});
  EXPECT_EQ(WithoutBcc(value_only, buffer).data(), value_only.data());
  const ByteBuffer nested = WithHeaders({{"k", Table{{"BCC", "x"}}}});
  EXPECT_EQ(WithoutBcc(nested, buffer).data(), nested.data());
  EXPECT_TRUE(WithoutBcc("", buffer).empty());
}

MessageRef DeadLetterOf(const QueueConfig& config, Table& headers) {
  QueueInfo queue;
  queue.name = "q";
  queue.config = config;
  const MessageRef message = Message::Make(
      "x", "own", WithHeaders({{"CC", Array{Value("c")}}, {"BCC", Array{Value("b")}}, {"k", "v"}}),
      "body", true);
  MessageRef dead = MakeDeadLetter(*message, queue, kRejected, Time{});
  headers = *amqp::Properties::From(*amqp::DecodeProperties(dead->properties()))->headers;
  return dead;
}

TEST(RoutingKeys, OfADeadLetterAreAllThatTheMessageHad) {
  Table headers;
  const MessageRef dead = DeadLetterOf({.dead_letter_exchange = "dlx"}, headers);
  EXPECT_EQ(All(*RoutingKeys::Of(dead->routing_key(), TableView(headers.Encode()))),
            (std::vector<std::string>{"own", "c", "b"}));
  // What receivers read tells nothing of BCC.
  const Table* death = (*headers.Find("x-death")->AsArray())[0].AsTable();
  EXPECT_EQ(*death->Find("routing-keys")->AsArray(), (Array{Value("own"), Value("c")}));
}

TEST(RoutingKeys, OfADeadLetterGiveWayToTheOneThatItsQueueNames) {
  Table headers;
  const MessageRef dead =
      DeadLetterOf({.dead_letter_exchange = "dlx", .dead_letter_routing_key = "instead"}, headers);
  EXPECT_EQ(dead->routing_key(), "instead");
  EXPECT_FALSE(headers.Contains("CC"));
  EXPECT_FALSE(headers.Contains("BCC"));
  EXPECT_EQ(headers.GetString("k"), "v");
}

}  // namespace
}  // namespace landfall::broker
