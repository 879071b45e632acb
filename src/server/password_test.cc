#include "server/password.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace landfall::server {
namespace {

using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

constexpr PasswordCost kCheap{.passes = 1, .memory_bytes = 8192};
constexpr std::string_view kSha256 = "rabbit_password_hashing_sha256";
constexpr std::string_view kSha512 = "rabbit_password_hashing_sha512";
// Of "test12", from RabbitMQ's own documentation.
constexpr std::string_view kTest12 = "kI3GCqW5JLMJa4iX1lo7X4D6XbYqlLgxIs30+P6tENUV2POR";
// Of "secret".
constexpr std::string_view kLongSecret =
    "AQIDBPhTH2L5HGYB1LWOrn+YpvuQmVOXKGqgsuiJRIZTILRoEvblSJo/WAsym3IZTfuaIaK5KR2o5KwFfTv6KsxfMIE=";

std::string Wrapped(std::string_view algorithm, std::string_view base64) {
  const auto hash = ParseRabbitHash(algorithm, base64);
  EXPECT_TRUE(hash) << hash.error().message;
  return hash ? WrapRabbitHash(*hash, kCheap).value() : "";
}

std::string ErrorOf(std::string_view algorithm, std::string_view base64) {
  const auto hash = ParseRabbitHash(algorithm, base64);
  return hash ? "" : hash.error().message;
}

TEST(Password, MatchesItsHashAndNoOther) {
  const std::string hash = HashPassword("correct horse", kCheap).value();
  EXPECT_TRUE(CheckPasswordHash(hash));
  EXPECT_EQ(MatchPassword(hash, "correct horse"), PasswordMatch::kRight);
  EXPECT_EQ(MatchPassword(hash, "correct horsf"), PasswordMatch::kWrong);
  EXPECT_EQ(MatchPassword(hash, ""), PasswordMatch::kWrong);
}

TEST(Password, OfRabbitMqMatchesWhatRabbitMqHashed) {
  for (const auto& [algorithm, hash, password] :
       {std::tuple{kSha256, kTest12, "test12"},
        {kSha256, "y4xPTRVfzXg68sz9ALqeQzARam3CwnGo53xS752cDV5+Utzh", "1"},
        {"", kTest12, "test12"},
        {kSha512, kLongSecret, "secret"}}) {
    const std::string stored = Wrapped(algorithm, hash);
    EXPECT_TRUE(CheckPasswordHash(stored)) << stored;
    EXPECT_EQ(MatchPassword(stored, password), PasswordMatch::kRight);
    EXPECT_EQ(MatchPassword(stored, "wrong"), PasswordMatch::kWrong);
    EXPECT_EQ(MatchPassword(stored, ""), PasswordMatch::kWrong);
  }
}

TEST(Password, OfRabbitMqIsStoredUnderArgon2Only) {
  const std::string stored = Wrapped(kSha256, kTest12);
  EXPECT_THAT(stored, StartsWith("$rabbitmq-sha256$kI3GCg$argon2id$"));
  // After the salt, which has six letters of its own.
  EXPECT_THAT(stored, Not(HasSubstr(std::string(kTest12.substr(6)))));
  EXPECT_THAT(Wrapped(kSha512, kLongSecret), StartsWith("$rabbitmq-sha512$AQIDBA$argon2id$"));
}

TEST(Password, KnowsTheRabbitMqHashThatItWraps) {
  const auto hash = ParseRabbitHash(kSha256, kTest12).value();
  const std::string stored = WrapRabbitHash(hash, kCheap).value();
  EXPECT_EQ(MatchRabbitHash(stored, hash), PasswordMatch::kRight);
  RabbitHash other = hash;
  other.digest[0] ^= 1;
  EXPECT_EQ(MatchRabbitHash(stored, other), PasswordMatch::kWrong);
  EXPECT_EQ(MatchRabbitHash(HashPassword("test12", kCheap).value(), hash), PasswordMatch::kWrong);
  EXPECT_EQ(MatchRabbitHash("", hash), PasswordMatch::kWrong);
}

TEST(Password, HasNoOtherForms) {
  const std::string stored = Wrapped(kSha256, kTest12);
  const std::string argon2 = HashPassword("x", kCheap).value();
  for (const std::string& text : std::vector<std::string>{
           "", "plain", std::string(kTest12), "$rabbitmq-md5$kI3GCg" + argon2,
           "$rabbitmq-sha256$" + argon2, "$rabbitmq-sha256$kI3GCg",
           "$rabbitmq-sha256$kI3G" + argon2, "$rabbitmq-sha256$kI3GCg" + stored,
           "$argon2id$" + std::string(200, 'x')}) {
    EXPECT_FALSE(CheckPasswordHash(text)) << text;
  }
}

// With its salt and hash, of eight and sixteen bytes.
std::string WithParameters(const std::string& parameters) {
  return "$argon2id$v=19$" + parameters + "$c2FsdHNhbHQ$aGFzaGhhc2hoYXNoaGFzaA";
}

TEST(Password, MayCostWhatALoginCanBear) {
  for (const std::string parameters : {"m=8,t=1,p=1", "m=19456,t=2,p=1", "m=65536,t=3,p=4",
                                       "m=1048576,t=4,p=64", "m=512,t=8192,p=1"}) {
    EXPECT_TRUE(CheckPasswordHash(WithParameters(parameters))) << parameters;
    EXPECT_TRUE(CheckPasswordHash("$rabbitmq-sha256$kI3GCg" + WithParameters(parameters)));
  }
  for (const auto& [parameters, says] :
       {std::pair{"m=1048577,t=1,p=1", "1048577 KiB of memory, 1 passes and 1 lanes"},
        {"m=4294967295,t=1,p=1", "4294967295 KiB of memory"},
        {"m=1048576,t=5,p=1", "5 passes"},
        {"m=8,t=4294967295,p=1", "4294967295 passes"},
        {"m=4294967295,t=4294967295,p=1", "4294967295 passes"},
        {"m=19456,t=2,p=65", "65 lanes"}}) {
    for (const std::string& text :
         {WithParameters(parameters), "$rabbitmq-sha256$kI3GCg" + WithParameters(parameters)}) {
      const auto checked = CheckPasswordHash(text);
      ASSERT_FALSE(checked) << text;
      EXPECT_EQ(checked.error().code, ErrorCode::kInvalidArgument);
      EXPECT_THAT(checked.error().message, HasSubstr("costs too much"));
      EXPECT_THAT(checked.error().message, HasSubstr(says));
      EXPECT_THAT(checked.error().message, Not(HasSubstr("aGFzaG")));
    }
  }
}

TEST(Password, OfMd5IsRefusedWithWhatToDo) {
  // Of "simon", from the list where RabbitMQ's authors explained it.
  constexpr std::string_view kMd5 = "ytUIm8s3AnKsXQjptplKFytfVxI=";
  for (std::string_view algorithm : {"rabbit_password_hashing_md5", "", kSha256.data()}) {
    EXPECT_THAT(ErrorOf(algorithm, kMd5), HasSubstr("MD5"));
    EXPECT_THAT(ErrorOf(algorithm, kMd5), HasSubstr("rabbitmqctl change_password"));
  }
}

TEST(Password, OfRabbitMqThatIsNoneIsRefusedWithoutSayingIt) {
  EXPECT_THAT(ErrorOf(kSha256, "hunter2"), HasSubstr("4 bytes of salt and 32 bytes of hash"));
  EXPECT_THAT(ErrorOf(kSha256, "hunter2"), Not(HasSubstr("hunter2")));
  EXPECT_THAT(ErrorOf(kSha512, kTest12), HasSubstr("64 bytes of hash"));
  EXPECT_THAT(ErrorOf(kSha256, kLongSecret), HasSubstr("32 bytes of hash"));
  EXPECT_THAT(ErrorOf("my_hashing", kTest12), HasSubstr("'my_hashing' is not known here"));
}

}  // namespace
}  // namespace landfall::server
