#include "session/direct_reply.h"

#include <gtest/gtest.h>

#include "session/session_harness.h"
#include "session/worker.h"

namespace landfall::session {
namespace {

using amqp::ReplyCode;
using broker::PublishCommand;

TEST(ReplyAddress, IsReadAsItIsWritten) {
  const ReplyAddress address = ReplyAddress::Make({1, 2}, 0x1234567890, 77, 3);
  EXPECT_EQ(ReplyAddress::Parse(address.Name()), address);
  EXPECT_LE(address.Name().size(), amqp::kMaxShortString);
  EXPECT_TRUE(address.Name().ends_with("=="));
}

TEST(ReplyAddress, DiffersForEveryConsumerAndSecret) {
  const ReplyAddress address = ReplyAddress::Make({1, 2}, 1024, 1, 1);
  EXPECT_NE(address.token[0], address.token[1]);
  for (const ReplyAddress& other :
       {ReplyAddress::Make({1, 3}, 1024, 1, 1), ReplyAddress::Make({1, 2}, 2048, 1, 1),
        ReplyAddress::Make({1, 2}, 1024, 2, 1), ReplyAddress::Make({1, 2}, 1024, 1, 2)}) {
    EXPECT_NE(other.token[0], address.token[0]);
    EXPECT_NE(other.token[1], address.token[1]);
  }
}

TEST(ReplyAddress, IsNothingElse) {
  const std::string name = ReplyAddress::Make({1, 2}, 1024, 1, 1).Name();
  for (const std::string& wrong :
       {std::string(), std::string("q"), std::string(kReplyQueue), name + "0",
        name.substr(0, name.size() - 1), name.substr(0, name.size() - 1) + "g",
        name.substr(0, name.size() - 3) + "g==",
        name.substr(0, kReplyQueue.size() + 1) + "-" + name.substr(kReplyQueue.size() + 2)}) {
    EXPECT_FALSE(ReplyAddress::Parse(wrong)) << wrong;
  }
}

class DirectReplies : public SessionTest {
 protected:
  // Consumes from the pseudo-queue and learns the address from a request.
  std::string ConsumeReplies(uint16_t channel = 1) {
    Send(channel,
         amqp::BasicConsume{.queue = kReplyQueue, .consumer_tag = "replies", .no_ack = true});
    EXPECT_EQ(Expect<amqp::BasicConsumeOk>(channel).consumer_tag, "replies");
    Request(channel);
    return std::string(
        amqp::DecodeProperties(ExpectCommand<PublishCommand>().message->properties())->reply_to);
  }
  void Request(uint16_t channel = 1) {
    amqp::PropertiesView properties;
    properties.reply_to = kReplyQueue;
    properties.correlation_id = "42";
    properties.flags = amqp::kHasReplyTo | amqp::kHasCorrelationId;
    Publish(channel, "", "q", "request", false, properties);
  }
  DirectReply TakeReply() {
    if (ports.replies.empty()) {
      ADD_FAILURE() << "no reply";
      return {};
    }
    DirectReply reply = std::move(ports.replies.front());
    ports.replies.pop_front();
    return reply;
  }
  bool Receive(const DirectReply& reply) {
    const bool delivered = session->OnDirectReply(reply, now);
    Read();
    return delivered;
  }
  void Settle(const DirectReply& reply, bool delivered) {
    session->OnReplySettled(Settled(reply, delivered), now);
    Read();
  }
};

TEST_F(DirectReplies, ReplaceTheNameOfThePseudoQueueInRequests) {
  ConnectWithChannel();
  const std::string name = ConsumeReplies();
  EXPECT_TRUE(name.starts_with("amq.rabbitmq.reply-to."));
  const auto address = ReplyAddress::Parse(name);
  ASSERT_TRUE(address);
  EXPECT_EQ(address->session, kSession);
  EXPECT_EQ(address->channel, 1);
  Request();
  const auto message = ExpectCommand<PublishCommand>().message;
  const auto properties = amqp::DecodeProperties(message->properties());
  EXPECT_EQ(properties->reply_to, name);
  EXPECT_EQ(properties->correlation_id, "42");
}

TEST_F(DirectReplies, ReachTheConsumerOfTheirAddress) {
  ConnectWithChannel();
  OpenChannel(2);
  const std::string name = ConsumeReplies();
  Publish(2, "", name, "reply");
  const DirectReply reply = TakeReply();
  EXPECT_EQ(reply.to.session, kSession);
  EXPECT_EQ(reply.from, kSession);
  EXPECT_EQ(reply.from_channel, 2);
  ExpectNoCommand();
  EXPECT_TRUE(Receive(reply));
  const auto deliver = Expect<amqp::BasicDeliver>(1);
  EXPECT_EQ(deliver.consumer_tag, "replies");
  EXPECT_EQ(deliver.delivery_tag, 1u);
  EXPECT_EQ(deliver.exchange, "");
  EXPECT_EQ(deliver.routing_key, name);
  EXPECT_FALSE(deliver.redelivered);
  EXPECT_EQ(ExpectContent(1), "reply");
}

TEST_F(DirectReplies, AreTakenByTheRightTokenOnly) {
  ConnectWithChannel();
  ReplyAddress guess = *ReplyAddress::Parse(ConsumeReplies());
  ++guess.token[1];
  EXPECT_FALSE(Receive({.to = guess, .message = Delivery(1, 1).message}));
  ExpectSilence();
}

TEST_F(DirectReplies, EndWithTheirConsumer) {
  ConnectWithChannel();
  const ReplyAddress address = *ReplyAddress::Parse(ConsumeReplies());
  Send(1, amqp::BasicCancel{.consumer_tag = "replies"});
  Expect<amqp::BasicCancelOk>(1);
  EXPECT_FALSE(Receive({.to = address, .message = Delivery(1, 1).message}));
  // The next consumer of the channel is another one.
  EXPECT_NE(*ReplyAddress::Parse(ConsumeReplies()), address);
}

TEST_F(DirectReplies, EndWithTheirChannel) {
  ConnectWithChannel();
  const ReplyAddress address = *ReplyAddress::Parse(ConsumeReplies());
  Send(1, amqp::ChannelClose{.reply_code = 200});
  Expect<amqp::ChannelCloseOk>(1);
  EXPECT_FALSE(Receive({.to = address, .message = Delivery(1, 1).message}));
  OpenChannel(1);
  EXPECT_FALSE(Receive({.to = address, .message = Delivery(1, 1).message}));
}

TEST_F(DirectReplies, AreConfirmedWhenTheyHaveBeenHandedOver) {
  ConnectWithChannel(PlainCapabilities());
  Send(1, amqp::ConfirmSelect{});
  Expect<amqp::ConfirmSelectOk>(1);
  Publish(1, "", ReplyAddress::Make({}, 1024, 1, 1).Name(), "reply", true);
  ExpectSilence();
  Settle(TakeReply(), true);
  EXPECT_EQ(Expect<amqp::BasicAck>(1).delivery_tag, 1u);
}

TEST_F(DirectReplies, ThatNobodyTakesAreUnroutable) {
  ConnectWithChannel(PlainCapabilities());
  Send(1, amqp::ConfirmSelect{});
  Expect<amqp::ConfirmSelectOk>(1);
  const std::string name = ReplyAddress::Make({}, 1024, 1, 1).Name();
  Publish(1, "", name, "reply", true);
  Settle(TakeReply(), false);
  const auto returned = Expect<amqp::BasicReturn>(1);
  EXPECT_EQ(returned.reply_code, 312);
  EXPECT_EQ(returned.routing_key, name);
  EXPECT_EQ(ExpectContent(1), "reply");
  EXPECT_EQ(Expect<amqp::BasicAck>(1).delivery_tag, 1u);
}

TEST_F(DirectReplies, GoThroughTheDefaultExchangeOnly) {
  ConnectWithChannel();
  const std::string name = ReplyAddress::Make({}, 1024, 1, 1).Name();
  Publish(1, "amq.direct", name, "reply", true);
  Expect<amqp::BasicReturn>(1);
  EXPECT_TRUE(ports.replies.empty());
}

TEST_F(DirectReplies, OfATransactionAreSentByItsCommit) {
  ConnectWithChannel();
  Send(1, amqp::TxSelect{});
  Expect<amqp::TxSelectOk>(1);
  Publish(1, "", ReplyAddress::Make({}, 1024, 1, 1).Name(), "reply");
  EXPECT_TRUE(ports.replies.empty());
  Send(1, amqp::TxCommit{});
  const DirectReply reply = TakeReply();
  ExpectSilence();
  Settle(reply, true);
  Expect<amqp::TxCommitOk>(1);
}

TEST_F(DirectReplies, AreDroppedWhenTheClientDoesNotReadThem) {
  options.max_unlanded_bytes = 10'000;
  ConnectWithChannel();
  const ReplyAddress address = *ReplyAddress::Parse(ConsumeReplies());
  const DirectReply reply{.to = address,
                          .message = Delivery(1, 1, std::string(8'000, 'x')).message};
  write_ = false;
  EXPECT_TRUE(Receive(reply));
  EXPECT_TRUE(Receive(reply));
  EXPECT_FALSE(Receive(reply));
  write_ = true;
  Read();
  EXPECT_TRUE(Receive(reply));
}

TEST_F(DirectReplies, AreNotAcknowledged) {
  ConnectWithChannel();
  Send(1, amqp::BasicConsume{.queue = kReplyQueue});
  ExpectChannelClose(1, ReplyCode::kPreconditionFailed,
                     "PRECONDITION_FAILED - reply consumer cannot acknowledge");
}

TEST_F(DirectReplies, HaveOneConsumerOnAChannel) {
  ConnectWithChannel();
  ConsumeReplies();
  Send(1, amqp::BasicConsume{.queue = kReplyQueue, .no_ack = true});
  ExpectChannelClose(1, ReplyCode::kPreconditionFailed,
                     "PRECONDITION_FAILED - reply consumer already set");
}

TEST_F(DirectReplies, NeedAConsumerBeforeARequest) {
  ConnectWithChannel();
  OpenChannel(2);
  ConsumeReplies(2);
  Request();
  ExpectChannelClose(1, ReplyCode::kPreconditionFailed,
                     "PRECONDITION_FAILED - fast reply consumer does not exist");
}

TEST_F(DirectReplies, GoToAFewAddressesAtOnceOnly) {
  ConnectWithChannel();
  amqp::Array more;
  for (uint64_t number = 1; number <= 257; ++number) {
    more.emplace_back(ReplyAddress::Make({}, kSession, 1, number).Name());
  }
  const ByteBuffer headers = amqp::Table{{"CC", std::move(more)}}.Encode();
  amqp::PropertiesView properties;
  properties.SetHeaders(amqp::TableView(headers));
  Publish(1, "", "q", "x", false, properties);
  ExpectChannelClose(1, ReplyCode::kPreconditionFailed,
                     "PRECONDITION_FAILED - a message goes to at most 256 reply addresses");
  EXPECT_TRUE(ports.replies.empty());
  ExpectNoCommand();
}

TEST_F(DirectReplies, LetADeclareAskWhetherTheConsumerIsThere) {
  ConnectWithChannel();
  const std::string name = ConsumeReplies();
  for (const bool passive : {true, false}) {
    Send(1, amqp::QueueDeclare{.queue = name, .passive = passive});
    const DirectReply question = TakeReply();
    ExpectSilence();
    const bool there = Receive(question);
    EXPECT_TRUE(there);
    Settle(question, there);
    const auto ok = Expect<amqp::QueueDeclareOk>(1);
    EXPECT_EQ(ok.queue, name);
    EXPECT_EQ(ok.message_count, 0u);
    EXPECT_EQ(ok.consumer_count, 1u);
  }
  Send(1, amqp::QueueDeclare{.queue = kReplyQueue, .passive = true});
  EXPECT_EQ(Expect<amqp::QueueDeclareOk>(1).consumer_count, 1u);
  EXPECT_TRUE(ports.requests.empty());
  Send(1, amqp::QueueDeclare{.queue = name, .passive = true});
  Settle(TakeReply(), false);
  ExpectChannelClose(1, ReplyCode::kNotFound, "NOT_FOUND - no queue '" + name + "' in vhost '/'");
}

TEST_F(DirectReplies, AreNoQueueForAnythingElse) {
  ConnectWithChannel();
  ConsumeReplies();
  Send(1, amqp::BasicGet{.queue = kReplyQueue});
  EXPECT_EQ(Expect<amqp::ChannelClose>(1).reply_code, 404);
}

// What crosses workers: an answer comes in any case.
struct Postbox : WorkerPorts {
  void Post(broker::WorkerId to, std::vector<Mail> mail) override {
    for (Mail& m : mail) posted.emplace_back(to, std::move(m));
  }
  void Append(storage::Batch) override {}
  void SaveCheckpoint(broker::ShardId, uint64_t, storage::CheckpointSource) override {}
  void ReadBlock(broker::ShardId, uint64_t, storage::BlockPlace, uint64_t) override {}
  void DropBacklog(broker::ShardId, uint64_t) override {}
  void ReportDamage(const broker::QueueInfoRef&, uint64_t, const Error&) override {}
  void ReportImbalance(const broker::QueueInfoRef&, const broker::Ledger&, uint64_t) override {}
  void Authenticate(broker::SessionId, Login) override {}
  std::vector<std::pair<broker::WorkerId, Mail>> posted;
};

TEST(WorkerReplies, ToASessionThatIsGoneAreAnswered) {
  Postbox ports;
  Worker worker({.id = 1, .workers = 3}, ports);
  DirectReply reply{.to = ReplyAddress::Make({}, 7 << broker::kWorkerBits | 1, 1, 1)};
  reply.from = 9 << broker::kWorkerBits | 2;
  reply.number = 5;
  std::vector<Mail> mail;
  mail.emplace_back(reply);
  worker.OnMail(std::move(mail));
  worker.Turn(Time{});
  ASSERT_EQ(ports.posted.size(), 1u);
  EXPECT_EQ(ports.posted[0].first, 2);
  const auto& settled = std::get<DirectReplySettled>(ports.posted[0].second);
  EXPECT_EQ(settled.to, reply.from);
  EXPECT_EQ(settled.number, 5u);
  EXPECT_FALSE(settled.delivered);
}

}  // namespace
}  // namespace landfall::session
