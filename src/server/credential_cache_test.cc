#include "server/credential_cache.h"

#include <gtest/gtest.h>

namespace landfall::server {
namespace {

using namespace std::chrono_literals;

TEST(CredentialCache, KnowsWhatWasRightUntilItExpires) {
  CredentialCache cache({.lifetime = 300s});
  const CredentialCache::Clock::time_point now{1h};
  cache.Add(cache.DigestOf("ada", "secret"), now);
  EXPECT_TRUE(cache.Knows(cache.DigestOf("ada", "secret"), now + 299s));
  EXPECT_FALSE(cache.Knows(cache.DigestOf("ada", "secret"), now + 300s));
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
  for (const char* user : {"a", "b", "a", "c"}) cache.Add(cache.DigestOf(user, "x"), now);
  EXPECT_EQ(cache.size(), 2u);
  EXPECT_FALSE(cache.Knows(cache.DigestOf("a", "x"), now));
  EXPECT_TRUE(cache.Knows(cache.DigestOf("b", "x"), now));
  EXPECT_TRUE(cache.Knows(cache.DigestOf("c", "x"), now));
}

TEST(CredentialCache, ForgetsEverythingWhenCleared) {
  CredentialCache cache;
  const CredentialCache::Clock::time_point now{1h};
  cache.Add(cache.DigestOf("a", "x"), now);
  cache.Clear();
  EXPECT_FALSE(cache.Knows(cache.DigestOf("a", "x"), now));
  EXPECT_EQ(cache.size(), 0u);
}

}  // namespace
}  // namespace landfall::server
