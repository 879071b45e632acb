// Deep queues: messages go to backlog files with a checkpoint and come back when somebody wants
// them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "amqp/properties.h"
#include "broker/shard_testing.h"
#include "storage/memory_output.h"

namespace landfall::broker {
namespace {

using std::chrono::milliseconds;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

constexpr QueueId kQueue = 2;

// A shard, and its backlog files as they would be on a disk.
class ShardBacklog : public testing::Test {
 protected:
  struct Life {
    explicit Life(const ShardOptions& options, const FakePorts* before = nullptr)
        : shard(1, 1, ports, options) {
      if (before != nullptr) ports.snapshot = before->snapshot;
    }
    FakePorts ports;
    Shard shard;
  };

  ShardBacklog() {
    life->ports.AddQueue(kQueue, 1, "q");
    life->shard.Start(0, /*epoch=*/1, now);
  }

  ~ShardBacklog() override {
    life->shard.CheckLedgers();
    EXPECT_THAT(life->ports.unbalanced, IsEmpty());
  }

  void Do(CommandBody body) {
    life->shard.Execute({.session = kSession, .topology_version = 0, .body = std::move(body)}, now);
    Settle();
  }
  // Everything lands and everything that is asked for is read.
  void Settle() {
    do {
      life->shard.Flush(now);
      life->shard.OnDurable(life->shard.last_shard_seq(), /*lsn=*/7, now);
      auto reads = std::exchange(life->ports.reads, {});
      for (const auto& read : reads) {
        ++blocks_read;
        auto bytes = damaged || damaged_reads-- > 0
                         ? Result<ByteBuffer>(Fail(ErrorCode::kCorrupt, "a flipped bit"))
                         : Result<ByteBuffer>(disk.Read(read.file, read.place));
        life->shard.OnBlockRead(read.token, std::move(bytes), now);
      }
      life->shard.Flush(now);
    } while (!life->ports.reads.empty());
  }
  void Publish(int count, const std::string& expiration = "", QueueId queue = kQueue) {
    for (int i = 0; i < count; ++i) {
      amqp::Properties properties;
      properties.delivery_mode = amqp::kPersistent;
      if (!expiration.empty()) properties.expiration = expiration;
      ByteBuffer buffer;
      ByteBuffer encoded;
      amqp::AppendProperties(encoded, properties.View(buffer));
      PublishCommand c{
          .publish_seq = ++publish_seq,
          .message = Message::Make("", "q", encoded, std::to_string(++last) + padding, true)};
      c.queues.push_back(queue);
      Do(std::move(c));
    }
  }
  void Configure(const QueueConfig& config) {
    life->ports.AddQueue(kQueue, 1, "q", config);
    Do(ConfigureQueueCommand{.queue = kQueue});
  }
  // A checkpoint that is saved.
  void Save() {
    auto [seq, source] = life->shard.Checkpoint();
    disk.bytes.clear();
    ASSERT_TRUE(source(disk));
    checkpoint = {seq, disk.bytes};
    life->shard.OnCheckpointSaved(seq, now);
    Settle();
    for (const uint64_t file : std::exchange(life->ports.dropped_files, {})) disk.files.erase(file);
  }
  // What was not landed is nothing here: everything is.
  void Restart() {
    auto next = std::make_unique<Life>(options, &life->ports);
    ASSERT_TRUE(next->shard.RecoverCheckpoint(checkpoint.second, true));
    for (const auto& batch : life->ports.batches) {
      if (batch.shard_seq > checkpoint.first) {
        ASSERT_TRUE(next->shard.RecoverBatch(batch.entries));
      }
    }
    next->ports.batches = life->ports.batches;
    const uint64_t seq = life->shard.last_shard_seq();
    life = std::move(next);
    life->shard.Start(seq, /*epoch=*/2, now);
    Settle();
  }
  void Consume(uint32_t prefetch = 0, bool no_ack = false) {
    Do(ConsumeCommand{.channel = 1,
                      .consumer = ++consumer,
                      .queue = kQueue,
                      .no_ack = no_ack,
                      .prefetch = prefetch,
                      .credit = {100'000, 1 << 30}});
  }
  void Settle(Settlement kind, const Deliver& d) {
    Do(SettleCommand{.kind = kind,
                     .channel = d.channel,
                     .consumer = d.consumer,
                     .attempt = d.attempt,
                     .queue = d.queue,
                     .first = d.sequence,
                     .last = d.sequence});
  }
  std::vector<int> Delivered() {
    std::vector<int> numbers;
    for (const Deliver& d : life->ports.Take<Deliver>()) {
      numbers.push_back(std::stoi(std::string(d.message->body())));
    }
    return numbers;
  }
  static std::vector<int> Numbers(int first, int last) {
    std::vector<int> numbers;
    for (int n = first; n <= last; ++n) numbers.push_back(n);
    return numbers;
  }
  const Queue& queue() { return *life->shard.FindQueue(kQueue); }

  static constexpr SessionId kSession = 1024;
  Time now{Duration(1'000'000'000)};
  ShardOptions options{
      .unstored_bytes = 0, .resident_messages = 2, .dead_bytes = 0, .read_ahead_bytes = 0};
  std::unique_ptr<Life> life = std::make_unique<Life>(options);
  storage::MemoryOutput disk;
  std::pair<uint64_t, ByteBuffer> checkpoint;
  uint64_t publish_seq = 0;
  int last = 0;
  ConsumerId consumer = 0;
  int blocks_read = 0;
  // So that a block holds few of them.
  std::string padding = " " + std::string(20'000, '.');
  bool damaged = false;
  int damaged_reads = 0;  // so many fail
};

TEST_F(ShardBacklog, MessagesLeaveMemoryWithACheckpointAndComeBackInOrder) {
  Publish(100);
  EXPECT_TRUE(life->shard.wants_checkpoint());
  Save();
  EXPECT_FALSE(life->shard.wants_checkpoint());
  EXPECT_GT(queue().resting(), 0u);
  EXPECT_EQ(queue().ready(), 100u);
  EXPECT_EQ(queue().size(), 100u);
  Publish(10);
  Consume();
  EXPECT_EQ(Delivered(), Numbers(1, 110));
  EXPECT_GT(blocks_read, 0);
}

TEST_F(ShardBacklog, ARestartReadsNoMessageThatNobodyWants) {
  Publish(100);
  Save();
  Publish(10);
  Restart();
  EXPECT_EQ(blocks_read, 0);
  EXPECT_EQ(queue().resting(), 100u);
  EXPECT_EQ(queue().ready(), 110u);
  Consume();
  EXPECT_EQ(Delivered(), Numbers(1, 110));
}

// What has come since is in memory as well, behind it.
TEST_F(ShardBacklog, WhatRestsComesHoweverMuchIsInMemory) {
  Publish(100);
  Save();
  padding = " ";
  Publish(5000);
  for (const bool restarted : {false, true}) {
    if (restarted) Restart();
    blocks_read = 0;
    Consume(1);
    EXPECT_EQ(Delivered(), Numbers(1, 1));
    EXPECT_LE(blocks_read, 2);
  }
  Consume();
  EXPECT_THAT(Delivered(), SizeIs(5099));
}

TEST_F(ShardBacklog, WhatWasAckedStaysGone) {
  Publish(100);
  Save();
  Consume(0, /*no_ack=*/false);
  auto deliveries = life->ports.Take<Deliver>();
  ASSERT_THAT(deliveries, SizeIs(100));
  for (size_t i = 0; i < 100; i += 2) Settle(Settlement::kAck, deliveries[i]);
  for (const bool saved : {false, true}) {
    if (saved) Save();
    Restart();
    EXPECT_EQ(queue().ready(), 50u);
    Consume();
    std::vector<int> even;
    for (int n = 2; n <= 100; n += 2) even.push_back(n);
    EXPECT_EQ(Delivered(), even);
  }
}

TEST_F(ShardBacklog, AFileGoesWhenACheckpointNamesItNoLonger) {
  Publish(100);
  Save();
  ASSERT_THAT(disk.files, SizeIs(1));
  Consume(0, /*no_ack=*/true);
  EXPECT_TRUE(life->shard.wants_checkpoint());
  EXPECT_THAT(disk.files, SizeIs(1));
  Save();
  EXPECT_THAT(disk.files, IsEmpty());
}

TEST_F(ShardBacklog, AFailedDeliveryIsRememberedOverARestart) {
  QueueConfig config;
  config.retry_type = RetryType::kAll;
  config.backoff.first = config.backoff.cap = milliseconds(1000);
  life->ports.AddQueue(3, 1, "unused");
  Publish(10);
  Save();
  Consume();
  const auto deliveries = life->ports.Take<Deliver>();
  Settle(Settlement::kReturn, deliveries[4]);
  ASSERT_THAT(Delivered(), ElementsAre(5));
  Restart();
  Consume();
  const auto again = life->ports.Take<Deliver>();
  ASSERT_THAT(again, SizeIs(10));
  for (const Deliver& d : again) EXPECT_TRUE(d.redelivered);
}

TEST_F(ShardBacklog, AGetWaitsForItsBlock) {
  Publish(100);
  Save();
  Restart();
  Do(GetCommand{.channel = 1, .queue = kQueue, .no_ack = true});
  const auto got = life->ports.Take<Got>();
  ASSERT_THAT(got, SizeIs(1));
  ASSERT_NE(got[0].message, nullptr);
  EXPECT_EQ(std::stoi(std::string(got[0].message->body())), 1);
  EXPECT_EQ(got[0].ready_left, 99u);
}

TEST_F(ShardBacklog, APurgeTakesWhatRestsAsWell) {
  Publish(100);
  Save();
  Do(PurgeCommand{.channel = 1, .queue = kQueue});
  EXPECT_EQ(life->ports.Take<Purged>().at(0).messages, 100u);
  EXPECT_EQ(queue().size(), 0u);
  Restart();
  EXPECT_EQ(queue().ready(), 0u);
  EXPECT_EQ(queue().size(), 0u);
}

TEST_F(ShardBacklog, WhatRestsExpiresInTime) {
  Publish(50, "1000");
  Publish(50);
  Save();
  Restart();
  now += milliseconds(999);
  life->shard.OnTick(now);
  Settle();
  EXPECT_EQ(queue().ready(), 100u);
  now += milliseconds(1);
  life->shard.OnTick(now);
  Settle();
  EXPECT_EQ(queue().ready(), 50u);
  Consume();
  EXPECT_EQ(Delivered(), Numbers(51, 100));
}

TEST_F(ShardBacklog, ABlockThatCannotBeReadIsReportedAndTheRestGoesOn) {
  Publish(100);
  Save();
  Publish(5);
  damaged = true;
  Consume();
  EXPECT_EQ(life->ports.damaged, life->shard.ledger().Left(LeaveReason::kQuarantined));
  EXPECT_GT(life->ports.damaged, 0u);
  const std::vector<int> delivered = Delivered();
  EXPECT_EQ(delivered.size(), 105 - life->ports.damaged);
  EXPECT_EQ(delivered.back(), 105);
}

TEST_F(ShardBacklog, LimitsCountWhatRestsUntilItIsGone) {
  const uint64_t limit = 3'000'000;
  Configure({.max_length_bytes = limit});
  for (const bool restarted : {false, true}) {
    Publish(120);
    Save();
    if (restarted) Restart();
    EXPECT_GT(queue().resting(), 0u);
    Publish(120);  // more than fits: the first ones go
    EXPECT_LE(queue().ready(), limit / 20'000 + 1);
    EXPECT_GE(queue().ready(), limit / 20'100 - 1);
    Do(PurgeCommand{.channel = 1, .queue = kQueue});
    EXPECT_EQ(queue().size(), 0u);
    Publish(140);
    EXPECT_EQ(queue().ready(), 140u);
    Do(PurgeCommand{.channel = 1, .queue = kQueue});
  }
}

TEST_F(ShardBacklog, WhatIsLeftOfABlockRestsAgainWhenSomethingInItHasExpired) {
  for (int i = 0; i < 50; ++i) {
    Publish(1, "1000");
    Publish(1);
  }
  Save();
  now += milliseconds(1000);
  life->shard.OnTick(now);
  Settle();
  EXPECT_EQ(queue().ready(), 50u);
  Save();
  const uint64_t resting = queue().resting();
  EXPECT_GT(resting, 30u);
  blocks_read = 0;
  Publish(1);  // looks when the next one expires
  life->shard.OnTick(now);
  Settle();
  EXPECT_EQ(blocks_read, 0);
  EXPECT_EQ(queue().resting(), resting);
}

TEST_F(ShardBacklog, AfterACheckpointThatFailedTheDiskHasTimeToGetRoom) {
  Publish(100);
  EXPECT_TRUE(life->shard.wants_checkpoint());
  life->shard.Checkpoint();
  life->shard.OnCheckpointFailed(now);
  EXPECT_FALSE(life->shard.wants_checkpoint());
  now += std::chrono::seconds(10);
  life->shard.OnTick(now);
  EXPECT_TRUE(life->shard.wants_checkpoint());
  Save();
  EXPECT_GT(queue().resting(), 0u);
}

TEST_F(ShardBacklog, AGetGoesOnBehindWhatCannotBeRead) {
  Publish(100);
  Save();
  Restart();
  damaged_reads = 3;
  Do(GetCommand{.channel = 1, .queue = kQueue, .no_ack = true});
  const auto got = life->ports.Take<Got>();
  ASSERT_THAT(got, SizeIs(1));
  ASSERT_NE(got[0].message, nullptr);
  EXPECT_GT(life->ports.damaged, 0u);
}

TEST_F(ShardBacklog, AShardThatIsAskedToLetsEvenLittleGo) {
  options = {};
  Restart();
  padding = " ";
  Publish(2);
  EXPECT_FALSE(life->shard.wants_checkpoint());
  life->shard.ReleaseMemory();
  EXPECT_TRUE(life->shard.wants_checkpoint());
  Save();
  EXPECT_FALSE(life->shard.wants_checkpoint());
  EXPECT_EQ(life->shard.unstored_bytes(), 0u);
  EXPECT_THAT(disk.files, SizeIs(1));
  life->shard.ReleaseMemory();
  EXPECT_FALSE(life->shard.wants_checkpoint());
}

TEST_F(ShardBacklog, SpaceComesBackWhenHalfOfAFileIsDead) {
  Publish(100);
  Save();
  ASSERT_THAT(disk.files, SizeIs(1));
  const size_t full = disk.files.begin()->second.size();
  Consume();
  const auto deliveries = life->ports.Take<Deliver>();
  for (int n = 1; n <= 100; ++n) {
    if (n % 3 != 0) Settle(Settlement::kAck, deliveries[static_cast<size_t>(n - 1)]);
  }
  EXPECT_TRUE(life->shard.wants_checkpoint());
  Save();
  ASSERT_THAT(disk.files, SizeIs(1));
  EXPECT_LT(disk.files.begin()->second.size(), full * 2 / 5);
  std::vector<int> third;
  for (int n = 3; n <= 100; n += 3) third.push_back(n);
  // Not all over again while nothing more goes.
  const uint64_t file = disk.files.begin()->first;
  Publish(1);
  Save();
  EXPECT_TRUE(disk.files.contains(file));
  third.push_back(101);
  Restart();
  EXPECT_EQ(queue().ready(), 34u);
  Consume();
  EXPECT_EQ(Delivered(), third);
}

TEST_F(ShardBacklog, AFileThatIsHalfDeadAndCannotBeReadStaysWhereItIs) {
  Publish(100);
  Save();
  const auto before = disk.files;
  Consume();
  const auto deliveries = life->ports.Take<Deliver>();
  for (int n = 0; n < 80; ++n) Settle(Settlement::kAck, deliveries[static_cast<size_t>(n)]);
  disk.damaged.insert(before.begin()->first);
  Save();
  EXPECT_EQ(disk.files, before);
  Restart();
  Consume();
  EXPECT_EQ(Delivered(), Numbers(81, 100));
}

// The other files, which nothing names any more, would make room.
TEST_F(ShardBacklog, WithoutRoomACheckpointLeavesHalfDeadFilesAlone) {
  Publish(100);
  Save();
  Consume();
  const auto deliveries = life->ports.Take<Deliver>();
  for (int n = 0; n < 80; ++n) Settle(Settlement::kAck, deliveries[static_cast<size_t>(n)]);
  disk.full = true;
  auto [seq, source] = life->shard.Checkpoint();
  EXPECT_FALSE(source(disk));
  life->shard.OnCheckpointFailed(now);
  now += std::chrono::seconds(10);
  life->shard.OnTick(now);
  Save();
  EXPECT_THAT(disk.files, SizeIs(1));
  // With room again the next one takes them.
  disk.full = false;
  const size_t before = disk.files.begin()->second.size();
  Publish(1);
  Save();
  ASSERT_THAT(disk.files, SizeIs(1));
  EXPECT_LT(disk.files.begin()->second.size(), before / 2);
}

TEST_F(ShardBacklog, LimitsCountWhatIsLeftOfAFileThatWasHalfDead) {
  Configure({.max_length_bytes = 100'000'000});
  Publish(200);
  Save();
  Consume();
  const auto deliveries = life->ports.Take<Deliver>();
  for (size_t n = 0; n < 200; ++n) {
    if (n % 10 != 0) Settle(Settlement::kAck, deliveries[n]);
  }
  Do(CloseChannelCommand{});
  Save();
  Restart();
  // 20 are left: one more than fits makes the first one go.
  Configure({.max_length_bytes = 420'000});
  Publish(2);
  EXPECT_LE(queue().ready(), 21u);
  EXPECT_GE(queue().ready(), 20u);
}

// Nobody reads as far ahead for one message as for a stream of them.
TEST_F(ShardBacklog, AGetReadsOneBlock) {
  options.read_ahead_bytes = 1 << 20;
  Restart();
  Publish(100);
  Save();
  Restart();
  Do(GetCommand{.channel = 1, .queue = kQueue, .no_ack = true});
  EXPECT_THAT(life->ports.Take<Got>(), SizeIs(1));
  EXPECT_EQ(blocks_read, 1);
}

TEST_F(ShardBacklog, WhoConsumesHasWhatIsNextAtHandHoweverLittleMemoryThereIs) {
  options.resident_bytes = 1;
  options.resident_messages = 100;
  Restart();
  Publish(100);
  Consume(/*prefetch=*/1);
  Save();
  EXPECT_LT(queue().resting(), 99u);
  EXPECT_GT(queue().resting(), 80u);
}

TEST_F(ShardBacklog, ABlockIsReadWhereACheckpointHasPutItMeanwhile) {
  Publish(100);
  Save();
  Restart();
  Consume(/*prefetch=*/60);
  for (const Deliver& d : life->ports.Take<Deliver>()) Settle(Settlement::kAck, d);
  Save();
  std::vector<int> left = Delivered();
  Consume();
  const std::vector<int> more = Delivered();
  left.insert(left.end(), more.begin(), more.end());
  EXPECT_EQ(left, Numbers(61, 100));
}

TEST_F(ShardBacklog, QueuesThatNobodyConsumesShareWhatStaysInMemory) {
  options = {};
  options.unstored_bytes = 0;
  Restart();
  for (QueueId id = 10; id < 20; ++id) {
    life->ports.AddQueue(id, 1, "q" + std::to_string(id));
    Publish(30, "", id);
  }
  Save();
  EXPECT_LE(life->shard.bytes(), options.resident_bytes);
}

TEST_F(ShardBacklog, ADroppedQueueTakesItsFilesAlong) {
  life->ports.AddQueue(3, 1, "other");
  Publish(100);
  Save();
  Do(DropQueueCommand{.queue = kQueue});
  // The store would not save another one of the same state.
  EXPECT_FALSE(life->shard.wants_checkpoint());
  Publish(1, "", 3);
  EXPECT_TRUE(life->shard.wants_checkpoint());
  Save();
  EXPECT_FALSE(disk.files.contains(1));
  EXPECT_THAT(disk.files, SizeIs(1));  // that of the other queue
}

// All of a queue, page by page, with what its blocks have.
std::vector<int> LookAtAll(const Shard& shard, storage::MemoryOutput& disk, size_t at_most) {
  std::vector<int> numbers;
  QueuePage page;
  do {
    page = shard.Look(kQueue, page.upto, at_most);
    if (page.block) {
      EXPECT_TRUE(AddResting(page, disk.Read(page.block->file, page.block->place)));
    }
    for (const SeenMessage& seen : page.messages)
      numbers.push_back(std::stoi(std::string(seen.message->body())));
  } while (page.more());
  return numbers;
}

TEST_F(ShardBacklog, WhoLooksSeesWhatRestsAndChangesNothing) {
  Publish(40);
  Save();
  Publish(5);
  Consume(/*prefetch=*/3);
  const auto held = life->ports.Take<Deliver>();
  ASSERT_THAT(held, SizeIs(3));
  Settle(Settlement::kAck, held[1]);  // one more comes
  ASSERT_GT(queue().resting(), 10u);
  const uint64_t resting = queue().resting();
  std::vector<int> expected = Numbers(1, 45);
  std::erase(expected, 2);
  for (const size_t at_most : {1, 3, 100}) {
    EXPECT_EQ(LookAtAll(life->shard, disk, at_most), expected) << at_most;
  }
  EXPECT_EQ(queue().resting(), resting);
  EXPECT_EQ(life->shard.Look(kQueue, 0, 1).messages.at(0).state, SeenMessage::State::kUnacked);

  Restart();
  for (const size_t at_most : {1, 3, 100}) {
    EXPECT_EQ(LookAtAll(life->shard, disk, at_most), expected) << at_most;
  }
}

TEST_F(ShardBacklog, WhatRestsIsReadBeforeItIsMovedByHand) {
  life->ports.AddQueue(3, 1, "elsewhere");
  Publish(40);
  Save();
  ASSERT_GT(queue().resting(), 10u);
  MoveByHand move{.queue = kQueue, .target = {.queue = "elsewhere"}};
  for (Sequence s = 11; s <= 30; ++s) move.sequences.push_back(s);
  const MovedByHand first = life->shard.Execute(move, now);
  EXPECT_EQ(first.moved + first.again.size(), 20u);
  EXPECT_THAT(first.again, testing::Not(IsEmpty()));
  Settle();
  move.sequences = first.again;
  const MovedByHand second = life->shard.Execute(move, now);
  EXPECT_EQ(second.moved, first.again.size());
  Settle();
  EXPECT_EQ(life->shard.FindQueue(3)->ready(), 20u);

  Restart();
  EXPECT_EQ(life->shard.FindQueue(3)->ready(), 20u);
  EXPECT_EQ(queue().size(), 20u);
  EXPECT_EQ(queue().ledger().Left(LeaveReason::kMoved), 20u);
  std::vector<int> stayed = Numbers(1, 10);
  for (int n = 31; n <= 40; ++n) stayed.push_back(n);
  EXPECT_EQ(LookAtAll(life->shard, disk, 7), stayed);
}

}  // namespace
}  // namespace landfall::broker
