#include "access/permissions.h"

#include <gtest/gtest.h>

namespace landfall::access {
namespace {

TEST(Permissions, AskThePatternOfTheOperation) {
  Permissions permissions;
  permissions.configure = *Pattern::Compile("^c-");
  permissions.write = *Pattern::Compile("^w-");
  permissions.read = *Pattern::Compile("^r-");
  EXPECT_TRUE(permissions.May(Access::kConfigure, "c-1"));
  EXPECT_TRUE(permissions.May(Access::kWrite, "w-1"));
  EXPECT_TRUE(permissions.May(Access::kRead, "r-1"));
  EXPECT_FALSE(permissions.May(Access::kConfigure, "w-1"));
  EXPECT_FALSE(permissions.May(Access::kWrite, "r-1"));
  EXPECT_FALSE(permissions.May(Access::kRead, "c-1"));
}

TEST(Permissions, KnowTheDefaultExchangeByItsOtherName) {
  Permissions permissions;
  EXPECT_FALSE(permissions.May(Access::kWrite, ""));
  permissions.write = *Pattern::Compile("^amq\\.default$");
  EXPECT_TRUE(permissions.May(Access::kWrite, ""));
}

TEST(Permissions, AllowNothingUnlessTold) {
  EXPECT_FALSE(Permissions().May(Access::kConfigure, "q"));
  EXPECT_TRUE(FullPermissions()->May(Access::kConfigure, "q"));
}

TEST(Permissions, LimitTheRoutingKeysOfTheExchangesThatTheyName) {
  Permissions permissions = *FullPermissions();
  EXPECT_TRUE(permissions.MayUseTopic(Access::kWrite, "amq.topic", "a.b"));
  permissions.topics["amq.topic"] = {.write = *Pattern::Compile("^a\\."), .read = Pattern()};
  EXPECT_TRUE(permissions.MayUseTopic(Access::kWrite, "amq.topic", "a.b"));
  EXPECT_FALSE(permissions.MayUseTopic(Access::kWrite, "amq.topic", "b.a"));
  EXPECT_FALSE(permissions.MayUseTopic(Access::kRead, "amq.topic", "a.b"));
  EXPECT_TRUE(permissions.MayUseTopic(Access::kRead, "another", "a.b"));
}

}  // namespace
}  // namespace landfall::access
