#include <gtest/gtest.h>

#include "session/session_harness.h"

namespace landfall::session {
namespace {

class Description : public SessionTest {
 protected:
  static amqp::Table WithText(size_t bytes) {
    amqp::Table capabilities = AllCapabilities();
    capabilities.Set("padding", std::string(bytes, 'x'));
    return capabilities;
  }
};

TEST_F(Description, TellsWhatAConnectionIs) {
  Start();
  EXPECT_EQ(session->Describe().state, "starting");
  Connect();
  const SessionInfo info = session->Describe();
  EXPECT_EQ(info.id, kSession);
  EXPECT_EQ(info.user, "guest");
  EXPECT_EQ(info.vhost, "/");
  EXPECT_EQ(info.state, "running");
  EXPECT_EQ(info.mechanism, "PLAIN");
  EXPECT_EQ(info.frame_max, 131072u);
  EXPECT_EQ(info.connected_at, now);
  EXPECT_GT(info.bytes_received, 0u);
  EXPECT_GT(info.bytes_sent, 0u);
  EXPECT_TRUE(info.channels.empty());
  ASSERT_TRUE(amqp::DecodeTable(info.client_properties));
  EXPECT_NE(amqp::DecodeTable(info.client_properties)->GetTable("capabilities"), nullptr);
}

TEST_F(Description, TellsWhatAChannelHolds) {
  ConnectWithChannel();
  Send(1, amqp::ConfirmSelect{});
  Expect<amqp::ConfirmSelectOk>(1);
  Send(1, amqp::BasicQos{.prefetch_count = 5});
  Expect<amqp::BasicQosOk>(1);
  Deliver(Consume(1, "tag"), 1);
  Publish(1, "", "q", "hello");
  const SessionInfo info = session->Describe();
  ASSERT_EQ(info.channels.size(), 1u);
  const ChannelInfo& channel = info.channels[0];
  EXPECT_EQ(channel.number, 1);
  EXPECT_TRUE(channel.confirms);
  EXPECT_EQ(channel.prefetch, 5u);
  EXPECT_EQ(channel.unacked, 1u);
  EXPECT_EQ(channel.unconfirmed, 1u);
  ASSERT_EQ(channel.consumers.size(), 1u);
  EXPECT_EQ(channel.consumers[0].tag, "tag");
  EXPECT_EQ(channel.consumers[0].queue, kQueue);
}

// What a client says about itself is kept as long as its connection.
TEST_F(Description, KeepsNoMoreOfAClientsPropertiesThanIsUsual) {
  Connect(WithText(1000));
  EXPECT_FALSE(session->Describe().client_properties.empty());
  Connect(WithText(3000));
  EXPECT_TRUE(session->Describe().client_properties.empty());
}

TEST_F(Description, TellsWhyItIsNotRead) {
  ConnectWithChannel();
  session->OnResourceAlarm(true, "memory", now);
  EXPECT_EQ(session->Describe().state, "blocking");
  Publish(1, "", "q", "hello");
  EXPECT_EQ(session->Describe().state, "blocked");
}

TEST_F(Description, IsOfAConnectionThatAnOperatorCloses) {
  Connect();
  session->CloseByForce("enough", now);
  Read();
  ExpectConnectionClose(amqp::ReplyCode::kConnectionForced, "CONNECTION_FORCED - enough");
  EXPECT_EQ(session->Describe().state, "closing");
  Send(0, amqp::ConnectionCloseOk{});
  EXPECT_TRUE(session->wants_close());
}

}  // namespace
}  // namespace landfall::session
