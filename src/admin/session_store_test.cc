#include "admin/session_store.h"

#include <gtest/gtest.h>

#include <set>

namespace landfall::admin {
namespace {

using std::chrono::minutes;
using std::chrono::seconds;

const SessionStore::Clock::time_point kStart{std::chrono::hours(1)};

TEST(SessionStore, FindsASessionByItsTokenOnly) {
  SessionStore store;
  const std::string token = store.Open("shop", "hash", kStart);
  EXPECT_EQ(token.size(), 43u);  // 256 bits
  const auto found = store.Find(token, kStart);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->user, "shop");
  EXPECT_NE(found->id, 0u);
  EXPECT_FALSE(store.Find("", kStart));
  EXPECT_FALSE(store.Find(token.substr(1), kStart));
  EXPECT_FALSE(store.Find(token + "A", kStart));
  std::string other = token;
  other[5] = other[5] == 'A' ? 'B' : 'A';
  EXPECT_FALSE(store.Find(other, kStart));
}

TEST(SessionStore, GivesEachSessionATokenOfItsOwn) {
  SessionStore store;
  std::set<std::string> tokens;
  for (int i = 0; i < 20; ++i) tokens.insert(store.Open("shop", "hash", kStart));
  EXPECT_EQ(tokens.size(), 20u);
}

TEST(SessionStore, EndsASessionThatIsNotUsed) {
  SessionStore store;
  const std::string token = store.Open("shop", "hash", kStart);
  ASSERT_TRUE(store.Find(token, kStart + minutes(29)));
  ASSERT_TRUE(store.Find(token, kStart + minutes(58)));
  EXPECT_FALSE(store.Find(token, kStart + minutes(88)));
  EXPECT_EQ(store.size(), 0u);
}

TEST(SessionStore, EndsASessionThatIsOldHoweverMuchItIsUsed) {
  SessionStore store;
  const std::string token = store.Open("shop", "hash", kStart);
  const uint64_t id = store.Find(token, kStart)->id;
  for (minutes age{0}; age < std::chrono::hours(12); age += minutes(20))
    ASSERT_TRUE(store.Use(id, kStart + age));
  EXPECT_FALSE(store.Use(id, kStart + std::chrono::hours(12)));
  EXPECT_FALSE(store.Find(token, kStart + std::chrono::hours(12)));
}

TEST(SessionStore, EndsASessionThatIsClosed) {
  SessionStore store;
  const std::string token = store.Open("shop", "hash", kStart);
  const std::string other = store.Open("shop", "hash", kStart);
  store.Close(store.Find(token, kStart)->id);
  EXPECT_FALSE(store.Find(token, kStart));
  EXPECT_TRUE(store.Find(other, kStart));
}

TEST(SessionStore, HoldsABoundedNumberOfSessionsAndDropsTheLeastUsed) {
  SessionStore store({.max_sessions = 3, .max_per_user = 2});
  const std::string a1 = store.Open("a", "", kStart);
  const std::string a2 = store.Open("a", "", kStart + seconds(1));
  ASSERT_TRUE(store.Find(a1, kStart + seconds(2)));
  const std::string a3 = store.Open("a", "", kStart + seconds(3));
  EXPECT_FALSE(store.Find(a2, kStart + seconds(3)));
  const std::string b = store.Open("b", "", kStart + seconds(4));
  EXPECT_EQ(store.size(), 3u);
  const std::string c = store.Open("c", "", kStart + seconds(5));
  EXPECT_EQ(store.size(), 3u);
  EXPECT_FALSE(store.Find(a1, kStart + seconds(5)));
  for (const std::string& token : {a3, b, c}) EXPECT_TRUE(store.Find(token, kStart + seconds(5)));
}

TEST(SessionStore, EndsTheSessionsOfUsersThatAreGoneOrChanged) {
  SessionStore store;
  const std::string stays = store.Open("shop", "one", kStart);
  const std::string changed = store.Open("shop", "older", kStart);
  const std::string gone = store.Open("ghost", "one", kStart);
  store.Keep(
      [](std::string_view user, std::string_view hash) { return user == "shop" && hash == "one"; });
  EXPECT_TRUE(store.Find(stays, kStart));
  EXPECT_FALSE(store.Find(changed, kStart));
  EXPECT_FALSE(store.Find(gone, kStart));
}

}  // namespace
}  // namespace landfall::admin
