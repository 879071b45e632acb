#include <gtest/gtest.h>

#include "session/session_harness.h"

namespace landfall::session {
namespace {

using amqp::ReplyCode;

class Channels : public SessionTest {
 protected:
  void Done() { Reply({.channel = 1}); }
  void Refused(ReplyCode code, std::string text) {
    Reply({.channel = 1, .error = code, .text = std::move(text)});
  }
};

TEST_F(Channels, MustBeOpenedFirst) {
  Connect();
  Send(1, amqp::BasicQos{});
  const auto close = Expect<amqp::ConnectionClose>(0);
  EXPECT_EQ(close.reply_code, 504);
  EXPECT_EQ(close.reply_text, "CHANNEL_ERROR - expected 'channel.open'");
  EXPECT_EQ(close.class_id, 60);
}

TEST_F(Channels, AreOpenedOnce) {
  ConnectWithChannel();
  Send(1, amqp::ChannelOpen{});
  ExpectConnectionClose(ReplyCode::kChannelError, "CHANNEL_ERROR - second 'channel.open' seen");
}

TEST_F(Channels, AreLimitedInNumber) {
  Connect();
  OpenChannel(2047);
  Send(2048, amqp::ChannelOpen{});
  ExpectConnectionClose(
      ReplyCode::kChannelError,
      "CHANNEL_ERROR - channel number 2048 is above the negotiated channel_max (2047)");
}

TEST_F(Channels, RefuseMethodsThatServersSend) {
  ConnectWithChannel();
  Send(1, amqp::BasicGetEmpty{});
  ExpectConnectionClose(ReplyCode::kCommandInvalid,
                        "COMMAND_INVALID - unexpected method 'basic.get-empty'");
  ConnectWithChannel();
  Send(0, amqp::ConnectionTune{});
  ExpectConnectionClose(ReplyCode::kCommandInvalid,
                        "COMMAND_INVALID - unexpected method 'connection.tune' on channel 0");
}

TEST_F(Channels, RefuseFramesThatBelongElsewhere) {
  ConnectWithChannel();
  ByteBuffer frame;
  amqp::AppendFrame(frame, amqp::FrameType::kHeartbeat, 1, {});
  Bytes(frame);
  ExpectConnectionClose(ReplyCode::kUnexpectedFrame,
                        "UNEXPECTED_FRAME - heartbeat frame on channel 1");
  ConnectWithChannel();
  frame.clear();
  amqp::AppendFrame(frame, amqp::FrameType::kBody, 0, "x");
  Bytes(frame);
  ExpectConnectionClose(ReplyCode::kUnexpectedFrame,
                        "UNEXPECTED_FRAME - content frame on channel 0");
}

TEST_F(Channels, RefuseMethodsThatNobodyKnows) {
  ConnectWithChannel();
  ByteBuffer frame;
  amqp::AppendFrame(frame, amqp::FrameType::kMethod, 1, ByteView("\0\x3c\x03\xe7", 4));
  Bytes(frame);
  ExpectConnectionClose(ReplyCode::kCommandInvalid,
                        "COMMAND_INVALID - unknown method: class 60, method 999");
}

TEST_F(Channels, RefuseMalformedMethods) {
  const auto refused = [this](uint16_t channel, ByteView payload) {
    ConnectWithChannel();
    ByteBuffer frame;
    amqp::AppendFrame(frame, amqp::FrameType::kMethod, channel, payload);
    Bytes(frame);
    const auto close = Expect<amqp::ConnectionClose>(0);
    EXPECT_EQ(close.reply_code, 502);
    EXPECT_EQ(close.class_id, payload[1]);
    EXPECT_EQ(close.method_id, payload[3]);
    return std::string(close.reply_text);
  };
  EXPECT_EQ(refused(1, ByteView("\0\x3c\0\x50\0", 5)),
            "SYNTAX_ERROR - the method frame's payload of 5 bytes is not a well-formed basic.ack");
  EXPECT_EQ(refused(2, ByteView("\0\x14\0\x0a\5", 5)), "SYNTAX_ERROR - malformed channel.open");
  EXPECT_EQ(refused(0, ByteView("\0\x0a\0\x46\0", 5)),
            "SYNTAX_ERROR - malformed connection.update-secret");
}

TEST_F(Channels, RefuseMalformedTables) {
  ConnectWithChannel();
  // The value of "x" has a type that does not exist.
  Send(1, amqp::QueueDeclare{.queue = "q", .arguments = amqp::TableView(ByteView("\1x?", 3))});
  ExpectConnectionClose(
      ReplyCode::kSyntaxError,
      "SYNTAX_ERROR - the method frame's payload of 16 bytes is not a well-formed queue.declare");
}

TEST_F(Channels, KeepOurOwnMethodsForThoseWhoNegotiatedThem) {
  ConnectWithChannel(PlainCapabilities());
  Send(1, amqp::LandfallAck{.delivery_tag = 1});
  ExpectConnectionClose(
      ReplyCode::kNotImplemented,
      "NOT_IMPLEMENTED - the capability 'landfall.extensions' was not negotiated");
}

TEST_F(Channels, DoNotMindANewSecretOfTheirConnection) {
  ConnectWithChannel();
  Send(0, amqp::ConnectionUpdateSecret{.new_secret = "new", .reason = "renewed"});
  Expect<amqp::ConnectionUpdateSecretOk>(0);
  Publish(1, "", "q", "x");
  ExpectCommand<broker::PublishCommand>();
}

TEST_F(Channels, AnswerFlowAndAccess) {
  ConnectWithChannel();
  Send(1, amqp::ChannelFlow{.active = true});
  EXPECT_TRUE(Expect<amqp::ChannelFlowOk>(1).active);
  Send(1, amqp::AccessRequest{.realm = "/data"});
  EXPECT_EQ(Expect<amqp::AccessRequestOk>(1).ticket, 1);
  Send(1, amqp::ChannelFlow{.active = false});
  ExpectConnectionClose(ReplyCode::kNotImplemented, "NOT_IMPLEMENTED - active=false");
}

TEST_F(Channels, DeclareExchangesInTheTopology) {
  ConnectWithChannel();
  Send(1, amqp::ExchangeDeclare{.exchange = "e", .type = "topic", .durable = true});
  const auto declare = ExpectRequest<broker::DeclareExchange>();
  EXPECT_EQ(declare.name, "e");
  EXPECT_EQ(declare.type, "topic");
  EXPECT_TRUE(declare.durable);
  ExpectSilence();
  Done();
  Expect<amqp::ExchangeDeclareOk>(1);
}

TEST_F(Channels, PassOnWhatTheTopologyRefuses) {
  ConnectWithChannel();
  Send(1, amqp::ExchangeDeclare{.exchange = "e", .type = "topic", .passive = true});
  Refused(ReplyCode::kNotFound, "NOT_FOUND - no exchange 'e' in vhost '/'");
  const auto close = Expect<amqp::ChannelClose>(1);
  EXPECT_EQ(close.reply_text, "NOT_FOUND - no exchange 'e' in vhost '/'");
  EXPECT_EQ(close.class_id, 40);
  EXPECT_EQ(close.method_id, 10);
}

TEST_F(Channels, CloseTheConnectionForAHardErrorOfTheTopology) {
  ConnectWithChannel();
  Send(1, amqp::ExchangeDeclare{.exchange = "e", .type = "wormhole"});
  Refused(ReplyCode::kCommandInvalid, "COMMAND_INVALID - unknown exchange type 'wormhole'");
  ExpectConnectionClose(ReplyCode::kCommandInvalid,
                        "COMMAND_INVALID - unknown exchange type 'wormhole'");
}

TEST_F(Channels, TakeNoLineBreakForPartOfAName) {
  ConnectWithChannel();
  Send(1, amqp::QueueDeclare{.queue = "n\r\n", .no_wait = true});
  EXPECT_EQ(ExpectRequest<broker::DeclareQueue>().name, "n");
}

TEST_F(Channels, DeclareQueuesAndAskTheirShardForTheCounts) {
  ConnectWithChannel();
  Send(1, amqp::QueueDeclare{.queue = "", .durable = true});
  EXPECT_EQ(ExpectRequest<broker::DeclareQueue>().name, "");
  Reply({.channel = 1, .queue = ports.AddQueue("amq.gen-1", 20, 5)});
  EXPECT_EQ(ExpectCommand<broker::CountCommand>(5).queue, 20u);
  ExpectSilence();
  Outcome(broker::QueueCounts{.channel = 1, .ready = 4, .consumers = 2});
  const auto ok = Expect<amqp::QueueDeclareOk>(1);
  EXPECT_EQ(ok.queue, "amq.gen-1");
  EXPECT_EQ(ok.message_count, 4u);
  EXPECT_EQ(ok.consumer_count, 2u);
  // From now on "" is that queue, and both empty names mean its own name as the key.
  Send(1, amqp::QueueBind{.queue = "", .exchange = "amq.direct", .routing_key = ""});
  const auto bind = ExpectRequest<broker::Bind>();
  EXPECT_EQ(bind.destination, "amq.gen-1");
  EXPECT_EQ(bind.routing_key, "amq.gen-1");
  EXPECT_FALSE(bind.to_exchange);
  Done();
  Expect<amqp::QueueBindOk>(1);
}

TEST_F(Channels, DeclareSilentlyWhenAskedTo) {
  ConnectWithChannel();
  Send(1, amqp::QueueDeclare{.queue = "n", .no_wait = true});
  ExpectRequest<broker::DeclareQueue>();
  // The publish must find the queue, so it waits.
  Publish(1, "", "n", "x");
  ExpectNoCommand();
  Reply({.channel = 1, .queue = ports.AddQueue("n", 20, 5)});
  ExpectSilence();
  ExpectCommand<broker::PublishCommand>(5);
}

TEST_F(Channels, KnowNoLastQueueBeforeTheFirst) {
  ConnectWithChannel();
  Send(1, amqp::QueuePurge{.queue = ""});
  ExpectChannelClose(1, ReplyCode::kNotFound, "NOT_FOUND - no previously declared queue");
}

TEST_F(Channels, BindAndUnbindAndDelete) {
  ConnectWithChannel();
  Send(1, amqp::QueueUnbind{.queue = "q", .exchange = "amq.direct", .routing_key = "k"});
  EXPECT_TRUE(ExpectRequest<broker::Bind>().unbind);
  Done();
  Expect<amqp::QueueUnbindOk>(1);
  Send(1, amqp::ExchangeBind{.destination = "a", .source = "b", .routing_key = "k"});
  const auto bind = ExpectRequest<broker::Bind>();
  EXPECT_TRUE(bind.to_exchange);
  EXPECT_EQ(bind.destination, "a");
  EXPECT_EQ(bind.source, "b");
  Done();
  Expect<amqp::ExchangeBindOk>(1);
  Send(1, amqp::ExchangeUnbind{.destination = "a", .source = "b"});
  ExpectRequest<broker::Bind>();
  Done();
  Expect<amqp::ExchangeUnbindOk>(1);
  Send(1, amqp::QueueDelete{.queue = "q", .if_unused = true});
  EXPECT_TRUE(ExpectRequest<broker::DeleteQueue>().if_unused);
  Reply({.channel = 1, .messages = 9});
  EXPECT_EQ(Expect<amqp::QueueDeleteOk>(1).message_count, 9u);
  Send(1, amqp::ExchangeDelete{.exchange = "e"});
  ExpectRequest<broker::DeleteExchange>();
  Done();
  Expect<amqp::ExchangeDeleteOk>(1);
}

TEST_F(Channels, PurgeInTheShard) {
  ConnectWithChannel();
  Send(1, amqp::QueuePurge{.queue = "q"});
  EXPECT_EQ(ExpectCommand<broker::PurgeCommand>().queue, kQueue);
  Outcome(broker::Purged{.channel = 1, .messages = 3});
  EXPECT_EQ(Expect<amqp::QueuePurgeOk>(1).message_count, 3u);
  Send(1, amqp::QueuePurge{.queue = "q"});
  Outcome(broker::Purged{.channel = 1, .queue_gone = true});
  ExpectChannelClose(1, ReplyCode::kNotFound, "NOT_FOUND - no queue 'q' in vhost '/'");
}

TEST_F(Channels, DoNotTouchQueuesOfOtherConnections) {
  const auto check = [this](const auto& method) {
    ConnectWithChannel();
    ports.AddQueue("theirs", 30, kShard, false, kSession + 1024);
    Send(1, method);
    const auto close = Expect<amqp::ChannelClose>(1);
    EXPECT_EQ(close.reply_code, 405);
    EXPECT_TRUE(close.reply_text.starts_with(
        "RESOURCE_LOCKED - cannot obtain exclusive access to locked queue 'theirs' in vhost '/'"));
    ExpectNoCommand();
    EXPECT_TRUE(ports.requests.empty());
  };
  check(amqp::BasicConsume{.queue = "theirs"});
  check(amqp::BasicGet{.queue = "theirs"});
  check(amqp::QueuePurge{.queue = "theirs"});
  check(amqp::QueueDelete{.queue = "theirs"});
  check(amqp::QueueBind{.queue = "theirs", .exchange = "amq.direct"});
}

TEST_F(Channels, ThatWaitDoNotHoldUpOthers) {
  ConnectWithChannel();
  OpenChannel(2);
  Send(1, amqp::QueueDeclare{.queue = "n"});
  Publish(1, "", "q", "waits");
  Publish(2, "", "q", "goes on");
  EXPECT_EQ(ExpectCommand<broker::PublishCommand>().message->body(), "goes on");
  ExpectNoCommand();
  Reply({.channel = 1, .queue = ports.AddQueue("n", 20, 5)});
  ExpectCommand<broker::CountCommand>(5);
  ExpectNoCommand();
  Outcome(broker::QueueCounts{.channel = 1});
  Expect<amqp::QueueDeclareOk>(1);
  EXPECT_EQ(ExpectCommand<broker::PublishCommand>().message->body(), "waits");
}

TEST_F(Channels, WaitAgainAndAgainInOrder) {
  ConnectWithChannel();
  for (int i = 0; i < 3; ++i) Send(1, amqp::QueuePurge{.queue = "q"});
  Send(1, amqp::BasicQos{});
  for (uint32_t i = 0; i < 3; ++i) {
    ExpectCommand<broker::PurgeCommand>();
    ExpectNoCommand();
    Outcome(broker::Purged{.channel = 1, .messages = i});
    EXPECT_EQ(Expect<amqp::QueuePurgeOk>(1).message_count, i);
  }
  Expect<amqp::BasicQosOk>(1);
}

TEST_F(Channels, ThatWaitKeepOnlySoMuch) {
  options.max_suspended_bytes = 10'000;
  ConnectWithChannel();
  Send(1, amqp::QueuePurge{.queue = "q"});
  ExpectCommand<broker::PurgeCommand>();
  for (int i = 0; i < 20; ++i) Publish(1, "", "q", std::string(1000, 'x'));
  EXPECT_FALSE(session->wants_input());
  EXPECT_GT(unread_.size(), 5'000u);
  Outcome(broker::Purged{.channel = 1});
  EXPECT_TRUE(session->wants_input());
  Offer();
  EXPECT_EQ(ports.commands.size(), 20u);
}

TEST_F(Channels, CloseWhenTheirShardsHaveLetGo) {
  ConnectWithChannel();
  Consume(1, "c");
  Send(1, amqp::ChannelClose{.reply_code = 200});
  EXPECT_EQ(ExpectCommand<broker::CloseChannelCommand>().channel, 1);
  ExpectSilence();
  // Already the next use of the number: it waits.
  Send(1, amqp::ChannelOpen{});
  ExpectSilence();
  Outcome(broker::ChannelClosed{kShard, 1});
  Expect<amqp::ChannelCloseOk>(1);
  Expect<amqp::ChannelOpenOk>(1);
}

TEST_F(Channels, ThatFailedAreUsableAgainOnceTheirShardsHaveLetGo) {
  ConnectWithChannel();
  Consume(1, "c");
  Send(1, amqp::BasicAck{.delivery_tag = 5});
  ExpectChannelClose(1, ReplyCode::kPreconditionFailed,
                     "PRECONDITION_FAILED - unknown delivery tag 5");
  ExpectCommand<broker::CloseChannelCommand>();
  Send(1, amqp::ChannelCloseOk{});
  Send(1, amqp::ChannelOpen{});
  ExpectSilence();
  Outcome(broker::ChannelClosed{kShard, 1});
  Expect<amqp::ChannelOpenOk>(1);
}

TEST_F(Channels, SurviveThatBothSidesCloseAtOnce) {
  ConnectWithChannel();
  Send(1, amqp::QueuePurge{.queue = "nope"});
  Expect<amqp::ChannelClose>(1);
  Send(1, amqp::ChannelClose{.reply_code = 200});
  Expect<amqp::ChannelCloseOk>(1);
  Send(1, amqp::ChannelCloseOk{});
  OpenChannel(1);
  Send(1, amqp::ChannelCloseOk{});
  ExpectSilence();
}

TEST_F(Channels, DropDeliveriesThatCrossTheirClose) {
  ConnectWithChannel();
  const auto consumer = Consume(1, "c");
  Send(1, amqp::ChannelClose{.reply_code = 200});
  Outcome(Delivery(consumer, 1));
  ExpectSilence();
}

}  // namespace
}  // namespace landfall::session
