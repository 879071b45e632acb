#include "access/pattern.h"

#include <gtest/gtest.h>

#include <chrono>

namespace landfall::access {
namespace {

Pattern Compiled(std::string_view text) {
  const auto pattern = Pattern::Compile(text);
  EXPECT_TRUE(pattern) << pattern.error().message;
  return pattern ? *pattern : Pattern();
}

TEST(Pattern, IsLookedForAnywhereInTheName) {
  EXPECT_TRUE(Compiled("orders").Matches("old-orders-2"));
  EXPECT_FALSE(Compiled("^orders$").Matches("old-orders-2"));
  EXPECT_TRUE(Compiled("^orders$").Matches("orders"));
  EXPECT_TRUE(Compiled("^(app|amq\\.gen).*").Matches("amq.gen-x"));
}

TEST(Pattern, OfNothingMatchesNoName) {
  EXPECT_FALSE(Compiled("").Matches("q"));
  EXPECT_TRUE(Compiled("").Matches(""));
  EXPECT_FALSE(Pattern().Matches("q"));
}

TEST(Pattern, OfEverythingMatchesEveryName) {
  for (const Pattern& pattern : {Compiled(".*"), Pattern::OfEverything()}) {
    EXPECT_TRUE(pattern.Matches("q"));
    EXPECT_TRUE(pattern.Matches(""));
    EXPECT_TRUE(pattern.Matches("a\nb\xff"));
    EXPECT_EQ(pattern.text(), ".*");
  }
}

TEST(Pattern, TakesNamesAsBytes) {
  EXPECT_TRUE(Compiled("^.$").Matches("\xff"));
  EXPECT_TRUE(Compiled("^m\xc3\xbcll$").Matches("m\xc3\xbcll"));
}

TEST(Pattern, SaysWhatItDoesNotUnderstand) {
  EXPECT_FALSE(Pattern::Compile("a("));
  const auto look_ahead = Pattern::Compile("^(?!amq\\.).*");
  ASSERT_FALSE(look_ahead);
  EXPECT_NE(look_ahead.error().message.find("look-around"), std::string::npos);
  EXPECT_FALSE(Pattern::Compile(std::string(kMaxPatternBytes + 1, 'a')));
}

// Each of these takes a backtracking matcher longer than anybody waits.
TEST(Pattern, CannotBeMadeToHang) {
  const std::string name(255, 'a');
  const auto started = std::chrono::steady_clock::now();
  for (const char* text : {"^(a+)+$x", "^(a|aa)+$y", "(.*a){12}z"}) {
    EXPECT_FALSE(Compiled(text).Matches(name)) << text;
  }
  EXPECT_LT(std::chrono::steady_clock::now() - started, std::chrono::seconds(5));
}

TEST(Pattern, CanQuoteWhatIsMeantLiterally) {
  const Pattern pattern = Compiled("^" + QuotedForPattern("a.b*") + "$");
  EXPECT_TRUE(pattern.Matches("a.b*"));
  EXPECT_FALSE(pattern.Matches("axbb"));
}

}  // namespace
}  // namespace landfall::access
