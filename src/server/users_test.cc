#include "server/users.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <thread>

#include "base/temporary_directory.h"

namespace landfall::server {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

constexpr PasswordCost kCheap{.passes = 1, .memory_bytes = 8192};

class UserFileTest : public testing::Test {
 protected:
  UserFile Open(UserFile::IfMissing if_missing = UserFile::IfMissing::kCreateGuest) {
    auto file = UserFile::Open(path_, if_missing, kCheap);
    if (!file) throw std::runtime_error(file.error().message);
    return std::move(*file);
  }
  UserFile OpenEmpty() { return Open(UserFile::IfMissing::kStartEmpty); }
  std::string ErrorOf(const std::string& text) {
    directory_.Write("users.toml", text);
    const auto file = UserFile::Open(path_, UserFile::IfMissing::kCreateGuest, kCheap);
    EXPECT_FALSE(file);
    return file ? "" : file.error().message;
  }
  std::vector<std::string> Names(const UserFile& file) {
    std::vector<std::string> names;
    for (const User& user : file.List()) names.push_back(user.name);
    return names;
  }
  mode_t Mode() {
    struct stat info;
    EXPECT_EQ(stat(path_.c_str(), &info), 0);
    return info.st_mode & 0777;
  }

  TemporaryDirectory directory_;
  std::string path_ = directory_ / "users.toml";
};

TEST_F(UserFileTest, CreatesTheUserGuestWhereThereIsNoFile) {
  const UserFile file = Open();
  EXPECT_THAT(Names(file), ElementsAre("guest"));
  const auto result = file.Verify("guest", "guest");
  EXPECT_TRUE(result.ok);
  EXPECT_THAT(file.List().front().vhosts, ElementsAre("*"));
  EXPECT_THAT(file.List().front().tags, ElementsAre("administrator"));
  ASSERT_TRUE(result.accounts->Find("guest"));
  EXPECT_TRUE(result.accounts->Find("guest")->In("/")->May(access::Access::kWrite, "q"));
  EXPECT_EQ(Mode(), 0600);
}

TEST_F(UserFileTest, MakesTheDirectoryOfTheFile) {
  path_ = directory_ / "data/deep/users.toml";
  Open();
  EXPECT_TRUE(Open().Verify("guest", "guest").ok);
}

TEST_F(UserFileTest, DoesNotBringBackAGuestThatWasDeleted) {
  ASSERT_TRUE(Open().Delete("guest"));
  EXPECT_THAT(Names(Open()), ElementsAre());
}

TEST_F(UserFileTest, RefusesAWrongPasswordAndAnUnknownUserInTheSameWords) {
  const UserFile file = Open();
  const auto wrong = file.Verify("guest", "Guest");
  const auto unknown = file.Verify("ghost", "guest");
  EXPECT_FALSE(wrong.ok);
  EXPECT_FALSE(unknown.ok);
  EXPECT_EQ(wrong.reason, unknown.reason);
  EXPECT_EQ(wrong.accounts, nullptr);
  EXPECT_FALSE(file.Verify("ghost", "decoy").ok);
  EXPECT_FALSE(file.Verify("guest", "").ok);
  EXPECT_FALSE(file.Verify("", "").ok);
}

TEST_F(UserFileTest, TakesAsLongForAnUnknownUserAsForAWrongPassword) {
  auto file = UserFile::Open(path_, UserFile::IfMissing::kCreateGuest,
                             {.passes = 3, .memory_bytes = size_t{8} << 20});
  ASSERT_TRUE(file);
  const auto time = [&](const char* name) {
    auto best = std::chrono::steady_clock::duration::max();
    for (int i = 0; i < 3; ++i) {
      const auto start = std::chrono::steady_clock::now();
      file->Verify(name, "wrong");
      best = std::min(best, std::chrono::steady_clock::now() - start);
    }
    return best;
  };
  const auto known = time("guest");
  const auto unknown = time("ghost");
  // Without the same work it would be a thousandth.
  EXPECT_GT(unknown, known / 4);
  EXPECT_GT(known, unknown / 4);
}

TEST_F(UserFileTest, KeepsWhatItWasTold) {
  {
    UserFile file = OpenEmpty();
    ASSERT_TRUE(file.Add("ada \"the\" first", "secret", {"/", "orders"}));
    ASSERT_TRUE(file.Add("bob", "b", {"*"}));
    ASSERT_TRUE(file.SetPassword("bob", "better"));
    EXPECT_TRUE(file.Verify("bob", "better").ok);
  }
  const UserFile file = OpenEmpty();
  EXPECT_THAT(Names(file), ElementsAre("ada \"the\" first", "bob"));
  EXPECT_TRUE(file.Verify("ada \"the\" first", "secret").ok);
  EXPECT_THAT(file.List().front().vhosts, ElementsAre("/", "orders"));
  EXPECT_FALSE(file.Verify("bob", "b").ok);
  EXPECT_TRUE(file.Verify("bob", "better").ok);
  EXPECT_EQ(Mode(), 0600);
  EXPECT_FALSE(std::filesystem::exists(path_ + ".tmp"));
}

TEST_F(UserFileTest, KeepsAChangeThatComesWhileItReloads) {
  UserFile file = Open();
  std::atomic<bool> done = false;
  std::thread reloading([&] {
    while (!done) EXPECT_TRUE(file.Reload());
  });
  size_t lost = 0;
  for (int i = 0; i < 200; ++i) {
    const std::string name = "u" + std::to_string(i);
    ASSERT_TRUE(file.AddWithoutPassword(name, {}));
    for (int k = 0; k < 20; ++k) lost += file.Knows(name) ? 0 : 1;
  }
  done = true;
  reloading.join();
  EXPECT_EQ(lost, 0u);
}

TEST_F(UserFileTest, NeverWritesAPassword) {
  ASSERT_TRUE(OpenEmpty().Add("ada", "correct horse", {"*"}));
  EXPECT_THAT(directory_.Read("users.toml"), HasSubstr("$argon2id$"));
  EXPECT_THAT(directory_.Read("users.toml"), Not(HasSubstr("correct horse")));
}

TEST_F(UserFileTest, SaysWhenAUserExistsAlreadyOrDoesNot) {
  UserFile file = Open();
  EXPECT_EQ(file.Add("guest", "x", {"*"}).error().code, ErrorCode::kExists);
  EXPECT_EQ(file.SetPassword("ghost", "x").error().code, ErrorCode::kNotFound);
  EXPECT_EQ(file.Delete("ghost").error().code, ErrorCode::kNotFound);
  EXPECT_TRUE(file.Verify("guest", "guest").ok);
}

TEST_F(UserFileTest, RefusesNamesAndPasswordsBeyondTheLimits) {
  UserFile file = OpenEmpty();
  EXPECT_FALSE(file.Add("", "x", {"*"}));
  EXPECT_FALSE(file.Add(std::string(256, 'x'), "x", {"*"}));
  EXPECT_FALSE(file.Add("ada", "", {"*"}));
  EXPECT_FALSE(file.Add("ada", std::string(kMaxPasswordBytes + 1, 'x'), {"*"}));
  EXPECT_FALSE(file.Add("\xff", "x", {"*"}));
  EXPECT_THAT(Names(file), ElementsAre());
  EXPECT_FALSE(std::filesystem::exists(path_));
}

TEST_F(UserFileTest, SeesAnothersChangesWhenItReloads) {
  UserFile broker = Open();
  UserFile command = Open();
  ASSERT_TRUE(command.Add("ada", "secret", {"*"}));
  EXPECT_FALSE(broker.Verify("ada", "secret").ok);
  ASSERT_TRUE(broker.Reload());
  EXPECT_TRUE(broker.Verify("ada", "secret").ok);
}

TEST_F(UserFileTest, LosesNoChangeOfAnotherProgram) {
  UserFile first = Open();
  UserFile second = Open();
  std::thread other([&] {
    for (int i = 0; i < 20; ++i) EXPECT_TRUE(second.Add("b" + std::to_string(i), "x", {"*"}));
  });
  for (int i = 0; i < 20; ++i) EXPECT_TRUE(first.Add("a" + std::to_string(i), "x", {"*"}));
  other.join();
  EXPECT_EQ(Open().List().size(), 41u);
}

TEST_F(UserFileTest, KeepsItsUsersWhenAReloadFails) {
  UserFile file = Open();
  directory_.Write("users.toml", "[users.guest\n");
  const auto reloaded = file.Reload();
  ASSERT_FALSE(reloaded);
  EXPECT_EQ(reloaded.error().code, ErrorCode::kInvalidArgument);
  EXPECT_TRUE(file.Verify("guest", "guest").ok);
  EXPECT_FALSE(file.Add("ada", "x", {"*"}));
  EXPECT_EQ(directory_.Read("users.toml"), "[users.guest\n");
}

TEST_F(UserFileTest, NamesTheLineThatItCannotUnderstand) {
  EXPECT_THAT(ErrorOf("[user.guest]\n"), HasSubstr("users.toml:1: unknown key user"));
  EXPECT_THAT(ErrorOf("[users.guest]\npassword = \"plain\"\nvhosts = []\n"),
              HasSubstr("users.toml:2: the password of user guest is not an argon2id hash"));
  EXPECT_THAT(ErrorOf("[users.guest]\nvhosts = \"*\"\n"), HasSubstr("users.toml:2: the vhosts"));
  EXPECT_THAT(ErrorOf("[users.guest]\nroles = 1\n"), HasSubstr("users.toml:2: unknown key roles"));
  EXPECT_THAT(ErrorOf("[users.guest]\ntags = []\n"),
              HasSubstr("users.toml:1: user guest needs vhosts or permissions"));
  EXPECT_THAT(ErrorOf("[users]\nguest = 3\n"), HasSubstr("must be a table"));
}

TEST_F(UserFileTest, SetsAndClearsPermissions) {
  UserFile file = OpenEmpty();
  ASSERT_TRUE(file.Add("ada", "secret", {"/", "orders"}));
  ASSERT_TRUE(file.SetPermissions("ada", "/", {.configure = "", .write = "^w", .read = ".*"}));
  ASSERT_TRUE(file.SetTopicPermissions("ada", "orders", "amq.topic", {.write = "^a", .read = ""}));
  ASSERT_TRUE(file.SetTags("ada", {"monitoring"}));
  const UserFile again = OpenEmpty();
  const access::AccountRef account = again.accounts()->Find("ada");
  ASSERT_NE(account, nullptr);
  EXPECT_FALSE(account->In("/")->May(access::Access::kConfigure, "w"));
  EXPECT_TRUE(account->In("/")->May(access::Access::kWrite, "w"));
  EXPECT_FALSE(account->In("/")->May(access::Access::kWrite, "x"));
  EXPECT_TRUE(account->In("orders")->May(access::Access::kConfigure, "w"));
  EXPECT_FALSE(account->In("orders")->MayUseTopic(access::Access::kWrite, "amq.topic", "b"));
  EXPECT_TRUE(account->HasTag("monitoring"));
  ASSERT_TRUE(file.ClearPermissions("ada", "/"));
  ASSERT_TRUE(file.ClearTopicPermissions("ada", "orders", ""));
  EXPECT_EQ(file.accounts()->Find("ada")->In("/"), nullptr);
  EXPECT_TRUE(file.accounts()->Find("ada")->In("orders")->MayUseTopic(access::Access::kRead,
                                                                      "amq.topic", "b"));
  EXPECT_TRUE(file.Verify("ada", "secret").ok);
}

TEST_F(UserFileTest, DoesNotWidenWhatAUserMayDoByClearingPermissions) {
  UserFile file = Open();
  ASSERT_TRUE(file.SetPermissions("guest", "/", {}));
  EXPECT_FALSE(file.ClearPermissions("guest", "/"));
  EXPECT_FALSE(file.accounts()->Find("guest")->In("/")->May(access::Access::kRead, "q"));
  ASSERT_TRUE(file.ClearPermissions("guest", "*"));
  EXPECT_EQ(file.accounts()->Find("guest")->In("/"), nullptr);
}

TEST_F(UserFileTest, ForgetsAVhostWhoeverHadRightsInIt) {
  UserFile file = Open();
  ASSERT_TRUE(file.Add("ada", "secret", {"orders", "/"}));
  ASSERT_TRUE(file.SetPermissions("guest", "orders", {}));
  ASSERT_TRUE(file.SetTopicPermissions("ada", "orders", "amq.topic", {.write = "^a", .read = ""}));
  UserDefinitions limits;
  limits.vhost_limits.push_back(
      {.vhost = "orders", .max_connections = UserDefinitions::Limit{0}, .max_queues = {}});
  ASSERT_TRUE(file.Import(limits));
  ASSERT_TRUE(file.ForgetVhost("orders"));
  const UserFile again = OpenEmpty();
  EXPECT_EQ(again.accounts()->LimitsOf("orders"), access::VhostLimits{});
  EXPECT_EQ(again.accounts()->Find("ada")->In("orders"), nullptr);
  EXPECT_NE(again.accounts()->Find("ada")->In("/"), nullptr);
  EXPECT_TRUE(again.accounts()->Find("guest")->In("orders")->May(access::Access::kRead, "q"));
  for (const User& user : again.List()) {
    EXPECT_FALSE(user.permissions.contains("orders")) << user.name;
    EXPECT_FALSE(user.topic_permissions.contains("orders")) << user.name;
  }
}

TEST_F(UserFileTest, RefusesPatternsThatItWouldNotReadAgain) {
  UserFile file = Open();
  const auto set = file.SetPermissions("guest", "/", {.configure = "a(", .write = "", .read = ""});
  ASSERT_FALSE(set);
  EXPECT_THAT(set.error().message, HasSubstr("'a(' is not a regular expression"));
  EXPECT_FALSE(file.SetPermissions("guest", "*", {}));
  EXPECT_EQ(file.SetPermissions("ghost", "/", {}).error().code, ErrorCode::kNotFound);
}

TEST_F(UserFileTest, GoesOnCountingWhatIsOpenWhenTheUsersChange) {
  UserFile file = Open();
  const auto seat = access::Seat::Take(file.accounts()->usage->OfUser("guest"),
                                       &access::Usage::connections, std::nullopt);
  ASSERT_TRUE(file.Reload());
  EXPECT_EQ(file.accounts()->usage->OfUser("guest")->connections, 1u);
}

TEST_F(UserFileTest, ChangesWhatASymbolicLinkPointsTo) {
  std::filesystem::create_directory(directory_ / "secrets");
  const std::string target = directory_.Write("secrets/users.toml", "");
  std::filesystem::create_symlink(target, path_);
  ASSERT_TRUE(OpenEmpty().Add("ada", "secret", {"*"}));
  EXPECT_TRUE(std::filesystem::is_symlink(path_));
  EXPECT_THAT(directory_.Read("secrets/users.toml"), HasSubstr("ada"));
}

TEST_F(UserFileTest, IsNotInTheWayOfWhatAKilledProgramLeftBehind) {
  directory_.Write("users.toml.tmp", "half");
  EXPECT_TRUE(Open().Verify("guest", "guest").ok);
}

}  // namespace
}  // namespace landfall::server
