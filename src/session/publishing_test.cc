#include <gtest/gtest.h>

#include "session/session_harness.h"

namespace landfall::session {
namespace {

using amqp::ConfirmOutcome;
using amqp::ReplyCode;
using broker::Fate;
using broker::PublishCommand;

class Publishes : public SessionTest {
 protected:
  void ConfirmSelect(uint16_t channel = 1) {
    Send(channel, amqp::ConfirmSelect{});
    Expect<amqp::ConfirmSelectOk>(channel);
  }
  void ExpectConfirm(uint64_t tag, bool multiple, ConfirmOutcome outcome) {
    const auto confirm = Expect<amqp::LandfallConfirm>(1);
    EXPECT_EQ(confirm.delivery_tag, tag);
    EXPECT_EQ(confirm.multiple, multiple);
    EXPECT_EQ(confirm.outcome, outcome);
  }
  void ExpectAck(uint64_t tag, bool multiple) {
    const auto ack = Expect<amqp::BasicAck>(1);
    EXPECT_EQ(ack.delivery_tag, tag);
    EXPECT_EQ(ack.multiple, multiple);
  }
  static amqp::Table Identity(int64_t sequence) {
    return {{"x-producer", "p1"},
            {"x-producer-epoch", int64_t{2}},
            {"x-producer-sequence", sequence},
            {"x-producer-lowest", int64_t{1}}};
  }
  void PublishWith(const amqp::Table& headers) {
    const ByteBuffer encoded = headers.Encode();
    amqp::PropertiesView properties = Persistent();
    properties.SetHeaders(amqp::TableView(encoded));
    Publish(1, "", "q", "x", false, properties);
  }
};

TEST_F(Publishes, ReachTheirQueueAsTheyCame) {
  ConnectWithChannel();
  Publish(1, "", "q", "hello", false, Persistent());
  const auto publish = ExpectCommand<PublishCommand>();
  EXPECT_EQ(publish.publish_seq, 1u);
  ASSERT_EQ(publish.queues.size(), 1u);
  EXPECT_EQ(publish.queues[0], kQueue);
  EXPECT_EQ(publish.message->body(), "hello");
  EXPECT_EQ(publish.message->routing_key(), "q");
  EXPECT_TRUE(publish.message->persistent());
  EXPECT_EQ(publish.identity, nullptr);
  ExpectSilence();
}

TEST_F(Publishes, AreTransientUnlessTheySayOtherwise) {
  ConnectWithChannel();
  Publish(1, "", "q", "");
  const auto publish = ExpectCommand<PublishCommand>();
  EXPECT_FALSE(publish.message->persistent());
  EXPECT_EQ(publish.message->body(), "");
}

TEST_F(Publishes, ArePutTogetherFromBodiesInParts) {
  ConnectWithChannel();
  const std::string body(400'000, 'b');
  const ByteBuffer frames = Published(1, "", "q", body);
  for (size_t i = 0; i < frames.size(); i += 50'000) {
    ExpectNoCommand();
    Bytes(ByteView(frames).substr(i, 50'000));
  }
  EXPECT_EQ(ExpectCommand<PublishCommand>().message->body(), body);
}

TEST_F(Publishes, OfTwoChannelsMayInterleaveTheirFrames) {
  ConnectWithChannel();
  OpenChannel(2);
  const ByteBuffer a = Published(1, "", "q", std::string(200'000, 'a'));
  const ByteBuffer b = Published(2, "", "q", std::string(200'000, 'b'));
  // The method, the header and the first body frame of each, then the rest.
  const size_t cut = a.size() - 100'000;
  size_t used = 0;
  std::string rest_a(a), rest_b(b);
  while (!rest_a.empty() || !rest_b.empty()) {
    for (std::string* rest : {&rest_a, &rest_b}) {
      if (rest->empty()) continue;
      const auto frame = amqp::ParseFrame(*rest, 0);
      Bytes(ByteView(*rest).substr(0, frame.consumed));
      rest->erase(0, frame.consumed);
    }
    ++used;
  }
  EXPECT_GT(used, 2u);
  EXPECT_GT(cut, 0u);
  EXPECT_EQ(ExpectCommand<PublishCommand>().message->body()[0], 'a');
  EXPECT_EQ(ExpectCommand<PublishCommand>().message->body()[0], 'b');
}

TEST_F(Publishes, AreConfirmedOnceTheyHaveLanded) {
  ConnectWithChannel(PlainCapabilities());
  ConfirmSelect();
  Publish(1, "", "q", "1");
  Publish(1, "", "q", "2");
  ExpectSilence();
  Outcome(broker::Published{kShard, 1});
  ExpectAck(1, false);
  Outcome(broker::Published{kShard, 2});
  ExpectAck(2, false);
}

TEST_F(Publishes, ThatLandTogetherAreConfirmedTogether) {
  ConnectWithChannel(PlainCapabilities());
  ConfirmSelect();
  for (int i = 0; i < 5; ++i) Publish(1, "", "q", "x");
  Outcome(broker::Published{kShard, 4});
  ExpectAck(4, true);
  ExpectSilence();
}

TEST_F(Publishes, CountTheirTagsFromConfirmSelectOn) {
  ConnectWithChannel(PlainCapabilities());
  Publish(1, "", "q", "unconfirmed");
  ConfirmSelect();
  Publish(1, "", "q", "1");
  Outcome(broker::Published{kShard, 2});
  ExpectAck(1, false);
  ExpectSilence();
}

TEST_F(Publishes, AreNotAckedBeforeTheyAreSettledThemselves) {
  ConnectWithChannel(PlainCapabilities());
  ports.AddQueue("slow", 12, 4);
  ConfirmSelect();
  Publish(1, "", "q", "1");
  Publish(1, "", "slow", "2");
  Publish(1, "", "q", "3");
  Outcome(broker::Published{kShard, 2});
  // 3 overtakes 2, so it must not be acked with `multiple`.
  ExpectAck(1, false);
  ExpectAck(3, false);
  ExpectSilence();
  Outcome(broker::Published{4, 1});
  ExpectAck(2, false);
  ExpectSilence();
}

TEST_F(Publishes, ToSeveralShardsSettleWhenAllHaveAnswered) {
  ConnectWithChannel(PlainCapabilities());
  ports.AddQueue("a", 12, 4);
  ports.AddQueue("b", 13, 4);
  for (const char* queue : {"q", "a", "b"}) ports.Bind("amq.fanout", queue, "");
  ConfirmSelect();
  Publish(1, "amq.fanout", "k", "x", true);
  ASSERT_EQ(ports.commands.size(), 2u);
  size_t queues = 0;
  for (const auto& sent : ports.commands) {
    queues += std::get<PublishCommand>(sent.command.body).queues.size();
  }
  EXPECT_EQ(queues, 3u);
  Outcome(broker::Published{kShard, 1});
  ExpectSilence();
  Outcome(broker::Published{4, 1});
  ExpectAck(1, false);
}

TEST_F(Publishes, TellOurClientWhatBecameOfThem) {
  ConnectWithChannel();
  ports.AddQueue("transient", 12, kShard, false);
  ConfirmSelect();
  Publish(1, "", "q", "durable", false, Persistent());
  Publish(1, "", "q", "repeat", false, Persistent());
  Publish(1, "", "q", "not persistent");
  Publish(1, "", "transient", "in memory", false, Persistent());
  Publish(1, "", "q", "fenced", false, Persistent());
  Publish(1, "", "nowhere", "unroutable", false, Persistent());
  Expect<amqp::LandfallConfirm>(1);  // unroutable is settled at once
  Outcome(broker::PublishFate{kShard, 2, Fate::kDuplicate});
  Outcome(broker::PublishFate{kShard, 5, Fate::kFenced});
  Outcome(broker::Published{kShard, 5});
  ExpectConfirm(1, false, ConfirmOutcome::kLanded);
  ExpectConfirm(2, false, ConfirmOutcome::kDuplicate);
  ExpectConfirm(4, true, ConfirmOutcome::kAccepted);
  ExpectConfirm(5, false, ConfirmOutcome::kFenced);
  ExpectSilence();
}

TEST_F(Publishes, OfAFencedProducerAreNackedToPlainClients) {
  ConnectWithChannel(PlainCapabilities());
  ConfirmSelect();
  Publish(1, "", "q", "x");
  Outcome(broker::PublishFate{kShard, 1, Fate::kFenced});
  Outcome(broker::Published{kShard, 1});
  EXPECT_EQ(Expect<amqp::BasicNack>(1).delivery_tag, 1u);
}

TEST_F(Publishes, ThatAreMandatoryComeBackBeforeTheirAck) {
  ConnectWithChannel(PlainCapabilities());
  ConfirmSelect();
  Publish(1, "", "nowhere", "body", true);
  const auto returned = Expect<amqp::BasicReturn>(1);
  EXPECT_EQ(returned.reply_code, 312);
  EXPECT_EQ(returned.reply_text, "NO_ROUTE");
  EXPECT_EQ(returned.routing_key, "nowhere");
  EXPECT_EQ(ExpectContent(1), "body");
  ExpectAck(1, false);
  ExpectNoCommand();
}

TEST_F(Publishes, ToNowhereAreAckedSilentlyWhenNotMandatory) {
  ConnectWithChannel(PlainCapabilities());
  ConfirmSelect();
  Publish(1, "", "nowhere", "body");
  ExpectAck(1, false);
  ExpectSilence();
}

TEST_F(Publishes, ComeBackWhenTheirQueueHasGoneMeanwhile) {
  ConnectWithChannel();
  ConfirmSelect();
  Publish(1, "", "q", "body", true, Persistent());
  Outcome(broker::PublishFate{kShard, 1, Fate::kGone});
  Outcome(broker::Published{kShard, 1});
  EXPECT_EQ(Expect<amqp::BasicReturn>(1).reply_code, 312);
  EXPECT_EQ(ExpectContent(1), "body");
  ExpectConfirm(1, false, ConfirmOutcome::kAccepted);
}

TEST_F(Publishes, ToAnUnknownExchangeCloseTheChannel) {
  ConnectWithChannel();
  OpenChannel(2);
  Publish(1, "nope", "q", "x");
  const auto close = Expect<amqp::ChannelClose>(1);
  EXPECT_EQ(close.reply_code, 404);
  EXPECT_EQ(close.reply_text, "NOT_FOUND - no exchange 'nope' in vhost '/'");
  EXPECT_EQ(close.class_id, 60);
  EXPECT_EQ(close.method_id, 40);
  // What was under way is discarded, other channels go on, and after close-ok so does this number.
  Publish(1, "", "q", "discarded");
  ExpectNoCommand();
  Publish(2, "", "q", "x");
  ExpectCommand<PublishCommand>();
  Send(1, amqp::ChannelCloseOk{});
  OpenChannel(1);
}

TEST_F(Publishes, ToAnInternalExchangeAreRefused) {
  ConnectWithChannel();
  ports.AddExchange("inner", broker::ExchangeType::kDirect, true);
  Publish(1, "inner", "q", "x");
  ExpectChannelClose(1, ReplyCode::kAccessRefused,
                     "ACCESS_REFUSED - cannot publish to internal exchange 'inner' in vhost '/'");
}

TEST_F(Publishes, ThatAreImmediateAreNotImplemented) {
  ConnectWithChannel();
  Send(1, amqp::BasicPublish{.exchange = "", .routing_key = "q", .immediate = true});
  ExpectConnectionClose(ReplyCode::kNotImplemented, "NOT_IMPLEMENTED - immediate=true");
}

TEST_F(Publishes, ThatAreTooLargeCloseTheChannelBeforeTheirBodyIsTaken) {
  options.max_message_bytes = 1000;
  ConnectWithChannel();
  Publish(1, "", "q", std::string(1001, 'x'));
  ExpectChannelClose(
      1, ReplyCode::kPreconditionFailed,
      "PRECONDITION_FAILED - message size 1001 is larger than configured max size 1000");
  ExpectNoCommand();
}

TEST_F(Publishes, ThatAreNeverFinishedAreBounded) {
  options.max_message_bytes = 100'000;
  ConnectWithChannel();
  for (uint16_t channel = 2; channel <= 5; ++channel) {
    OpenChannel(channel);
    ByteBuffer frames = Published(channel, "", "q", std::string(90'000, 'x'));
    const auto method = amqp::ParseFrame(frames, 0);
    const auto header = amqp::ParseFrame(ByteView(frames).substr(method.consumed), 0);
    Bytes(ByteView(frames).substr(0, method.consumed + header.consumed));
    ByteBuffer part;
    amqp::AppendFrame(part, amqp::FrameType::kBody, channel, std::string(80'000, 'x'));
    Bytes(part);
    if (channel == 4) break;
  }
  ExpectConnectionClose(ReplyCode::kResourceError,
                        "RESOURCE_ERROR - too many bytes of unfinished messages");
}

TEST_F(Publishes, MustNameTheirUserTruthfully) {
  ConnectWithChannel();
  amqp::PropertiesView properties;
  properties.user_id = "guest";
  properties.flags = amqp::kHasUserId;
  Publish(1, "", "q", "x", false, properties);
  ExpectCommand<PublishCommand>();
  properties.user_id = "mallory";
  Publish(1, "", "q", "x", false, properties);
  ExpectChannelClose(1, ReplyCode::kPreconditionFailed,
                     "PRECONDITION_FAILED - user_id property set to 'mallory' but authenticated "
                     "user was 'guest'");
}

TEST_F(Publishes, CarryTheIdentityOfTheirProducer) {
  ConnectWithChannel();
  PublishWith(Identity(9));
  const auto publish = ExpectCommand<PublishCommand>();
  ASSERT_NE(publish.identity, nullptr);
  EXPECT_EQ(publish.identity->producer, "p1");
  EXPECT_EQ(publish.identity->epoch, 2u);
  EXPECT_EQ(publish.identity->sequence, 9u);
  EXPECT_EQ(publish.identity->lowest_unsettled, 1u);
}

TEST_F(Publishes, WithHalfAnIdentityHaveNone) {
  ConnectWithChannel();
  PublishWith({{"x-producer", "somebody else's header"}});
  EXPECT_EQ(ExpectCommand<PublishCommand>().identity, nullptr);
}

TEST_F(Publishes, WithAnImpossibleIdentityAreRefused) {
  const struct {
    std::string header;
    amqp::Value value;
    std::string wanted;
  } kCases[] = {
      {"x-producer-sequence", int64_t{0}, "it must be an integer from 1"},
      {"x-producer-sequence", "7", "it must be an integer from 1"},
      {"x-producer", int64_t{7}, "it must be a string of 1 to 255 bytes"},
      {"x-producer", "", "it must be a string of 1 to 255 bytes"},
      {"x-producer-epoch", int64_t{-1}, "it must be an integer that is not negative"},
      {"x-producer-lowest", "1", "it must be an integer that is not negative"},
      {"x-producer-lowest", int64_t{10}, "it must be at most the sequence of the message"},
  };
  for (const auto& [header, value, wanted] : kCases) {
    ConnectWithChannel();
    amqp::Table headers = Identity(9);
    headers.Set(header, value);
    PublishWith(headers);
    ExpectChannelClose(1, ReplyCode::kPreconditionFailed,
                       "PRECONDITION_FAILED - invalid header '" + header + "': " + wanted);
    ExpectNoCommand();
  }
}

TEST_F(Publishes, WithAnExpirationThatIsNoneAreRefused) {
  ConnectWithChannel();
  amqp::PropertiesView properties;
  properties.expiration = "soon";
  properties.flags = amqp::kHasExpiration;
  Publish(1, "", "q", "x", false, properties);
  ExpectChannelClose(1, ReplyCode::kPreconditionFailed,
                     "PRECONDITION_FAILED - invalid expiration 'soon': no_integer");
  ExpectNoCommand();
}

TEST_F(Publishes, FollowABindingThatComesBetweenThem) {
  ConnectWithChannel();
  Publish(1, "amq.direct", "k", "1");
  ExpectNoCommand();
  ports.Bind("amq.direct", "q", "k");
  Publish(1, "amq.direct", "k", "2");
  EXPECT_EQ(ExpectCommand<PublishCommand>().message->body(), "2");
}

TEST_F(Publishes, ToAHeadersExchangeAreRoutedOneByOne) {
  ConnectWithChannel();
  ports.Bind("amq.headers", "q", "", {{"colour", "red"}});
  for (const char* colour : {"blue", "red", "blue"}) {
    const ByteBuffer headers = amqp::Table{{"colour", colour}}.Encode();
    amqp::PropertiesView properties;
    properties.SetHeaders(amqp::TableView(headers));
    Publish(1, "amq.headers", "", colour, false, properties);
  }
  EXPECT_EQ(ExpectCommand<PublishCommand>().message->body(), "red");
  ExpectNoCommand();
}

TEST_F(Publishes, MustBeFollowedByTheirContent) {
  ConnectWithChannel();
  Send(1, amqp::BasicPublish{.exchange = "", .routing_key = "q"});
  Send(1, amqp::BasicQos{});
  ExpectConnectionClose(ReplyCode::kUnexpectedFrame,
                        "UNEXPECTED_FRAME - expected content header for class 60, got non content "
                        "header frame instead");
}

TEST_F(Publishes, MustBeFollowedByABodyIfTheyHaveOne) {
  ConnectWithChannel();
  Send(1, amqp::BasicPublish{.exchange = "", .routing_key = "q"});
  ByteBuffer frame;
  amqp::AppendContentHeaderFrame(frame, 1, 60, 5, ByteView("\0\0", 2));
  Bytes(frame);
  Send(1, amqp::BasicQos{});
  ExpectConnectionClose(
      ReplyCode::kUnexpectedFrame,
      "UNEXPECTED_FRAME - expected content body, got non content body frame instead");
}

TEST_F(Publishes, MustNotHaveTheContentOfAnotherClass) {
  ConnectWithChannel();
  Send(1, amqp::BasicPublish{.exchange = "", .routing_key = "q"});
  ByteBuffer frame;
  amqp::AppendContentHeaderFrame(frame, 1, 50, 5, ByteView("\0\0", 2));
  Bytes(frame);
  ExpectConnectionClose(ReplyCode::kUnexpectedFrame,
                        "UNEXPECTED_FRAME - expected content header for class 60, got one for "
                        "class 50 instead");
}

TEST_F(Publishes, MustNotBeLongerThanAnnounced) {
  ConnectWithChannel();
  Send(1, amqp::BasicPublish{.exchange = "", .routing_key = "q"});
  ByteBuffer frames;
  amqp::AppendContentHeaderFrame(frames, 1, 60, 2, ByteView("\0\0", 2));
  amqp::AppendFrame(frames, amqp::FrameType::kBody, 1, "abc");
  Bytes(frames);
  ExpectConnectionClose(ReplyCode::kFrameError,
                        "FRAME_ERROR - content body is larger than its header says");
}

TEST_F(Publishes, AreNotMadeOfContentAlone) {
  ConnectWithChannel();
  ByteBuffer frame;
  amqp::AppendFrame(frame, amqp::FrameType::kBody, 1, "x");
  Bytes(frame);
  ExpectConnectionClose(ReplyCode::kUnexpectedFrame,
                        "UNEXPECTED_FRAME - expected method frame, got non method frame instead");
}

TEST_F(Publishes, WithMalformedPropertiesAreASyntaxError) {
  ConnectWithChannel();
  Send(1, amqp::BasicPublish{.exchange = "", .routing_key = "q"});
  ByteBuffer frame;
  amqp::AppendContentHeaderFrame(frame, 1, 60, 0, ByteView("\x80\x00\x09short", 8));
  Bytes(frame);
  ExpectConnectionClose(
      ReplyCode::kSyntaxError,
      "SYNTAX_ERROR - the content header's 8 bytes of properties are not well-formed");
  ConnectWithChannel();
  Send(1, amqp::BasicPublish{.exchange = "", .routing_key = "q"});
  frame.clear();
  amqp::AppendFrame(frame, amqp::FrameType::kHeader, 1, "short");
  Bytes(frame);
  ExpectConnectionClose(
      ReplyCode::kSyntaxError,
      "SYNTAX_ERROR - the content header frame's payload of 5 bytes is not well-formed");
}

TEST_F(Publishes, StopBeingReadWhenTooMuchHasNotLanded) {
  options.max_unlanded_messages = 10;
  ConnectWithChannel();
  ByteBuffer many;
  for (int i = 0; i < 30; ++i) many += Published(1, "", "q", "x");
  Bytes(many);
  EXPECT_EQ(ports.commands.size(), 10u);
  EXPECT_FALSE(session->wants_input());
  Outcome(broker::Published{kShard, 4});
  EXPECT_FALSE(session->wants_input());
  Outcome(broker::Published{kShard, 5});
  EXPECT_TRUE(session->wants_input());
  Offer();
  EXPECT_EQ(ports.commands.size(), 15u);
}

// A few bytes to a thousand queues are much work.
TEST_F(Publishes, AreBoundedInTheQueuesThatTheyGoTo) {
  options.max_unlanded_copies = 20;
  ConnectWithChannel();
  for (broker::QueueId id = 100; id < 106; ++id) {
    ports.AddQueue("fan" + std::to_string(id), id, kShard);
    ports.Bind("amq.fanout", "fan" + std::to_string(id), "");
  }
  ByteBuffer many;
  for (int i = 0; i < 30; ++i) many += Published(1, "amq.fanout", "", "x");
  Bytes(many);
  EXPECT_EQ(ports.commands.size(), 4u);  // five more than one each
  EXPECT_FALSE(session->wants_input());
  Outcome(broker::Published{kShard, 2});
  EXPECT_TRUE(session->wants_input());
}

TEST_F(Publishes, AreBoundedInBytesToo) {
  options.max_unlanded_bytes = 10'000;
  ConnectWithChannel();
  for (int i = 0; i < 30; ++i) Publish(1, "", "q", std::string(1000, 'x'));
  EXPECT_FALSE(session->wants_input());
  EXPECT_LE(ports.commands.size(), 10u);
}

TEST_F(Publishes, ThatAreSettledBehindOneThatIsNotAreBoundedToo) {
  options.max_unlanded_messages = 10;
  ConnectWithChannel(PlainCapabilities());
  ConfirmSelect();
  Publish(1, "", "q", "lands late");
  for (uint64_t i = 2; i <= 10; ++i) {
    Publish(1, "", "nowhere", "x");
    ExpectAck(i, false);
  }
  EXPECT_FALSE(session->wants_input());
  Outcome(broker::Published{kShard, 1});
  ExpectAck(1, false);
  EXPECT_TRUE(session->wants_input());
}

TEST_F(Publishes, OfAClosedChannelDoNotConfirmThoseOfItsSuccessor) {
  ConnectWithChannel(PlainCapabilities());
  ConfirmSelect();
  Publish(1, "", "q", "old");
  Send(1, amqp::ChannelClose{.reply_code = 200});
  Expect<amqp::ChannelCloseOk>(1);
  OpenChannel(1);
  ConfirmSelect();
  Publish(1, "", "q", "new");
  Outcome(broker::Published{kShard, 1});
  ExpectSilence();
  Outcome(broker::Published{kShard, 2});
  ExpectAck(1, false);
}

TEST_F(Publishes, AreBlockedByAResourceAlarmAndTold) {
  ConnectWithChannel();
  session->OnResourceAlarm(true, "low on disk", now);
  Read();
  ExpectSilence();
  EXPECT_TRUE(session->wants_input());
  Publish(1, "", "q", "x");
  EXPECT_EQ(Expect<amqp::ConnectionBlocked>(0).reason, "low on disk");
  EXPECT_FALSE(session->wants_input());
  session->OnResourceAlarm(false, "", now);
  Read();
  Expect<amqp::ConnectionUnblocked>(0);
  EXPECT_TRUE(session->wants_input());
}

}  // namespace
}  // namespace landfall::session
