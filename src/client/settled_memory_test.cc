#include "client/settled_memory.h"

#include <gtest/gtest.h>

#include "client/message_encoding.h"

namespace landfall::client {
namespace {

MessageIdentity Id(uint64_t n) { return {n, n}; }

TEST(SettledMemory, ForgetsTheOldestWhenItIsFull) {
  SettledMemory memory(3);
  for (const uint64_t n : {1, 2, 3, 3, 4}) memory.Remember(Id(n));
  EXPECT_FALSE(memory.Contains(Id(1)));
  for (const uint64_t n : {2, 3, 4}) EXPECT_TRUE(memory.Contains(Id(n)));
  memory.Remember(Id(5));
  EXPECT_FALSE(memory.Contains(Id(2)));
}

TEST(SettledMemory, CanBeTurnedOff) {
  SettledMemory memory(0);
  memory.Remember(Id(1));
  EXPECT_FALSE(memory.Contains(Id(1)));
}

TEST(MessageIdentity, IsTheProducersNumberOrTheMessageId) {
  const auto of = [](ByteView encoded) { return IdentityOf(*amqp::DecodeProperties(encoded)); };
  PropertyEncoder p("p", 1);
  PropertyEncoder newer("p", 2);
  PropertyEncoder q("q", 1);
  const auto first = of(p.Encode(nullptr, 1, 1));
  ASSERT_TRUE(first);
  EXPECT_EQ(of(p.Encode(nullptr, 1, 9)), first);  // a resend says another lowest
  EXPECT_NE(of(p.Encode(nullptr, 2, 1)), first);
  EXPECT_NE(of(newer.Encode(nullptr, 1, 1)), first);
  EXPECT_NE(of(q.Encode(nullptr, 1, 1)), first);

  amqp::Properties plain;
  ByteBuffer encoded;
  amqp::AppendProperties(encoded, plain);
  EXPECT_EQ(of(encoded), std::nullopt);
  plain.message_id = "m";
  encoded.clear();
  amqp::AppendProperties(encoded, plain);
  EXPECT_TRUE(of(encoded));
}

}  // namespace
}  // namespace landfall::client
