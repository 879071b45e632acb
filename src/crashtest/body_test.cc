#include "crashtest/body.h"

#include <gtest/gtest.h>

namespace landfall::crashtest {
namespace {

TEST(Body, SaysWhoSentItAndAsWhich) {
  for (const uint64_t number : {1, 7, 100, 2500, 123456789}) {
    const Identity identity = ReadBody(MakeBody(3, number));
    EXPECT_EQ(identity.producer, 3u);
    EXPECT_EQ(identity.number, number);
  }
}

TEST(Body, ThatIsDamagedIsNobodys) {
  const std::string good = MakeBody(3, 119);
  for (size_t i = 0; i < good.size(); ++i) {
    std::string damaged = good;
    damaged[i] = static_cast<char>(damaged[i] ^ 1);
    EXPECT_EQ(ReadBody(damaged).number, 0u) << i;
  }
  EXPECT_EQ(ReadBody(good + "x").number, 0u);
  EXPECT_EQ(ReadBody(good.substr(0, good.size() - 1)).number, 0u);
}

TEST(Body, ThatIsNoneOfOursIsNobodys) {
  for (const char* body :
       {"", ".", "1", "1.", "1.:", "hello", "-1.2:", "1.99999999999999999999:"}) {
    EXPECT_EQ(ReadBody(body).number, 0u) << body;
  }
}

}  // namespace
}  // namespace landfall::crashtest
