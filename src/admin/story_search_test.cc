#include "admin/story_search.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "amqp/properties.h"
#include "broker/shard_record.h"

namespace landfall::admin {
namespace {

using broker::StoryEvent;
using broker::StoryRecord;
using nlohmann::json;
using std::chrono::seconds;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

constexpr Time kBegin{seconds(1'700'000'000)};

ByteBuffer Properties(const std::string& message_id, amqp::Table headers = {}) {
  amqp::Properties properties;
  properties.message_id = message_id;
  properties.correlation_id = "c-" + message_id;
  properties.headers = std::move(headers);
  ByteBuffer buffer;
  ByteBuffer encoded;
  amqp::AppendProperties(encoded, properties.View(buffer));
  return encoded;
}

class StorySearchTest : public testing::Test {
 protected:
  struct Shard {
    std::vector<broker::StoryBlock> blocks;
    ByteBuffer unstored;
  };

  // What a shard tells, a second after what was told before.
  void Tell(StoryRecord r, storage::ShardId shard = 1) {
    r.time = now += seconds(1);
    broker::AppendRecord(shards[shard].unstored, broker::Record(r));
  }
  static StoryRecord Arrival(broker::StoryId story, broker::QueueId queue, const std::string& name,
                             const ByteBuffer& properties,
                             StoryEvent event = StoryEvent::kReceived) {
    return {.story = story,
            .queue = queue,
            .sequence = 1,
            .event = event,
            .user = "alice",
            .connection = "a -> b",
            .vhost = "/",
            .queue_name = name,
            .properties = properties};
  }
  static StoryRecord Later(broker::StoryId story, broker::QueueId queue, StoryEvent event,
                           const std::string& detail = "") {
    return {.story = story, .queue = queue, .sequence = 1, .event = event, .detail = detail};
  }
  // All that a shard has told since goes to a file.
  void Store(storage::ShardId shard = 1) {
    Shard& s = shards[shard];
    const auto length = static_cast<uint32_t>(s.unstored.size());
    s.blocks.push_back({.file = files.size(), .place = {0, length}, .first = kBegin, .last = now});
    files.push_back(std::exchange(s.unstored, {}));
  }
  json Find(const StoryWish& wish, size_t steps = SIZE_MAX) {
    std::vector<broker::StoryView> views;
    for (const auto& [id, shard] : shards) {
      broker::StoryView view{.shard = id, .blocks = shard.blocks};
      if (!shard.unstored.empty())
        view.chunks.push_back({kBegin, now, std::make_shared<const ByteBuffer>(shard.unstored)});
      views.push_back(std::move(view));
    }
    auto read = [this](storage::ShardId, const broker::StoryBlock& block) -> Result<ByteBuffer> {
      ++blocks_read;
      if (gone.contains(block.file)) return Fail(ErrorCode::kNotFound, "gone");
      if (damaged.contains(block.file)) return Fail(ErrorCode::kCorrupt, "a flipped bit");
      return files.at(block.file);
    };
    StoryRights rights{
        .may_read = [this](const std::string& queue) { return !secret.contains(queue); },
        .may_see_user = [this](const std::string& user) { return !strangers.contains(user); }};
    StorySearch search(wish, rights, views, read);
    for (size_t n = 0; n < steps && !search.done(); ++n) search.Step();
    search.GiveUp();
    return search.Answer();
  }
  static std::vector<std::string> Kinds(const json& story) {
    std::vector<std::string> kinds;
    for (const json& event : story["events"]) kinds.push_back(event["kind"]);
    return kinds;
  }

  Time now = kBegin;
  std::map<storage::ShardId, Shard> shards;
  std::vector<ByteBuffer> files;
  std::set<uint64_t> gone;
  std::set<uint64_t> damaged;
  std::set<std::string> secret;
  std::set<std::string> strangers;
  size_t blocks_read = 0;
};

TEST_F(StorySearchTest, FindsWhatBelongsToAMessageInFilesAndInMemory) {
  Tell(Arrival(1, 2, "q", Properties("m-1")));
  Tell(Arrival(9, 2, "q", Properties("other")));
  Store();
  Tell(Later(1, 2, StoryEvent::kDelivered));
  Store();
  Tell(Later(1, 2, StoryEvent::kAcked));
  const json found = Find({.message_id = "m-1"});
  ASSERT_THAT(found["stories"], SizeIs(1));
  const json& story = found["stories"][0];
  EXPECT_EQ(story["message_id"], "m-1");
  EXPECT_EQ(story["correlation_id"], "c-m-1");
  EXPECT_EQ(story["user"], "alice");
  EXPECT_EQ(story["id"], "0000000000000001");
  EXPECT_THAT(Kinds(story), ElementsAre("received", "delivered", "acked"));
  EXPECT_EQ(story["events"][2]["queue"], "q");
  EXPECT_EQ(story["events"][2]["time"], (1'700'000'000 + 4) * int64_t{1000});
  EXPECT_EQ(found["searched"]["complete"], true);
  EXPECT_EQ(found["searched"]["blocks"], 3);
}

TEST_F(StorySearchTest, FindsByEachThingAndByAllThatIsSaid) {
  Tell(Arrival(1, 2, "q", Properties("m-1", {{"tenant", "a"}, {"n", 5}, {"sure", true}})));
  Tell(Arrival(2, 3, "r", Properties("m-2", {{"tenant", "a"}})));
  const auto count = [&](const StoryWish& wish) { return Find(wish)["stories"].size(); };
  EXPECT_EQ(count({.message_id = "m-2"}), 1u);
  EXPECT_EQ(count({.correlation_id = "c-m-2"}), 1u);
  EXPECT_EQ(count({.queue = "q"}), 1u);
  EXPECT_EQ(count({.header = {{"tenant", "a"}}}), 2u);
  EXPECT_EQ(count({.header = {{"n", "5"}}}), 1u);
  EXPECT_EQ(count({.header = {{"sure", "true"}}}), 1u);
  EXPECT_EQ(count({.header = {{"tenant", "b"}}}), 0u);
  EXPECT_EQ(count({.header = {{"nothing", ""}}}), 0u);
  EXPECT_EQ(count({.header = {{"tenant", "a"}}, .queue = "r"}), 1u);
  EXPECT_EQ(count({.message_id = "m-1", .queue = "r"}), 0u);
  EXPECT_EQ(count({.vhost = "other", .message_id = "m-1"}), 0u);
}

TEST_F(StorySearchTest, FindsAllMessagesOfATrace) {
  const std::string trace = "0af7651916cd43dd8448eb211c80319c";
  Tell(Arrival(1, 2, "q", Properties("a", {{"traceparent", "00-" + trace + "-b7ad6b71-01"}})));
  Tell(Arrival(2, 2, "q", Properties("b", {{"traceparent", "00-" + trace + "-00f067aa-01"}})));
  Tell(Arrival(3, 2, "q",
               Properties("c", {{"traceparent", "00-" + std::string(32, '1') + "-1-1"}})));
  for (const std::string& by : {trace, "00-" + trace + "-b7ad6b71-01"}) {
    const json found = Find({.header = {{"traceparent", by}}});
    EXPECT_THAT(found["stories"], SizeIs(2)) << by;
    EXPECT_EQ(found["stories"][1]["traceparent"], "00-" + trace + "-b7ad6b71-01");
  }
}

TEST_F(StorySearchTest, JoinsWhatSeveralShardsTell) {
  Tell(Arrival(1, 2, "q", Properties("m-1")));
  Tell(Later(1, 2, StoryEvent::kDeadLettered, "rejected to dead"));
  Tell(Arrival(1, 3, "dead", Properties("m-1"), StoryEvent::kArrived), /*shard=*/2);
  const json found = Find({.queue = "dead"});
  ASSERT_THAT(found["stories"], SizeIs(1));
  EXPECT_THAT(Kinds(found["stories"][0]), ElementsAre("received", "dead_lettered", "arrived"));
  EXPECT_EQ(found["stories"][0]["events"][1]["reason"], "rejected");
  EXPECT_EQ(found["stories"][0]["events"][1]["to"], "dead");
}

TEST_F(StorySearchTest, LeavesOutQueuesThatMayNotBeRead) {
  Tell(Arrival(1, 2, "q", Properties("m-1")));
  Tell(Later(1, 2, StoryEvent::kDeadLettered));
  Tell(Arrival(1, 3, "dead", Properties("m-1"), StoryEvent::kArrived));
  Tell(Later(1, 3, StoryEvent::kAcked));
  secret = {"q"};
  const json found = Find({.message_id = "m-1"});
  ASSERT_THAT(found["stories"], SizeIs(1));
  EXPECT_THAT(Kinds(found["stories"][0]), ElementsAre("arrived", "acked"));
  EXPECT_THAT(Find({.queue = "q"})["stories"], IsEmpty());
  secret = {"q", "dead"};
  EXPECT_THAT(Find({.message_id = "m-1"})["stories"], IsEmpty());
}

TEST_F(StorySearchTest, DoesNotTellWhereStrangersComeFrom) {
  Tell(Arrival(1, 2, "q", Properties("m-1")));
  strangers = {"alice"};
  const std::string all = Find({.message_id = "m-1"}).dump();
  EXPECT_THAT(all, testing::Not(testing::HasSubstr("alice")));
  EXPECT_THAT(all, testing::Not(testing::HasSubstr("a -> b")));
}

TEST_F(StorySearchTest, GivesTheNewestAndNoMoreThanWanted) {
  for (broker::StoryId n = 1; n <= 100; ++n) {
    Tell(Arrival(n, 2, "q", Properties("m-" + std::to_string(n))));
    if (n % 10 == 0) Store();
  }
  blocks_read = 0;
  const json found = Find({.queue = "q", .limit = 3});
  std::vector<std::string> ids;
  for (const json& story : found["stories"]) ids.push_back(story["message_id"]);
  EXPECT_THAT(ids, ElementsAre("m-100", "m-99", "m-98"));
  EXPECT_EQ(found["searched"]["complete"], true);
  EXPECT_LT(blocks_read, 8u);
}

TEST_F(StorySearchTest, SaysWhatItCouldNotRead) {
  Tell(Arrival(1, 2, "q", Properties("m-1")));
  Store();
  Tell(Later(1, 2, StoryEvent::kDelivered));
  Store();
  damaged = {1};
  json found = Find({.message_id = "m-1"});
  EXPECT_THAT(Kinds(found["stories"][0]), ElementsAre("received"));
  EXPECT_EQ(found["searched"]["complete"], false);
  EXPECT_EQ(found["searched"]["unreadable"], 1);
  gone = {0};
  found = Find({.message_id = "m-1"});
  EXPECT_THAT(found["stories"], IsEmpty());
  EXPECT_EQ(found["searched"]["unreadable"], 2);
}

TEST_F(StorySearchTest, SaysThatTimeWasUp) {
  Tell(Arrival(1, 2, "q", Properties("m-1")));
  Store();
  Tell(Arrival(2, 2, "q", Properties("m-2")));
  const json found = Find({.message_id = "m-1"}, /*steps=*/1);
  EXPECT_THAT(found["stories"], IsEmpty());
  EXPECT_EQ(found["searched"]["complete"], false);
  EXPECT_EQ(found["searched"]["blocks"], 1);
  EXPECT_EQ(found["searched"]["blocks_in_all"], 2);
}

TEST_F(StorySearchTest, KeepsOnlySoManyEventsAndWhereAMessageCameTo) {
  Tell(Arrival(1, 2, "q", Properties("m-1")));
  for (int n = 0; n < 2000; ++n) Tell(Later(1, 2, StoryEvent::kRequeued));
  Tell(Later(1, 2, StoryEvent::kAcked));
  const json found = Find({.message_id = "m-1"});
  const json& story = found["stories"][0];
  EXPECT_LE(story["events"].size(), 502u);
  EXPECT_EQ(story["events"][0]["kind"], "received");
  EXPECT_EQ(story["events"].back()["kind"], "acked");
  EXPECT_EQ(story["events_left_out"].get<size_t>() + story["events"].size(), 2002u);
}

TEST_F(StorySearchTest, FindsNothingInNothing) {
  const json found = Find({.message_id = "m-1"});
  EXPECT_THAT(found["stories"], IsEmpty());
  EXPECT_EQ(found["searched"]["complete"], true);
}

TEST(StoryWish, IsReadOrRefused) {
  const auto read = [](std::vector<std::pair<std::string, std::string>> parameters) {
    Query query;
    for (auto& [name, value] : parameters) query.Add(name, value);
    return ReadStoryWish(query);
  };
  const auto wish = read({{"message_id", "m"}, {"header", "a:b:c"}, {"limit", "200"}});
  ASSERT_TRUE(wish);
  EXPECT_EQ(wish->vhost, "/");
  EXPECT_EQ(wish->message_id, "m");
  EXPECT_EQ(wish->header, std::pair(std::string("a"), std::string("b:c")));
  EXPECT_EQ(wish->limit, 200u);
  EXPECT_FALSE(read({}));
  EXPECT_FALSE(read({{"vhost", "/"}, {"limit", "5"}}));
  for (const char* limit : {"0", "201", "-1", "x", "", "5x", "99999999999999999999"})
    EXPECT_FALSE(read({{"queue", "q"}, {"limit", limit}})) << limit;
  for (const char* header : {"", "name", ":value"}) EXPECT_FALSE(read({{"header", header}}));
}

}  // namespace
}  // namespace landfall::admin
