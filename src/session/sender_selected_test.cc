// CC and BCC, as a client sees them.
#include <gtest/gtest.h>

#include "session/session_harness.h"

namespace landfall::session {
namespace {

using amqp::Array;
using amqp::ReplyCode;
using amqp::Table;
using broker::PublishCommand;

class SenderSelected : public SessionTest {
 protected:
  void ConnectWithQueues() {
    ConnectWithChannel();
    ports.AddQueue("cc", kQueue + 1, kShard);
    ports.AddQueue("bcc", kQueue + 2, kShard);
  }
  static ByteBuffer Encoded(const Table& headers) {
    ByteBuffer properties;
    const ByteBuffer table = headers.Encode();
    amqp::PropertiesView view;
    view.SetHeaders(amqp::TableView(table));
    amqp::AppendProperties(properties, view);
    return properties;
  }
  void PublishTo(ByteView key, const Table& headers, bool mandatory = false) {
    const ByteBuffer table = headers.Encode();
    amqp::PropertiesView view;
    view.SetHeaders(amqp::TableView(table));
    Publish(1, "", key, "x", mandatory, view);
  }
  const Table both_{{"CC", Array{"cc", "q"}}, {"BCC", Array{"bcc"}}};
  const Table visible_{{"CC", Array{"cc", "q"}}};
};

TEST_F(SenderSelected, QueuesGetTheMessageOnceEach) {
  ConnectWithQueues();
  PublishTo("q", both_);
  const auto publish = ExpectCommand<PublishCommand>();
  EXPECT_EQ(publish.queues.size(), 3u);
  EXPECT_EQ(publish.message->routing_key(), "q");
  ExpectNoCommand();
}

TEST_F(SenderSelected, KeysOfOneMessageAreNotThoseOfTheNext) {
  ConnectWithQueues();
  PublishTo("q", both_);
  EXPECT_EQ(ExpectCommand<PublishCommand>().queues.size(), 3u);
  Publish(1, "", "q", "x");
  EXPECT_EQ(ExpectCommand<PublishCommand>().queues.size(), 1u);
  PublishTo("q", both_);
  EXPECT_EQ(ExpectCommand<PublishCommand>().queues.size(), 3u);
}

TEST_F(SenderSelected, BccStaysWithTheMessageAndOutOfItsDeliveries) {
  ConnectWithQueues();
  PublishTo("q", both_);
  const broker::MessageRef message = ExpectCommand<PublishCommand>().message;
  EXPECT_EQ(message->properties(), ByteView(Encoded(both_)));

  broker::Deliver deliver = Delivery(Consume(1, "c"), 1);
  deliver.message = message;
  Outcome(deliver);
  Expect<amqp::BasicDeliver>(1);
  ExpectContent(1);
  EXPECT_EQ(properties_, Encoded(visible_));

  Send(1, amqp::BasicGet{.queue = "q"});
  ExpectCommand<broker::GetCommand>();
  Outcome(broker::Got{.channel = 1,
                      .attempt = 1,
                      .shard = kShard,
                      .queue = kQueue,
                      .sequence = 2,
                      .message = message});
  Expect<amqp::BasicGetOk>(1);
  ExpectContent(1);
  EXPECT_EQ(properties_, Encoded(visible_));
}

TEST_F(SenderSelected, BccIsNotReturnedEither) {
  ConnectWithQueues();
  PublishTo("nobody", {{"CC", Array{"no one"}}, {"BCC", Array{"none"}}}, true);
  Expect<amqp::BasicReturn>(1);
  ExpectContent(1);
  EXPECT_EQ(properties_, Encoded({{"CC", Array{"no one"}}}));
}

TEST_F(SenderSelected, KeysMakeAMandatoryMessageRoutable) {
  ConnectWithQueues();
  PublishTo("nobody", {{"CC", Array{"cc"}}}, true);
  EXPECT_EQ(ExpectCommand<PublishCommand>().queues[0], kQueue + 1);
  ExpectSilence();
}

TEST_F(SenderSelected, KeysOutsideOfAnArrayAreRefused) {
  ConnectWithQueues();
  PublishTo("q", {{"CC", "cc"}});
  ExpectChannelClose(1, ReplyCode::kPreconditionFailed,
                     "PRECONDITION_FAILED - invalid message: "
                     "{unacceptable_type_in_header,\"CC\",longstr}");
}

}  // namespace
}  // namespace landfall::session
