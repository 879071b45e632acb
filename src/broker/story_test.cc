#include "broker/story.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

#include "amqp/properties.h"

namespace landfall::broker {
namespace {

constexpr uint8_t kLastEvent = static_cast<uint8_t>(StoryEvent::kLost);

MessageRef WithProperties(const amqp::Properties& properties) {
  ByteBuffer headers;
  ByteBuffer encoded;
  amqp::AppendProperties(encoded, properties.View(headers));
  return Message::Make("", "q", encoded, "body", true);
}

StoryRecord Told(StoryEvent event) {
  StoryRecord r{.story = UINT64_MAX,
                .queue = 7,
                .sequence = 8,
                .event = event,
                .time = Time(Duration(1'700'000'000'000'000)),
                .attempt = 3,
                .batch = 4,
                .lsn = 5,
                .until = Time(Duration(1'700'000'000'000'001)),
                .user = "guest",
                .connection = "127.0.0.1:1 -> 127.0.0.1:2",
                .consumer = "tag",
                .exchange = "ex",
                .routing_key = "key",
                .detail = "why"};
  if (event > StoryEvent::kRefused) return r;
  r.vhost = "/";
  r.queue_name = "orders";
  r.properties = ByteBuffer("\0\0", 2);
  r.body_bytes = 5;
  return r;
}

TEST(Story, IsReadBackWithEveryFieldWhateverTheEvent) {
  for (uint8_t event = 1; event <= kLastEvent; ++event) {
    const StoryRecord told = Told(static_cast<StoryEvent>(event));
    ByteBuffer bytes;
    AppendStory(bytes, told);
    ByteReader in(bytes);
    EXPECT_EQ(ReadStory(in), told) << int{event};
    EXPECT_TRUE(in.done() && !in.failed()) << int{event};
  }
}

TEST(Story, HasANameForEveryEventAndNoOther) {
  std::set<std::string_view> names;
  for (uint8_t event = 1; event <= kLastEvent; ++event)
    names.insert(NameOf(static_cast<StoryEvent>(event)));
  EXPECT_EQ(names.size(), size_t{kLastEvent});
  EXPECT_FALSE(names.contains(""));
  EXPECT_EQ(NameOf(static_cast<StoryEvent>(0)), "");
  EXPECT_EQ(NameOf(static_cast<StoryEvent>(kLastEvent + 1)), "");
  EXPECT_EQ(NameOf(static_cast<StoryEvent>(255)), "");
}

TEST(Story, KeepsNoTextThatIsLongerThanAKibibyte) {
  StoryRecord told = Told(StoryEvent::kReceived);
  told.detail = std::string(5000, 'd');
  told.consumer = std::string(5000, 'c');
  ByteBuffer bytes;
  AppendStory(bytes, told);
  ByteReader in(bytes);
  const StoryRecord read = ReadStory(in);
  EXPECT_TRUE(in.done() && !in.failed());
  EXPECT_EQ(read.detail, std::string(1024, 'd'));
  EXPECT_EQ(read.consumer, std::string(1024, 'c'));
  EXPECT_EQ(read.properties, told.properties);
}

TEST(Story, KeepsPropertiesAsTheyAreUnlessTheyAreLarge) {
  amqp::Properties properties;
  properties.message_id = "m-1";
  properties.correlation_id = "c-1";
  properties.type = "order";
  properties.headers = amqp::Table{{"traceparent", "00-1-2-01"}, {"fill", std::string(200, '.')}};
  EXPECT_EQ(StoryProperties(*WithProperties(properties), /*much_room=*/true),
            WithProperties(properties)->properties());

  properties.headers->Set("fill", std::string(9000, '.'));
  for (const bool much_room : {false, true}) {
    const ByteBuffer kept = StoryProperties(*WithProperties(properties), much_room);
    EXPECT_LT(kept.size(), 100u);
    const auto read = amqp::DecodeProperties(kept);
    ASSERT_TRUE(read);
    EXPECT_EQ(read->message_id, "m-1");
    EXPECT_EQ(read->correlation_id, "c-1");
    EXPECT_FALSE(read->Has(amqp::kHasType));
    EXPECT_EQ(read->headers.FindString("traceparent"), "00-1-2-01");
    EXPECT_EQ(read->headers.FindString("fill"), std::nullopt);
  }
}

TEST(Story, KeepsFewPropertiesWhereThereIsNotMuchRoom) {
  amqp::Properties properties;
  properties.message_id = "m-1";
  properties.headers = amqp::Table{{"fill", std::string(1000, '.')}};
  const MessageRef message = WithProperties(properties);
  EXPECT_EQ(StoryProperties(*message, /*much_room=*/true), message->properties());
  EXPECT_LT(StoryProperties(*message, /*much_room=*/false).size(), 50u);
}

TEST(Story, LeavesATraceparentOutThatIsNone) {
  amqp::Properties properties;
  properties.headers = amqp::Table{{"traceparent", std::string(9000, '0')}};
  EXPECT_LT(StoryProperties(*WithProperties(properties), true).size(), 10u);
}

TEST(Story, IsDrawnByTheMessageIdAloneIfThereIsOne) {
  amqp::Properties properties;
  properties.message_id = "m-1";
  const MessageRef a = WithProperties(properties);
  EXPECT_EQ(StoryDraw(*a, 1), StoryDraw(*a, UINT64_MAX));
  properties.message_id = "m-2";
  EXPECT_NE(StoryDraw(*a, 1), StoryDraw(*WithProperties(properties), 1));
  const MessageRef without = WithProperties({});
  EXPECT_NE(StoryDraw(*without, 1), StoryDraw(*without, UINT64_MAX));
}

TEST(Story, IsDrawnForTheShareThatIsWanted) {
  int below = 0;
  for (int n = 0; n < 10'000; ++n) {
    amqp::Properties properties;
    properties.message_id = std::to_string(n);
    const double draw = StoryDraw(*WithProperties(properties), 0);
    ASSERT_TRUE(draw >= 0 && draw < 1) << draw;
    below += draw < 0.25;
  }
  EXPECT_NEAR(below, 2500, 250);
  EXPECT_LT(StoryDraw(*WithProperties({}), UINT64_MAX), 1);
}

}  // namespace
}  // namespace landfall::broker
