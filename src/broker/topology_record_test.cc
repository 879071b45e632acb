#include "broker/topology_record.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/rng.h"

namespace landfall::broker {
namespace {

using amqp::Table;

// One record of every type, with something in every field.
ByteBuffer Everything() {
  ByteBuffer out(1, kTopologyFormat);
  AppendVhostCreated(out, "v");
  Exchange exchange;
  exchange.name = "x";
  exchange.type = ExchangeType::kHeaders;
  exchange.durable = true;
  exchange.internal = true;
  exchange.arguments = Table{{"alternate-exchange", "y"}};
  AppendExchangeDeclared(out, "v", exchange);
  AppendExchangeDeleted(out, "v", "x");
  QueueInfo queue;
  queue.id = 1ULL << 40;
  queue.shard = 64;
  queue.vhost = "v";
  queue.name = "q";
  queue.durable = true;
  queue.auto_delete = true;
  queue.arguments = Table{{"n", 1}};
  AppendQueueDeclared(out, queue);
  AppendQueueDeleted(out, queue.id);
  Binding binding;
  binding.source = "x";
  binding.queue = queue.target();
  binding.routing_key = std::string("k\0k", 3);
  binding.arguments = Table{{"n", 1}};
  AppendBindingChanged(out, "v", binding, true);
  binding.to_exchange = true;
  binding.destination = "y";
  binding.arguments = {};
  AppendBindingChanged(out, "v", binding, false);
  AppendIdsReserved(out, 4097);
  Policy policy;
  policy.name = "p";
  policy.by_operator = true;
  policy.pattern = "^q";
  policy.apply_to = PolicyScope::kQuorumQueues;
  policy.priority = -7;
  policy.definition = Table{{"max-length", 1}};
  AppendPolicySet(out, "v", policy);
  AppendPolicyCleared(out, "v", "p", true);
  AppendVhostDeleted(out, "v");
  AppendQueuePaused(out, queue.id, true);
  AppendCheckpointEnd(out, 12);
  return out;
}

Result<std::vector<TopologyRecord>> Read(ByteView bytes) {
  std::vector<TopologyRecord> records;
  auto keep = [&](TopologyRecord record) -> Result<void> {
    records.push_back(std::move(record));
    return {};
  };
  if (Result<void> read = ReadTopologyRecords(bytes, keep); !read) {
    return std::unexpected(read.error());
  }
  return records;
}

TEST(TopologyRecord, ComesBackAsItWasWritten) {
  const auto records = Read(Everything());
  ASSERT_TRUE(records);
  ASSERT_EQ(records->size(), 13u);
  EXPECT_EQ(std::get<VhostCreated>((*records)[0]).vhost, "v");
  const auto& exchange = std::get<ExchangeDeclared>((*records)[1]);
  EXPECT_EQ(exchange.vhost, "v");
  EXPECT_EQ(exchange.name, "x");
  EXPECT_EQ(exchange.type, ExchangeType::kHeaders);
  EXPECT_TRUE(exchange.durable);
  EXPECT_FALSE(exchange.auto_delete);
  EXPECT_TRUE(exchange.internal);
  EXPECT_EQ(exchange.arguments, (Table{{"alternate-exchange", "y"}}));
  EXPECT_EQ(std::get<ExchangeDeleted>((*records)[2]).name, "x");
  const auto& queue = std::get<QueueDeclared>((*records)[3]);
  EXPECT_EQ(queue.vhost, "v");
  EXPECT_EQ(queue.name, "q");
  EXPECT_EQ(queue.id, 1ULL << 40);
  EXPECT_EQ(queue.shard, 64);
  EXPECT_TRUE(queue.durable);
  EXPECT_TRUE(queue.auto_delete);
  EXPECT_EQ(queue.arguments, (Table{{"n", 1}}));
  EXPECT_EQ(std::get<QueueDeleted>((*records)[4]).id, 1ULL << 40);
  const auto& bound = std::get<BindingChanged>((*records)[5]);
  EXPECT_TRUE(bound.bound);
  EXPECT_FALSE(bound.to_exchange);
  EXPECT_EQ(bound.source, "x");
  EXPECT_EQ(bound.queue, 1ULL << 40);
  EXPECT_EQ(bound.routing_key, std::string("k\0k", 3));
  EXPECT_EQ(bound.arguments, (Table{{"n", 1}}));
  const auto& unbound = std::get<BindingChanged>((*records)[6]);
  EXPECT_FALSE(unbound.bound);
  EXPECT_TRUE(unbound.to_exchange);
  EXPECT_EQ(unbound.destination, "y");
  EXPECT_EQ(std::get<IdsReserved>((*records)[7]).upto, 4097u);
  const auto& set = std::get<PolicySet>((*records)[8]);
  EXPECT_EQ(set.vhost, "v");
  EXPECT_EQ(set.policy.name, "p");
  EXPECT_TRUE(set.policy.by_operator);
  EXPECT_EQ(set.policy.pattern, "^q");
  EXPECT_EQ(set.policy.apply_to, PolicyScope::kQuorumQueues);
  EXPECT_EQ(set.policy.priority, -7);
  EXPECT_EQ(set.policy.definition, (Table{{"max-length", 1}}));
  const auto& cleared = std::get<PolicyCleared>((*records)[9]);
  EXPECT_EQ(cleared.vhost, "v");
  EXPECT_EQ(cleared.name, "p");
  EXPECT_TRUE(cleared.by_operator);
  EXPECT_EQ(std::get<VhostDeleted>((*records)[10]).vhost, "v");
  EXPECT_EQ(std::get<QueuePaused>((*records)[11]).id, 1ULL << 40);
  EXPECT_TRUE(std::get<QueuePaused>((*records)[11]).paused);
  EXPECT_EQ(std::get<CheckpointEnd>((*records)[12]).records, 12u);
}

TEST(TopologyRecord, HasALineForPeople) {
  const auto records = Read(Everything());
  ASSERT_TRUE(records);
  std::string text;
  for (const TopologyRecord& record : *records) text += Describe(record) + "\n";
  EXPECT_NE(text.find("headers exchange 'x' declared in 'v'"), std::string::npos) << text;
  EXPECT_NE(text.find("exchange 'y' unbound from exchange 'x'"), std::string::npos) << text;
}

TEST(TopologyRecord, StopsWhereTheVisitorFails) {
  int visited = 0;
  const Result<void> read =
      ReadTopologyRecords(Everything(), [&](const TopologyRecord&) -> Result<void> {
        if (++visited == 3) return Fail(ErrorCode::kCorrupt, "enough");
        return {};
      });
  EXPECT_FALSE(read);
  EXPECT_EQ(visited, 3);
}

TEST(TopologyRecord, SurvivesAnyDamage) {
  const ByteBuffer whole = Everything();
  Rng rng(3);
  for (int i = 0; i < 20'000; ++i) {
    ByteBuffer broken = whole;
    const uint64_t flips = 1 + rng.Below(3);
    for (uint64_t n = 0; n < flips; ++n) {
      broken[rng.Below(broken.size())] = static_cast<char>(rng.Next());
    }
    if (rng.Chance(0.3)) broken.resize(rng.Below(broken.size()));
    if (const auto records = Read(broken)) {
      for (const TopologyRecord& record : *records) Describe(record);
    } else {
      EXPECT_EQ(records.error().code, ErrorCode::kCorrupt);
    }
  }
}

}  // namespace
}  // namespace landfall::broker
