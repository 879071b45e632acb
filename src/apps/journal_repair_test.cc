#include "apps/journal_repair.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>
#include <string>
#include <vector>

#include "apps/journal_command.h"
#include "broker/shard_record.h"
#include "broker/topology_record.h"
#include "storage/backlog_file.h"
#include "storage/fault_vfs.h"
#include "storage/frame.h"
#include "storage/segment.h"
#include "storage/step_store.h"
#include "storage/store_testing.h"

namespace landfall::apps {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

constexpr char kFile[] = "data/backlog/5-1.lfb";

ByteBuffer Delivered(uint64_t sequence) {
  ByteBuffer out;
  broker::AppendRecord(out,
                       broker::DeliveredRecord{.position = {.queue = 7, .sequence = sequence}});
  return out;
}

ByteBuffer Vhost(const std::string& name) {
  ByteBuffer out(1, broker::kTopologyFormat);
  broker::AppendVhostCreated(out, name);
  return out;
}

class JournalRepair : public testing::Test {
 protected:
  std::unique_ptr<storage::StepStore> Open() {
    auto store = std::make_unique<storage::StepStore>(
        vfs_, storage::StoreOptions{.directory = "data", .segment_bytes = 1 << 16}, nullptr);
    visitor_ = {};
    const auto report = store->Recover(visitor_);
    EXPECT_TRUE(report) << report.error().message;
    EXPECT_TRUE(store->KeepBacklog({{storage::ShardId{5}, {1}}}));
    store->Start(listener_);
    return store;
  }
  // LSN 1 and up.
  void Write(std::vector<storage::Batch> batches) {
    auto store = Open();
    for (storage::Batch& batch : batches) {
      store->Append(std::move(batch));
      store->StepAll();
    }
    store->Stop();
  }
  void WriteThree() {
    Write({{.shard = 0, .shard_seq = 1, .entries = Vhost("orders")},
           {.shard = 5, .shard_seq = 1, .entries = Delivered(1)},
           {.shard = 5, .shard_seq = 2, .entries = Delivered(2)},
           {.shard = 5, .shard_seq = 3, .entries = Delivered(3)}});
  }
  // A checkpoint of shard 5 that names these blocks of its file 1, and a record before and behind.
  void SaveBlocks(int count) {
    auto store = Open();
    store->SaveCheckpoint(5, 3, [this, count](storage::CheckpointOutput& out) {
      ByteBuffer bytes = Delivered(4);
      for (uint64_t n = 1; n <= static_cast<uint64_t>(count); ++n) {
        ByteBuffer block;
        broker::AppendRecord(
            block, broker::QueuedMessageRecord{.position = {.queue = 7, .sequence = n},
                                               .message = broker::Message::Make(
                                                   "", "q", ByteView("\0\0", 2), "body", true)});
        const auto place = out.WriteBlock(1, block);
        if (!place) return false;
        places_.push_back(*place);
        broker::AppendRecord(bytes, broker::BacklogBlockRecord{.queue = 7,
                                                               .file = 1,
                                                               .offset = place->offset,
                                                               .length = place->length,
                                                               .first = n,
                                                               .last = n,
                                                               .written = 1,
                                                               .alive = 1});
      }
      broker::AppendRecord(bytes, broker::QueueStateRecord{.queue = 7, .last = 9});
      broker::AppendRecord(
          bytes, broker::QueueLedgerRecord{.queue = 7, .ledger = {.accepted = 9, .left = {6}}});
      return out.Write(bytes);
    });
    store->StepAll();
    store->Stop();
  }
  void FlipInFrame(uint64_t number) {
    const std::string path = "data/journal/" + storage::SegmentName(1);
    const auto bytes = storage::ReadWhole(vfs_, path).value();
    const auto scan = storage::ScanSegment(bytes, *storage::ReadSegmentHeader(bytes), std::nullopt);
    vfs_.FlipBit(path, scan.frames.at(number - 1).offset + storage::kFrameHeaderBytes + 1, 3);
  }
  std::string Repair(RepairOptions options, bool whole = true) {
    std::ostringstream out;
    options.directory = "data";
    const auto result = RepairJournal(vfs_, options, out);
    EXPECT_TRUE(result) << result.error().message;
    EXPECT_EQ(result.value_or(!whole), whole) << out.str();
    return out.str();
  }
  ErrorCode RepairFails(RepairOptions options) {
    std::ostringstream out;
    const auto result = RepairJournal(vfs_, options, out);
    return result ? ErrorCode::kInternal : result.error().code;
  }
  // One line a record.
  std::vector<std::string> CheckpointOfShard5() {
    Open();
    std::vector<std::string> lines;
    broker::RecordStream records;
    EXPECT_TRUE(records.Add(visitor_.checkpoints.at(5).second, true,
                            [&](const broker::Record& record, ByteView) {
                              lines.push_back(broker::Describe(record));
                              return Result<void>();
                            }));
    return lines;
  }

  storage::FaultVfs vfs_;
  storage::RecordingListener listener_;
  storage::RecordingVisitor visitor_;
  std::vector<storage::BlockPlace> places_;
};

TEST_F(JournalRepair, SaysWhenThereIsNothingToDo) {
  WriteThree();
  EXPECT_THAT(Repair({}), AllOf(HasSubstr("nothing to repair\n"), HasSubstr("\nok\n")));
}

TEST_F(JournalRepair, ReplacesAFrameThatCannotBeRead) {
  WriteThree();
  FlipInFrame(3);
  EXPECT_THAT(Repair({}),
              AllOf(HasSubstr("repaired: data/journal/00000000000000000001.lfj offset "),
                    HasSubstr("LSN 3 to 3 cannot be read"),
                    HasSubstr("of shard 5 the batches 2 to 2 are lost"), HasSubstr("\nok\n")));
  Open();
  EXPECT_EQ(visitor_.batches[5][1], Delivered(1));
  EXPECT_EQ(visitor_.batches[5][3], Delivered(3));
  EXPECT_THAT(Repair({}), HasSubstr("nothing to repair\n"));
}

TEST_F(JournalRepair, StandsInForABatchOfTheTopologyWithOneThatCanBeDecoded) {
  Write({{.shard = 0, .shard_seq = 1, .entries = Vhost("orders")},
         {.shard = 0, .shard_seq = 2, .entries = Vhost("lost")},
         {.shard = 0, .shard_seq = 3, .entries = Vhost("more")}});
  FlipInFrame(2);
  EXPECT_THAT(Repair({}), HasSubstr("\nok\n"));
  Open();
  EXPECT_EQ(visitor_.batches[0][2], ByteBuffer(1, broker::kTopologyFormat));
}

TEST_F(JournalRepair, OnlySaysWhatItWouldDo) {
  WriteThree();
  FlipInFrame(3);
  const uint64_t operations = vfs_.changing_operations();
  EXPECT_THAT(Repair({.to = "copy", .dry_run = true}, false),
              AllOf(HasSubstr("would repair: "), Not(HasSubstr("repaired: "))));
  EXPECT_EQ(vfs_.changing_operations(), operations);
}

TEST_F(JournalRepair, RepairsACopyAndLeavesTheOriginal) {
  WriteThree();
  SaveBlocks(1);
  FlipInFrame(3);
  const std::string path = "/journal/" + storage::SegmentName(1);
  const auto damaged = storage::ReadWhole(vfs_, "data" + path).value();
  EXPECT_THAT(Repair({.to = "copy"}),
              AllOf(HasSubstr("repaired: copy/journal/"), HasSubstr("\nok\n")));
  EXPECT_EQ(storage::ReadWhole(vfs_, "data" + path).value(), damaged);
  EXPECT_NE(storage::ReadWhole(vfs_, "copy" + path).value(), damaged);
  std::ostringstream out;
  EXPECT_TRUE(VerifyJournal(vfs_, {.directory = "copy"}, out).value());
  EXPECT_THAT(out.str(), HasSubstr("1 backlog blocks"));
  EXPECT_FALSE(VerifyJournal(vfs_, {.directory = "data"}, out).value());
  EXPECT_EQ(RepairFails({.directory = "data", .to = "copy"}), ErrorCode::kExists);
}

TEST_F(JournalRepair, RefusesADirectoryThatABrokerHasOpen) {
  const auto broker = Open();
  EXPECT_EQ(RepairFails({.directory = "data"}), ErrorCode::kUnavailable);
  EXPECT_EQ(RepairFails({.directory = "data", .to = "copy"}), ErrorCode::kUnavailable);
  EXPECT_EQ(RepairFails({.directory = "nowhere"}), ErrorCode::kNotFound);
}

TEST_F(JournalRepair, QuarantinesTheMessagesOfADamagedBlockAndKeepsTheOthers) {
  WriteThree();
  SaveBlocks(3);
  const auto before = CheckpointOfShard5();
  vfs_.FlipBit(kFile, places_[1].offset + storage::kBacklogBlockHeaderBytes + 3, 1);
  const auto evidence = storage::ReadWhole(vfs_, kFile).value();
  EXPECT_THAT(Repair({}), AllOf(HasSubstr("1 messages of queue 7 are in this block: they are "
                                          "quarantined, and the file is kept"),
                                HasSubstr("\n1 messages are quarantined\n"),
                                HasSubstr("; 2 backlog blocks, "), HasSubstr("\nok\n")));
  auto expected = before;
  expected.erase(expected.begin() + 2);  // the second block
  EXPECT_EQ(expected.back(), "queue 7: accepted=9 acked=6");
  expected.back() += " quarantined=1";
  EXPECT_EQ(CheckpointOfShard5(), expected);
  EXPECT_EQ(storage::ReadWhole(vfs_, std::string(kFile) + ".damaged").value(), evidence);
  EXPECT_TRUE(vfs_.Exists("data/checkpoint/5-3.lfc.damaged").value());
}

TEST_F(JournalRepair, LeavesOutADamagedBlockOfStoriesAndKeepsTheOthers) {
  WriteThree();
  auto store = Open();
  store->SaveCheckpoint(5, 3, [this](storage::CheckpointOutput& out) {
    ByteBuffer bytes;
    for (uint64_t n = 1; n <= 3; ++n) {
      ByteBuffer block;
      broker::AppendRecord(block, broker::StoryRecord{.story = n, .queue = 7, .sequence = n});
      const auto place = out.WriteBlock(1, block);
      if (!place) return false;
      places_.push_back(*place);
      broker::AppendRecord(bytes, broker::StoryBlock{.file = 1, .place = *place});
    }
    return out.Write(bytes);
  });
  store->StepAll();
  store->Stop();
  store.reset();
  auto expected = CheckpointOfShard5();
  vfs_.FlipBit(kFile, places_[1].offset + storage::kBacklogBlockHeaderBytes + 3, 1);
  EXPECT_THAT(Repair({}), AllOf(HasSubstr("stories of messages are in this block"),
                                HasSubstr("; 2 backlog blocks, "), HasSubstr("\nok\n")));
  expected.erase(expected.begin() + 1);
  EXPECT_EQ(CheckpointOfShard5(), expected);
  EXPECT_THAT(Repair({}), HasSubstr("nothing to repair\n"));
}

TEST_F(JournalRepair, KeepsTheBacklogFilesOfACheckpointThatIsDamaged) {
  WriteThree();
  SaveBlocks(1);
  vfs_.FlipBit("data/checkpoint/5-3.lfc", 90, 1);
  EXPECT_THAT(Repair({}),
              AllOf(HasSubstr("the checkpoint of shard 5 cannot be read: put aside, and "
                              "1 backlog files"),
                    HasSubstr("\nok\n")));
  EXPECT_THAT(vfs_.List("data/backlog").value(), ElementsAre("5-1.lfb.damaged"));
  EXPECT_THAT(vfs_.List("data/checkpoint").value(), ElementsAre("5-3.lfc.damaged"));
}

TEST_F(JournalRepair, KeepsTheRecordsInFrontOfOneThatMakesNoSense) {
  Write({{.shard = 5, .shard_seq = 1, .entries = Delivered(1) + "\xff nonsense"},
         {.shard = 0, .shard_seq = 1, .entries = Vhost("orders") + "\x01\xff"},
         {.shard = 5, .shard_seq = 2, .entries = "\xff nothing else"}});
  EXPECT_THAT(Repair({}), AllOf(HasSubstr("batch 1 of shard 5 cannot be decoded from its byte "),
                                HasSubstr("\nok\n")));
  Open();
  EXPECT_EQ(visitor_.batches[5][1], Delivered(1));
  EXPECT_EQ(visitor_.batches[0][1], Vhost("orders"));
  EXPECT_EQ(visitor_.batches[5][2], "");
}

TEST_F(JournalRepair, LeavesACheckpointThatIsWholeAndCannotBeDecoded) {
  WriteThree();
  auto store = Open();
  store->SaveCheckpoint(5, 3, storage::SourceOf(Delivered(1) + "\xff of a newer version"));
  store->StepAll();
  store.reset();
  EXPECT_THAT(Repair({}, false), AllOf(HasSubstr("CANNOT REPAIR: data/checkpoint/5-3.lfc"),
                                       HasSubstr("was it written by a newer Landfall?")));
  EXPECT_TRUE(vfs_.Exists("data/checkpoint/5-3.lfc").value());
}

TEST_F(JournalRepair, CallsNothingDamagedWhenThereAreNoFileDescriptorsLeft) {
  WriteThree();
  SaveBlocks(1);
  vfs_.SetFaultHook([](storage::FaultVfs::Op op, const std::string& path) -> std::optional<Error> {
    if (op != storage::FaultVfs::Op::kOpen || path != kFile) return std::nullopt;
    return Error{ErrorCode::kExhausted, "cannot open " + path + ": Too many open files"};
  });
  EXPECT_EQ(RepairFails({.directory = "data"}), ErrorCode::kExhausted);
  std::ostringstream out;
  EXPECT_EQ(VerifyJournal(vfs_, {.directory = "data"}, out).error().code, ErrorCode::kExhausted);
}

}  // namespace
}  // namespace landfall::apps
