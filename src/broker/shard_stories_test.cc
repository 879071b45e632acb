// What a shard tells of messages that are traced.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "amqp/properties.h"
#include "broker/shard_testing.h"
#include "storage/memory_output.h"

namespace landfall::broker {
namespace {

using std::chrono::milliseconds;
using testing::AllOf;
using testing::Each;
using testing::ElementsAre;
using testing::Field;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

constexpr QueueId kQueue = 2;
constexpr QueueId kDead = 3;
constexpr StoryId kStory = 77;

class ShardStories : public testing::Test {
 protected:
  // Queue 2 traces everything; its dead letters go to queue 3, which traces next to nothing.
  void Declare(QueueConfig config = {}, ShardId shard_of_dead = 1) {
    config.trace = 1;
    config.dead_letter_exchange = "";
    config.dead_letter_routing_key = "dead";
    ports.AddQueue(kQueue, 1, "q", std::move(config));
    ports.AddQueue(kDead, shard_of_dead, "dead", {.trace = 1e-9});
    driver.shard.Start(0, /*epoch=*/1, driver.now);
  }
  void Publish(MessageRef message, std::vector<QueueId> queues = {kQueue}) {
    PublishCommand c{.publish_seq = ++driver.publish_seq, .message = std::move(message)};
    c.queues.assign(queues.begin(), queues.end());
    c.origin = new Origin("alice", "a -> b");
    c.story = kStory;
    driver.Do(std::move(c));
    Settle();
  }
  void Consume(bool no_ack = false) {
    driver.Do(ConsumeCommand{.channel = 1,
                             .consumer = ++consumer,
                             .queue = kQueue,
                             .no_ack = no_ack,
                             .credit = {1000, 1 << 20},
                             .origin = new Origin("bob", "c -> d", "tag")});
    Settle();
  }
  void Settle() {
    driver.Flush();
    driver.Land();
    driver.Land();
  }
  void Answer(Settlement kind) {
    driver.Settle(kind, ports.Take<Deliver>().at(0));
    Settle();
  }
  static std::vector<StoryRecord> Told(const Shard& shard) {
    std::vector<StoryRecord> told;
    for (const StoryChunk& chunk : shard.Stories().chunks) {
      auto some = ReadStories(*chunk.bytes);
      EXPECT_TRUE(some);
      told.insert(told.end(), some->begin(), some->end());
    }
    return told;
  }
  std::vector<StoryRecord> Told() { return Told(driver.shard); }
  static std::vector<std::string> Events(const std::vector<StoryRecord>& told) {
    std::vector<std::string> events;
    for (const StoryRecord& r : told) events.emplace_back(NameOf(r.event));
    return events;
  }
  std::vector<std::string> Events() { return Events(Told()); }
  StoryRecord Last() { return Told().back(); }

  FakePorts ports;
  ShardDriver driver{ports};
  ConsumerId consumer = 0;
};

TEST_F(ShardStories, TellFromWhomAMessageCameAndWhoHasIt) {
  Declare();
  Consume();
  Publish(PersistentMessage("four"));
  const auto told = Told();
  ASSERT_THAT(Events(told), ElementsAre("received", "landed", "delivered"));
  EXPECT_EQ(told[0].user, "alice");
  EXPECT_EQ(told[0].connection, "a -> b");
  EXPECT_EQ(told[0].vhost, "/");
  EXPECT_EQ(told[0].queue_name, "q");
  EXPECT_EQ(told[0].routing_key, "q");
  EXPECT_EQ(told[0].detail, "named by its routing key");
  EXPECT_EQ(told[0].body_bytes, 4u);
  EXPECT_EQ(told[0].properties, PersistentMessage("")->properties());
  EXPECT_EQ(told[1].batch, 1u);
  EXPECT_EQ(told[1].lsn, 7u);
  EXPECT_EQ(told[2].user, "bob");
  EXPECT_EQ(told[2].consumer, "tag");
  EXPECT_EQ(told[2].attempt, 1u);
  EXPECT_THAT(told, Each(Field(&StoryRecord::story, kStory)));
  EXPECT_THAT(told, Each(Field(&StoryRecord::sequence, 1u)));
  Answer(Settlement::kAck);
  EXPECT_EQ(Last().event, StoryEvent::kAcked);
}

TEST_F(ShardStories, AreNotToldWhereNobodyAskedForThem) {
  ports.AddQueue(kQueue, 1, "q");
  driver.shard.Start(0, 1, driver.now);
  Consume();
  Publish(PersistentMessage("a"));
  Answer(Settlement::kAck);
  EXPECT_THAT(Events(), IsEmpty());
}

TEST_F(ShardStories, TellOfWhatNeedsNoAck) {
  Declare();
  Consume(/*no_ack=*/true);
  Publish(PersistentMessage("a"));
  EXPECT_THAT(Events(), ElementsAre("received", "landed", "delivered", "acked"));
}

TEST_F(ShardStories, TellThatATransientMessageIsInMemoryOnly) {
  Declare();
  Publish(TransientMessage("a"));
  ASSERT_THAT(Events(), ElementsAre("received", "landed"));
  EXPECT_EQ(Last().batch, 0u);
  EXPECT_THAT(Last().detail, HasSubstr("in memory only"));
}

TEST_F(ShardStories, TellUntilWhenAMessageRestsAfterAFailure) {
  QueueConfig config;
  config.retry_type = RetryType::kAll;
  config.backoff = {.first = milliseconds(500), .jitter = 0};
  Declare(config);
  Consume();
  Publish(PersistentMessage("a"));
  Answer(Settlement::kReturn);
  ASSERT_EQ(Last().event, StoryEvent::kReturned);
  EXPECT_EQ(Last().attempt, 1u);
  EXPECT_EQ(Last().until, driver.now + milliseconds(500));
  driver.Pass(milliseconds(500));
  Settle();
  ASSERT_EQ(Last().event, StoryEvent::kDelivered);
  EXPECT_EQ(Last().attempt, 2u);
  EXPECT_EQ(Last().detail, "as a repeat");
}

TEST_F(ShardStories, TellEachWayBack) {
  Declare();
  Consume();
  Publish(PersistentMessage("a"));
  Answer(Settlement::kRequeue);
  Answer(Settlement::kRelease);
  driver.Do(CloseChannelCommand{.channel = 1});
  Settle();
  EXPECT_THAT(Events(), ElementsAre("received", "landed", "delivered", "requeued", "delivered",
                                    "released", "delivered", "consumer_gone"));
}

TEST_F(ShardStories, TellThatALeaseHasRunOut) {
  Declare({.consumer_timeout = milliseconds(100)});
  Consume();
  Publish(PersistentMessage("a"));
  driver.Pass(milliseconds(100));
  Settle();
  EXPECT_THAT(Events(),
              ElementsAre("received", "landed", "delivered", "lease_expired", "delivered"));
}

// Whatever the share of the queue that it comes to.
TEST_F(ShardStories, GoOnInTheQueueOfDeadLetters) {
  Declare();
  Consume();
  Publish(PersistentMessage("a"));
  Answer(Settlement::kReject);
  const auto told = Told();
  EXPECT_THAT(Events(told), ElementsAre("received", "landed", "delivered", "rejected", "arrived",
                                        "dead_lettered", "landed"));
  EXPECT_THAT(told, Each(Field(&StoryRecord::story, kStory)));
  EXPECT_EQ(told[4].queue_name, "dead");
  EXPECT_EQ(told[5].queue, kQueue);
  EXPECT_EQ(told[5].detail, "rejected to dead");
  EXPECT_EQ(told[5].routing_key, "dead");
}

TEST_F(ShardStories, GoOnInAnotherShardAlsoAfterARestart) {
  Declare({}, /*shard_of_dead=*/2);
  Consume();
  Publish(PersistentMessage("a"));
  Answer(Settlement::kReject);
  ASSERT_THAT(ports.commands, SizeIs(1));
  EXPECT_EQ(std::get<TransferCommand>(ports.commands[0].second.body).story, kStory);

  FakePorts fresh_ports;
  fresh_ports.snapshot = ports.snapshot;
  ShardDriver fresh(fresh_ports);
  for (const auto& batch : ports.batches) ASSERT_TRUE(fresh.shard.RecoverBatch(batch.entries));
  fresh.shard.Start(driver.shard.last_shard_seq(), /*epoch=*/2, driver.now);
  fresh.Flush();
  fresh.Land();
  ASSERT_THAT(fresh_ports.commands, SizeIs(1));
  EXPECT_EQ(std::get<TransferCommand>(fresh_ports.commands[0].second.body).story, kStory);
}

TEST_F(ShardStories, ComeFromAnotherShard) {
  Declare();
  driver.Do(TransferCommand{.source = 2,
                            .transfer_seq = 1,
                            .lowest_unsettled = 1,
                            .message = PersistentMessage("a"),
                            .story = kStory,
                            .queues = {kDead}});
  Settle();
  ASSERT_THAT(Events(), ElementsAre("arrived", "landed"));
  EXPECT_EQ(Told()[0].story, kStory);
}

TEST_F(ShardStories, TellWhatExpiredAndWhatHadNowhereToGo) {
  ports.AddQueue(kQueue, 1, "q", {.message_ttl = milliseconds(100), .trace = 1});
  driver.shard.Start(0, 1, driver.now);
  Publish(PersistentMessage("a"));
  driver.Pass(milliseconds(100));
  ASSERT_THAT(Events(), ElementsAre("received", "landed", "dropped"));
  EXPECT_EQ(Last().detail, "expired");
}

TEST_F(ShardStories, TellWhyAPublishWasNotTaken) {
  Declare({.max_length = 1, .overflow = Overflow::kRejectPublish});
  Publish(PersistentMessage("a"));
  Publish(PersistentMessage("b"));
  ASSERT_EQ(Last().event, StoryEvent::kRefused);
  EXPECT_EQ(Last().sequence, 0u);
  EXPECT_EQ(Last().user, "alice");
}

TEST_F(ShardStories, EndWithAPurgeAndWithTheQueue) {
  Declare();
  Publish(PersistentMessage("a"));
  driver.Do(PurgeCommand{.channel = 1, .queue = kQueue});
  Settle();
  EXPECT_EQ(Last().event, StoryEvent::kPurged);
  Publish(PersistentMessage("b"));
  driver.Do(SealQueueCommand{.queue = kQueue});
  driver.Do(DropQueueCommand{.queue = kQueue});
  Settle();
  EXPECT_EQ(Last().event, StoryEvent::kQueueDeleted);
  EXPECT_EQ(Last().sequence, 2u);
}

TEST_F(ShardStories, NameTheBindings) {
  Declare();
  Exchange exchange;
  exchange.name = "events";
  exchange.type = ExchangeType::kTopic;
  for (const char* key : {"orders.*", "#", "invoices.*"}) {
    Binding binding{.source = "events", .queue = {kQueue, 1}, .routing_key = key};
    exchange.Add(std::make_shared<const Binding>(std::move(binding)));
  }
  ports.AddExchange(std::move(exchange));
  Publish(Message::Make("events", "orders.new", ByteView("\x10\0\2", 3), "a", true));
  EXPECT_THAT(Told()[0].detail, AllOf(HasSubstr("'orders.*'"), HasSubstr("'#'")));
  EXPECT_THAT(Told()[0].detail, testing::Not(HasSubstr("invoices")));
}

TEST_F(ShardStories, KeepNoMoreHeadersThanABatchHasRoomFor) {
  std::vector<QueueId> queues;
  for (QueueId id = 10; id < 1010; ++id) {
    ports.AddQueue(id, 1, "q" + std::to_string(id), {.trace = 1});
    queues.push_back(id);
  }
  driver.shard.Start(0, 1, driver.now);
  amqp::Properties properties;
  properties.delivery_mode = amqp::kPersistent;
  properties.headers = amqp::Table{{"fill", std::string(8000, '.')}};
  ByteBuffer headers;
  ByteBuffer encoded;
  amqp::AppendProperties(encoded, properties.View(headers));
  Publish(Message::Make("", "q", encoded, "a", true), queues);
  EXPECT_LT(driver.shard.Stories().chunks.front().bytes->size(), size_t{1} << 20);
  size_t bytes = 0;
  for (const auto& batch : ports.batches) bytes += batch.entries.size();
  EXPECT_LT(bytes, size_t{2} << 20);
  EXPECT_THAT(Told(), SizeIs(2000));
}

class ShardStoriesOverARestart : public ShardStories, public testing::WithParamInterface<bool> {
 protected:
  // As the journal, or a checkpoint, has it.
  void Restart(ShardDriver& fresh) {
    if (GetParam()) {
      storage::MemoryOutput out;
      ASSERT_TRUE(driver.shard.Checkpoint().second(out));
      ASSERT_TRUE(fresh.shard.RecoverCheckpoint(out.bytes, true));
      EXPECT_THAT(out.files, IsEmpty());
    } else {
      for (const auto& batch : ports.batches) ASSERT_TRUE(fresh.shard.RecoverBatch(batch.entries));
    }
    fresh.now = driver.now;
    fresh.shard.Start(driver.shard.last_shard_seq(), /*epoch=*/2, fresh.now);
    fresh.Flush();
    fresh.Land();
  }
};
INSTANTIATE_TEST_SUITE_P(FromJournalOrCheckpoint, ShardStoriesOverARestart, testing::Bool());

TEST_P(ShardStoriesOverARestart, AreThereAndGoOn) {
  Declare();
  Publish(PersistentMessage("a"));
  const auto before = Told();
  FakePorts fresh_ports;
  fresh_ports.snapshot = ports.snapshot;
  ShardDriver fresh(fresh_ports);
  Restart(fresh);
  EXPECT_EQ(Told(fresh.shard), before);
  fresh.Consume(1, kQueue);
  fresh.Flush();
  fresh.Settle(Settlement::kAck, fresh_ports.Take<Deliver>().at(0));
  fresh.Flush();
  const auto told = Told(fresh.shard);
  EXPECT_THAT(Events(told), ElementsAre("received", "landed", "delivered", "acked"));
  EXPECT_THAT(told, Each(Field(&StoryRecord::story, kStory)));
}

TEST_P(ShardStoriesOverARestart, TellWhatHasNotSurvivedIt) {
  Declare();
  Publish(TransientMessage("a"));
  FakePorts fresh_ports;
  fresh_ports.snapshot = ports.snapshot;
  ShardDriver fresh(fresh_ports);
  Restart(fresh);
  const auto told = Told(fresh.shard);
  ASSERT_THAT(Events(told), ElementsAre("received", "landed", "lost"));
  EXPECT_EQ(told.back().detail, "not there after a restart");
}

TEST_P(ShardStoriesOverARestart, OutliveTheirQueue) {
  Declare();
  Publish(PersistentMessage("a"));
  FakePorts fresh_ports;
  fresh_ports.AddQueue(kDead, 1, "dead");
  ShardDriver fresh(fresh_ports);
  Restart(fresh);
  EXPECT_THAT(Events(Told(fresh.shard)), ElementsAre("received", "landed"));
}

TEST_F(ShardStories, GoToFilesWithACheckpointWhenTheyAreMany) {
  Declare();
  for (int n = 0; n < 1000; ++n) Publish(PersistentMessage("a"));
  storage::MemoryOutput out;
  // What they take counts where memory runs short.
  const uint64_t unstored = driver.shard.unstored_bytes();
  driver.shard.ReleaseMemory();
  EXPECT_TRUE(driver.shard.wants_checkpoint());
  const auto [seq, source] = driver.shard.Checkpoint();
  ASSERT_TRUE(source(out));
  driver.shard.OnCheckpointSaved(seq, driver.now);
  const StoryView view = driver.shard.Stories();
  EXPECT_THAT(view.chunks, IsEmpty());
  EXPECT_GT(unstored, driver.shard.unstored_bytes() + (uint64_t{64} << 10));
  ASSERT_FALSE(view.blocks.empty());
  size_t told = 0;
  for (const StoryBlock& block : view.blocks) {
    const auto some = ReadStories(out.Read(block.file, block.place));
    ASSERT_TRUE(some);
    told += some->size();
  }
  EXPECT_EQ(told, 2000u);

  FakePorts fresh_ports;
  fresh_ports.snapshot = ports.snapshot;
  ShardDriver fresh(fresh_ports);
  ASSERT_TRUE(fresh.shard.RecoverCheckpoint(out.bytes, true));
  fresh.shard.Start(seq, /*epoch=*/2, driver.now);
  EXPECT_EQ(fresh.shard.Stories().blocks.size(), view.blocks.size());
  EXPECT_THAT(Told(fresh.shard), IsEmpty());
  // They name the files, which would go otherwise.
  EXPECT_THAT(fresh.shard.BacklogFiles(), testing::Contains(view.blocks.front().file));
}

}  // namespace
}  // namespace landfall::broker
