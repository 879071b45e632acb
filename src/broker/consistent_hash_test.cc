#include "broker/consistent_hash.h"

#include <gtest/gtest.h>

#include <map>

#include "broker/topology_snapshot.h"

namespace landfall::broker {
namespace {

using amqp::Table;
using amqp::TableView;

constexpr int kKeys = 20'000;

class ConsistentHash : public testing::Test {
 protected:
  ConsistentHash() { exchange_.type = ExchangeType::kConsistentHash; }

  static Binding To(QueueId queue, std::string weight) {
    Binding binding;
    binding.queue = {.id = queue, .shard = 1, .durable = true};
    binding.routing_key = std::move(weight);
    return binding;
  }
  void Bind(QueueId queue, std::string weight) {
    exchange_.Add(std::make_shared<Binding>(To(queue, std::move(weight))));
  }
  QueueId Choose(ByteView key, const amqp::PropertiesView& properties = {}) const {
    const Binding* chosen = ChooseByHash(exchange_, key, properties);
    return chosen == nullptr ? 0 : chosen->queue.id;
  }
  std::vector<QueueId> ChooseAll() const {
    std::vector<QueueId> chosen;
    for (int i = 0; i < kKeys; ++i) chosen.push_back(Choose("key-" + std::to_string(i)));
    return chosen;
  }
  std::map<QueueId, int> Shares() const {
    std::map<QueueId, int> shares;
    for (const QueueId id : ChooseAll()) ++shares[id];
    return shares;
  }

  Exchange exchange_;
};

TEST_F(ConsistentHash, GivesEachDestinationItsWeight) {
  Bind(1, "1");
  Bind(2, "2");
  Bind(3, "5");
  const auto shares = Shares();
  EXPECT_NEAR(shares.at(1), kKeys * 1 / 8, kKeys / 80);
  EXPECT_NEAR(shares.at(2), kKeys * 2 / 8, kKeys / 80);
  EXPECT_NEAR(shares.at(3), kKeys * 5 / 8, kKeys / 80);
}

TEST_F(ConsistentHash, LeavesAMessageWhereItsKeyHasAlwaysGone) {
  for (QueueId id = 1; id <= 5; ++id) Bind(id, "10");
  const auto before = ChooseAll();
  EXPECT_EQ(ChooseAll(), before);
  // The order of the bindings, which a restart may change, says nothing.
  Exchange again;
  again.type = ExchangeType::kConsistentHash;
  std::swap(again, exchange_);
  for (QueueId id = 5; id >= 1; --id) Bind(id, "10");
  EXPECT_EQ(ChooseAll(), before);
}

TEST_F(ConsistentHash, MovesToANewDestinationOnlyWhatItTakesOver) {
  for (QueueId id = 1; id <= 4; ++id) Bind(id, "1");
  const auto before = ChooseAll();
  Bind(5, "1");
  const auto after = ChooseAll();
  int moved = 0;
  for (int i = 0; i < kKeys; ++i) {
    if (after[i] == before[i]) continue;
    EXPECT_EQ(after[i], 5u);
    ++moved;
  }
  EXPECT_NEAR(moved, kKeys / 5, kKeys / 50);
  // And back when it goes.
  exchange_.Remove(To(5, "1"));
  EXPECT_EQ(ChooseAll(), before);
}

TEST_F(ConsistentHash, MovesOnlyToADestinationThatGetsMoreWeight) {
  for (QueueId id = 1; id <= 4; ++id) Bind(id, "1");
  const auto before = ChooseAll();
  Bind(2, "3");
  exchange_.Remove(To(2, "1"));
  const auto after = ChooseAll();
  for (int i = 0; i < kKeys; ++i) {
    EXPECT_TRUE(after[i] == before[i] || after[i] == 2u);
  }
  EXPECT_NEAR(Shares().at(2), kKeys / 2, kKeys / 50);
}

TEST_F(ConsistentHash, HasNowhereToGoWithoutBindings) { EXPECT_EQ(Choose("k"), 0u); }

TEST_F(ConsistentHash, GoesByAHeaderIfTheExchangeSaysSo) {
  for (QueueId id = 1; id <= 50; ++id) Bind(id, "1");
  exchange_.arguments = Table{{"hash-header", "customer"}};
  std::map<QueueId, int> seen;
  for (int i = 0; i < 100; ++i) {
    const ByteBuffer headers = Table{{"customer", int64_t{i}}}.Encode();
    amqp::PropertiesView properties;
    properties.SetHeaders(TableView(headers));
    EXPECT_EQ(Choose("a", properties), Choose("b", properties));
    ++seen[Choose("a", properties)];
  }
  EXPECT_GT(seen.size(), 20u);
  EXPECT_EQ(Choose("a"), Choose("b"));
}

TEST_F(ConsistentHash, GoesByAPropertyIfTheExchangeSaysSo) {
  for (QueueId id = 1; id <= 50; ++id) Bind(id, "1");
  for (const std::string_view property : {"message_id", "correlation_id", "timestamp"}) {
    exchange_.arguments = Table{{"hash-property", property}};
    std::map<QueueId, int> seen;
    for (int i = 0; i < 100; ++i) {
      const std::string text = std::to_string(i);
      amqp::PropertiesView properties;
      properties.flags = amqp::kHasMessageId | amqp::kHasCorrelationId | amqp::kHasTimestamp;
      if (property == "message_id") properties.message_id = text;
      if (property == "correlation_id") properties.correlation_id = text;
      if (property == "timestamp") properties.timestamp = static_cast<uint64_t>(i);
      EXPECT_EQ(Choose("a", properties), Choose("b", properties));
      ++seen[Choose("a", properties)];
    }
    EXPECT_GT(seen.size(), 20u) << property;
  }
}

TEST_F(ConsistentHash, RoutesToOneDestinationHoweverManyKeysAMessageHas) {
  Vhost vhost;
  for (QueueId id = 1; id <= 50; ++id) Bind(id, "1");
  vhost.exchanges.Set("h", std::make_shared<Exchange>(exchange_));
  const ByteBuffer headers = Table{{"CC", amqp::Array{"b", "c"}}}.Encode();
  QueueTargets targets;
  EXPECT_TRUE(Route(vhost, "h", *RoutingKeys::Of("a", TableView(headers)), {}, targets));
  ASSERT_EQ(targets.size(), 1u);
  EXPECT_EQ(targets[0].id, Choose("a"));
}

TEST_F(ConsistentHash, WantsPositiveIntegersAsBindingKeys) {
  for (const std::string_view good : {"1", "+7", "007", "1000000000"}) {
    EXPECT_EQ(CheckHashBinding(good), std::nullopt) << good;
  }
  for (const std::string_view bad : {"", "x", "1.5", "1 ", "0x1", "+-1"}) {
    EXPECT_EQ(CheckHashBinding(bad),
              "The binding key must be an integer: <<\"" + std::string(bad) + "\">>");
  }
  for (const std::string_view small : {"0", "-1", "-99999999999999999999"}) {
    EXPECT_EQ(CheckHashBinding(small), "The binding key must be greater than 0") << small;
  }
  EXPECT_EQ(CheckHashBinding("99999999999999999999"), "The binding key must be at most 1000000000");
}

TEST_F(ConsistentHash, ChecksItsArguments) {
  EXPECT_EQ(CheckHashExchange({}), std::nullopt);
  EXPECT_EQ(CheckHashExchange({{"hash-header", "h"}}), std::nullopt);
  EXPECT_EQ(CheckHashExchange({{"hash-property", "timestamp"}}), std::nullopt);
  EXPECT_EQ(CheckHashExchange({{"hash-property", "app_id"}}), "Unsupported property: app_id");
  EXPECT_EQ(CheckHashExchange({{"hash-property", "message_id"}, {"hash-header", "h"}}),
            "hash-header and hash-property are mutually exclusive");
  EXPECT_EQ(CheckHashExchange({{"hash-header", 1}}), "hash-header must be a string");
  EXPECT_EQ(CheckHashExchange({{"hash-property", true}}), "hash-property must be a string");
}

}  // namespace
}  // namespace landfall::broker
