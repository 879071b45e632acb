#include "base/wire.h"

#include <gtest/gtest.h>

#include <limits>

namespace landfall {
namespace {

TEST(Wire, ReadsBackEveryVarint) {
  for (uint64_t v : {uint64_t{0}, uint64_t{1}, uint64_t{127}, uint64_t{128}, uint64_t{300},
                     uint64_t{1} << 63, std::numeric_limits<uint64_t>::max()}) {
    ByteBuffer b;
    AppendVarint(b, v);
    ByteReader r(b);
    EXPECT_EQ(r.Varint(), v);
    EXPECT_TRUE(r.done());
    EXPECT_FALSE(r.failed());
  }
}

TEST(Wire, RefusesAVarintThatDoesNotFit) {
  ByteReader too_long(ByteView("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", 10));
  EXPECT_EQ(too_long.Varint(), 0u);
  EXPECT_TRUE(too_long.failed());
  ByteReader cut(ByteView("\xff\xff", 2));
  cut.Varint();
  EXPECT_TRUE(cut.failed());
}

TEST(Wire, BigEndianIsNetworkOrder) {
  ByteBuffer b;
  AppendBig<uint16_t>(b, 0x0102);
  AppendBig<uint32_t>(b, 0x03040506);
  EXPECT_EQ(b, ByteView("\x01\x02\x03\x04\x05\x06", 6));
  ByteReader r(b);
  EXPECT_EQ(r.Big<uint16_t>(), 0x0102);
  EXPECT_EQ(r.Big<uint32_t>(), 0x03040506u);
}

TEST(Wire, AReadBeyondTheEndFailsAndStaysFailed) {
  ByteReader r(ByteView("\x05xy", 3));
  EXPECT_EQ(r.Sized(), "");
  EXPECT_TRUE(r.failed());
  EXPECT_EQ(r.Big<uint64_t>(), 0u);
}

}  // namespace
}  // namespace landfall
