// What the user of a connection may do: which permission each method asks for, and of what.
#include <gtest/gtest.h>

#include "session/session_harness.h"

namespace landfall::session {
namespace {

using amqp::ReplyCode;

class PermissionTest : public SessionTest {
 protected:
  // A user with one of the permissions on just the names of one letter that are given.
  struct May {
    std::string configure;
    std::string write;
    std::string read;
  };

  static access::Pattern Letters(const std::string& letters) {
    return *access::Pattern::Compile(letters.empty() ? "" : "^[" + letters + "]$");
  }
  static access::Permissions Permitting(const May& may) {
    access::Permissions permissions;
    permissions.configure = Letters(may.configure);
    permissions.write = Letters(may.write);
    permissions.read = Letters(may.read);
    return permissions;
  }
  static access::AccountsRef AccountsWith(access::Permissions permissions,
                                          std::vector<std::string> tags = {}) {
    auto account = std::make_shared<access::Account>();
    account->vhosts["/"] = std::make_shared<const access::Permissions>(std::move(permissions));
    account->tags = std::move(tags);
    auto all = std::make_shared<access::Accounts>();
    all->users["guest"] = std::move(account);
    return all;
  }
  void ConnectWith(access::Permissions permissions) {
    accounts = AccountsWith(std::move(permissions));
    Connect();
    OpenChannel(1);
    ports.AddQueue("q", kQueue, kShard);
    ports.AddExchange("x", broker::ExchangeType::kDirect);
    ports.AddExchange("t", broker::ExchangeType::kTopic);
  }
  void ExpectRefused(const std::string& what) {
    ExpectChannelClose(1, ReplyCode::kAccessRefused,
                       "ACCESS_REFUSED - " + what + " in vhost '/' refused for user 'guest'");
    EXPECT_TRUE(ports.requests.empty());
    Send(1, amqp::ChannelCloseOk{});
    OpenChannel(1);
    ports.commands.clear();
  }
  template <class M>
  void ExpectRefused(const M& method, const std::string& what) {
    SCOPED_TRACE(M::kName);
    Send(1, method);
    ExpectRefused(what);
  }
  // It gets as far as the topology.
  template <class M>
  void ExpectAsked(const M& method) {
    SCOPED_TRACE(M::kName);
    Send(1, method);
    EXPECT_EQ(ports.requests.size(), 1u);
    ports.requests.clear();
    ExpectSilence();
    Reply({.channel = 1, .error = ReplyCode::kNotFound, .text = "NOT_FOUND - in this test"});
    Expect<amqp::ChannelClose>(1);
    Send(1, amqp::ChannelCloseOk{});
    OpenChannel(1);
  }
};

TEST_F(PermissionTest, DeclaringAndDeletingNeedsConfigure) {
  ConnectWith(Permitting({.configure = "a", .write = "qx", .read = "qx"}));
  ExpectRefused(amqp::QueueDeclare{.queue = "q"}, "configure access to queue 'q'");
  ExpectRefused(amqp::QueueDelete{.queue = "q"}, "configure access to queue 'q'");
  ExpectRefused(amqp::ExchangeDeclare{.exchange = "x", .type = "direct"},
                "configure access to exchange 'x'");
  ExpectRefused(amqp::ExchangeDelete{.exchange = "x"}, "configure access to exchange 'x'");
  ExpectAsked(amqp::QueueDeclare{.queue = "a"});
  ExpectAsked(amqp::QueueDelete{.queue = "a"});
  ExpectAsked(amqp::ExchangeDeclare{.exchange = "a", .type = "direct"});
  ExpectAsked(amqp::ExchangeDelete{.exchange = "a"});
}

TEST_F(PermissionTest, AskingWhetherItIsThereNeedsNone) {
  ConnectWith({});
  ExpectAsked(amqp::QueueDeclare{.queue = "q", .passive = true});
  ExpectAsked(amqp::ExchangeDeclare{.exchange = "x", .type = "direct", .passive = true});
}

TEST_F(PermissionTest, AQueueWithoutANameIsConfiguredByTheNameThatItWillGet) {
  access::Permissions permissions;
  permissions.configure = *access::Pattern::Compile("^amq\\.gen.*$");
  ConnectWith(permissions);
  ExpectAsked(amqp::QueueDeclare{.queue = ""});
  ConnectWith(Permitting({.configure = "q"}));
  Send(1, amqp::QueueDeclare{.queue = ""});
  EXPECT_EQ(Expect<amqp::ChannelClose>(1).reply_code, 403);
}

TEST_F(PermissionTest, BindingNeedsWriteOnTheDestinationAndReadOnTheSource) {
  ConnectWith(Permitting({.write = "qw", .read = "xr"}));
  ExpectAsked(amqp::QueueBind{.queue = "q", .exchange = "x"});
  ExpectAsked(amqp::QueueUnbind{.queue = "q", .exchange = "x"});
  ExpectRefused(amqp::QueueBind{.queue = "r", .exchange = "x"}, "write access to queue 'r'");
  ExpectRefused(amqp::QueueBind{.queue = "q", .exchange = "w"}, "read access to exchange 'w'");
  ExpectRefused(amqp::QueueUnbind{.queue = "r", .exchange = "x"}, "write access to queue 'r'");
  ExpectRefused(amqp::QueueUnbind{.queue = "q", .exchange = "w"}, "read access to exchange 'w'");
  ExpectAsked(amqp::ExchangeBind{.destination = "w", .source = "r"});
  ExpectAsked(amqp::ExchangeUnbind{.destination = "w", .source = "r"});
  ExpectRefused(amqp::ExchangeBind{.destination = "r", .source = "r"},
                "write access to exchange 'r'");
  ExpectRefused(amqp::ExchangeUnbind{.destination = "w", .source = "w"},
                "read access to exchange 'w'");
}

TEST_F(PermissionTest, TakingMessagesOutNeedsRead) {
  ConnectWith(Permitting({.configure = "q", .write = "q", .read = "r"}));
  const std::string what = "read access to queue 'q'";
  ExpectRefused(amqp::BasicGet{.queue = "q"}, what);
  ExpectRefused(amqp::BasicConsume{.queue = "q"}, what);
  ExpectRefused(amqp::QueuePurge{.queue = "q"}, what);
  // Who may read it hears that it is not there, the others do not.
  Send(1, amqp::BasicGet{.queue = "r"});
  EXPECT_EQ(Expect<amqp::ChannelClose>(1).reply_code, 404);
}

TEST_F(PermissionTest, ADeadLetterExchangeNeedsReadOnTheQueueAndWriteOnTheExchange) {
  ConnectWith(Permitting({.configure = "abq", .write = "x", .read = "a"}));
  const ByteBuffer to_x = amqp::Table{{"x-dead-letter-exchange", "x"}}.Encode();
  const ByteBuffer to_t = amqp::Table{{"x-dead-letter-exchange", "t"}}.Encode();
  const ByteBuffer to_default = amqp::Table{{"x-dead-letter-exchange", ""}}.Encode();
  ExpectAsked(amqp::QueueDeclare{.queue = "a", .arguments = amqp::TableView(to_x)});
  ExpectRefused(amqp::QueueDeclare{.queue = "a", .arguments = amqp::TableView(to_t)},
                "write access to exchange 't'");
  ExpectRefused(amqp::QueueDeclare{.queue = "a", .arguments = amqp::TableView(to_default)},
                "write access to exchange 'amq.default'");
  ExpectRefused(amqp::QueueDeclare{.queue = "b", .arguments = amqp::TableView(to_x)},
                "read access to queue 'b'");
  // Also what seems to be there already: it may be gone when the topology comes to it.
  ExpectRefused(amqp::QueueDeclare{.queue = "q", .arguments = amqp::TableView(to_t)},
                "read access to queue 'q'");
}

TEST_F(PermissionTest, AnAlternateExchangeNeedsReadOnTheOneAndWriteOnTheOther) {
  ConnectWith(Permitting({.configure = "ab", .write = "x", .read = "a"}));
  const ByteBuffer to_x = amqp::Table{{"alternate-exchange", "x"}}.Encode();
  const ByteBuffer to_t = amqp::Table{{"alternate-exchange", "t"}}.Encode();
  ExpectAsked(
      amqp::ExchangeDeclare{.exchange = "a", .type = "direct", .arguments = amqp::TableView(to_x)});
  ExpectRefused(
      amqp::ExchangeDeclare{.exchange = "a", .type = "direct", .arguments = amqp::TableView(to_t)},
      "write access to exchange 't'");
  ExpectRefused(
      amqp::ExchangeDeclare{.exchange = "b", .type = "direct", .arguments = amqp::TableView(to_x)},
      "read access to exchange 'b'");
}

TEST_F(PermissionTest, PublishingNeedsWriteOnTheExchange) {
  ConnectWith(Permitting({.configure = "qx", .write = "x", .read = "qx"}));
  Publish(1, "x", "q", "allowed");
  ExpectSilence();
  Publish(1, "", "q", "refused");
  ExpectRefused("write access to exchange 'amq.default'");
  Publish(1, "no-such-exchange", "q", "refused");
  ExpectRefused("write access to exchange 'no-such-exchange'");
}

TEST_F(PermissionTest, PublishingToManyExchangesAsksForEachOfThem) {
  access::Permissions permissions;
  permissions.write = *access::Pattern::Compile("^e[0-9]+$");
  ConnectWith(permissions);
  for (int round = 0; round < 2; ++round) {
    for (int i = 0; i < 20; ++i) {
      const std::string name = "e" + std::to_string(i);
      if (round == 0) ports.AddExchange(name, broker::ExchangeType::kFanout);
      Publish(1, name, "", "allowed");
    }
  }
  ExpectSilence();
  Publish(1, "f1", "", "refused");
  ExpectRefused("write access to exchange 'f1'");
}

TEST_F(PermissionTest, TheRoutingKeysOfATopicExchangeCanBeLimited) {
  access::Permissions permissions = *access::FullPermissions();
  permissions.topics["t"] = {.write = *access::Pattern::Compile("^w\\."),
                             .read = *access::Pattern::Compile("^r\\.")};
  permissions.topics["x"] = {};  // says nothing about an exchange of another type
  ConnectWith(permissions);
  Publish(1, "t", "w.1", "allowed");
  Publish(1, "x", "r.1", "allowed");
  ExpectAsked(amqp::QueueBind{.queue = "q", .exchange = "t", .routing_key = "r.*"});
  ExpectAsked(amqp::QueueBind{.queue = "q", .exchange = "x", .routing_key = "w.*"});
  Publish(1, "t", "r.1", "refused");
  ExpectRefused("write access to topic 'r.1' in exchange topic 't'");
  ExpectRefused(amqp::QueueBind{.queue = "q", .exchange = "t", .routing_key = "#"},
                "read access to topic '#' in exchange topic 't'");
}

TEST_F(PermissionTest, EveryKeyOfCcIsLimitedAsWell) {
  access::Permissions permissions = *access::FullPermissions();
  permissions.topics["t"] = {.write = *access::Pattern::Compile("^w\\."),
                             .read = *access::Pattern::Compile("")};
  ConnectWith(permissions);
  const ByteBuffer headers = amqp::Table({{"CC", amqp::Array{amqp::Value("r.1")}}}).Encode();
  amqp::PropertiesView properties;
  properties.SetHeaders(amqp::TableView(headers));
  Publish(1, "t", "w.1", "refused", false, properties);
  ExpectRefused("write access to topic 'r.1' in exchange topic 't'");
}

TEST_F(PermissionTest, AChangeHoldsFromTheNextMessageOn) {
  ConnectWith(Permitting({.write = "x"}));
  Publish(1, "x", "q", "allowed");
  ExpectSilence();
  session->OnAccounts(AccountsWith(Permitting({.write = "t"})), now);
  Publish(1, "x", "q", "refused");
  ExpectRefused("write access to exchange 'x'");
  Publish(1, "t", "q", "allowed");
  ExpectSilence();
}

TEST_F(PermissionTest, WhoMayNotOpenTheVhostAnyMoreMayDoNothingInIt) {
  ConnectWith(*access::FullPermissions());
  auto all = std::make_shared<access::Accounts>();
  all->users["guest"] = std::make_shared<access::Account>();
  session->OnAccounts(all, now);
  ExpectRefused(amqp::QueueDeclare{.queue = "q"}, "configure access to queue 'q'");
  Publish(1, "x", "q", "refused");
  ExpectRefused("write access to exchange 'x'");
}

TEST_F(PermissionTest, TheConnectionOfADeletedUserIsClosed) {
  ConnectWith(*access::FullPermissions());
  session->OnAccounts(std::make_shared<access::Accounts>(), now);
  Read();
  ExpectConnectionClose(ReplyCode::kConnectionForced,
                        "CONNECTION_FORCED - user 'guest' was deleted");
}

TEST_F(PermissionTest, OnlyAnImpersonatorPublishesInTheNameOfAnother) {
  amqp::PropertiesView properties;
  properties.user_id = "carol";
  properties.flags = amqp::kHasUserId;
  ConnectWith(*access::FullPermissions());
  Publish(1, "x", "q", "refused", false, properties);
  EXPECT_EQ(Expect<amqp::ChannelClose>(1).reply_code, 406);
  Send(1, amqp::ChannelCloseOk{});
  session->OnAccounts(AccountsWith(*access::FullPermissions(), {"impersonator"}), now);
  OpenChannel(1);
  Publish(1, "x", "q", "allowed", false, properties);
  ExpectSilence();
}

}  // namespace
}  // namespace landfall::session
