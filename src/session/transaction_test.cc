#include <gtest/gtest.h>

#include "session/session_harness.h"

namespace landfall::session {
namespace {

using amqp::ReplyCode;
using broker::AckLanded;
using broker::Fate;
using broker::PublishCommand;
using broker::SettleCommand;
using broker::Settlement;

class Transactions : public SessionTest {
 protected:
  static constexpr broker::ShardId kOther = kShard + 1;
  static constexpr broker::QueueId kFar = kQueue + 1;

  void Select() {
    ConnectWithChannel();
    ports.AddQueue("far", kFar, kOther);
    Send(1, amqp::TxSelect{});
    Expect<amqp::TxSelectOk>(1);
  }
  void Commit() { Send(1, amqp::TxCommit{}); }
  void Rollback() {
    Send(1, amqp::TxRollback{});
    Expect<amqp::TxRollbackOk>(1);
  }
  void Ack(uint64_t tag, bool multiple = false) {
    Send(1, amqp::BasicAck{.delivery_tag = tag, .multiple = multiple});
  }
};

TEST_F(Transactions, PublishNothingBeforeTheyAreCommitted) {
  Select();
  Publish(1, "", "q", "1");
  Publish(1, "", "far", "2");
  Publish(1, "", "q", "3");
  ExpectNoCommand();
  Commit();
  EXPECT_EQ(ExpectCommand<PublishCommand>().message->body(), "1");
  EXPECT_EQ(ExpectCommand<PublishCommand>(kOther).message->body(), "2");
  EXPECT_EQ(ExpectCommand<PublishCommand>().message->body(), "3");
  Outcome(broker::Published{kShard, 2});
  ExpectSilence();
  Outcome(broker::Published{kOther, 1});
  Expect<amqp::TxCommitOk>(1);
  ExpectSilence();
}

TEST_F(Transactions, LandAsOneUnitInEachShard) {
  Select();
  Publish(1, "", "q", "1");
  Publish(1, "", "far", "2");
  Publish(1, "", "q", "3");
  Commit();
  EXPECT_TRUE(ExpectCommand<PublishCommand>().unit_goes_on);
  EXPECT_FALSE(ExpectCommand<PublishCommand>(kOther).unit_goes_on);
  EXPECT_FALSE(ExpectCommand<PublishCommand>().unit_goes_on);
}

TEST_F(Transactions, SettleOnlyWhenEveryPublishHasLanded) {
  Select();
  const auto consumer = Consume(1, "c");
  Deliver(consumer, 1);
  Deliver(consumer, 2);
  Publish(1, "", "q", "a");
  Publish(1, "", "far", "b");
  Ack(2, true);
  ExpectNoCommand();
  Commit();
  ExpectCommand<PublishCommand>();
  ExpectCommand<PublishCommand>(kOther);
  Outcome(broker::Published{kShard, 1});
  ExpectNoCommand();
  Outcome(broker::Published{kOther, 1});
  const auto settle = ExpectCommand<SettleCommand>();
  EXPECT_EQ(settle.kind, Settlement::kAck);
  EXPECT_EQ(settle.first, 1u);
  EXPECT_EQ(settle.last, 2u);
  ASSERT_NE(settle.notify_token, 0u);
  ExpectSilence();
  Outcome(AckLanded{1, settle.notify_token});
  Expect<amqp::TxCommitOk>(1);
}

TEST_F(Transactions, OfSettlementsAloneAnswerWhenThoseHaveLanded) {
  Select();
  const auto consumer = Consume(1, "c");
  for (broker::Sequence s = 1; s <= 3; ++s) Deliver(consumer, s);
  Ack(1);
  Send(1, amqp::BasicReject{.delivery_tag = 2, .requeue = false});
  Send(1, amqp::BasicNack{.delivery_tag = 3, .requeue = true});
  Commit();
  const auto ack = ExpectCommand<SettleCommand>();
  EXPECT_EQ(ack.kind, Settlement::kAck);
  EXPECT_EQ(ExpectCommand<SettleCommand>().kind, Settlement::kReject);
  EXPECT_EQ(ExpectCommand<SettleCommand>().kind, Settlement::kReturn);
  Outcome(AckLanded{1, ack.notify_token});
  Outcome(AckLanded{1, ack.notify_token});
  ExpectSilence();
  Outcome(AckLanded{1, ack.notify_token});
  Expect<amqp::TxCommitOk>(1);
}

TEST_F(Transactions, MayBeEmpty) {
  Select();
  Commit();
  Expect<amqp::TxCommitOk>(1);
  Rollback();
  ExpectNoCommand();
}

TEST_F(Transactions, BeginAnewAfterEachCommit) {
  Select();
  Publish(1, "", "q", "1");
  Commit();
  ExpectCommand<PublishCommand>();
  Outcome(broker::Published{kShard, 1});
  Expect<amqp::TxCommitOk>(1);
  Publish(1, "", "q", "2");
  ExpectNoCommand();
  Commit();
  EXPECT_EQ(ExpectCommand<PublishCommand>().message->body(), "2");
  Outcome(broker::Published{kShard, 2});
  Expect<amqp::TxCommitOk>(1);
}

TEST_F(Transactions, MakeTheirChannelWaitForTheCommit) {
  Select();
  Publish(1, "", "q", "1");
  Commit();
  ExpectCommand<PublishCommand>();
  Send(1, amqp::BasicQos{.prefetch_count = 1});
  Publish(1, "", "q", "of the next");
  ExpectSilence();
  Outcome(broker::Published{kShard, 1});
  Expect<amqp::TxCommitOk>(1);
  Expect<amqp::BasicQosOk>(1);
  ExpectNoCommand();
}

TEST_F(Transactions, ForgetTheirPublishesWhenRolledBack) {
  Select();
  Publish(1, "", "q", "1");
  Publish(1, "", "nowhere", "2", true);
  Rollback();
  Commit();
  Expect<amqp::TxCommitOk>(1);
  ExpectNoCommand();
}

TEST_F(Transactions, GiveBackWhatWasSettledWhenRolledBack) {
  Select();
  const auto consumer = Consume(1, "c");
  Deliver(consumer, 1);
  Deliver(consumer, 2);
  Ack(1);
  Rollback();
  ExpectNoCommand();
  Ack(2, true);
  Commit();
  const auto settle = ExpectCommand<SettleCommand>();
  EXPECT_EQ(settle.first, 1u);
  EXPECT_EQ(settle.last, 2u);
}

TEST_F(Transactions, KnowWhatHasBeenSettledInThem) {
  Select();
  Deliver(Consume(1, "c"), 1);
  Ack(1);
  Ack(1);
  ExpectChannelClose(1, ReplyCode::kPreconditionFailed,
                     "PRECONDITION_FAILED - unknown delivery tag 1");
}

TEST_F(Transactions, LeaveRecoverOutside) {
  Select();
  const auto consumer = Consume(1, "c");
  Deliver(consumer, 1);
  Deliver(consumer, 2);
  Ack(1);
  Send(1, amqp::BasicRecover{.requeue = true});
  const auto settle = ExpectCommand<SettleCommand>();
  ExpectCommand<broker::EchoCommand>();
  Outcome(broker::Echo{1});
  Expect<amqp::BasicRecoverOk>(1);
  EXPECT_EQ(settle.kind, Settlement::kReturn);
  EXPECT_EQ(settle.first, 2u);
  Commit();
  EXPECT_EQ(ExpectCommand<SettleCommand>().first, 1u);
}

TEST_F(Transactions, AckEvenWhenTheLeaseHasRunOutMeanwhile) {
  Select();
  const auto consumer = Consume(1, "c");
  Deliver(consumer, 1);
  Deliver(consumer, 2);
  Ack(1);
  Send(1, amqp::BasicNack{.delivery_tag = 2, .requeue = true});
  for (broker::Sequence s = 1; s <= 2; ++s) {
    Outcome(broker::LeaseExpired{1, consumer, kQueue, s, 1});
  }
  Commit();
  EXPECT_EQ(ExpectCommand<SettleCommand>().kind, Settlement::kAck);
  ExpectNoCommand();  // a late nack says nothing
}

TEST_F(Transactions, ReturnAtTheirCommitWhatGoesNowhere) {
  Select();
  Publish(1, "", "nowhere", "back", true);
  Publish(1, "", "nowhere", "dropped");
  ExpectSilence();
  Commit();
  EXPECT_EQ(Expect<amqp::BasicReturn>(1).routing_key, "nowhere");
  EXPECT_EQ(ExpectContent(1), "back");
  Expect<amqp::TxCommitOk>(1);
}

TEST_F(Transactions, ReturnWhatHasLostItsQueueSinceItWasPublished) {
  Select();
  Publish(1, "", "q", "back", true);
  Commit();
  ExpectCommand<PublishCommand>();
  Outcome(broker::PublishFate{kShard, 1, Fate::kGone});
  Outcome(broker::Published{kShard, 1});
  Expect<amqp::BasicReturn>(1);
  EXPECT_EQ(ExpectContent(1), "back");
  Expect<amqp::TxCommitOk>(1);
}

TEST_F(Transactions, CheckTheExchangeWhenItIsPublishedTo) {
  Select();
  Publish(1, "none", "q", "x");
  ExpectChannelClose(1, ReplyCode::kNotFound, "NOT_FOUND - no exchange 'none' in vhost '/'");
}

TEST_F(Transactions, ThatLandInPartCloseTheirChannelAndSettleNothing) {
  Select();
  Deliver(Consume(1, "c"), 1);
  Ack(1);
  Publish(1, "", "q", "x");
  Commit();
  ExpectCommand<PublishCommand>();
  Outcome(broker::PublishFate{kShard, 1, Fate::kFenced});
  Outcome(broker::Published{kShard, 1});
  const auto close = Expect<amqp::ChannelClose>(1);
  EXPECT_EQ(close.reply_text, "PRECONDITION_FAILED - partial tx completion");
  EXPECT_EQ(close.method_id, amqp::TxCommit::kId & 0xffff);
  ExpectCommand<broker::CloseChannelCommand>();
}

TEST_F(Transactions, AndConfirmsExcludeEachOther) {
  Select();
  Send(1, amqp::ConfirmSelect{});
  ExpectChannelClose(1, ReplyCode::kPreconditionFailed,
                     "PRECONDITION_FAILED - cannot switch from tx to confirm mode");
  OpenChannel(2);
  Send(2, amqp::ConfirmSelect{});
  Expect<amqp::ConfirmSelectOk>(2);
  Send(2, amqp::TxSelect{});
  ExpectChannelClose(2, ReplyCode::kPreconditionFailed,
                     "PRECONDITION_FAILED - cannot switch from confirm to tx mode");
}

TEST_F(Transactions, MustBeSelectedBeforeTheyCanEnd) {
  ConnectWithChannel();
  OpenChannel(2);
  Commit();
  ExpectChannelClose(1, ReplyCode::kPreconditionFailed,
                     "PRECONDITION_FAILED - channel is not transactional");
  Send(2, amqp::TxRollback{});
  ExpectChannelClose(2, ReplyCode::kPreconditionFailed,
                     "PRECONDITION_FAILED - channel is not transactional");
}

TEST_F(Transactions, AreBoundedOverTheWholeConnection) {
  options.max_transaction_bytes = 10'000;
  Select();
  OpenChannel(2);
  Send(2, amqp::TxSelect{});
  Expect<amqp::TxSelectOk>(2);
  Publish(1, "", "q", std::string(6'000, 'x'));
  Publish(2, "", "q", std::string(6'000, 'x'));
  Publish(1, "", "q", "one too many");
  ExpectChannelClose(1, ReplyCode::kPreconditionFailed,
                     "PRECONDITION_FAILED - the transactions of a connection may hold 10000 bytes "
                     "and 100000 messages: commit more often, or use confirms");
  // What the closed channel held is free.
  Publish(2, "", "q", "x");
  ExpectSilence();
  EXPECT_TRUE(session->wants_input());
}

TEST_F(Transactions, EndWithTheirChannel) {
  Select();
  Publish(1, "", "q", "never");
  Send(1, amqp::ChannelClose{.reply_code = 200});
  Expect<amqp::ChannelCloseOk>(1);
  ExpectNoCommand();
}

TEST_F(Transactions, DoNotTakeLandfallAcks) {
  Select();
  Deliver(Consume(1, "c"), 1);
  Send(1, amqp::LandfallAck{.delivery_tag = 1});
  ExpectChannelClose(1, ReplyCode::kPreconditionFailed,
                     "PRECONDITION_FAILED - landfall.ack on a transactional channel: send "
                     "basic.ack, tx.commit-ok says that it has landed");
}

}  // namespace
}  // namespace landfall::session
