#include <gtest/gtest.h>

#include "session/session_harness.h"

namespace landfall::session {
namespace {

using amqp::ReplyCode;
using broker::CloseChannelCommand;
using broker::SettleCommand;

class Connections : public SessionTest {
 protected:
  void SendClose() { Send(0, amqp::ConnectionClose{.reply_code = 200, .reply_text = "bye"}); }
};

TEST_F(Connections, CloseWhenTheClientAsks) {
  Connect();
  SendClose();
  Expect<amqp::ConnectionCloseOk>(0);
  EXPECT_FALSE(session->wants_close());
  EXPECT_FALSE(session->done());
  session->OnDisconnected(now);
  EXPECT_TRUE(session->done());
  EXPECT_EQ(session->end_reason(), "closed by the client");
}

// Two threads of a client may ask at the same time.
TEST_F(Connections, AnswerASecondCloseAndLeaveTheSocketToTheClientForAWhile) {
  Connect();
  SendClose();
  Expect<amqp::ConnectionCloseOk>(0);
  Send(1, amqp::ChannelOpen{});
  ExpectSilence();
  SendClose();
  Expect<amqp::ConnectionCloseOk>(0);
  EXPECT_FALSE(session->wants_close());
  Pass(options.close_timeout);
  EXPECT_TRUE(session->wants_close());
  EXPECT_EQ(session->end_reason(), "closed by the client");
}

TEST_F(Connections, GiveEverythingBackBeforeTheyConfirmTheClose) {
  ConnectWithChannel();
  const auto consumer = Consume(1, "c");
  Deliver(consumer, 1);
  Deliver(consumer, 2);
  ByteBuffer frames;
  amqp::AppendMethodFrame(frames, 1, amqp::BasicAck{.delivery_tag = 1});
  amqp::AppendMethodFrame(frames, 0, amqp::ConnectionClose{.reply_code = 200});
  Bytes(frames);
  EXPECT_EQ(ExpectCommand<SettleCommand>().last, 1u);
  EXPECT_EQ(ExpectCommand<CloseChannelCommand>().channel, 0);
  ExpectSilence();
  EXPECT_FALSE(session->wants_close());
  Outcome(broker::ChannelClosed{kShard, 0});
  Expect<amqp::ConnectionCloseOk>(0);
}

TEST_F(Connections, TellShardsThatTheyHaveOnlyPublishedTo) {
  ConnectWithChannel();
  Publish(1, "", "q", "x");
  ExpectCommand<broker::PublishCommand>();
  session->OnDisconnected(now);
  EXPECT_EQ(ExpectCommand<CloseChannelCommand>().channel, 0);
  EXPECT_FALSE(session->done());
  Outcome(broker::ChannelClosed{kShard, 0});
  EXPECT_TRUE(session->done());
}

TEST_F(Connections, CountAcksThatCameBeforeTheSocketWasLost) {
  ConnectWithChannel();
  const auto consumer = Consume(1, "c");
  Deliver(consumer, 1);
  Send(1, amqp::QueuePurge{.queue = "q"});
  ExpectCommand<broker::PurgeCommand>();
  // Its channel is busy, so the ack is kept.
  Send(1, amqp::BasicAck{.delivery_tag = 1});
  session->OnDisconnected(now);
  ExpectNoCommand();
  Outcome(broker::Purged{.channel = 1});
  EXPECT_EQ(ExpectCommand<SettleCommand>().first, 1u);
  ExpectCommand<CloseChannelCommand>();
  Outcome(broker::ChannelClosed{kShard, 0});
  EXPECT_TRUE(session->done());
}

TEST_F(Connections, CloseAfterWhatWasSentBeforeIsDone) {
  ConnectWithChannel();
  Send(1, amqp::QueuePurge{.queue = "q"});
  Publish(1, "", "q", "x");
  SendClose();
  ExpectCommand<broker::PurgeCommand>();
  ExpectNoCommand();
  Outcome(broker::Purged{.channel = 1});
  ExpectCommand<broker::PublishCommand>();
  ExpectCommand<CloseChannelCommand>();
}

TEST_F(Connections, DoNotWaitForEverForWhatWasSentBefore) {
  ConnectWithChannel();
  Send(1, amqp::QueuePurge{.queue = "q"});
  Publish(1, "", "q", "x");
  ExpectCommand<broker::PurgeCommand>();
  session->OnDisconnected(now);
  EXPECT_EQ(session->NextDeadline(), now + options.close_timeout);
  Pass(options.close_timeout);
  ExpectCommand<CloseChannelCommand>();
  Outcome(broker::ChannelClosed{kShard, 0});
  EXPECT_TRUE(session->done());
  EXPECT_EQ(session->NextDeadline(), kNever);
}

TEST_F(Connections, LeaveTheirExclusiveQueuesToTheTopologyWhenTheShardsHaveLetGo) {
  ConnectWithChannel();
  Send(1, amqp::QueueDeclare{.queue = "mine", .exclusive = true});
  ExpectRequest<broker::DeclareQueue>();
  Reply({.channel = 1, .queue = ports.AddQueue("mine", 20, 5, false, kSession)});
  ExpectCommand<broker::CountCommand>(5);
  session->OnDisconnected(now);
  ExpectCommand<CloseChannelCommand>(5);
  EXPECT_TRUE(ports.requests.empty());
  Outcome(broker::ChannelClosed{5, 0});
  ExpectRequest<broker::SessionEnded>();
}

TEST_F(Connections, DiscardEverythingAfterAnErrorUntilItIsAcknowledged) {
  ConnectWithChannel();
  Consume(1, "c");
  Send(0, amqp::QueuePurge{.queue = "q"});
  ExpectConnectionClose(ReplyCode::kCommandInvalid,
                        "COMMAND_INVALID - unexpected method 'queue.purge' on channel 0");
  ExpectCommand<CloseChannelCommand>();
  Publish(1, "", "q", "x");
  Send(2, amqp::ChannelOpen{});
  ExpectSilence();
  ExpectNoCommand();
  EXPECT_FALSE(session->wants_close());
  Send(0, amqp::ConnectionCloseOk{});
  EXPECT_TRUE(session->wants_close());
}

TEST_F(Connections, AnswerACloseThatCrossesTheirOwn) {
  Connect();
  session->Shutdown(now);
  Read();
  ExpectConnectionClose(ReplyCode::kConnectionForced, "CONNECTION_FORCED - broker is stopping");
  SendClose();
  Expect<amqp::ConnectionCloseOk>(0);
  EXPECT_TRUE(session->wants_close());
}

TEST_F(Connections, DoNotWaitForEverForAnAnswer) {
  Connect();
  session->Shutdown(now);
  Read();
  Expect<amqp::ConnectionClose>(0);
  EXPECT_EQ(session->NextDeadline(), now + options.close_timeout);
  Pass(options.close_timeout);
  EXPECT_TRUE(session->wants_close());
  EXPECT_EQ(session->end_reason(), "CONNECTION_FORCED - broker is stopping");
}

TEST_F(Connections, ListenToNothingMoreWhenFramesAreOutOfStep) {
  ConnectWithChannel();
  Bytes("\x09garbage garbage garbage");
  EXPECT_EQ(Expect<amqp::ConnectionClose>(0).reply_code, 501);
  Publish(1, "", "q", "x");
  ExpectNoCommand();
  EXPECT_TRUE(unread_.empty());
}

TEST_F(Connections, RefuseFramesAboveTheNegotiatedSize) {
  Connect(AllCapabilities(), 4096);
  OpenChannel(1);
  Bytes(ByteView("\3\0\1\0\0\x10\1", 7));
  EXPECT_EQ(Expect<amqp::ConnectionClose>(0).reply_code, 501);
}

TEST_F(Connections, SplitWhatTheySendAtTheNegotiatedSize) {
  Connect(AllCapabilities(), 4096);
  OpenChannel(1);
  ports.AddQueue("q", kQueue, kShard);
  const auto consumer = Consume(1, "c");
  Outcome(Delivery(consumer, 1, std::string(10'000, 'x')));
  Expect<amqp::BasicDeliver>(1);
  EXPECT_EQ(ExpectContent(1), std::string(10'000, 'x'));
}

TEST_F(Connections, BeatWhenTheyHaveNothingElseToSay) {
  Connect(AllCapabilities(), 131072, 10);
  EXPECT_EQ(session->NextDeadline(), now + std::chrono::seconds(5));
  Pass(std::chrono::seconds(5));
  EXPECT_EQ(Next().type, amqp::FrameType::kHeartbeat);
  // Not while the peer does not take what there is.
  write_ = false;
  Pass(std::chrono::seconds(5));
  const size_t unwritten = session->output().size();
  Bytes(ByteView("\x08\0\0\0\0\0\0\xCE", 8));
  Pass(std::chrono::seconds(5));
  EXPECT_EQ(session->output().size(), unwritten);
}

TEST_F(Connections, CloseWithoutCeremonyWhenThePeerIsSilent) {
  Connect(AllCapabilities(), 131072, 10);
  for (int i = 0; i < 10; ++i) {
    Pass(std::chrono::seconds(15));
    Bytes(ByteView("\x08\0\0\0\0\0\0\xCE", 8));
    EXPECT_FALSE(session->wants_close());
  }
  Pass(std::chrono::seconds(20));
  EXPECT_TRUE(session->wants_close());
  EXPECT_EQ(session->end_reason(), "missed heartbeats from the client, timeout: 10s");
}

TEST_F(Connections, CloseWhenThePeerTakesNothingOfWhatIsSent) {
  options.max_unwritten_bytes = 5'000;
  Connect(AllCapabilities(), 131072, 10);
  OpenChannel(1);
  ports.AddQueue("q", kQueue, kShard);
  const auto consumer = Consume(1, "c");
  write_ = false;
  for (broker::Sequence s = 1; s <= 30; ++s) Outcome(Delivery(consumer, s, std::string(500, 'x')));
  EXPECT_FALSE(session->wants_input());
  for (int i = 0; i < 10; ++i) {
    Pass(std::chrono::seconds(15));
    session->output().erase(0, 1);  // slowly, but it takes something
    session->OnWritten(1, now);
    EXPECT_FALSE(session->wants_close());
  }
  Pass(std::chrono::seconds(5));
  Pass(std::chrono::seconds(20));
  EXPECT_TRUE(session->wants_close());
}

// Without heartbeats nothing would ever end it.
TEST_F(Connections, LetLeasesRunOutForAPeerThatTakesNothingAndHasNoHeartbeat) {
  options.max_unwritten_bytes = 5'000;
  Connect(AllCapabilities(), 131072, 0);
  OpenChannel(1);
  ports.AddQueue("q", kQueue, kShard);
  const auto consumer = Consume(1, "c");
  write_ = false;
  for (broker::Sequence s = 1; s <= 30; ++s) Outcome(Delivery(consumer, s, std::string(500, 'x')));
  EXPECT_FALSE(session->wants_input());
  ExpectNoCommand();
}

TEST_F(Connections, DoNotMissHeartbeatsThatTheyDidNotRead) {
  options.max_unlanded_messages = 1;
  Connect(AllCapabilities(), 131072, 10);
  OpenChannel(1);
  ports.AddQueue("q", kQueue, kShard);
  Publish(1, "", "q", "x");
  EXPECT_FALSE(session->wants_input());
  for (int i = 0; i < 10; ++i) Pass(std::chrono::seconds(10));
  EXPECT_FALSE(session->wants_close());
  Outcome(broker::Published{kShard, 1});
  EXPECT_TRUE(session->wants_input());
  Pass(std::chrono::seconds(19));
  EXPECT_FALSE(session->wants_close());
}

TEST_F(Connections, LetLeasesRestWhileTheyAreNotRead) {
  options.max_unlanded_messages = 2;
  ConnectWithChannel();
  Consume(1, "c");
  Publish(1, "", "q", "1");
  ExpectCommand<broker::PublishCommand>();
  Publish(1, "", "q", "2");
  ExpectCommand<broker::PublishCommand>();
  EXPECT_TRUE(ExpectCommand<broker::PauseLeasesCommand>().paused);
  Outcome(broker::Published{kShard, 2});
  EXPECT_FALSE(ExpectCommand<broker::PauseLeasesCommand>().paused);
  ExpectNoCommand();
}

TEST_F(Connections, AreNotReadWhileTheirPeerDoesNotTakeTheAnswers) {
  options.max_unwritten_bytes = 5'000;
  ConnectWithChannel();
  write_ = false;
  for (int i = 0; i < 2'000; ++i) Send(1, amqp::BasicQos{});
  EXPECT_FALSE(session->wants_input());
  EXPECT_LT(session->output().size(), 11'000u);
  write_ = true;
  Read();
  EXPECT_TRUE(session->wants_input());
}

TEST_F(Connections, KeepCountWhenTheShellWritesInPieces) {
  options.max_unwritten_bytes = 5'000;
  ConnectWithChannel();
  const auto consumer = Consume(1, "c");
  write_ = false;
  for (broker::Sequence s = 1; s <= 30; ++s) Outcome(Delivery(consumer, s, std::string(500, 'x')));
  ByteBuffer taken;
  taken.swap(session->output());
  EXPECT_FALSE(session->wants_input());
  Outcome(Delivery(consumer, 31));
  for (size_t left = taken.size(); left > 0;) {
    const size_t piece = std::min<size_t>(left, 700);
    session->OnWritten(piece, now);
    left -= piece;
  }
  EXPECT_TRUE(session->wants_input());
  const size_t rest = session->output().size();
  session->output().clear();
  session->OnWritten(rest, now);
}

}  // namespace
}  // namespace landfall::session
