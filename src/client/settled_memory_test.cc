#include "client/settled_memory.h"

#include <gtest/gtest.h>

#include "client/message_encoding.h"

namespace landfall::client {
namespace {

MessageIdentity Id(uint64_t n) { return {n, n}; }

TEST(SettledMemory, ForgetsTheOldestWhenItIsFull) {
  SettledMemory memory(3, MessageIds::kMeanNothing);
  for (const uint64_t n : {1, 2, 3, 3, 4}) memory.Remember(Id(n));
  EXPECT_FALSE(memory.Contains(Id(1)));
  for (const uint64_t n : {2, 3, 4}) EXPECT_TRUE(memory.Contains(Id(n)));
  memory.Remember(Id(5));
  EXPECT_FALSE(memory.Contains(Id(2)));
}

TEST(SettledMemory, CanBeTurnedOff) {
  SettledMemory memory(0, MessageIds::kMeanNothing);
  memory.Remember(Id(1));
  EXPECT_FALSE(memory.Contains(Id(1)));
  PropertyEncoder p("p", 1);
  EXPECT_EQ(memory.IdentityOf(*amqp::DecodeProperties(p.Encode(nullptr, 1, 1))), std::nullopt);
}

TEST(MessageIdentity, IsTheProducersNumber) {
  const auto of = [](ByteView encoded) {
    return IdentityOf(*amqp::DecodeProperties(encoded), MessageIds::kMeanNothing);
  };
  PropertyEncoder p("p", 1);
  PropertyEncoder newer("p", 2);
  PropertyEncoder q("q", 1);
  const auto first = of(p.Encode(nullptr, 1, 1));
  ASSERT_TRUE(first);
  EXPECT_EQ(of(p.Encode(nullptr, 1, 9)), first);  // a resend says another lowest
  EXPECT_NE(of(p.Encode(nullptr, 2, 1)), first);
  EXPECT_NE(of(newer.Encode(nullptr, 1, 1)), first);
  EXPECT_NE(of(q.Encode(nullptr, 1, 1)), first);
}

TEST(MessageIdentity, IsTheMessageIdOnlyIfThatIsUnique) {
  const auto of = [](const char* message_id, MessageIds ids) {
    amqp::PropertiesView plain;
    plain.message_id = message_id;
    plain.flags |= amqp::kHasMessageId;
    return IdentityOf(plain, ids);
  };
  EXPECT_EQ(of("m", MessageIds::kMeanNothing), std::nullopt);
  EXPECT_TRUE(of("m", MessageIds::kAreUnique));
  EXPECT_NE(of("m", MessageIds::kAreUnique), of("n", MessageIds::kAreUnique));
  EXPECT_EQ(of("", MessageIds::kAreUnique), std::nullopt);
}

}  // namespace
}  // namespace landfall::client
