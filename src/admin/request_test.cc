#include "admin/request.h"

#include <gtest/gtest.h>

namespace landfall::admin {
namespace {

using Path = std::vector<std::string>;

TEST(Target, IsTakenApartBeforeItIsDecoded) {
  const auto target = ParseTarget("/api/queues/%2F/a%2Fb%20c?page=1&name=x%26y+z&flag&empty=");
  ASSERT_TRUE(target);
  EXPECT_EQ(target->path, (Path{"api", "queues", "/", "a/b c"}));
  EXPECT_EQ(target->query.Get("page"), "1");
  EXPECT_EQ(target->query.Get("name"), "x&y z");
  EXPECT_NE(target->query.Find("flag"), nullptr);
  EXPECT_NE(target->query.Find("empty"), nullptr);
  EXPECT_EQ(target->query.Find("other"), nullptr);
}

TEST(Target, KeepsAPlusInAPath) { EXPECT_EQ(ParseTarget("/a+b")->path, (Path{"a+b"})); }

TEST(Target, IgnoresASlashAtTheEndAndKeepsAnEmptyNameInTheMiddle) {
  EXPECT_EQ(ParseTarget("/api/")->path, (Path{"api"}));
  EXPECT_EQ(ParseTarget("/")->path, Path{});
  EXPECT_EQ(ParseTarget("/api//x")->path, (Path{"api", "", "x"}));
  EXPECT_EQ(ParseTarget("/api/x//")->path, (Path{"api", "x", ""}));
}

TEST(Target, DoesNotClimb) { EXPECT_EQ(ParseTarget("/api/../x")->path, (Path{"api", "..", "x"})); }

TEST(Target, IsRefusedWhenItIsMalformed) {
  for (const char* text : {"", "api", "/%", "/%2", "/%zz", "/a?b=%", "http://x/", "*"}) {
    EXPECT_FALSE(ParseTarget(text)) << text;
  }
}

TEST(Segment, IsTheSameAgainAfterEncodingAndDecoding) {
  std::string all;
  for (int c = 0; c < 256; ++c) all += static_cast<char>(c);
  const std::string encoded = EncodeSegment(all);
  EXPECT_EQ(encoded.find_first_of("/?#&+ "), std::string::npos);
  EXPECT_EQ(DecodeSegment(encoded), all);
}

TEST(Credentials, AreReadFromBasicOnly) {
  const auto read = ParseBasic("Basic Z3Vlc3Q6cGE6c3M=");
  ASSERT_TRUE(read);
  EXPECT_EQ(read->user, "guest");
  EXPECT_EQ(read->password, "pa:ss");
  EXPECT_TRUE(ParseBasic("bASIC   Z3Vlc3Q6cGE6c3M="));
  for (const char* header : {"", "Basic", "Basic ", "Basic Z3Vlc3Q=", "Basic !", "Bearer Z3Vl"}) {
    EXPECT_FALSE(ParseBasic(header)) << header;
  }
}

TEST(Base64, RefusesWhatIsNone) {
  EXPECT_EQ(DecodeBase64(EncodeBase64("a\0b")), "a");
  const std::string bytes("\0\xff\x80", 3);
  EXPECT_EQ(DecodeBase64(EncodeBase64(bytes)), bytes);
  EXPECT_EQ(DecodeBase64(""), "");
  for (const char* text : {"%", "YQ", "YQ==YQ==", "Y Q=="})
    EXPECT_FALSE(DecodeBase64(text)) << text;
}

TEST(Forgery, IsAChangeThatAnotherOriginAskedFor) {
  Request request{.method = "PUT", .host = "localhost:15672"};
  EXPECT_FALSE(IsForged(request));
  request.origin = "http://LOCALHOST:15672";
  EXPECT_FALSE(IsForged(request));
  request.origin = "http://evil.example";
  EXPECT_TRUE(IsForged(request));
  request.method = "GET";
  EXPECT_FALSE(IsForged(request));
  request = {.method = "POST", .host = "x", .fetch_site = "cross-site"};
  EXPECT_TRUE(IsForged(request));
  request.fetch_site = "same-origin";
  EXPECT_FALSE(IsForged(request));
  request = {.method = "DELETE", .host = "x", .origin = "null"};
  EXPECT_TRUE(IsForged(request));
}

TEST(Cookies, AreFoundByTheirWholeName) {
  EXPECT_EQ(FindCookie("landfall_session=abc", "landfall_session"), "abc");
  EXPECT_EQ(FindCookie("a=1; landfall_session=abc; b=2", "landfall_session"), "abc");
  EXPECT_EQ(FindCookie("a=1;landfall_session=a=b", "landfall_session"), "a=b");
  EXPECT_EQ(FindCookie("landfall_session=", "landfall_session"), "");
  EXPECT_FALSE(FindCookie("", "landfall_session"));
  EXPECT_FALSE(FindCookie("xlandfall_session=abc; landfall_session", "landfall_session"));
}

}  // namespace
}  // namespace landfall::admin
