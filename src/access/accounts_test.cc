#include "access/accounts.h"

#include <gtest/gtest.h>

namespace landfall::access {
namespace {

TEST(Accounts, GiveTheNamedVhostPrecedence) {
  Account account;
  EXPECT_EQ(account.In("/"), nullptr);
  account.elsewhere = FullPermissions();
  account.vhosts["/"] = std::make_shared<const Permissions>();
  EXPECT_FALSE(account.In("/")->May(Access::kRead, "q"));
  EXPECT_TRUE(account.In("orders")->May(Access::kRead, "q"));
}

TEST(Accounts, KnowOnlyTheUsersThatAreListed) {
  Accounts accounts;
  accounts.users["ada"] = std::make_shared<const Account>();
  EXPECT_NE(accounts.Find("ada"), nullptr);
  EXPECT_EQ(accounts.Find("bob"), nullptr);
  EXPECT_NE(Accounts::WithoutLimits()->Find("bob"), nullptr);
}

TEST(Accounts, TellALimitOfNothingFromNoLimit) {
  Accounts accounts;
  accounts.vhost_limits["/"] = {.max_connections = 0};
  EXPECT_EQ(accounts.LimitsOf("/").max_connections, 0u);
  EXPECT_EQ(accounts.LimitsOf("orders"), VhostLimits{});
}

TEST(Accounts, KnowTheirTags) {
  Account account;
  account.tags = {"management", "impersonator"};
  EXPECT_TRUE(account.HasTag("impersonator"));
  EXPECT_FALSE(account.HasTag("administrator"));
}

}  // namespace
}  // namespace landfall::access
