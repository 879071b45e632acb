#include "server/definitions.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "broker/topology.h"

namespace landfall::server {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::UnorderedElementsAre;

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
  void ToShard(broker::ShardId, broker::Command&&) override {}

  void Import(std::string_view json) {
    const auto definitions = ParseDefinitions(json);
    ASSERT_TRUE(definitions) << definitions.error().message;
    for (const Definitions::Step& step : definitions->steps) topology_.OnRequest(step.request);
    Settle();
  }
  std::string Export() const { return WriteDefinitions(*snapshot_, nullptr).value(); }
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
  "rabbitmq_definition_format": "cluster",
  "global_parameters": [{"name": "cluster_name", "value": "rabbit@shop"}],
  "vhosts": [{"name": "/", "limits": {"max-topics": 5}}, {"name": "shop", "limits": [], "metadata": {}}],
  "parameters": [
    {"vhost": "shop", "component": "operator_policy", "name": "cap",
     "value": {"pattern": "", "definition": {"max-length": 10}, "priority": 1, "apply-to": "queues"}},
    {"vhost": "/", "component": "shovel", "name": "s", "value": {"src-uri": "amqp://u:pw@x"}}],
  "streams": [],
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
  EXPECT_THAT(ParseDefinitions(kEverything)->left_out,
              UnorderedElementsAre("vhosts[0] (/): the limit max-topics does not exist here",
                                   "parameters[1] (s in /): there is no shovel here",
                                   "global_parameters[0] (cluster_name): global parameters do not "
                                   "exist here",
                                   "streams: not a section of definitions that is known here"));
}

TEST(Definitions, LeaveOutWhatHasANameOfTheBrokersOwn) {
  constexpr std::string_view kReserved = R"({
    "queues": [{"name": "amq.gen-1", "vhost": "/"}, {"name": "q", "vhost": "/", "durable": true}],
    "exchanges": [{"name": "amq.mine", "vhost": "/"}],
    "bindings": [
      {"source": "amq.topic", "vhost": "/", "destination": "q", "destination_type": "queue"},
      {"source": "amq.topic", "vhost": "/", "destination": "amq.gen-1",
       "destination_type": "queue"}]})";
  const std::string why = ": names that begin with amq. are the broker's own";
  EXPECT_THAT(
      ParseDefinitions(kReserved)->left_out,
      UnorderedElementsAre("queues[0] (amq.gen-1 in /)" + why, "exchanges[0] (amq.mine in /)" + why,
                           "bindings[1] (amq.topic to amq.gen-1 in /)" + why));
  Importer broker;
  broker.Import(kReserved);
  EXPECT_THAT(broker.errors, IsEmpty());
  EXPECT_NE(broker.snapshot().FindQueue("/", "q"), nullptr);
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

TEST(Definitions, GivePermissionsOnlyInVhostsThatAreThere) {
  const auto definitions = ParseDefinitions(R"({
    "vhosts": [{"name": "own"}],
    "permissions": [
      {"user": "ada", "vhost": "own", "configure": "", "write": "", "read": ""},
      {"user": "ada", "vhost": "there", "configure": "", "write": "", "read": ""},
      {"user": "bob", "vhost": "there", "configure": "", "write": "", "read": ""}],
    "topic_permissions": [
      {"user": "bob", "vhost": "gone", "exchange": "x", "write": "", "read": ""}]})");
  ASSERT_TRUE(definitions);
  std::vector<std::string> asked;
  const auto ask = [&](const std::vector<std::string>& there) {
    asked.clear();
    return CheckPermissionVhosts(*definitions, [&](const std::string& vhost) -> Result<bool> {
      asked.push_back(vhost);
      if (there.empty()) return Fail(ErrorCode::kUnavailable, "nobody to ask");
      return std::ranges::find(there, vhost) != there.end();
    });
  };
  EXPECT_TRUE(ask({"there", "gone"}));
  EXPECT_THAT(asked, ElementsAre("there", "gone"));
  const auto topic = ask({"there"});
  ASSERT_FALSE(topic);
  EXPECT_EQ(topic.error().code, ErrorCode::kNotFound);
  EXPECT_EQ(topic.error().message,
            "topic_permissions[0] (bob in gone): user bob has permissions in vhost gone, which is "
            "neither in these definitions nor already there");
  EXPECT_THAT(ask({"gone"}).error().message,
              HasSubstr("permissions[1] (ada in there): user ada has permissions in vhost there"));
  EXPECT_EQ(ask({}).error().message, "nobody to ask");
}

TEST(Definitions, DoNotRepeatASecretWhereTheyAreNoJson) {
  for (std::string_view json :
       {R"({"users": [{"password": "hunter2)", "{\"users\": [{\"password\": \"hunter2\xff\"}]}",
        R"({"users": [{"password": "hunter2" x}]})", R"({"users": [{"password": hunter2}]})"}) {
    const auto parsed = ParseDefinitions(json);
    ASSERT_FALSE(parsed);
    EXPECT_THAT(parsed.error().message, HasSubstr("not JSON from line 1, byte "));
    EXPECT_THAT(parsed.error().message, Not(HasSubstr("hunter")));
  }
}

// They come over HTTP as well: nothing that somebody writes may end the broker.
TEST(Definitions, RefuseWhatNoTableAndNoStackCanHold) {
  const std::string name(256, 'n');
  for (const std::string& text :
       {std::string(100'000, '['), R"({"queues":[{"vhost":"/","name":")" + name + R"("}]})",
        R"({"queues":[{"vhost":"/","name":"q","arguments":{")" + name + R"(":1}}]})",
        R"({"bindings":[{"vhost":"/","source":"x","destination":"q","destination_type":"queue",)"
        R"("routing_key":")" +
            name + R"("}]})"}) {
    const auto read = ParseDefinitions(text);
    ASSERT_FALSE(read) << text.substr(0, 100);
    EXPECT_EQ(read.error().code, ErrorCode::kInvalidArgument);
  }
}

TEST(Definitions, LeaveOutANameThatIsNotUtf8) {
  broker::TopologySnapshot snapshot;
  for (const char* name : {"\xff", "shop"}) {
    auto vhost = std::make_shared<broker::Vhost>();
    vhost->name = name;
    snapshot.vhosts.Set(vhost->name, vhost);
  }
  const auto written = WriteDefinitions(snapshot, nullptr);
  ASSERT_TRUE(written) << written.error().message;
  EXPECT_THAT(*written, HasSubstr(R"("name": "shop")"));
  EXPECT_THAT(*written, HasSubstr("1 of vhosts"));
  EXPECT_THAT(ParseDefinitions(*written)->left_out, testing::IsEmpty());
}

}  // namespace
}  // namespace landfall::server
