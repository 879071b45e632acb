#include <gtest/gtest.h>

#include "session/session_harness.h"

namespace landfall::session {
namespace {

using amqp::ReplyCode;
using broker::SettleCommand;
using broker::Settlement;

class Consumes : public SessionTest {
 protected:
  void ExpectSettled(Settlement kind, broker::Sequence first, broker::Sequence last) {
    const auto settle = ExpectCommand<SettleCommand>();
    EXPECT_EQ(settle.kind, kind);
    EXPECT_EQ(settle.first, first);
    EXPECT_EQ(settle.last, last);
    EXPECT_EQ(settle.queue, kQueue);
  }
  ByteBuffer Acks(std::initializer_list<uint64_t> tags) {
    ByteBuffer frames;
    for (const uint64_t tag : tags) {
      amqp::AppendMethodFrame(frames, 1, amqp::BasicAck{.delivery_tag = tag});
    }
    return frames;
  }
};

TEST_F(Consumes, GetsWhatTheShardDelivers) {
  ConnectWithChannel();
  const auto consumer = Consume(1, "c");
  EXPECT_EQ(consume_.queue, kQueue);
  EXPECT_EQ(consume_.prefetch, 0u);
  EXPECT_FALSE(consume_.by_grant);
  EXPECT_GT(consume_.credit.messages, 0u);
  EXPECT_GT(consume_.credit.bytes, 0u);
  auto deliver = Delivery(consumer, 1);
  deliver.redelivered = true;
  Outcome(std::move(deliver));
  const auto got = Expect<amqp::BasicDeliver>(1);
  EXPECT_EQ(got.consumer_tag, "c");
  EXPECT_EQ(got.delivery_tag, 1u);
  EXPECT_TRUE(got.redelivered);
  EXPECT_EQ(got.routing_key, "q");
  EXPECT_EQ(ExpectContent(1), "hello");
}

TEST_F(Consumes, WithATagMadeUpForIt) {
  ConnectWithChannel();
  Send(1, amqp::BasicConsume{.queue = "q"});
  const auto consume = ExpectCommand<broker::ConsumeCommand>();
  Outcome(broker::Consuming{.channel = 1, .consumer = consume.consumer});
  const std::string tag(Expect<amqp::BasicConsumeOk>(1).consumer_tag);
  EXPECT_TRUE(tag.starts_with("amq.ctag-"));
  EXPECT_EQ(tag.size(), 31u);
}

TEST_F(Consumes, WithEachTagOnce) {
  ConnectWithChannel();
  Consume(1, "c");
  Send(1, amqp::BasicConsume{.queue = "q", .consumer_tag = "c"});
  ExpectConnectionClose(ReplyCode::kNotAllowed, "NOT_ALLOWED - attempt to reuse consumer tag 'c'");
}

TEST_F(Consumes, OnlySoManyTimesOnAChannel) {
  ConnectWithChannel();
  for (int i = 0; i < 10'000; ++i) Consume(1, std::to_string(i));
  Send(1, amqp::BasicConsume{.queue = "q", .consumer_tag = "one more"});
  ExpectConnectionClose(ReplyCode::kNotAllowed,
                        "NOT_ALLOWED - reached maximum (10000) of consumers per channel");
}

TEST_F(Consumes, WithAPriority) {
  ConnectWithChannel();
  const auto consume = [this](amqp::Table arguments) {
    const ByteBuffer encoded = arguments.Encode();
    Send(1, amqp::BasicConsume{.queue = "q", .arguments = amqp::TableView(encoded)});
  };
  consume({{"x-priority", -5}});
  const auto command = ExpectCommand<broker::ConsumeCommand>();
  EXPECT_EQ(command.priority, -5);
  Outcome(broker::Consuming{.channel = 1, .consumer = command.consumer});
  Expect<amqp::BasicConsumeOk>(1);
  consume({{"x-priority", "high"}});
  ExpectChannelClose(1, ReplyCode::kPreconditionFailed,
                     "PRECONDITION_FAILED - invalid arg 'x-priority' for queue 'q' in vhost '/': "
                     "must be an integer");
}

TEST_F(Consumes, OnlyFromQueuesThatExist) {
  ConnectWithChannel();
  Send(1, amqp::BasicConsume{.queue = "nope"});
  ExpectChannelClose(1, ReplyCode::kNotFound, "NOT_FOUND - no queue 'nope' in vhost '/'");
}

TEST_F(Consumes, NotWhenTheShardRefuses) {
  ConnectWithChannel();
  Send(1, amqp::BasicConsume{.queue = "q", .consumer_tag = "c", .exclusive = true});
  const auto consume = ExpectCommand<broker::ConsumeCommand>();
  EXPECT_TRUE(consume.exclusive);
  Outcome(broker::Consuming{.channel = 1,
                            .consumer = consume.consumer,
                            .refused = ReplyCode::kAccessRefused,
                            .text = "ACCESS_REFUSED - queue 'q' in vhost '/' in exclusive use"});
  const auto close = Expect<amqp::ChannelClose>(1);
  EXPECT_EQ(close.reply_text, "ACCESS_REFUSED - queue 'q' in vhost '/' in exclusive use");
  EXPECT_EQ(close.method_id, 20);
}

TEST_F(Consumes, WithThePrefetchThatWasSetBefore) {
  ConnectWithChannel();
  Send(1, amqp::BasicQos{.prefetch_count = 7});
  Expect<amqp::BasicQosOk>(1);
  Consume(1, "c");
  EXPECT_EQ(consume_.prefetch, 7u);
  Consume(1, "no acks, no prefetch", true);
  EXPECT_EQ(consume_.prefetch, 0u);
  Send(1, amqp::BasicQos{.prefetch_size = 1});
  ExpectConnectionClose(ReplyCode::kNotImplemented, "NOT_IMPLEMENTED - prefetch_size!=0 (1)");
}

TEST_F(Consumes, FromTheBudgetOfItsChannel) {
  ConnectWithChannel();
  Send(1, amqp::BasicQos{.prefetch_count = 2, .global = true});
  Expect<amqp::BasicQosOk>(1);
  const auto a = Consume(1, "a");
  EXPECT_TRUE(consume_.by_grant);
  const auto b = Consume(1, "b");
  Outcome(broker::WantGrants{.channel = 1, .consumer = a, .messages = 100});
  EXPECT_EQ(ExpectCommand<broker::GrantCommand>().grants, 2u);
  Outcome(broker::WantGrants{.channel = 1, .consumer = b, .messages = 1});
  ExpectNoCommand();
  // What is settled makes room for the other one.
  const uint64_t tag = Deliver(a, 1);
  Send(1, amqp::BasicAck{.delivery_tag = tag});
  // (The order of the two does not matter: the settlement is held back until the turn ends unless
  // a command for its shard comes after it.)
  ExpectSettled(Settlement::kAck, 1, 1);
  const auto grant = ExpectCommand<broker::GrantCommand>();
  EXPECT_EQ(grant.consumer, b);
  EXPECT_EQ(grant.grants, 1u);
  // Unused grants come back.
  Outcome(broker::WantGrants{.channel = 1, .consumer = b, .messages = 5});
  ExpectNoCommand();
  Outcome(broker::ReturnGrants{.channel = 1, .consumer = a, .grants = 1});
  EXPECT_EQ(ExpectCommand<broker::GrantCommand>().consumer, b);
}

// Also when the budget comes after the consumer and its first deliveries.
TEST_F(Consumes, FromABudgetThatIsMadeLater) {
  ConnectWithChannel();
  const auto a = Consume(1, "a");
  const uint64_t first = Deliver(a, 1);
  Send(1, amqp::BasicQos{.prefetch_count = 2, .global = true});
  EXPECT_EQ(ExpectCommand<broker::GrantCommand>().grants, 0u);
  Expect<amqp::BasicQosOk>(1);
  Deliver(a, 2);  // left its shard before that
  Outcome(broker::WantGrants{.channel = 1, .consumer = a, .messages = 10});
  ExpectNoCommand();
  Send(1, amqp::BasicAck{.delivery_tag = first});
  ExpectSettled(Settlement::kAck, 1, 1);
  EXPECT_EQ(ExpectCommand<broker::GrantCommand>().grants, 1u);
}

// As in RabbitMQ.
TEST_F(Consumes, WithoutAcksNeedsAPlaceInTheBudgetButKeepsNone) {
  ConnectWithChannel();
  Send(1, amqp::BasicQos{.prefetch_count = 1, .global = true});
  Expect<amqp::BasicQosOk>(1);
  const auto a = Consume(1, "a");
  const auto b = Consume(1, "b", true);
  EXPECT_TRUE(consume_.by_grant);
  Outcome(broker::WantGrants{.channel = 1, .consumer = a, .messages = 1});
  EXPECT_EQ(ExpectCommand<broker::GrantCommand>().consumer, a);
  const uint64_t tag = Deliver(a, 1);
  Outcome(broker::WantGrants{.channel = 1, .consumer = b, .messages = 5});
  ExpectNoCommand();
  Send(1, amqp::BasicAck{.delivery_tag = tag});
  ExpectSettled(Settlement::kAck, 1, 1);
  for (broker::Sequence s = 2; s <= 3; ++s) {
    const auto grant = ExpectCommand<broker::GrantCommand>();
    EXPECT_EQ(grant.consumer, b);
    EXPECT_EQ(grant.grants, 1u);
    Deliver(b, s);
    Outcome(broker::WantGrants{.channel = 1, .consumer = b, .messages = 1});
  }
}

TEST_F(Consumes, AndGivesItsGrantsBackWhenItEnds) {
  ConnectWithChannel();
  Send(1, amqp::BasicQos{.prefetch_count = 3, .global = true});
  Expect<amqp::BasicQosOk>(1);
  const auto a = Consume(1, "a");
  const auto b = Consume(1, "b");
  Outcome(broker::WantGrants{.channel = 1, .consumer = a, .messages = 3});
  EXPECT_EQ(ExpectCommand<broker::GrantCommand>().grants, 3u);
  Outcome(broker::WantGrants{.channel = 1, .consumer = b, .messages = 3});
  Outcome(broker::Cancelled{.channel = 1, .consumer = a, .asked = false});
  EXPECT_EQ(Expect<amqp::BasicCancel>(1).consumer_tag, "a");
  EXPECT_EQ(ExpectCommand<broker::GrantCommand>().grants, 3u);
  // A larger budget goes out at once.
  Outcome(broker::WantGrants{.channel = 1, .consumer = b, .messages = 9});
  Send(1, amqp::BasicQos{.prefetch_count = 5, .global = true});
  EXPECT_EQ(ExpectCommand<broker::GrantCommand>().grants, 2u);
}

TEST_F(Consumes, UntilItIsCancelledAfterTheLastDelivery) {
  ConnectWithChannel();
  const auto consumer = Consume(1, "c");
  Send(1, amqp::BasicCancel{.consumer_tag = "c"});
  EXPECT_EQ(ExpectCommand<broker::CancelCommand>().consumer, consumer);
  ExpectSilence();
  const uint64_t tag = Deliver(consumer, 1);
  Outcome(broker::Cancelled{.channel = 1, .consumer = consumer, .asked = true});
  EXPECT_EQ(Expect<amqp::BasicCancelOk>(1).consumer_tag, "c");
  // What it got can still be settled.
  Send(1, amqp::BasicAck{.delivery_tag = tag});
  ExpectSettled(Settlement::kAck, 1, 1);
  // Again: nothing to cancel, but an answer.
  Send(1, amqp::BasicCancel{.consumer_tag = "c"});
  Expect<amqp::BasicCancelOk>(1);
  ExpectNoCommand();
}

TEST_F(Consumes, UntilItsQueueIsDeleted) {
  ConnectWithChannel();
  auto consumer = Consume(1, "c");
  Outcome(broker::Cancelled{.channel = 1, .consumer = consumer, .asked = false});
  EXPECT_EQ(Expect<amqp::BasicCancel>(1).consumer_tag, "c");
  // Clients that would not understand are not told.
  ConnectWithChannel({});
  consumer = Consume(1, "c");
  Outcome(broker::Cancelled{.channel = 1, .consumer = consumer, .asked = false});
  ExpectSilence();
}

TEST_F(Consumes, SettlesRunsOfAcksAsOne) {
  ConnectWithChannel();
  const auto consumer = Consume(1, "c");
  for (broker::Sequence s = 1; s <= 6; ++s) Deliver(consumer, s);
  Bytes(Acks({1, 2, 3, 5, 6}));
  ExpectSettled(Settlement::kAck, 1, 3);
  ExpectSettled(Settlement::kAck, 5, 6);
  ExpectNoCommand();
  // Each turn's settlements leave with it.
  Bytes(Acks({4}));
  ExpectSettled(Settlement::kAck, 4, 4);
}

TEST_F(Consumes, SettlesUpToATag) {
  ConnectWithChannel();
  const auto consumer = Consume(1, "c");
  for (broker::Sequence s = 1; s <= 200; ++s) Deliver(consumer, s);
  Send(1, amqp::BasicAck{.delivery_tag = 150, .multiple = true});
  ExpectSettled(Settlement::kAck, 1, 150);
  Send(1, amqp::BasicNack{.delivery_tag = 0, .multiple = true, .requeue = false});
  ExpectSettled(Settlement::kReject, 151, 200);
  // All of none is no error.
  Send(1, amqp::BasicAck{.delivery_tag = 0, .multiple = true});
  ExpectNoCommand();
  ExpectSilence();
}

TEST_F(Consumes, SettlesBeforeItAsksTheSameShardForMore) {
  ConnectWithChannel();
  const auto consumer = Consume(1, "c");
  Deliver(consumer, 1);
  ByteBuffer frames = Acks({1});
  amqp::AppendMethodFrame(frames, 1, amqp::BasicGet{.queue = "q"});
  Bytes(frames);
  ExpectSettled(Settlement::kAck, 1, 1);
  ExpectCommand<broker::GetCommand>();
}

TEST_F(Consumes, RejectsAndReturns) {
  ConnectWithChannel();
  const auto consumer = Consume(1, "c");
  for (broker::Sequence s = 1; s <= 6; ++s) Deliver(consumer, s);
  Send(1, amqp::BasicReject{.delivery_tag = 1, .requeue = true});
  ExpectSettled(Settlement::kRequeue, 1, 1);
  Send(1, amqp::BasicReject{.delivery_tag = 2, .requeue = false});
  ExpectSettled(Settlement::kReject, 2, 2);
  Send(1, amqp::BasicNack{.delivery_tag = 3, .requeue = true});
  ExpectSettled(Settlement::kReturn, 3, 3);
  Send(1, amqp::LandfallNack{.delivery_tag = 4, .delay_ms = 1500});
  const auto settle = ExpectCommand<SettleCommand>();
  EXPECT_EQ(settle.kind, Settlement::kReturn);
  EXPECT_EQ(settle.delay, std::chrono::milliseconds(1500));
  Send(1, amqp::LandfallRelease{.delivery_tag = 6, .multiple = true});
  ExpectSettled(Settlement::kRelease, 5, 6);
}

TEST_F(Consumes, RecoversAllThatIsUnacked) {
  ConnectWithChannel();
  const auto consumer = Consume(1, "c");
  for (broker::Sequence s = 1; s <= 3; ++s) Deliver(consumer, s);
  Send(1, amqp::BasicRecover{.requeue = true});
  ExpectSettled(Settlement::kReturn, 1, 3);
  // Another connection could not count on it before.
  EXPECT_EQ(ExpectCommand<broker::EchoCommand>().channel, 1);
  ExpectSilence();
  Send(1, amqp::AccessRequest{});
  ExpectSilence();
  // What has not been recovered comes behind the answer.
  Outcome(Delivery(consumer, 4, "hello", 1));
  ExpectSilence();
  Outcome(broker::Echo{1});
  Expect<amqp::BasicRecoverOk>(1);
  EXPECT_EQ(Expect<amqp::BasicDeliver>(1).delivery_tag, 4u);
  ExpectContent(1);
  Expect<amqp::AccessRequestOk>(1);
  Send(1, amqp::BasicRecoverAsync{.requeue = true});
  ExpectSettled(Settlement::kReturn, 4, 4);
  ExpectSilence();
  Send(1, amqp::BasicRecover{.requeue = false});
  ExpectConnectionClose(ReplyCode::kNotImplemented, "NOT_IMPLEMENTED - requeue=false");
}

TEST_F(Consumes, ToldOfATagThatItNeverGaveOut) {
  ConnectWithChannel();
  const auto consumer = Consume(1, "c");
  Deliver(consumer, 1);
  Send(1, amqp::BasicAck{.delivery_tag = 1});
  Send(1, amqp::BasicAck{.delivery_tag = 1});
  const auto close = Expect<amqp::ChannelClose>(1);
  EXPECT_EQ(close.reply_text, "PRECONDITION_FAILED - unknown delivery tag 1");
  EXPECT_EQ(close.method_id, 80);
}

TEST_F(Consumes, WithoutAcksHasTagsButOwesNothing) {
  ConnectWithChannel();
  const auto consumer = Consume(1, "c", true);
  EXPECT_EQ(Deliver(consumer, 1), 1u);
  EXPECT_EQ(Deliver(consumer, 2), 2u);
  Send(1, amqp::BasicAck{.delivery_tag = 1});
  Expect<amqp::ChannelClose>(1);
}

TEST_F(Consumes, AndItsLateAckStillCounts) {
  ConnectWithChannel();
  const auto consumer = Consume(1, "c");
  const uint64_t tag = Deliver(consumer, 1);
  Outcome(broker::LeaseExpired{1, consumer, kQueue, 1, 1});
  Send(1, amqp::BasicAck{.delivery_tag = tag});
  ExpectSettled(Settlement::kAck, 1, 1);
  ExpectSilence();
}

TEST_F(Consumes, AndItsLateNackDoesNot) {
  ConnectWithChannel();
  const auto consumer = Consume(1, "c");
  const uint64_t tag = Deliver(consumer, 1);
  Outcome(broker::LeaseExpired{1, consumer, kQueue, 1, 1});
  Send(1, amqp::BasicNack{.delivery_tag = tag, .requeue = true});
  ExpectNoCommand();
  ExpectSilence();
}

TEST_F(Consumes, AndALeaseThatRanOutFreesItsPlaceInTheBudget) {
  ConnectWithChannel();
  Send(1, amqp::BasicQos{.prefetch_count = 1, .global = true});
  Expect<amqp::BasicQosOk>(1);
  const auto consumer = Consume(1, "c");
  Outcome(broker::WantGrants{1, consumer, 5});
  EXPECT_EQ(ExpectCommand<broker::GrantCommand>().grants, 1u);
  const uint64_t tag = Deliver(consumer, 1);
  Outcome(broker::WantGrants{1, consumer, 5});
  ExpectNoCommand();
  Outcome(broker::LeaseExpired{1, consumer, kQueue, 1, 1});
  EXPECT_EQ(ExpectCommand<broker::GrantCommand>().grants, 1u);
  // The late ack must not free it a second time.
  Outcome(broker::WantGrants{1, consumer, 5});
  Send(1, amqp::BasicAck{.delivery_tag = tag});
  ExpectSettled(Settlement::kAck, 1, 1);
  ExpectNoCommand();
}

TEST_F(Consumes, AndCanRenewItsLease) {
  ConnectWithChannel();
  const auto consumer = Consume(1, "c");
  const uint64_t tag = Deliver(consumer, 1);
  Send(1, amqp::LandfallRenew{.delivery_tag = tag, .lease_ms = 5000});
  const auto renew = ExpectCommand<broker::RenewCommand>();
  EXPECT_EQ(renew.sequence, 1u);
  EXPECT_EQ(renew.lease, std::chrono::seconds(5));
  Outcome(broker::LeaseExpired{1, consumer, kQueue, 1, 1});
  Send(1, amqp::LandfallRenew{.delivery_tag = tag, .lease_ms = 5000});
  ExpectNoCommand();
  Send(1, amqp::LandfallRenew{.delivery_tag = 9, .lease_ms = 5000});
  Expect<amqp::ChannelClose>(1);
}

TEST_F(Consumes, AndHearsWhenItsAcksHaveLanded) {
  ConnectWithChannel();
  const auto consumer = Consume(1, "c");
  for (broker::Sequence s = 1; s <= 5; ++s) Deliver(consumer, s);
  ByteBuffer frames;
  for (const uint64_t tag : {1, 2, 4}) {
    amqp::AppendMethodFrame(frames, 1, amqp::LandfallAck{.delivery_tag = tag});
  }
  Bytes(frames);
  const auto a = ExpectCommand<SettleCommand>();
  EXPECT_EQ(a.last, 2u);
  ASSERT_NE(a.notify_token, 0u);
  const auto b = ExpectCommand<SettleCommand>();
  EXPECT_EQ(b.first, 4u);
  EXPECT_EQ(b.notify_token, a.notify_token);
  Outcome(broker::AckLanded{1, a.notify_token});
  ExpectSilence();
  Outcome(broker::AckLanded{1, a.notify_token});
  for (const uint64_t tag : {1, 2, 4}) {
    EXPECT_EQ(Expect<amqp::LandfallAckLanded>(1).delivery_tag, tag);
  }
  Send(1, amqp::LandfallAck{.delivery_tag = 5, .multiple = true});
  const auto c = ExpectCommand<SettleCommand>();
  EXPECT_EQ(c.first, 3u);
  const auto d = ExpectCommand<SettleCommand>();
  EXPECT_EQ(d.first, 5u);
  EXPECT_NE(d.notify_token, a.notify_token);
  Outcome(broker::AckLanded{1, d.notify_token});
  Outcome(broker::AckLanded{1, d.notify_token});
  EXPECT_TRUE(Expect<amqp::LandfallAckLanded>(1).multiple);
  // Nothing left to settle: told at once.
  Send(1, amqp::LandfallAck{.delivery_tag = 0, .multiple = true});
  Expect<amqp::LandfallAckLanded>(1);
}

TEST_F(Consumes, IsToldHowOftenADeliveryHasFailed) {
  ConnectWithChannel();
  const auto consumer = Consume(1, "c");
  auto deliver = Delivery(consumer, 1);
  deliver.tell_count = true;
  deliver.delivery_count = 3;
  Outcome(deliver);
  Expect<amqp::BasicDeliver>(1);
  ExpectContent(1);
  EXPECT_EQ(amqp::DecodeProperties(properties_)->headers.FindInteger("x-delivery-count"), 3);
  // Not the first time, and not by queues that do not count.
  deliver.delivery_count = 0;
  Outcome(deliver);
  Expect<amqp::BasicDeliver>(1);
  ExpectContent(1);
  EXPECT_FALSE(amqp::DecodeProperties(properties_)->Has(amqp::kHasHeaders));
}

TEST_F(Consumes, IsLimitedByWhatItsSocketTakes) {
  options.max_unwritten_bytes = 64'000;
  ConnectWithChannel();
  const auto consumer = Consume(1, "c");
  const uint64_t share = consume_.credit.bytes;
  EXPECT_LE(share, options.max_unwritten_bytes);
  write_ = false;
  uint64_t spent = 0;
  uint32_t messages = 0;
  while (spent < share) {
    const auto deliver = Delivery(consumer, ++messages, std::string(1000, 'x'));
    spent += deliver.message->footprint();
    Outcome(deliver);
  }
  ExpectNoCommand();
  write_ = true;
  Read();
  const auto credit = ExpectCommand<broker::CreditCommand>();
  EXPECT_EQ(credit.consumer, consumer);
  EXPECT_EQ(credit.credit.messages, messages);
  EXPECT_EQ(credit.credit.bytes, spent);
  ExpectNoCommand();
}

TEST_F(Consumes, AllTogetherNoMoreThanTheBound) {
  options.max_unwritten_bytes = 1'000'000;
  ConnectWithChannel();
  uint64_t sum = 0;
  for (int i = 0; i < 50; ++i) {
    Consume(1, "c" + std::to_string(i));
    EXPECT_GE(consume_.credit.messages, 1u);
    sum += consume_.credit.bytes;
  }
  EXPECT_LE(sum, options.max_unwritten_bytes + 50);
}

TEST_F(Consumes, OneByOneWithGet) {
  ConnectWithChannel();
  Send(1, amqp::BasicGet{.queue = "q"});
  EXPECT_EQ(ExpectCommand<broker::GetCommand>().queue, kQueue);
  broker::Got got{.channel = 1,
                  .attempt = 1,
                  .ready_left = 7,
                  .shard = kShard,
                  .queue = kQueue,
                  .sequence = 4,
                  .message = Delivery(1, 4).message};
  Outcome(got);
  const auto ok = Expect<amqp::BasicGetOk>(1);
  EXPECT_EQ(ok.delivery_tag, 1u);
  EXPECT_EQ(ok.message_count, 7u);
  EXPECT_EQ(ExpectContent(1), "hello");
  Send(1, amqp::BasicAck{.delivery_tag = 1});
  const auto settle = ExpectCommand<SettleCommand>();
  EXPECT_EQ(settle.consumer, 0u);
  EXPECT_EQ(settle.first, 4u);

  Send(1, amqp::BasicGet{.queue = "q"});
  ExpectCommand<broker::GetCommand>();
  Outcome(broker::Got{.channel = 1});
  Expect<amqp::BasicGetEmpty>(1);

  Send(1, amqp::BasicGet{.queue = "q"});
  ExpectCommand<broker::GetCommand>();
  Outcome(broker::Got{.channel = 1, .queue_gone = true});
  ExpectChannelClose(1, ReplyCode::kNotFound, "NOT_FOUND - no queue 'q' in vhost '/'");
}

}  // namespace
}  // namespace landfall::session
