// How many connections and channels a user and a vhost may have.
#include <gtest/gtest.h>

#include "session/session_harness.h"

namespace landfall::session {
namespace {

using amqp::ReplyCode;

class LimitsTest : public SessionTest {
 protected:
  LimitsTest() {
    account->elsewhere = access::FullPermissions();
    limits->users["guest"] = account;
    accounts = limits;
  }
  void UpToOpen() {
    Start();
    Bytes(amqp::kProtocolHeader);
    Expect<amqp::ConnectionStart>(0);
    StartOk("guest", "guest", AllCapabilities());
    session->OnAuthenticated({.ok = true, .reason = "", .accounts = accounts}, now);
    Read();
    Expect<amqp::ConnectionTune>(0);
    Send(0, amqp::ConnectionTuneOk{.channel_max = 0, .frame_max = 0, .heartbeat = 0});
    Send(0, amqp::ConnectionOpen{.virtual_host = "/"});
  }
  access::Seat OtherConnection() {
    return *access::Seat::Take(accounts->usage->OfUser("guest"), &access::Usage::connections,
                               std::nullopt);
  }

  std::shared_ptr<access::Account> account = std::make_shared<access::Account>();
  std::shared_ptr<access::Accounts> limits = std::make_shared<access::Accounts>();
};

TEST_F(LimitsTest, AUserHasNoMoreConnectionsThanAllowed) {
  account->max_connections = 1;
  {
    const access::Seat other = OtherConnection();
    UpToOpen();
    ExpectConnectionClose(
        ReplyCode::kNotAllowed,
        "NOT_ALLOWED - Connection refused for user 'guest': user connection limit "
        "(1) is reached");
  }
  UpToOpen();
  Expect<amqp::ConnectionOpenOk>(0);
  EXPECT_EQ(accounts->usage->OfUser("guest")->connections, 1u);
  EXPECT_EQ(accounts->usage->OfVhost("/")->connections, 1u);
}

TEST_F(LimitsTest, AVhostHasNoMoreConnectionsThanAllowed) {
  limits->vhost_limits["/"] = {.max_connections = 0};
  UpToOpen();
  ExpectConnectionClose(ReplyCode::kNotAllowed,
                        "NOT_ALLOWED - access to vhost '/' refused for user 'guest': connection "
                        "limit (0) is reached");
}

TEST_F(LimitsTest, TheTopologyIsToldHowManyQueuesTheVhostMayHaveNow) {
  limits->vhost_limits["/"] = {.max_queues = 3};
  Connect();
  OpenChannel(1);
  OpenChannel(2);
  Send(1, amqp::QueueDeclare{.queue = "a"});
  EXPECT_EQ(ExpectRequest<broker::DeclareQueue>().max_queues, 3u);
  auto changed = std::make_shared<access::Accounts>(*limits);
  changed->vhost_limits.erase("/");
  session->OnAccounts(changed, now);
  Send(2, amqp::QueueDeclare{.queue = "b"});
  EXPECT_EQ(ExpectRequest<broker::DeclareQueue>().max_queues, std::nullopt);
}

TEST_F(LimitsTest, ARefusedConnectionTakesNoPlace) {
  account->max_connections = 0;
  UpToOpen();
  Expect<amqp::ConnectionClose>(0);
  EXPECT_EQ(accounts->usage->OfVhost("/")->connections, 0u);
}

TEST_F(LimitsTest, AClosedConnectionHasGivenItsPlaceBackWhenItsClientHearsOfIt) {
  Connect();
  OpenChannel(1);
  Send(0, amqp::ConnectionClose{.reply_code = 200});
  EXPECT_EQ(accounts->usage->OfUser("guest")->connections, 0u);
  EXPECT_EQ(accounts->usage->OfUser("guest")->channels, 0u);
  EXPECT_EQ(accounts->usage->OfVhost("/")->connections, 0u);
  Expect<amqp::ConnectionCloseOk>(0);
}

TEST_F(LimitsTest, ALostConnectionGivesItsPlaceBack) {
  Connect();
  OpenChannel(1);
  session->OnDisconnected(now);
  EXPECT_EQ(accounts->usage->OfUser("guest")->connections, 0u);
  EXPECT_EQ(accounts->usage->OfUser("guest")->channels, 0u);
}

TEST_F(LimitsTest, AUserHasNoMoreChannelsThanAllowed) {
  account->max_channels = 2;
  Connect();
  OpenChannel(1);
  OpenChannel(2);
  Send(1, amqp::ChannelClose{.reply_code = 200});
  Expect<amqp::ChannelCloseOk>(1);
  OpenChannel(3);
  Send(4, amqp::ChannelOpen{});
  const auto close = Expect<amqp::ConnectionClose>(0);
  EXPECT_EQ(close.reply_code, 530);
  EXPECT_EQ(close.reply_text,
            "NOT_ALLOWED - number of channels opened for user 'guest' has reached the "
            "maximum allowed user limit of (2)");
  EXPECT_EQ(close.class_id, 20);
  EXPECT_EQ(close.method_id, 10);
}

TEST_F(LimitsTest, ALimitThatComesLaterCountsWhatIsOpen) {
  Connect();
  OpenChannel(1);
  auto stricter = std::make_shared<access::Account>(*account);
  stricter->max_channels = 1;
  auto later = std::make_shared<access::Accounts>(*limits);
  later->users["guest"] = stricter;
  session->OnAccounts(later, now);
  Send(2, amqp::ChannelOpen{});
  EXPECT_EQ(Expect<amqp::ConnectionClose>(0).reply_code, 530);
}

}  // namespace
}  // namespace landfall::session
