#include "base/siphash.h"

#include <gtest/gtest.h>

#include <string>

namespace landfall {
namespace {

// Key 00 01 … 0f and inputs 00 01 …, from the reference implementation's vectors_sip64.
TEST(SipHash, GivesTheVectorsOfItsReference) {
  const SipKey key{0x0706050403020100ULL, 0x0f0e0d0c0b0a0908ULL};
  std::string input;
  EXPECT_EQ(SipHash(key, input), 0x726fdb47dd0e0e31ULL);
  input.push_back(0);
  EXPECT_EQ(SipHash(key, input), 0x74f839c593dc67fdULL);
  for (char c = 1; c < 15; ++c) input.push_back(c);
  EXPECT_EQ(SipHash(key, input), 0xa129ca6149be45e5ULL);
}

}  // namespace
}  // namespace landfall
