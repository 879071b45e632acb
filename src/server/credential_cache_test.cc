#include "server/credential_cache.h"

#include <gtest/gtest.h>

namespace landfall::server {
namespace {

using namespace std::chrono_literals;

const session::AuthResult kAllowed{.ok = true, .vhosts = {"*"}};

TEST(CredentialCache, KnowsWhatWasRightUntilItExpires) {
  CredentialCache cache({.lifetime = 300s});
  const CredentialCache::Clock::time_point now{1h};
  cache.Add(cache.DigestOf("ada", "secret"), kAllowed, now);
  const auto* found = cache.Find(cache.DigestOf("ada", "secret"), now + 299s);
  ASSERT_NE(found, nullptr);
  EXPECT_TRUE(found->ok);
  EXPECT_EQ(found->vhosts, kAllowed.vhosts);
  EXPECT_EQ(cache.Find(cache.DigestOf("ada", "secret"), now + 300s), nullptr);
}

TEST(CredentialCache, TellsNamesAndPasswordsApart) {
  CredentialCache cache;
  EXPECT_NE(cache.DigestOf("ab", "c"), cache.DigestOf("a", "bc"));
  EXPECT_NE(cache.DigestOf("ada", "secret"), cache.DigestOf("ada", "Secret"));
  EXPECT_NE(cache.DigestOf("ada", ""), cache.DigestOf("", "ada"));
}

TEST(CredentialCache, HasAKeyOfItsOwn) {
  EXPECT_NE(CredentialCache().DigestOf("ada", "secret"),
            CredentialCache().DigestOf("ada", "secret"));
}

TEST(CredentialCache, DropsTheOldestWhenItIsFull) {
  CredentialCache cache({.max_entries = 2});
  const CredentialCache::Clock::time_point now{1h};
  for (const char* user : {"a", "b", "a", "c"}) cache.Add(cache.DigestOf(user, "x"), kAllowed, now);
  EXPECT_EQ(cache.size(), 2u);
  EXPECT_EQ(cache.Find(cache.DigestOf("a", "x"), now), nullptr);
  EXPECT_NE(cache.Find(cache.DigestOf("b", "x"), now), nullptr);
  EXPECT_NE(cache.Find(cache.DigestOf("c", "x"), now), nullptr);
}

TEST(CredentialCache, ForgetsEverythingWhenCleared) {
  CredentialCache cache;
  const CredentialCache::Clock::time_point now{1h};
  cache.Add(cache.DigestOf("a", "x"), kAllowed, now);
  cache.Clear();
  EXPECT_EQ(cache.Find(cache.DigestOf("a", "x"), now), nullptr);
  EXPECT_EQ(cache.size(), 0u);
}

}  // namespace
}  // namespace landfall::server
