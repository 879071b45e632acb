#include "thin_protocol.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

namespace landfall::bench {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr ThinSettings OneQueue() { return {.queues = {"q"}}; }

// Gives `text` byte by byte, as a socket might, and returns the sum of what was taken.
size_t TakeByteByByte(ByteView text, const std::function<Result<size_t>(ByteView&)>& take) {
  ByteBuffer kept;
  size_t sum = 0;
  for (const char byte : text) {
    kept += byte;
    ByteView rest = kept;
    const Result<size_t> taken = take(rest);
    EXPECT_TRUE(taken) << taken.error().message;
    sum += taken.value_or(0);
    kept.erase(0, kept.size() - rest.size());
  }
  EXPECT_THAT(kept, IsEmpty());
  return sum;
}

struct Broker {
  const char* scheme;
  ByteView confirms;    // three
  ByteView refusal;     // of a publish
  ByteView deliveries;  // "one", "" and "t\r\no"
};

constexpr Broker kBrokers[] = {
    {"redis", "$3\r\n1-0\r\n$3\r\n1-1\r\n$3\r\n1-2\r\n", "-OOM command not allowed\r\n",
     "*1\r\n*2\r\n$1\r\nq\r\n*2\r\n"
     "*2\r\n$3\r\n1-0\r\n*2\r\n$1\r\nb\r\n$3\r\none\r\n"
     "*2\r\n$3\r\n1-1\r\n*2\r\n$1\r\nb\r\n$0\r\n\r\n"
     ":2\r\n"
     "*1\r\n*2\r\n$1\r\nq\r\n*1\r\n*2\r\n$3\r\n1-2\r\n*2\r\n$1\r\nb\r\n$4\r\nt\r\no\r\n:1\r\n"},
    {"nats",
     "INFO {}\r\nMSG i 1 12\r\n{\"seq\":12345}\r\nPING\r\nMSG i 1 2\r\n{}\r\nMSG i 1 2\r\n{}\r\n",
     "-ERR 'Maximum Payload Violation'\r\n",
     "MSG q 2 $JS.ACK.1 3\r\none\r\nMSG q 2 $JS.ACK.2 0\r\n\r\nMSG q 2 $JS.ACK.3 4\r\nt\r\no\r\n"},
    {"beanstalk", "INSERTED 1\r\nUSING q\r\nINSERTED 2\r\nINSERTED 3\r\n", "OUT_OF_MEMORY\r\n",
     "WATCHING 2\r\nRESERVED 1 3\r\none\r\nDELETED\r\nRESERVED 2 0\r\n\r\nRESERVED 3 "
     "4\r\nt\r\no\r\n"
     "DELETED\r\n"},
};

class ThinProtocolTest : public testing::TestWithParam<Broker> {
 protected:
  const ThinSettings settings_ = OneQueue();
  const std::unique_ptr<ThinProtocol> protocol_ = MakeThinProtocol(GetParam().scheme, settings_);
  ByteBuffer out_;
};

INSTANTIATE_TEST_SUITE_P(All, ThinProtocolTest, testing::ValuesIn(kBrokers),
                         [](const auto& broker) { return std::string(broker.param.scheme); });

TEST_P(ThinProtocolTest, CountsConfirmsHoweverTheyAreCut) {
  EXPECT_EQ(TakeByteByByte(GetParam().confirms,
                           [&](ByteView& in) { return protocol_->TakeConfirms(in, out_); }),
            3);
}

TEST_P(ThinProtocolTest, SaysWhatTheBrokerRefused) {
  ByteView in = GetParam().refusal;
  const auto taken = protocol_->TakeConfirms(in, out_);
  ASSERT_FALSE(taken);
  EXPECT_THAT(taken.error().message,
              HasSubstr(std::string(GetParam().refusal.substr(1, GetParam().refusal.size() - 3))));
}

TEST_P(ThinProtocolTest, TellsEachBodyOnceHoweverItIsCut) {
  std::vector<std::string> bodies;
  protocol_->Ask(out_, 3);
  const auto on_body = [&](ByteView body) { bodies.emplace_back(body); };
  EXPECT_EQ(
      TakeByteByByte(GetParam().deliveries,
                     [&](ByteView& in) { return protocol_->TakeDeliveries(in, out_, on_body); }),
      3);
  EXPECT_THAT(bodies, ElementsAre("one", "", "t\r\no"));
}

TEST_P(ThinProtocolTest, AcknowledgesEachDelivery) {
  protocol_->Ask(out_, 3);
  out_.clear();
  ByteView in = GetParam().deliveries;
  ASSERT_TRUE(protocol_->TakeDeliveries(in, out_, [](ByteView) {}));
  const std::string_view scheme = GetParam().scheme;
  if (scheme == "redis") {
    EXPECT_EQ(out_,
              "*5\r\n$4\r\nXACK\r\n$1\r\nq\r\n$5\r\nbench\r\n$3\r\n1-0\r\n$3\r\n1-1\r\n"
              "*4\r\n$4\r\nXACK\r\n$1\r\nq\r\n$5\r\nbench\r\n$3\r\n1-2\r\n");
  } else if (scheme == "nats") {
    EXPECT_EQ(out_, "PUB $JS.ACK.1 0\r\n\r\nPUB $JS.ACK.2 0\r\n\r\nPUB $JS.ACK.3 0\r\n\r\n");
  } else {
    EXPECT_EQ(out_, "delete 1\r\ndelete 2\r\ndelete 3\r\n");
  }
}

TEST_P(ThinProtocolTest, AsksForNoMoreThanIsWanted) {
  protocol_->Ask(out_, 0);
  EXPECT_EQ(out_.find("reserve\r\n"), std::string::npos);
  EXPECT_EQ(out_.find("XREADGROUP"), std::string::npos);
  EXPECT_EQ(out_.find("MSG.NEXT"), std::string::npos);
  protocol_->Ask(out_, 2);
  const size_t asked = out_.size();
  protocol_->Ask(out_, 2);
  EXPECT_EQ(out_.size(), asked);
}

TEST(NatsProtocol, AnswersAPing) {
  const ThinSettings settings = OneQueue();
  const auto protocol = MakeNatsProtocol(settings);
  ByteBuffer out;
  ByteView in = "PING\r\n";
  ASSERT_TRUE(protocol->TakeConfirms(in, out));
  EXPECT_EQ(out, "PONG\r\n");
}

TEST(NatsProtocol, WaitsForTheConsumerOfAStream) {
  const ThinSettings settings = OneQueue();
  const auto protocol = MakeNatsProtocol(settings);
  ByteBuffer out;
  ByteView stream = "MSG i 1 37\r\n{\"type\":\"api.stream_create_response\"}\r\n";
  EXPECT_EQ(protocol->TakeAnswers(stream, out), 0);
  EXPECT_THAT(stream, IsEmpty());
  ByteView consumer = "MSG i 1 39\r\n{\"type\":\"api.consumer_create_response\"}\r\n";
  EXPECT_EQ(protocol->TakeAnswers(consumer, out), 1);
}

TEST(NatsProtocol, FailsWhenAStreamCannotBeMade) {
  const ThinSettings settings = OneQueue();
  const auto protocol = MakeNatsProtocol(settings);
  ByteBuffer out;
  protocol->Greet(out);
  const size_t begin = out.find("SUB ") + 4;
  const std::string inbox = out.substr(begin, out.find(' ', begin) - begin);
  const std::string text = "MSG " + inbox + " 1 14\r\n{\"error\":{\"\"}}\r\n";
  ByteView in = text;
  EXPECT_FALSE(protocol->TakeAnswers(in, out));
}

}  // namespace
}  // namespace landfall::bench
