#include "server/user_table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/temporary_directory.h"

namespace landfall::server {
namespace {

using access::Access;
using testing::HasSubstr;

class UserTableTest : public testing::Test {
 protected:
  Result<UserTable> Read(const std::string& text) {
    return ReadUserTable(directory_.Write("users.toml", text));
  }
  access::AccountsRef Accounts(const std::string& text) {
    const auto table = Read(text);
    EXPECT_TRUE(table) << table.error().message;
    return table ? CompileAccounts(*table, std::make_shared<access::UsageBook>()) : nullptr;
  }
  std::string ErrorOf(const std::string& text) {
    const auto table = Read(text);
    return table ? "" : table.error().message;
  }

  TemporaryDirectory directory_;
};

TEST_F(UserTableTest, AListOfVhostsAllowsEverythingInThem) {
  const auto accounts = Accounts("[users.ada]\nvhosts = [\"/\"]\n[users.bob]\nvhosts = [\"*\"]\n");
  EXPECT_TRUE(accounts->Find("ada")->In("/")->May(Access::kConfigure, "q"));
  EXPECT_EQ(accounts->Find("ada")->In("orders"), nullptr);
  EXPECT_TRUE(accounts->Find("bob")->In("orders")->May(Access::kRead, "q"));
}

TEST_F(UserTableTest, PermissionsGoBeforeTheListOfVhosts) {
  const auto accounts = Accounts(R"(
[users.ada]
vhosts = ["*"]
[users.ada.permissions."/"]
read = "^r"
)");
  const access::AccountRef ada = accounts->Find("ada");
  EXPECT_TRUE(ada->In("/")->May(Access::kRead, "r"));
  EXPECT_FALSE(ada->In("/")->May(Access::kWrite, "r"));
  EXPECT_TRUE(ada->In("orders")->May(Access::kWrite, "r"));
}

TEST_F(UserTableTest, NamesInTopicPermissionsStandForThemselves) {
  const auto accounts = Accounts(R"(
[users."a.b"]
vhosts = ["*"]
[users."a.b".topic_permissions."/"."amq.topic"]
write = "^{username}\\.{vhost}$"
read = "^{username}"
)");
  const access::PermissionsRef permissions = accounts->Find("a.b")->In("/");
  EXPECT_TRUE(permissions->May(Access::kWrite, "amq.topic"));
  EXPECT_TRUE(permissions->MayUseTopic(Access::kWrite, "amq.topic", "a.b./"));
  EXPECT_FALSE(permissions->MayUseTopic(Access::kWrite, "amq.topic", "axb./"));
  EXPECT_TRUE(permissions->MayUseTopic(Access::kRead, "amq.topic", "a.b.c"));
  EXPECT_TRUE(permissions->MayUseTopic(Access::kRead, "another", "x"));
}

TEST_F(UserTableTest, TopicPermissionsLetNobodyIntoAVhost) {
  const auto accounts = Accounts(R"(
[users.ada]
vhosts = []
[users.ada.topic_permissions."/"."amq.topic"]
write = ".*"
)");
  EXPECT_EQ(accounts->Find("ada")->In("/"), nullptr);
}

TEST_F(UserTableTest, WritesWhatItReads) {
  const auto table = Read(R"(
[users.ada]
vhosts = ["/", "orders"]
tags = ["monitoring", "impersonator"]
max_connections = 3
max_channels = 0
[users.ada.permissions."/"]
configure = "^ada\\."
write = ""
read = ".*"
[users.ada.topic_permissions."/"."amq.topic"]
write = "^{username}"
read = ""
[vhosts."/"]
max_connections = 10
max_queues = 20
)");
  ASSERT_TRUE(table) << table.error().message;
  EXPECT_EQ(table->users.at("ada").max_channels, 0u);
  EXPECT_EQ(table->users.at("ada").permissions.at("/").configure, "^ada\\.");
  EXPECT_EQ(table->vhost_limits.at("/"),
            (access::VhostLimits{.max_connections = 10, .max_queues = 20}));
  const auto text = UserTableText(*table);
  ASSERT_TRUE(text) << text.error().message;
  const auto again = Read(*text);
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_EQ(*again, *table);
}

TEST_F(UserTableTest, LimitsAreThoseOfTheFile) {
  const auto accounts = Accounts(
      "[users.ada]\nvhosts = [\"/\"]\nmax_connections = 3\nmax_channels = 5\n"
      "[vhosts.\"/\"]\nmax_queues = 7\n");
  EXPECT_EQ(accounts->Find("ada")->max_connections, 3u);
  EXPECT_EQ(accounts->Find("ada")->max_channels, 5u);
  EXPECT_EQ(accounts->LimitsOf("/"), access::VhostLimits{.max_queues = 7});
  EXPECT_EQ(accounts->LimitsOf("orders"), access::VhostLimits{});
}

TEST_F(UserTableTest, NamesTheLineThatItCannotUnderstand) {
  const std::string ada = "[users.ada]\nvhosts = []\n";
  EXPECT_THAT(ErrorOf(ada + "max_channels = -1\n"),
              HasSubstr("users.toml:3: max_channels must be a whole number"));
  EXPECT_THAT(ErrorOf(ada + "[users.ada.permissions.\"/\"]\nread = \"a(\"\n"),
              HasSubstr("users.toml:4: 'a(' is not a regular expression"));
  EXPECT_THAT(ErrorOf(ada + "[users.ada.permissions.\"/\"]\nreed = \"\"\n"),
              HasSubstr("users.toml:4: unknown key reed in users.ada.permissions./"));
  EXPECT_THAT(ErrorOf(ada + "permissions = 1\n"),
              HasSubstr("users.toml:3: users.ada.permissions must be a table"));
  EXPECT_THAT(ErrorOf(ada + "[users.ada.topic_permissions]\n\"/\" = \".*\"\n"),
              HasSubstr("must be a table"));
  EXPECT_THAT(ErrorOf("[vhosts.\"/\"]\nmax_channels = 1\n"),
              HasSubstr("users.toml:2: unknown key max_channels; a vhost has max_connections"));
}

}  // namespace
}  // namespace landfall::server
