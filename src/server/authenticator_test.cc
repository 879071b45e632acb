#include "server/authenticator.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <sstream>
#include <stdexcept>

#include "base/temporary_directory.h"
#include "server/log.h"

namespace landfall::server {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;
using testing::Not;

constexpr PasswordCost kCheap{.passes = 1, .memory_bytes = 8192};

// Collects answers. What it hands out may outlive it.
class Answers {
 public:
  Authenticator::Done Expect() {
    return [state = state_](session::AuthResult result) {
      std::lock_guard lock(state->mutex);
      state->results.push_back(std::move(result));
      state->arrived.notify_all();
    };
  }
  bool WaitFor(size_t count) {
    std::unique_lock lock(state_->mutex);
    return state_->arrived.wait_for(lock, 20s, [&] { return state_->results.size() >= count; });
  }
  std::vector<session::AuthResult> results() const {
    std::lock_guard lock(state_->mutex);
    return state_->results;
  }

 private:
  struct State {
    std::mutex mutex;
    std::condition_variable arrived;
    std::vector<session::AuthResult> results;
  };
  std::shared_ptr<State> state_ = std::make_shared<State>();
};

class AuthenticatorTest : public testing::Test {
 protected:
  AuthenticatorTest() : users_(OpenUsers()) { SetUpLog({.out = &log_}); }
  ~AuthenticatorTest() override { SetUpLog({}); }

  UserFile OpenUsers() {
    auto file =
        UserFile::Open(directory_ / "users.toml", UserFile::IfMissing::kCreateGuest, kCheap);
    if (!file) throw std::runtime_error(file.error().message);
    return std::move(*file);
  }
  session::AuthResult CheckAndWait(Authenticator& authenticator, const std::string& user,
                                   const std::string& password) {
    Answers answers;
    authenticator.Check({user, password}, "10.0.0.1:4711", answers.Expect());
    if (!answers.WaitFor(1)) throw std::runtime_error("no answer");
    return answers.results().front();
  }

  TemporaryDirectory directory_;
  std::ostringstream log_;  // outlives the authenticators of the tests
  UserFile users_;
};

TEST_F(AuthenticatorTest, LetsInWhoeverKnowsThePassword) {
  Authenticator authenticator(users_);
  const auto result = CheckAndWait(authenticator, "guest", "guest");
  EXPECT_TRUE(result.ok);
  EXPECT_EQ(result.accounts, users_.accounts());
  EXPECT_EQ(log_.str(), "");
}

TEST_F(AuthenticatorTest, LetsInWhomTheCertificateNames) {
  Authenticator authenticator(users_);
  ASSERT_TRUE(users_.AddWithoutPassword("ada", {"/"}));
  Answers answers;
  authenticator.Check({.user = "ada", .password = std::nullopt}, "peer", answers.Expect());
  ASSERT_TRUE(answers.WaitFor(1));
  EXPECT_TRUE(answers.results()[0].ok);
  EXPECT_EQ(answers.results()[0].accounts, users_.accounts());
}

// As with passwords, so that nobody finds out quickly which users there are.
TEST_F(AuthenticatorTest, LogsAndSlowsDownCertificatesOfUnknownUsers) {
  Authenticator authenticator(users_, {.throttle = {.first = 200ms, .cap = 200ms}});
  Answers answers;
  const auto start = std::chrono::steady_clock::now();
  for (size_t i = 1; i <= 2; ++i) {
    authenticator.Check({.user = "ghost", .password = std::nullopt}, "10.0.0.1:1",
                        answers.Expect());
    ASSERT_TRUE(answers.WaitFor(i));
    EXPECT_FALSE(answers.results().back().ok);
  }
  EXPECT_GE(std::chrono::steady_clock::now() - start, 200ms);
  authenticator.Stop();
  EXPECT_THAT(log_.str(), HasSubstr("login failed user=ghost peer=10.0.0.1:1"));
}

TEST_F(AuthenticatorTest, TakesNoPasswordForAUserWithoutOne) {
  Authenticator authenticator(users_, {.throttle = {.first = 1ms, .cap = 1ms}});
  ASSERT_TRUE(users_.AddWithoutPassword("ada", {"/"}));
  EXPECT_FALSE(CheckAndWait(authenticator, "ada", "").ok);
  EXPECT_FALSE(CheckAndWait(authenticator, "ada", "decoy").ok);
}

TEST_F(AuthenticatorTest, LogsFailuresWithoutThePassword) {
  Authenticator authenticator(users_);
  EXPECT_FALSE(CheckAndWait(authenticator, "guest", "hunter2").ok);
  EXPECT_FALSE(CheckAndWait(authenticator, "ghost", "hunter2").ok);
  authenticator.Stop();
  EXPECT_THAT(log_.str(), HasSubstr("login failed user=guest peer=10.0.0.1:4711"));
  EXPECT_THAT(log_.str(), HasSubstr("user=ghost peer=10.0.0.1:4711 reason=\"unknown user\""));
  EXPECT_THAT(log_.str(), Not(HasSubstr("hunter2")));
}

TEST_F(AuthenticatorTest, AnswersARepeatedLoginAtOnce) {
  Authenticator authenticator(users_);
  ASSERT_TRUE(CheckAndWait(authenticator, "guest", "guest").ok);
  Answers answers;
  authenticator.Check({"guest", "guest"}, "peer", answers.Expect());
  EXPECT_EQ(answers.results().size(), 1u);  // no thread was asked
}

TEST_F(AuthenticatorTest, LooksAgainAfterTheUsersHaveChanged) {
  Authenticator authenticator(users_);
  ASSERT_TRUE(CheckAndWait(authenticator, "guest", "guest").ok);
  ASSERT_TRUE(users_.SetPassword("guest", "other"));
  authenticator.Forget();
  EXPECT_FALSE(CheckAndWait(authenticator, "guest", "guest").ok);
  EXPECT_TRUE(CheckAndWait(authenticator, "guest", "other").ok);
}

TEST_F(AuthenticatorTest, DoesNotRememberAWrongPassword) {
  Authenticator authenticator(users_, {.throttle = {.first = 1ms, .cap = 1ms}});
  EXPECT_FALSE(CheckAndWait(authenticator, "guest", "new").ok);
  ASSERT_TRUE(users_.SetPassword("guest", "new"));
  EXPECT_TRUE(CheckAndWait(authenticator, "guest", "new").ok);
}

TEST_F(AuthenticatorTest, LetsTheNextAttemptAfterAFailureWait) {
  Authenticator authenticator(users_, {.throttle = {.first = 200ms, .cap = 200ms}});
  EXPECT_FALSE(CheckAndWait(authenticator, "guest", "wrong").ok);
  const auto start = std::chrono::steady_clock::now();
  EXPECT_TRUE(CheckAndWait(authenticator, "guest", "guest").ok);
  EXPECT_GE(std::chrono::steady_clock::now() - start, 200ms);
}

TEST_F(AuthenticatorTest, LetsOthersPassAnAttemptThatWaits) {
  Authenticator authenticator(users_, {.threads = 1, .throttle = {.first = 1h, .cap = 1h}});
  ASSERT_TRUE(users_.Add("ada", "secret", {"/"}));
  EXPECT_FALSE(CheckAndWait(authenticator, "guest", "wrong").ok);
  Answers slow;
  authenticator.Check({"guest", "guest"}, "peer", slow.Expect());
  EXPECT_TRUE(CheckAndWait(authenticator, "ada", "secret").ok);
  EXPECT_TRUE(slow.results().empty());
  authenticator.Stop();
  EXPECT_EQ(slow.results().size(), 1u);
}

// What happens when the broker comes back and all its clients with it.
TEST_F(AuthenticatorTest, LooksOnceForManyWhoWaitWithOneLogin) {
  Authenticator authenticator(users_, {.threads = 1, .throttle = {.first = 100ms, .cap = 100ms}});
  EXPECT_FALSE(CheckAndWait(authenticator, "guest", "wrong").ok);
  Answers answers;
  for (int i = 0; i < 500; ++i) authenticator.Check({"guest", "guest"}, "peer", answers.Expect());
  EXPECT_TRUE(answers.results().empty());  // all of them wait for the throttle
  const uint64_t before = authenticator.looks();
  ASSERT_TRUE(answers.WaitFor(500));
  for (const auto& result : answers.results()) EXPECT_TRUE(result.ok);
  EXPECT_EQ(authenticator.looks(), before + 1);
}

TEST_F(AuthenticatorTest, RefusesWhatGoesBeyondTheQueue) {
  Authenticator authenticator(users_, {.max_waiting = 2, .throttle = {.first = 1h, .cap = 1h}});
  EXPECT_FALSE(CheckAndWait(authenticator, "guest", "wrong").ok);
  Answers answers;
  for (int i = 0; i < 3; ++i) authenticator.Check({"guest", "guest"}, "peer", answers.Expect());
  ASSERT_EQ(answers.results().size(), 1u);
  EXPECT_FALSE(answers.results()[0].ok);
  EXPECT_THAT(answers.results()[0].reason, HasSubstr("try again later"));
}

TEST_F(AuthenticatorTest, RefusesWhatIsLongerThanAnyPassword) {
  Authenticator authenticator(users_);
  Answers answers;
  authenticator.Check({"guest", std::string(100'000, 'x')}, "peer", answers.Expect());
  authenticator.Check({std::string(100'000, 'x'), "guest"}, "peer", answers.Expect());
  ASSERT_EQ(answers.results().size(), 2u);
  EXPECT_FALSE(answers.results()[0].ok);
  EXPECT_FALSE(answers.results()[1].ok);
  EXPECT_LT(log_.str().size(), 1000u);
}

TEST_F(AuthenticatorTest, AnswersEveryoneExactlyOnceWhenItStops) {
  Answers answers;
  Authenticator authenticator(users_, {.throttle = {.first = 1ms, .cap = 1ms}});
  for (int i = 0; i < 200; ++i)
    authenticator.Check({"guest", std::to_string(i)}, "peer", answers.Expect());
  authenticator.Stop();
  authenticator.Check({"guest", "guest"}, "peer", answers.Expect());
  EXPECT_EQ(answers.results().size(), 201u);
  EXPECT_FALSE(answers.results().back().ok);
}

TEST_F(AuthenticatorTest, ServesManyAtATime) {
  Answers answers;
  Authenticator authenticator(users_);
  std::vector<std::thread> workers;
  for (int i = 0; i < 4; ++i) {
    workers.emplace_back([&] {
      for (int j = 0; j < 100; ++j) {
        authenticator.Check({"guest", "guest"}, "peer", answers.Expect());
        if (j % 10 == 0) authenticator.Forget();
      }
    });
  }
  for (std::thread& worker : workers) worker.join();
  ASSERT_TRUE(answers.WaitFor(400));
  for (const auto& result : answers.results()) EXPECT_TRUE(result.ok);
}

}  // namespace
}  // namespace landfall::server
