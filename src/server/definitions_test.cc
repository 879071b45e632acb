#include "server/definitions.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "broker/topology.h"

namespace landfall::server {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

// A broker without messages, on a disk that lands at once.
class Importer : public broker::TopologyPorts {
 public:
  Importer() {
    topology_.Start(0);
    Settle();
  }
  void AppendTopology(storage::Batch batch) override { shard_seq_ = batch.shard_seq; }
  void Install(broker::SnapshotRef snapshot) override { snapshot_ = std::move(snapshot); }
  void Reply(broker::TopologyReply reply) override {
    if (reply.error) errors.push_back(reply.text);
  }
  void ToShard(broker::ShardId, broker::Command) override {}

  void Import(std::string_view json) {
    const auto definitions = ParseDefinitions(json);
    ASSERT_TRUE(definitions) << definitions.error().message;
    for (const Definitions::Step& step : definitions->steps) topology_.OnRequest(step.request);
    Settle();
  }
  std::string Export() const { return WriteDefinitions(*snapshot_).value(); }
  const broker::TopologySnapshot& snapshot() const { return *snapshot_; }
  uint64_t records() const { return shard_seq_; }

  std::vector<std::string> errors;

 private:
  void Settle() {
    for (int i = 0; i < 3; ++i) {
      topology_.Flush();
      topology_.OnDurable(shard_seq_);
      topology_.OnInstalled(0, snapshot_->version);
    }
  }

  uint64_t shard_seq_ = 0;
  broker::SnapshotRef snapshot_;
  broker::Topology topology_{{}, *this};
};

constexpr std::string_view kEverything = R"({
  "rabbit_version": "3.13.0",
  "users": [{"name": "guest", "password_hash": "x", "hashing_algorithm": "rabbit_password_hashing_sha256"}],
  "permissions": [{"user": "guest", "vhost": "/", "configure": ".*", "write": ".*", "read": ".*"}],
  "global_parameters": [],
  "vhosts": [{"name": "/"}, {"name": "shop"}],
  "parameters": [
    {"vhost": "shop", "component": "operator_policy", "name": "cap",
     "value": {"pattern": "", "definition": {"max-length": 10}, "priority": 1, "apply-to": "queues"}},
    {"vhost": "/", "component": "shovel", "name": "s", "value": {}}],
  "policies": [{"vhost": "shop", "name": "ttl", "pattern": "^o", "apply-to": "classic_queues",
                "definition": {"message-ttl": 1000, "dead-letter-exchange": "x"}, "priority": 0}],
  "queues": [{"name": "orders", "vhost": "shop", "durable": true, "auto_delete": false,
              "arguments": {"x-max-length": 50, "x-note": [1, "two", {"three": null}, true, 1.5]}}],
  "exchanges": [
    {"name": "x", "vhost": "shop", "type": "topic", "durable": true, "auto_delete": false,
     "internal": false, "arguments": {}},
    {"name": "y", "vhost": "shop", "type": "fanout", "durable": true, "auto_delete": false,
     "internal": true, "arguments": {"alternate-exchange": "x"}}],
  "bindings": [
    {"source": "x", "vhost": "shop", "destination": "orders", "destination_type": "queue",
     "routing_key": "o.#", "arguments": {}},
    {"source": "", "vhost": "shop", "destination": "orders", "destination_type": "queue",
     "routing_key": "orders", "arguments": {}},
    {"source": "x", "vhost": "shop", "destination": "y", "destination_type": "exchange",
     "routing_key": "#", "arguments": {"n": 1}}]
})";

TEST(Definitions, MakeWhatTheySay) {
  Importer broker;
  broker.Import(kEverything);
  EXPECT_THAT(broker.errors, IsEmpty());
  const auto queue = broker.snapshot().FindQueue("shop", "orders");
  ASSERT_NE(queue, nullptr);
  EXPECT_EQ(queue->config.max_length, 10u);
  EXPECT_EQ(queue->config.message_ttl, std::chrono::seconds(1));
  EXPECT_EQ(queue->arguments.GetInteger("x-max-length"), 50);
}

TEST(Definitions, ComeOutAsTheyWentIn) {
  Importer first;
  first.Import(kEverything);
  const std::string exported = first.Export();
  Importer second;
  second.Import(exported);
  EXPECT_THAT(second.errors, IsEmpty());
  EXPECT_EQ(second.Export(), exported);
}

TEST(Definitions, ChangeNothingTheSecondTime) {
  Importer broker;
  broker.Import(kEverything);
  const uint64_t records = broker.records();
  broker.Import(kEverything);
  EXPECT_THAT(broker.errors, IsEmpty());
  EXPECT_EQ(broker.records(), records);
}

TEST(Definitions, SayWhatTheyLeaveOut) {
  EXPECT_THAT(ParseDefinitions(kEverything)->skipped,
              ElementsAre("parameters: s of shovel", "users: guest", "permissions: guest"));
}

TEST(Definitions, NameThePlaceOfWhatIsWrong) {
  const auto error = [](std::string_view json) {
    const auto parsed = ParseDefinitions(json);
    return parsed ? "" : parsed.error().message;
  };
  EXPECT_THAT(error("{\n  \"queues\": [}"), HasSubstr("line 2"));
  EXPECT_EQ(error("[]"), "definitions are one JSON object");
  EXPECT_EQ(error(R"({"queues": {}})"), "queues must be a list");
  EXPECT_EQ(error(R"({"queues": [1]})"), "queues[0]: must be an object");
  EXPECT_EQ(error(R"({"queues": [{"name": "q", "vhost": "/", "durable": 1}]})"),
            "queues[0] (q in /): durable must be true or false");
  EXPECT_EQ(error(R"({"queues": [{"vhost": "/"}]})"), "queues[0]: name is missing");
  EXPECT_EQ(error(R"({"policies": [{"name": "p", "vhost": "/", "pattern": "",
                                    "definition": {"max-length": -1}}]})"),
            "policies[0] (p in /): Validation failed: -1 is not a valid maximum length: max-length "
            "must be an integer from 0 to 9223372036854775807");
  EXPECT_THAT(
      error(R"({"policies": [{"name": "p", "vhost": "/", "pattern": "", "apply-to": "streams",
                                      "definition": {"max-length": 1}}]})"),
      HasSubstr("apply-to 'streams' unrecognised"));
  EXPECT_THAT(error(R"({"parameters": [{"name": "p", "vhost": "/", "component": "operator_policy",
                                        "value": {"pattern": 1}}]})"),
              HasSubstr("parameters[0] (p in /)"));
  EXPECT_EQ(error(R"({"bindings": [{"source": "x", "vhost": "/", "destination": "q",
                                    "destination_type": "topic"}]})"),
            "bindings[0] (x to q in /): destination_type must be queue or exchange");
  EXPECT_THAT(ReadDefinitions("/nowhere/d.json").error().message,
              HasSubstr("cannot read /nowhere/d.json: No such file"));
}

TEST(Definitions, CannotSayANameThatIsNotUtf8) {
  Importer broker;
  broker.Import(R"({"queues": []})");
  auto vhost = std::make_shared<broker::Vhost>();
  vhost->name = "\xff";
  broker::TopologySnapshot snapshot;
  snapshot.vhosts.Set(vhost->name, vhost);
  EXPECT_THAT(WriteDefinitions(snapshot).error().message, HasSubstr("cannot be said in JSON"));
}

}  // namespace
}  // namespace landfall::server
