#include "client/client_connection.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "base/rng.h"
#include "client/fake_broker.h"

namespace landfall::client {
namespace {

using std::chrono::seconds;
using ::testing::HasSubstr;

class ClientConnectionTest : public ::testing::Test, protected ConnectionEvents {
 protected:
  ClientConnectionTest() {
    options_.heartbeat_seconds = 10;
    session_ = FakeSession::Open(broker_);
  }

  void OnChannelOpen(Time) override { ++opened_; }
  void OnChannelClosed(const Error&, Time) override {}
  void OnMethod(amqp::MethodId, ByteView, Time) override {}
  void OnContent(amqp::MethodId, ByteView, ByteView, ByteBuffer body, Time) override {
    body_ = std::move(body);
  }
  void OnBlocked(bool, ByteView, Time) override {}

  ConnectionEvents& events() { return *this; }

  ClientConnection& connection() {
    if (!connection_) connection_ = std::make_unique<ClientConnection>(options_, events(), now_);
    return *connection_;
  }

  void Exchange() {
    for (bool moved = true; moved;) {
      moved = false;
      if (!connection().output().empty()) {
        session_->Receive(std::exchange(connection().output(), {}));
        connection().OnOutputTaken(now_);
        moved = true;
      }
      if (!session_->output().empty()) {
        connection().OnBytes(std::exchange(session_->output(), {}), now_);
        moved = true;
      }
    }
  }

  std::string Say(ByteView bytes) {
    connection().OnBytes(bytes, now_);
    return connection().error() != nullptr ? connection().error()->message : "";
  }

  FakeBroker broker_;
  std::shared_ptr<FakeSession> session_;
  ConnectionOptions options_;
  Time now_{seconds(1'000'000)};
  std::unique_ptr<ClientConnection> connection_;
  int opened_ = 0;
  std::string body_;
};

TEST_F(ClientConnectionTest, OpensAChannelAndNegotiates) {
  broker_.frame_max = 8192;
  Exchange();
  EXPECT_EQ(opened_, 1);
  EXPECT_TRUE(connection().channel_open());
  EXPECT_TRUE(connection().extensions());
  EXPECT_EQ(connection().frame_max(), 8192u);
}

TEST_F(ClientConnectionTest, LogsInWithItsCertificateIfToldTo) {
  broker_.mechanisms = "EXTERNAL PLAIN";
  broker_.password = "another";
  options_.mechanism = SaslMechanism::kExternal;
  Exchange();
  EXPECT_TRUE(connection().channel_open());
}

TEST_F(ClientConnectionTest, SendsNoPasswordInsteadOfACertificate) {
  options_.mechanism = SaslMechanism::kExternal;
  Exchange();
  ASSERT_TRUE(connection().done());
  EXPECT_EQ(connection().error()->code, ErrorCode::kAccessRefused);
  EXPECT_THAT(connection().error()->message, HasSubstr("does not offer SASL EXTERNAL"));
}

TEST_F(ClientConnectionTest, SendsHeartbeatsWhenItHasNothingElseToSay) {
  Exchange();
  for (int i = 0; i < 4; ++i) {
    now_ += seconds(5);
    connection().OnTick(now_);
    connection().OnBytes(std::string("\x08\0\0\0\0\0\0\xCE", 8), now_);
    Exchange();
  }
  EXPECT_EQ(session_->heartbeats(), 4u);
  EXPECT_FALSE(connection().done());
}

TEST_F(ClientConnectionTest, GivesUpAfterTwoSilentHeartbeats) {
  Exchange();
  now_ += seconds(19);
  connection().OnTick(now_);
  EXPECT_FALSE(connection().done());
  now_ += seconds(1);
  connection().OnTick(now_);
  ASSERT_TRUE(connection().done());
  EXPECT_EQ(connection().error()->code, ErrorCode::kTimeout);
}

TEST_F(ClientConnectionTest, DoesNotCountItsOwnPauseAsTheBrokersSilence) {
  Exchange();
  connection().OnReadingPaused(true, now_);
  now_ += seconds(60);
  connection().OnTick(now_);
  connection().OnReadingPaused(false, now_);
  connection().OnTick(now_);
  EXPECT_FALSE(connection().done());
}

TEST_F(ClientConnectionTest, AStuckSocketDoesNotMakeItsTimerSpin) {
  Exchange();
  connection().Send(amqp::BasicQos{});
  now_ += seconds(6);
  connection().OnTick(now_);
  EXPECT_GT(connection().NextDeadline(), now_);
}

TEST_F(ClientConnectionTest, GivesUpAHandshakeThatTakesTooLong) {
  connection();
  now_ += options_.handshake_timeout;
  connection().OnTick(now_);
  EXPECT_TRUE(connection().done());
}

TEST_F(ClientConnectionTest, SaysWhenTheOtherSideIsNoBroker) {
  EXPECT_THAT(Say("HTTP/1.1 400 Bad Request\r\n"), HasSubstr("broke the protocol"));
}

TEST_F(ClientConnectionTest, SaysWhenTheOtherSideSpeaksAnotherVersion) {
  EXPECT_THAT(Say(ByteView("AMQP\x03\x01\0\0", 8)), HasSubstr("does not speak AMQP 0-9-1"));
}

TEST_F(ClientConnectionTest, RefusesAMessageLargerThanItTakes) {
  options_.max_message_bytes = 1000;
  Exchange();
  ByteBuffer bytes;
  amqp::AppendMethodFrame(bytes, 1, amqp::BasicDeliver{.consumer_tag = "c", .delivery_tag = 1});
  amqp::AppendContentHeaderFrame(bytes, 1, amqp::kClassBasic, 1001, ByteView("\0\0", 2));
  EXPECT_THAT(Say(bytes), HasSubstr("1001 bytes"));
}

TEST_F(ClientConnectionTest, RefusesContentsOutOfOrder) {
  for (const int kind : {0, 1, 2, 3}) {
    connection_.reset();
    session_ = FakeSession::Open(broker_);
    Exchange();
    ByteBuffer bytes;
    const amqp::BasicDeliver deliver{.consumer_tag = "c", .delivery_tag = 1};
    const ByteView no_properties("\0\0", 2);
    if (kind == 0) amqp::AppendFrame(bytes, amqp::FrameType::kBody, 1, "x");
    if (kind == 1) amqp::AppendContentHeaderFrame(bytes, 1, amqp::kClassBasic, 1, no_properties);
    if (kind == 2) {
      amqp::AppendMethodFrame(bytes, 1, deliver);
      amqp::AppendMethodFrame(bytes, 1, deliver);
    }
    if (kind == 3) {
      amqp::AppendMethodFrame(bytes, 1, deliver);
      amqp::AppendContentHeaderFrame(bytes, 1, amqp::kClassBasic, 1, no_properties);
      amqp::AppendFrame(bytes, amqp::FrameType::kBody, 1, "xx");
    }
    EXPECT_THAT(Say(bytes), HasSubstr("broke the protocol")) << kind;
  }
}

TEST_F(ClientConnectionTest, SurvivesGarbageAtAnyPlace) {
  Rng rng(5);
  for (int round = 0; round < 3000; ++round) {
    connection_.reset();
    session_ = FakeSession::Open(broker_);
    Exchange();
    ByteBuffer bytes;
    amqp::AppendDelivery(
        bytes, 1, {.consumer_tag = "c", .delivery_tag = 1, .exchange = "e", .routing_key = "k"},
        ByteView("\0\0", 2), "body", 131072);
    amqp::AppendMethodFrame(bytes, 0, amqp::ConnectionBlocked{"why"});
    amqp::AppendMethodFrame(bytes, 1, amqp::LandfallConfirm{1, true, {}});
    for (uint64_t n = 1 + rng.Below(3); n > 0; --n) {
      bytes[rng.Below(bytes.size())] = static_cast<char>(rng.Next());
    }
    Say(bytes);
  }
}

TEST_F(ClientConnectionTest, IsDoneWhenTheBrokerHasAnsweredItsGoodbye) {
  Exchange();
  connection().Close(now_);
  EXPECT_FALSE(connection().done());
  Exchange();
  EXPECT_TRUE(connection().done());
  EXPECT_EQ(connection().error(), nullptr);
}

}  // namespace
}  // namespace landfall::client
