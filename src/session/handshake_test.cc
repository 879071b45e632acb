#include <gtest/gtest.h>

#include "session/session_harness.h"

namespace landfall::session {
namespace {

using amqp::ReplyCode;

class Handshake : public SessionTest {
 protected:
  void UpToTune() {
    Start();
    Bytes(amqp::kProtocolHeader);
    Expect<amqp::ConnectionStart>(0);
    StartOk("guest", "guest", AllCapabilities());
    session->OnAuthenticated({.ok = true, .reason = "", .accounts = accounts}, now);
    Read();
    Expect<amqp::ConnectionTune>(0);
  }
};

TEST_F(Handshake, OpensAConnectionForAKnownUser) {
  Start();
  Bytes(amqp::kProtocolHeader);
  const auto start = Expect<amqp::ConnectionStart>(0);
  EXPECT_EQ(start.mechanisms, "PLAIN AMQPLAIN");
  StartOk("alice", "secret", AllCapabilities());
  EXPECT_EQ(ports.user, "alice");
  EXPECT_EQ(ports.password, "secret");
  EXPECT_FALSE(session->wants_input());
  session->OnAuthenticated({.ok = true, .reason = "", .accounts = accounts}, now);
  Read();
  EXPECT_EQ(Expect<amqp::ConnectionTune>(0).channel_max, 2047);
  Send(0, amqp::ConnectionTuneOk{.channel_max = 10, .frame_max = 0, .heartbeat = 30});
  Send(0, amqp::ConnectionOpen{.virtual_host = "/"});
  Expect<amqp::ConnectionOpenOk>(0);
  EXPECT_EQ(session->user(), "alice");
  EXPECT_EQ(session->vhost(), "/");
}

TEST_F(Handshake, SaysWhatTheBrokerIsAndCan) {
  options.version = "1.2.3";
  options.node_name = "node";
  Start();
  Bytes(amqp::kProtocolHeader);
  const auto start = Expect<amqp::ConnectionStart>(0);
  const amqp::Table properties = *start.server_properties.Decode();
  EXPECT_EQ(properties.GetString("product"), "Landfall");
  EXPECT_EQ(properties.GetString("version"), "1.2.3");
  EXPECT_EQ(properties.GetString("platform"), "C++");
  EXPECT_EQ(properties.GetString("information"),
            "Landfall, a message broker that does not lose messages");
  EXPECT_EQ(properties.GetString("cluster_name"), "node");
  const amqp::Table* capabilities = properties.GetTable("capabilities");
  ASSERT_NE(capabilities, nullptr);
  for (const std::string_view name :
       {"publisher_confirms", "exchange_exchange_bindings", "basic.nack", "consumer_cancel_notify",
        "connection.blocked", "consumer_priorities", "authentication_failure_close",
        "per_consumer_qos", "direct_reply_to", "landfall.extensions"}) {
    EXPECT_EQ(capabilities->GetBool(name), true) << name;
  }
}

TEST_F(Handshake, NeedsNoChallenge) {
  Start();
  Bytes(amqp::kProtocolHeader);
  Expect<amqp::ConnectionStart>(0);
  Send(0, amqp::ConnectionSecureOk{.response = "x"});
  ExpectConnectionClose(ReplyCode::kCommandInvalid,
                        "COMMAND_INVALID - method 'connection.secure-ok' out of order");
}

TEST_F(Handshake, TakesItsBytesOneByOne) {
  Start();
  for (const char c : amqp::kProtocolHeader) Bytes(ByteView(&c, 1));
  Expect<amqp::ConnectionStart>(0);
}

TEST_F(Handshake, TakesTheHeaderOfTheVersionBeforeToo) {
  Start();
  Bytes(amqp::kProtocolHeader09);
  const auto start = Expect<amqp::ConnectionStart>(0);
  EXPECT_EQ(start.version_major, 0);
  EXPECT_EQ(start.version_minor, 9);
}

TEST_F(Handshake, AnswersAnotherProtocolWithItsOwnHeaderAndCloses) {
  Start();
  Bytes("GET / HTTP/1.1\r\n");
  EXPECT_EQ(received_, amqp::kProtocolHeader);
  EXPECT_TRUE(session->wants_close());
  session->OnDisconnected(now);
  EXPECT_TRUE(session->done());
}

TEST_F(Handshake, RefusesAWrongPasswordWithAccessRefused) {
  Start();
  Bytes(amqp::kProtocolHeader);
  Expect<amqp::ConnectionStart>(0);
  StartOk("alice", "wrong", AllCapabilities());
  session->OnAuthenticated({.ok = false, .reason = "wrong password"}, now);
  Read();
  ExpectConnectionClose(ReplyCode::kAccessRefused,
                        "ACCESS_REFUSED - Login was refused using authentication mechanism PLAIN. "
                        "For details see the broker logfile.");
  EXPECT_NE(session->end_reason().find("wrong password"), std::string::npos);
  EXPECT_FALSE(session->wants_close());
  Send(0, amqp::ConnectionCloseOk{});
  EXPECT_TRUE(session->wants_close());
}

TEST_F(Handshake, ClosesTheSocketOfAnOldClientWithAWrongPassword) {
  Start();
  Bytes(amqp::kProtocolHeader);
  Expect<amqp::ConnectionStart>(0);
  StartOk("alice", "wrong", {});
  session->OnAuthenticated({.ok = false, .reason = "wrong password"}, now);
  Read();
  ExpectSilence();
  EXPECT_TRUE(session->wants_close());
}

TEST_F(Handshake, LetsGuestInFromThisMachineOnly) {
  Start({.loopback = false});
  Bytes(amqp::kProtocolHeader);
  Expect<amqp::ConnectionStart>(0);
  StartOk("guest", "guest", AllCapabilities());
  EXPECT_EQ(ports.user, "");
  EXPECT_EQ(Expect<amqp::ConnectionClose>(0).reply_code, 403);
}

TEST_F(Handshake, UnderstandsAmqplain) {
  Start();
  Bytes(amqp::kProtocolHeader);
  Expect<amqp::ConnectionStart>(0);
  const ByteBuffer response = amqp::Table{{"LOGIN", "bob"}, {"PASSWORD", "pw"}}.Encode();
  Send(0, amqp::ConnectionStartOk{.client_properties = {},
                                  .mechanism = "AMQPLAIN",
                                  .response = response,
                                  .locale = "en_US"});
  EXPECT_EQ(ports.user, "bob");
  EXPECT_EQ(ports.password, "pw");
}

TEST_F(Handshake, OffersExternalToAPeerWithACertificate) {
  Start({.loopback = false, .certificate_user = "carol"});
  Bytes(amqp::kProtocolHeader);
  EXPECT_EQ(Expect<amqp::ConnectionStart>(0).mechanisms, "PLAIN AMQPLAIN EXTERNAL");
  // Whom the response names does not matter.
  Send(0, amqp::ConnectionStartOk{.client_properties = {},
                                  .mechanism = "EXTERNAL",
                                  .response = "guest",
                                  .locale = "en_US"});
  EXPECT_EQ(ports.user, "carol");
  EXPECT_EQ(ports.password, std::nullopt);
}

TEST_F(Handshake, RefusesExternalWithoutACertificate) {
  Start();
  Bytes(amqp::kProtocolHeader);
  Expect<amqp::ConnectionStart>(0);
  Send(0, amqp::ConnectionStartOk{
              .client_properties = {}, .mechanism = "EXTERNAL", .response = "", .locale = "en_US"});
  ExpectConnectionClose(ReplyCode::kCommandInvalid,
                        "COMMAND_INVALID - unknown authentication mechanism 'EXTERNAL'");
}

TEST_F(Handshake, RefusesACertificateOfGuestFromAnotherMachine) {
  Start({.loopback = false, .certificate_user = "guest"});
  Bytes(amqp::kProtocolHeader);
  Expect<amqp::ConnectionStart>(0);
  Send(0, amqp::ConnectionStartOk{
              .client_properties = {}, .mechanism = "EXTERNAL", .response = "", .locale = "en_US"});
  EXPECT_EQ(ports.user, "");
  EXPECT_TRUE(session->wants_close());
}

TEST_F(Handshake, RefusesAnUnknownMechanism) {
  Start();
  Bytes(amqp::kProtocolHeader);
  Expect<amqp::ConnectionStart>(0);
  Send(0, amqp::ConnectionStartOk{
              .client_properties = {}, .mechanism = "MAGIC", .response = "x", .locale = "en_US"});
  ExpectConnectionClose(ReplyCode::kCommandInvalid,
                        "COMMAND_INVALID - unknown authentication mechanism 'MAGIC'");
}

TEST_F(Handshake, RefusesMalformedAndOverlongCredentials) {
  for (const std::string& response :
       {std::string("guest"), std::string("\0guest", 6), std::string("\0\0x", 3),
        std::string(1, '\0') + std::string(256, 'u') + std::string("\0pw", 3),
        std::string("\0u\0", 3) + std::string(1025, 'p')}) {
    Start();
    Bytes(amqp::kProtocolHeader);
    Expect<amqp::ConnectionStart>(0);
    const ByteBuffer properties =
        amqp::Table{{"capabilities", amqp::Table{{"authentication_failure_close", true}}}}.Encode();
    Send(0, amqp::ConnectionStartOk{.client_properties = amqp::TableView(properties),
                                    .mechanism = "PLAIN",
                                    .response = response,
                                    .locale = "en_US"});
    EXPECT_EQ(Expect<amqp::ConnectionClose>(0).reply_code, 403);
    EXPECT_EQ(ports.user, "");
  }
}

TEST_F(Handshake, RefusesAVhostThatDoesNotExist) {
  UpToTune();
  Send(0, amqp::ConnectionTuneOk{});
  Send(0, amqp::ConnectionOpen{.virtual_host = "nowhere"});
  const auto close = Expect<amqp::ConnectionClose>(0);
  EXPECT_EQ(close.reply_code, 530);
  EXPECT_EQ(close.reply_text, "NOT_ALLOWED - vhost nowhere not found");
  EXPECT_EQ(close.class_id, 10);
  EXPECT_EQ(close.method_id, 40);
}

TEST_F(Handshake, RefusesAVhostThatIsNotTheUsers) {
  ports.AddVhost("private");
  auto account = std::make_shared<access::Account>();
  account->vhosts["/"] = access::FullPermissions();
  auto some = std::make_shared<access::Accounts>();
  some->users["guest"] = account;
  accounts = some;
  UpToTune();
  Send(0, amqp::ConnectionTuneOk{});
  Send(0, amqp::ConnectionOpen{.virtual_host = "private"});
  ExpectConnectionClose(ReplyCode::kNotAllowed,
                        "NOT_ALLOWED - access to vhost 'private' refused for user 'guest'");
}

TEST_F(Handshake, RefusesAFrameMaxBelowTheSmallest) {
  UpToTune();
  Send(0, amqp::ConnectionTuneOk{.frame_max = 100});
  ExpectConnectionClose(ReplyCode::kNotAllowed, "NOT_ALLOWED - frame_max=100 < 4096 min size");
}

TEST_F(Handshake, RefusesMoreChannelsThanItOffered) {
  UpToTune();
  Send(0, amqp::ConnectionTuneOk{.channel_max = 3000});
  ExpectConnectionClose(ReplyCode::kNotAllowed,
                        "NOT_ALLOWED - negotiated channel_max = 3000 is higher than the maximum "
                        "allowed value (2047)");
}

TEST_F(Handshake, RefusesMethodsOutOfOrder) {
  UpToTune();
  Send(0, amqp::ConnectionOpen{.virtual_host = "/"});
  ExpectConnectionClose(ReplyCode::kCommandInvalid,
                        "COMMAND_INVALID - method 'connection.open' out of order");
}

TEST_F(Handshake, RefusesChannelsBeforeTheConnectionIsOpen) {
  UpToTune();
  Send(1, amqp::ChannelOpen{});
  ExpectConnectionClose(ReplyCode::kCommandInvalid,
                        "COMMAND_INVALID - frame on channel 1 before the connection is open");
}

TEST_F(Handshake, TakesNoLargeFramesFromStrangers) {
  Start();
  Bytes(amqp::kProtocolHeader);
  Expect<amqp::ConnectionStart>(0);
  Bytes(ByteView("\1\0\0\0\1\0\0", 7));  // 64 KiB are to come
  ExpectSilence();
  EXPECT_TRUE(session->wants_close());
}

TEST_F(Handshake, GivesUpOnAPeerThatTakesTooLong) {
  Start();
  EXPECT_EQ(session->NextDeadline(), now + options.handshake_timeout);
  Bytes(amqp::kProtocolHeader);
  Pass(options.handshake_timeout - Duration(1));
  EXPECT_FALSE(session->wants_close());
  Pass(Duration(1));
  EXPECT_TRUE(session->wants_close());
  EXPECT_EQ(session->end_reason(), "the handshake took too long");
}

TEST_F(Handshake, SurvivesThatThePeerLeavesWhileItsPasswordIsChecked) {
  Start();
  Bytes(amqp::kProtocolHeader);
  StartOk("guest", "guest", AllCapabilities());
  session->OnDisconnected(now);
  EXPECT_TRUE(session->done());
  session->OnAuthenticated({.ok = true, .reason = "", .accounts = accounts}, now);
  EXPECT_TRUE(session->done());
}

}  // namespace
}  // namespace landfall::session
