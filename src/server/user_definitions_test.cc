#include "server/user_definitions.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <string>
#include <vector>

#include "base/temporary_directory.h"
#include "broker/topology_snapshot.h"
#include "server/definitions.h"
#include "server/users.h"

namespace landfall::server {
namespace {

using access::Access;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

constexpr PasswordCost kCheap{.passes = 1, .memory_bytes = 8192};

// As RabbitMQ 3.13 exports them; the passwords are test12, secret and 1.
constexpr std::string_view kExport = R"({
  "rabbit_version": "3.13.7",
  "users": [
    {"name": "ada", "password_hash": "kI3GCqW5JLMJa4iX1lo7X4D6XbYqlLgxIs30+P6tENUV2POR",
     "hashing_algorithm": "rabbit_password_hashing_sha256", "tags": ["monitoring", "management"],
     "limits": {"max-connections": 3, "max-channels": 40}},
    {"name": "bob", "password_hash":
     "AQIDBPhTH2L5HGYB1LWOrn+YpvuQmVOXKGqgsuiJRIZTILRoEvblSJo/WAsym3IZTfuaIaK5KR2o5KwFfTv6KsxfMIE=",
     "hashing_algorithm": "rabbit_password_hashing_sha512", "tags": "administrator, impersonator",
     "limits": []},
    {"name": "eve", "password_hash": "y4xPTRVfzXg68sz9ALqeQzARam3CwnGo53xS752cDV5+Utzh",
     "tags": ""},
    {"name": "tls", "password_hash": "", "hashing_algorithm": "rabbit_password_hashing_sha256",
     "tags": [], "limits": {}}],
  "vhosts": [{"name": "/", "limits": {"max-connections": 7, "max-queues": 0}}, {"name": "shop"}],
  "permissions": [
    {"user": "ada", "vhost": "shop", "configure": "^ada\\.", "write": "^w", "read": ".*"},
    {"user": "bob", "vhost": "/", "configure": ".*", "write": ".*", "read": ".*"}],
  "topic_permissions": [
    {"user": "ada", "vhost": "shop", "exchange": "amq.topic", "write": "^{username}\\.",
     "read": ".*"}],
  "parameters": [
    {"vhost": "shop", "component": "vhost-limits", "name": "limits",
     "value": {"max-connections": 9}}]
})";

class UserDefinitionsTest : public testing::Test {
 protected:
  UserDefinitionsTest()
      : file_(UserFile::Open(directory_ / "users.toml", UserFile::IfMissing::kStartEmpty, kCheap)
                  .value()) {}

  Result<void> Import(std::string_view json) {
    const auto definitions = ParseDefinitions(json);
    EXPECT_TRUE(definitions) << definitions.error().message;
    if (!definitions) return std::unexpected(definitions.error());
    return file_.Import(definitions->users);
  }
  std::string Export() {
    const auto table = ReadUserTable(file_.path());
    return WriteDefinitions(broker::TopologySnapshot(), &*table).value();
  }
  User Get(std::string_view name) {
    for (User& user : file_.List())
      if (user.name == name) return user;
    ADD_FAILURE() << "no user " << name;
    return {};
  }
  std::string Text() { return directory_.Read("users.toml"); }

  TemporaryDirectory directory_;
  UserFile file_;
};

std::string ErrorOf(std::string_view json) {
  const auto parsed = ParseDefinitions(json);
  return parsed ? "" : parsed.error().message;
}

// With one user, ada, of whom these fields are said.
std::string Ada(const std::string& fields) {
  return R"({"users": [{"name": "ada", )" + fields + "}]}";
}

TEST_F(UserDefinitionsTest, LetUsersInWithTheirPasswordsFromRabbitMq) {
  ASSERT_TRUE(Import(kExport));
  for (const auto& [name, password] :
       {std::pair{"ada", "test12"}, {"bob", "secret"}, {"eve", "1"}}) {
    EXPECT_TRUE(file_.Verify(name, password).ok) << name;
    EXPECT_FALSE(file_.Verify(name, "wrong").ok) << name;
  }
  EXPECT_FALSE(file_.Verify("tls", "").ok);
  EXPECT_TRUE(file_.Knows("tls"));
  struct stat info;
  ASSERT_EQ(stat(file_.path().c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
}

TEST_F(UserDefinitionsTest, SayWhatUsersMayDo) {
  ASSERT_TRUE(Import(kExport));
  EXPECT_THAT(Get("ada").tags, ElementsAre("monitoring", "management"));
  EXPECT_THAT(Get("bob").tags, ElementsAre("administrator", "impersonator"));
  EXPECT_THAT(Get("eve").tags, IsEmpty());
  const access::AccountRef ada = file_.accounts()->Find("ada");
  EXPECT_EQ(ada->max_connections, 3u);
  EXPECT_EQ(ada->max_channels, 40u);
  EXPECT_EQ(ada->In("/"), nullptr);
  EXPECT_TRUE(ada->In("shop")->May(Access::kConfigure, "ada.q"));
  EXPECT_FALSE(ada->In("shop")->May(Access::kConfigure, "q"));
  EXPECT_FALSE(ada->In("shop")->May(Access::kWrite, "q"));
  EXPECT_TRUE(ada->In("shop")->MayUseTopic(Access::kWrite, "amq.topic", "ada.x"));
  EXPECT_FALSE(ada->In("shop")->MayUseTopic(Access::kWrite, "amq.topic", "bob.x"));
  EXPECT_EQ(file_.accounts()->Find("bob")->max_connections, std::nullopt);
  EXPECT_EQ(file_.accounts()->Find("eve")->In("/"), nullptr);
  EXPECT_EQ(file_.accounts()->LimitsOf("/"),
            (access::VhostLimits{.max_connections = 7, .max_queues = 0}));
  EXPECT_EQ(file_.accounts()->LimitsOf("shop").max_connections, 9u);
}

TEST_F(UserDefinitionsTest, ComeOutAsTheyWentIn) {
  ASSERT_TRUE(Import(kExport));
  ASSERT_TRUE(file_.Add("dan", "d", {"*", "shop"}));
  const std::string exported = Export();
  const std::string text = Text();
  directory_.Write("users.toml", "");
  ASSERT_TRUE(Import(exported));
  EXPECT_EQ(Export(), exported);
  EXPECT_EQ(Text(), text);
  EXPECT_TRUE(file_.Verify("ada", "test12").ok);
  EXPECT_TRUE(file_.Verify("dan", "d").ok);
  EXPECT_FALSE(file_.Verify("dan", "e").ok);
  EXPECT_TRUE(file_.accounts()->Find("dan")->In("anywhere")->May(Access::kRead, "q"));
}

TEST_F(UserDefinitionsTest, ChangeNothingTheSecondTime) {
  const std::string cleartext = Ada(R"("password": "open sesame")");
  ASSERT_TRUE(Import(kExport));
  const std::string text = Text();
  ASSERT_TRUE(Import(kExport));
  EXPECT_EQ(Text(), text);
  ASSERT_TRUE(Import(cleartext));
  const std::string changed = Text();
  EXPECT_NE(changed, text);
  ASSERT_TRUE(Import(cleartext));
  EXPECT_EQ(Text(), changed);
}

TEST_F(UserDefinitionsTest, TakeAPasswordInTheClearAndStoreItsHash) {
  ASSERT_TRUE(Import(Ada(R"("password": "open sesame", "tags": "")")));
  EXPECT_TRUE(file_.Verify("ada", "open sesame").ok);
  EXPECT_THAT(Text(), Not(HasSubstr("open sesame")));
}

TEST_F(UserDefinitionsTest, GoBeforeWhatIsThereAndLeaveWhatTheyDoNotSay) {
  ASSERT_TRUE(file_.Add("ada", "old", {"/"}));
  ASSERT_TRUE(file_.Add("other", "o", {"/"}));
  ASSERT_TRUE(file_.SetTags("ada", {"monitoring"}));
  ASSERT_TRUE(file_.SetPermissions("ada", "orders", {.configure = "", .write = "w", .read = ""}));
  ASSERT_TRUE(Import(R"({"users": [{"name": "ada", "limits": {"max-channels": 4}}],
                         "permissions": [{"user": "other", "vhost": "shop", "configure": "",
                                          "write": "", "read": "^r"}]})"));
  EXPECT_TRUE(file_.Verify("ada", "old").ok);
  EXPECT_THAT(Get("ada").tags, ElementsAre("monitoring"));
  EXPECT_THAT(Get("ada").vhosts, ElementsAre("/"));
  EXPECT_TRUE(Get("ada").permissions.contains("orders"));
  EXPECT_EQ(Get("ada").max_channels, 4u);
  EXPECT_EQ(Get("other").permissions.at("shop").read, "^r");
  ASSERT_TRUE(Import(Ada(R"("password": "new", "limits": {"max-channels": -1}, "tags": [])")));
  EXPECT_TRUE(file_.Verify("ada", "new").ok);
  EXPECT_FALSE(file_.Verify("ada", "old").ok);
  EXPECT_EQ(Get("ada").max_channels, std::nullopt);
  EXPECT_THAT(Get("ada").tags, IsEmpty());
  ASSERT_TRUE(Import(Ada(R"("password_hash": "")")));
  EXPECT_FALSE(file_.Verify("ada", "new").ok);
}

TEST_F(UserDefinitionsTest, TakeALimitBack) {
  const auto limits = [](const std::string& what) {
    return R"({"parameters": [{"vhost": "/", "component": "vhost-limits", "name": "limits",
               "value": {)" +
           what + "}}]}";
  };
  ASSERT_TRUE(Import(limits(R"("max-connections": 5, "max-queues": 6)")));
  EXPECT_EQ(file_.accounts()->LimitsOf("/"),
            (access::VhostLimits{.max_connections = 5, .max_queues = 6}));
  ASSERT_TRUE(Import(limits(R"("max-connections": -1)")));  // the other stays
  EXPECT_EQ(file_.accounts()->LimitsOf("/"), access::VhostLimits{.max_queues = 6});
  ASSERT_TRUE(Import(limits(R"("max-queues": -1)")));
  EXPECT_EQ(file_.accounts()->LimitsOf("/"), access::VhostLimits{});
}

TEST_F(UserDefinitionsTest, ChangeNothingWhenAUserIsMissing) {
  const auto definitions = ParseDefinitions(R"({
    "users": [{"name": "ada", "password": "x"}],
    "permissions": [{"user": "ghost", "vhost": "/", "configure": "", "write": "", "read": ""}]})");
  ASSERT_TRUE(definitions);
  EXPECT_EQ(file_.CanImport(definitions->users).error().code, ErrorCode::kNotFound);
  const auto imported = file_.Import(definitions->users);
  ASSERT_FALSE(imported);
  EXPECT_THAT(imported.error().message, HasSubstr("permissions[0] (ghost in /): there is no user"));
  EXPECT_FALSE(file_.Knows("ada"));
  EXPECT_EQ(Text(), "");
}

TEST(UserDefinitions, NameThePlaceOfWhatIsWrong) {
  EXPECT_THAT(ErrorOf(R"({"users": [{"name": "old", "password_hash": "ytUIm8s3AnKsXQjptplKFytfVxI=",
                          "hashing_algorithm": "rabbit_password_hashing_md5"}]})"),
              HasSubstr("users[0] (old): the password is hashed with MD5"));
  EXPECT_EQ(ErrorOf(R"({"users": [{"name": ""}]})"), "users[0] (): name must have 1 to 255 bytes");
  EXPECT_EQ(ErrorOf(R"({"users": [{"name": "ada"}, {"name": "ada"}]})"),
            "users[1] (ada): the user is there twice");
  EXPECT_EQ(ErrorOf(Ada(R"("tags": 1)")), "users[0] (ada): tags must be a list of strings");
  EXPECT_EQ(ErrorOf(Ada(R"("password": "")")),
            "users[0] (ada): password must have 1 to 1024 bytes");
  EXPECT_EQ(ErrorOf(Ada(R"("password": 1)")), "users[0] (ada): password must be a string");
  EXPECT_EQ(ErrorOf(Ada(R"("password": "x", "password_hash": "y")")),
            "users[0] (ada): password and password_hash are both there; one has to go");
  EXPECT_EQ(
      ErrorOf(Ada(R"("password_hash": "y", "hashing_algorithm": "landfall_argon2id")")),
      "users[0] (ada): password_hash is not an argon2id hash as landfall user passwd makes it");
  EXPECT_THAT(
      ErrorOf(Ada(
          R"("password_hash": "$argon2id$v=19$m=4294967295,t=2,p=1$c2FsdHNhbHQ$aGFzaGhhc2hoYXNoaGFzaA",
                     "hashing_algorithm": "landfall_argon2id")")),
      HasSubstr("users[0] (ada): password_hash is an argon2id hash that costs too much: "
                "4294967295 KiB of memory, 2 passes"));
  EXPECT_EQ(ErrorOf(Ada(R"("limits": {"max-channels": 4294967296})")),
            "users[0] (ada): max-channels must be an integer of at most 4294967295");
  EXPECT_THAT(ErrorOf(Ada(R"("limits": {"max-channels": 18446744073709551615})")),
              HasSubstr("max-channels must be"));
  EXPECT_EQ(ErrorOf(Ada(R"("limits": 1)")), "users[0] (ada): limits must be an object");
}

TEST(UserDefinitions, NameUserVhostAndFieldOfAPatternThatIsNone) {
  EXPECT_THAT(ErrorOf(R"j({"permissions": [{"user": "ada", "vhost": "shop", "configure": "",
                          "write": "^(?!amq\\.)", "read": ""}]})j"),
              HasSubstr("permissions[0] (ada in shop): write: '^(?!amq\\.)' is not a regular "
                        "expression"));
  EXPECT_THAT(ErrorOf(R"({"topic_permissions": [{"user": "ada", "vhost": "/", "exchange": "x",
                          "write": "", "read": "("}]})"),
              HasSubstr("topic_permissions[0] (ada in /): read for exchange x: '('"));
  EXPECT_EQ(ErrorOf(R"({"permissions": [{"user": "ada", "vhost": "/", "write": "", "read": ""}]})"),
            "permissions[0] (ada in /): configure is missing");
}

TEST(UserDefinitions, SayWhichLimitsDoNotExistHere) {
  EXPECT_THAT(ParseDefinitions(Ada(R"("limits": {"max-sessions": 4})"))->left_out,
              ElementsAre("users[0] (ada): the limit max-sessions does not exist here"));
}

}  // namespace
}  // namespace landfall::server
