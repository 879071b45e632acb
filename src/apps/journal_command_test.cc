#include "apps/journal_command.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <sstream>

#include "broker/shard_record.h"
#include "broker/topology_record.h"
#include "storage/backlog_file.h"
#include "storage/fault_vfs.h"
#include "storage/file_store.h"
#include "storage/frame.h"
#include "storage/segment.h"
#include "storage/step_store.h"
#include "storage/store_testing.h"

namespace landfall::apps {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

constexpr char kDirectory[] = "/data";

ByteBuffer TopologyEntries() {
  ByteBuffer out(1, broker::kTopologyFormat);
  broker::AppendVhostCreated(out, "orders");
  return out;
}

ByteBuffer ShardEntries() {
  ByteBuffer out;
  broker::AppendRecord(out, broker::DeliveredRecord{.position = {.queue = 7, .sequence = 42}});
  broker::AppendRecord(out, broker::TransferSettledRecord{.destination = 3, .transfer_seq = 9});
  return out;
}

class JournalCommandTest : public testing::Test {
 protected:
  void Write(std::vector<storage::Batch> batches) {
    storage::FileStore store(vfs_, {.directory = kDirectory, .segment_bytes = 1 << 16});
    storage::RecordingVisitor visitor;
    storage::RecordingListener listener;
    ASSERT_TRUE(store.Recover(visitor));
    store.Start(listener);
    for (storage::Batch& batch : batches) store.Append(std::move(batch));
    store.Stop();
  }
  void WriteTwoShards() {
    Write({{.shard = 0, .shard_seq = 1, .entries = TopologyEntries()},
           {.shard = 5, .shard_seq = 1, .entries = ShardEntries()}});
  }
  std::string Inspect(InspectOptions options, bool whole = true) {
    std::ostringstream out;
    options.directory = kDirectory;
    const auto result = InspectJournal(vfs_, options, out);
    EXPECT_TRUE(result) << result.error().message;
    EXPECT_EQ(result.value_or(!whole), whole) << out.str();
    return out.str();
  }
  std::string Verify(VerifyOptions options, bool whole = true) {
    std::ostringstream out;
    options.directory = kDirectory;
    const auto result = VerifyJournal(vfs_, options, out);
    EXPECT_TRUE(result) << result.error().message;
    EXPECT_EQ(result.value_or(!whole), whole) << out.str();
    return out.str();
  }
  std::vector<nlohmann::json> Lines(const std::string& text) {
    std::istringstream in(text);
    std::vector<nlohmann::json> lines;
    for (std::string line; std::getline(in, line);) lines.push_back(nlohmann::json::parse(line));
    return lines;
  }

  storage::FaultVfs vfs_;
};

TEST_F(JournalCommandTest, PrintsEveryFrameAndEveryRecordOnALineOfItsOwn) {
  WriteTwoShards();
  const std::string text = Inspect({});
  EXPECT_THAT(text, HasSubstr(".lfj offset 4096 lsn 1 shard 0 (topology) shard_seq 1 bytes "));
  EXPECT_THAT(text, HasSubstr("orders"));
  EXPECT_THAT(text, HasSubstr("shard 5 shard_seq 1 bytes "));
  const auto line = broker::Describe(broker::DeliveredRecord{.position = {7, 42}});
  EXPECT_THAT(text, HasSubstr("\n  " + line + "\n"));
}

TEST_F(JournalCommandTest, PrintsOnlyTheShardThatWasAskedFor) {
  WriteTwoShards();
  EXPECT_THAT(Inspect({.shard = storage::ShardId{5}}),
              AllOf(HasSubstr("shard 5"), Not(HasSubstr("topology"))));
}

TEST_F(JournalCommandTest, StopsAtTheLimit) {
  WriteTwoShards();
  EXPECT_EQ(Lines(Inspect({.limit = 1, .json = true})).size(), 1u);
}

TEST_F(JournalCommandTest, PrintsAnObjectAFrameAsJson) {
  WriteTwoShards();
  const auto lines = Lines(Inspect({.shard = storage::ShardId{5}, .json = true}));
  ASSERT_EQ(lines.size(), 1u);
  EXPECT_EQ(lines[0]["state"], "valid");
  EXPECT_EQ(lines[0]["shard"], 5);
  EXPECT_EQ(lines[0]["shard_seq"], 1);
  EXPECT_EQ(lines[0]["records"].size(), 2u);
}

TEST_F(JournalCommandTest, ReportsRecordsThatMakeNoSense) {
  Write({{.shard = 5, .shard_seq = 1, .entries = "\xff nonsense"}});
  EXPECT_THAT(Inspect({}, false), HasSubstr("CANNOT BE DECODED"));
  EXPECT_THAT(Verify({}, false), AllOf(HasSubstr("DAMAGE: "), HasSubstr("1 damaged\n")));
}

TEST_F(JournalCommandTest, VerifiesAWholeJournal) {
  WriteTwoShards();
  EXPECT_THAT(Verify({}), AllOf(HasSubstr("2 batches to replay"), HasSubstr("\nok\n")));
  const auto report = nlohmann::json::parse(Verify({.json = true}));
  EXPECT_EQ(report["ok"], true);
  EXPECT_EQ(report["batches"], 2);
  EXPECT_TRUE(report["damages"].empty());
}

TEST_F(JournalCommandTest, NamesTheFrameThatCannotBeRead) {
  WriteTwoShards();
  vfs_.FlipBit(std::string(kDirectory) + "/journal/" + storage::SegmentName(1),
               storage::kSegmentHeaderBytes + storage::kFrameHeaderBytes + 1, 3);
  EXPECT_THAT(Inspect({}, false), HasSubstr("offset 4096 UNREADABLE: lsn 1 to 1 are lost"));
  EXPECT_EQ(Lines(Inspect({.json = true}, false))[0]["state"], "unreadable");
  EXPECT_THAT(Verify({}, false), AllOf(HasSubstr("DAMAGE: "), HasSubstr("offset 4096")));
}

TEST_F(JournalCommandTest, ReadsWhatIsInBacklogFiles) {
  WriteTwoShards();
  storage::StepStore store(vfs_, {.directory = kDirectory, .segment_bytes = 1 << 16}, nullptr);
  storage::RecordingVisitor visitor;
  storage::RecordingListener listener;
  ASSERT_TRUE(store.Recover(visitor));
  store.Start(listener);
  ByteBuffer message;
  broker::AppendRecord(
      message, broker::QueuedMessageRecord{
                   .position = {.queue = 7, .sequence = 1},
                   .message = broker::Message::Make("", "q", ByteView("\0\0", 2), "body", true)});
  store.SaveCheckpoint(5, 1, [&](storage::CheckpointOutput& out) {
    const auto place = out.WriteBlock(1, message);
    if (!place) return false;
    ByteBuffer bytes;
    broker::AppendRecord(bytes, broker::BacklogBlockRecord{.queue = 7,
                                                           .file = 1,
                                                           .offset = place->offset,
                                                           .length = place->length,
                                                           .first = 1,
                                                           .last = 1,
                                                           .written = 1,
                                                           .alive = 1});
    return out.Write(bytes);
  });
  store.StepBackground();
  store.Stop();
  ASSERT_EQ(listener.saved.size(), 1u);
  EXPECT_THAT(Verify({}), HasSubstr("; 1 backlog blocks, "));
  EXPECT_EQ(nlohmann::json::parse(Verify({.json = true}))["backlog_blocks"], 1);
  vfs_.FlipBit(std::string(kDirectory) + "/backlog/5-1.lfb",
               storage::kBacklogHeaderBytes + storage::kBacklogBlockHeaderBytes + 3, 1);
  EXPECT_THAT(Verify({}, false), AllOf(HasSubstr("DAMAGE: /data/backlog/5-1.lfb offset 64: "),
                                       HasSubstr("1 messages of queue 7 are in this block")));
}

TEST_F(JournalCommandTest, ReadsStoriesInBacklogFilesToo) {
  WriteTwoShards();
  storage::StepStore store(vfs_, {.directory = kDirectory, .segment_bytes = 1 << 16}, nullptr);
  storage::RecordingVisitor visitor;
  storage::RecordingListener listener;
  ASSERT_TRUE(store.Recover(visitor));
  store.Start(listener);
  ByteBuffer story;
  broker::AppendRecord(story, broker::StoryRecord{.story = 1, .queue = 7, .sequence = 1});
  store.SaveCheckpoint(5, 1, [&](storage::CheckpointOutput& out) {
    const auto place = out.WriteBlock(1, story);
    if (!place) return false;
    ByteBuffer bytes;
    broker::AppendRecord(bytes, broker::StoryBlock{.file = 1, .place = *place});
    return out.Write(bytes);
  });
  store.StepBackground();
  store.Stop();
  ASSERT_EQ(listener.saved.size(), 1u);
  EXPECT_THAT(Verify({}), HasSubstr("; 1 backlog blocks, "));
  vfs_.FlipBit(std::string(kDirectory) + "/backlog/5-1.lfb",
               storage::kBacklogHeaderBytes + storage::kBacklogBlockHeaderBytes + 3, 1);
  EXPECT_THAT(Verify({}, false), AllOf(HasSubstr("DAMAGE: /data/backlog/5-1.lfb offset 64: "),
                                       HasSubstr("stories of messages are in this block")));
}

TEST_F(JournalCommandTest, SaysWhereADirectoryIsNone) {
  std::ostringstream out;
  const auto result = VerifyJournal(vfs_, {.directory = "/nowhere"}, out);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, ErrorCode::kNotFound);
}

}  // namespace
}  // namespace landfall::apps
