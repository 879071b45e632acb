// The store's behaviour step by step, on a disk that can fail.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "storage/data_directory.h"
#include "storage/fault_vfs.h"
#include "storage/inspect.h"
#include "storage/step_store.h"
#include "storage/store_testing.h"

namespace landfall::storage {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

class StoreOnFaultyDisk : public testing::Test {
 protected:
  StoreOnFaultyDisk() {
    options_.directory = "data";
    options_.segment_bytes = 16 << 10;
    options_.window_bytes = 40 << 10;
    options_.low_space_bytes = 0;
    options_.nonce_seed = 42;
  }

  // A new life on the same disk.
  RecoveryReport Open() {
    store_.reset();
    fatal_.clear();
    listener_ = {};
    visitor_ = {};
    store_ = std::make_unique<StepStore>(vfs_, options_,
                                         [this](const Error& e) { fatal_.push_back(e.message); });
    auto report = store_->Recover(visitor_);
    EXPECT_TRUE(report) << report.error().message;
    if (!report) return {};
    EXPECT_TRUE(store_->KeepBacklog({}));
    store_->Start(listener_);
    while (store_->StepBackground()) {
    }
    return *report;
  }

  void Append(ShardId shard, uint64_t seq, std::string entries, bool urgent = true) {
    store_->Append(
        {.shard = shard, .shard_seq = seq, .entries = std::move(entries), .urgent = urgent});
  }

  void StepWhileUrgent() {
    while (store_->Next() != CommitStep::kNone) {
      store_->Step();
      store_->StepBackground();
    }
  }

  // Appends and lands `count` batches of `bytes` each.
  void Land(ShardId shard, uint64_t first_seq, uint64_t count, size_t bytes) {
    for (uint64_t i = 0; i < count; ++i) {
      Append(shard, first_seq + i, Content(first_seq + i, bytes));
      StepWhileUrgent();
    }
  }

  static std::string Content(uint64_t seq, size_t bytes) {
    std::string content = fmt::format("batch {} ", seq);
    content.resize(bytes, '.');
    return content;
  }

  // A crash that changes nothing on the disk.
  void Kill() {
    vfs_.KillProcess();
    store_.reset();
  }

  std::vector<std::string> Segments() {
    std::vector<std::string> found;
    const auto names = vfs_.List("data/journal").value();
    for (const auto& name : names) {
      if (ParseSegmentName(name)) found.push_back("data/journal/" + name);
    }
    return found;
  }

  // Where the frame with this LSN starts.
  InspectedFrame Find(uint64_t lsn) {
    InspectedFrame found;
    EXPECT_TRUE(InspectJournal(vfs_, "data", [&](const InspectedFrame& frame) {
      if (frame.header.lsn == lsn) found = frame;
      return true;
    }));
    found.entries = {};
    return found;
  }

  void FailOn(FaultVfs::Op op, ErrorCode code) {
    vfs_.SetFaultHook([=](FaultVfs::Op asked, const std::string& path) -> std::optional<Error> {
      if (asked != op) return std::nullopt;
      return Error{code, "cannot do that to " + path + ": injected"};
    });
  }

  FaultVfs vfs_;
  StoreOptions options_;
  RecordingListener listener_;
  RecordingVisitor visitor_;
  std::vector<std::string> fatal_;
  std::unique_ptr<StepStore> store_;
};

TEST_F(StoreOnFaultyDisk, StartsEmptyInANewDirectory) {
  const auto report = Open();
  EXPECT_EQ(report.frames, 0u);
  EXPECT_THAT(report.damages, IsEmpty());
  EXPECT_THAT(visitor_.order, IsEmpty());
}

TEST_F(StoreOnFaultyDisk, DeliversTheTopologyFirstThenEachShardInOrder) {
  Open();
  Append(2, 1, "two");
  Append(0, 1, "zero");
  Append(1, 1, "one");
  Append(2, 2, "");
  Append(0, 2, "zero again");
  StepWhileUrgent();
  EXPECT_EQ(listener_.durable[2], 2u);
  EXPECT_EQ(listener_.reports, 3);  // once a shard
  Kill();
  const auto report = Open();
  EXPECT_THAT(visitor_.order, ElementsAre(0, 0, 2, 1, 2));
  EXPECT_EQ(visitor_.batches[0][2], "zero again");
  EXPECT_EQ(visitor_.batches[2][1], "two");
  EXPECT_THAT(
      report.last_shard_seq,
      ElementsAre(std::pair(ShardId{0}, 2u), std::pair(ShardId{1}, 1u), std::pair(ShardId{2}, 2u)));
}

TEST_F(StoreOnFaultyDisk, SyncsOnceForAllThatWaits) {
  Open();
  const uint64_t before = vfs_.syncs();
  for (uint64_t i = 1; i <= 50; ++i) Append(1, i, "x");
  StepWhileUrgent();
  EXPECT_EQ(vfs_.syncs() - before, 1u);
  EXPECT_EQ(listener_.durable[1], 50u);
}

TEST_F(StoreOnFaultyDisk, WritesLazyBatchesAtOnceAndSyncsThemWithTheNextUrgentOne) {
  Open();
  Append(1, 1, "lazy", /*urgent=*/false);
  EXPECT_EQ(store_->Step(), CommitStep::kWrite);
  EXPECT_EQ(store_->Step(), CommitStep::kNone);
  EXPECT_TRUE(store_->has_unsynced());
  EXPECT_EQ(listener_.reports, 0);
  Append(2, 1, "urgent");
  EXPECT_EQ(store_->Step(), CommitStep::kWrite);
  EXPECT_EQ(store_->Step(), CommitStep::kSync);
  EXPECT_EQ(listener_.durable[1], 1u);
  EXPECT_EQ(listener_.durable[2], 1u);
  Append(1, 2, "lazy", /*urgent=*/false);
  EXPECT_EQ(store_->Step(), CommitStep::kWrite);
  EXPECT_EQ(store_->Step(/*sync_lazy=*/true), CommitStep::kSync);
  EXPECT_EQ(listener_.durable[1], 2u);
}

TEST_F(StoreOnFaultyDisk, KeepsEveryConfirmedRecordWhenTheLastWriteIsTorn) {
  bool torn = false;
  uint64_t next = 1;
  Open();
  for (uint64_t seed = 0; seed < 60; ++seed) {
    Land(1, next, 3, 300);
    for (uint64_t i = 3; i < 7; ++i) Append(1, next + i, Content(next + i, 700));
    EXPECT_EQ(store_->Step(), CommitStep::kWrite);  // and no sync
    Rng rng(seed);
    vfs_.Crash(rng);
    const auto report = Open();
    EXPECT_THAT(report.damages, IsEmpty());
    ASSERT_GE(visitor_.batches[1].size(), next + 2);
    for (const auto& [seq, entries] : visitor_.batches[1]) {
      EXPECT_TRUE(entries.starts_with(fmt::format("batch {} ", seq)));
    }
    torn |= report.torn_tail_bytes > 0;
    next = visitor_.batches[1].rbegin()->first + 1;
  }
  EXPECT_TRUE(torn);
}

TEST_F(StoreOnFaultyDisk, NeverReadsATornTailAgainOnceItWasCut) {
  Open();
  Land(1, 1, 2, 100);
  Append(1, 3, Content(3, 100));
  Append(1, 4, "the old four");
  store_->Step();
  const auto third = Find(3);
  Kill();
  vfs_.FlipBit(third.file, third.offset + kFrameHeaderBytes, 0);
  const auto report = Open();
  EXPECT_GT(report.torn_tail_bytes, 0u);
  EXPECT_THAT(visitor_.batches[1], SizeIs(2));
  // The same LSN and shard_seq again, so that only the old "four" stands where a four would follow.
  Append(1, 3, "the new three");
  StepWhileUrgent();
  Kill();
  EXPECT_THAT(Open().damages, IsEmpty());
  EXPECT_THAT(visitor_.batches[1], SizeIs(3));
  EXPECT_EQ(visitor_.batches[1][3], "the new three");
}

TEST_F(StoreOnFaultyDisk, CutsADamagedFrameThatWasNeverConfirmed) {
  Open();
  Land(1, 1, 2, 100);
  Append(1, 3, "unsynced");
  store_->Step();
  const auto last = Find(3);
  Kill();
  vfs_.FlipBit(last.file, last.offset + kFrameHeaderBytes, 0);
  const auto report = Open();
  EXPECT_THAT(report.damages, IsEmpty());
  EXPECT_EQ(report.torn_tail_bytes, FrameBytes(8));
  EXPECT_THAT(visitor_.batches[1], SizeIs(2));
}

TEST_F(StoreOnFaultyDisk, ReportsDamageInTheMiddleAndDeliversEverythingElse) {
  Open();
  Land(1, 1, 2, 100);
  Land(2, 1, 1, 100);
  Land(1, 3, 2, 100);
  const auto third = Find(3);  // shard 2's only batch
  const auto fourth = Find(4);
  Kill();
  vfs_.FlipBit(third.file, third.offset + 60, 4);
  vfs_.FlipBit(fourth.file, fourth.offset, 4);
  const auto report = Open();
  EXPECT_THAT(visitor_.batches[1], SizeIs(3));
  EXPECT_EQ(visitor_.batches[1][4], Content(4, 100));
  EXPECT_THAT(visitor_.batches[2], IsEmpty());
  EXPECT_EQ(report.torn_tail_bytes, 0u);
  ASSERT_THAT(report.damages, SizeIs(2));
  EXPECT_EQ(report.damages[0].file, third.file);
  EXPECT_EQ(report.damages[0].offset, third.offset);
  EXPECT_THAT(report.damages[0].what, HasSubstr("LSN 3 to 4"));
  EXPECT_THAT(report.damages[1].what, HasSubstr("of shard 1 the batches 3 to 3 are missing"));
}

TEST_F(StoreOnFaultyDisk, NoticesDamageToTheVeryLastBatchAfterACleanStop) {
  Open();
  Land(1, 1, 3, 100);
  const auto last = Find(3);
  store_->Stop();
  Kill();
  vfs_.FlipBit(last.file, last.offset + 60, 0);
  const auto report = Open();
  ASSERT_THAT(report.damages, SizeIs(1));
  EXPECT_THAT(report.damages[0].what, HasSubstr("LSN 3"));
  EXPECT_THAT(visitor_.batches[1], SizeIs(2));
}

TEST_F(StoreOnFaultyDisk, DeliversAllOrReportsDamageWhicheverBitFlipsAfterACleanStop) {
  Open();
  Land(1, 1, 20, 1000);
  Land(0, 1, 5, 300);
  store_->SaveCheckpoint(1, 4, SourceOf("state after 4"));
  store_->StepBackground();
  store_->Stop();
  Kill();
  auto files = Segments();
  files.push_back("data/checkpoint/1-4.lfc");
  Rng rng(7);
  for (int i = 0; i < 400; ++i) {
    const std::string& file = files[rng.Below(files.size())];
    const uint64_t byte = rng.Below(ReadWhole(vfs_, file).value().size());
    const int bit = static_cast<int>(rng.Below(8));
    vfs_.FlipBit(file, byte, bit);
    RecordingVisitor visitor;
    const auto log = ReadLog(vfs_, "data", visitor);
    ASSERT_TRUE(log);
    const bool complete = visitor.checkpoints.size() == 1 && visitor.batches[1].size() == 16 &&
                          visitor.batches[0].size() == 5;
    EXPECT_TRUE(complete || !log->report.damages.empty()) << file << " byte " << byte;
    for (const auto& [seq, entries] : visitor.batches[1]) EXPECT_EQ(entries, Content(seq, 1000));
    vfs_.FlipBit(file, byte, bit);
  }
}

TEST_F(StoreOnFaultyDisk, ReportsASegmentThatIsGone) {
  Open();
  Land(1, 1, 40, 1000);
  const auto segments = Segments();
  ASSERT_GE(segments.size(), 3u);
  Kill();
  ASSERT_TRUE(vfs_.Remove(segments[1]));
  const auto report = Open();
  ASSERT_THAT(report.damages, SizeIs(2));
  EXPECT_THAT(report.damages[0].what, HasSubstr("cannot be read"));
  EXPECT_THAT(report.damages[1].what, HasSubstr("of shard 1 the batches"));
  EXPECT_EQ(visitor_.batches[1].rbegin()->first, 40u);
}

TEST_F(StoreOnFaultyDisk, ReportsASegmentWithoutItsHeaderAndGoesOnWithNewLsns) {
  Open();
  Land(1, 1, 3, 100);
  const auto segments = Segments();
  Kill();
  for (const uint64_t at : {0, 2048}) vfs_.FlipBit(segments[0], at, 0);
  auto report = Open();
  ASSERT_THAT(report.damages, SizeIs(1));
  EXPECT_THAT(report.damages[0].what, HasSubstr("header"));
  Land(1, 4, 1, 100);
  Kill();
  report = Open();
  // The segment was put aside; that something is missing still shows.
  EXPECT_TRUE(vfs_.Exists(segments[0] + ".damaged").value());
  ASSERT_THAT(report.damages, SizeIs(1));
  EXPECT_THAT(report.damages[0].what, HasSubstr("of shard 1 the batches 1 to 3 are missing"));
  EXPECT_EQ(visitor_.batches[1][4], Content(4, 100));
}

TEST_F(StoreOnFaultyDisk, FallsBackWhenACheckpointIsDamagedAndNeverReusesItsNumbers) {
  Open();
  Land(1, 1, 3, 100);
  store_->SaveCheckpoint(1, 3, SourceOf("state after 3"));
  store_->StepBackground();
  EXPECT_EQ(listener_.saved[1], 3u);
  Kill();
  vfs_.FlipBit("data/checkpoint/1-3.lfc", 85, 0);
  const auto report = Open();
  ASSERT_THAT(report.damages, SizeIs(1));
  EXPECT_THAT(report.damages[0].what, HasSubstr("checkpoint of shard 1 at 3"));
  EXPECT_THAT(visitor_.checkpoints, IsEmpty());
  EXPECT_THAT(visitor_.batches[1], SizeIs(3));
  EXPECT_THAT(report.last_shard_seq, ElementsAre(std::pair(ShardId{1}, 3u)));
}

TEST_F(StoreOnFaultyDisk, PutsADamagedCheckpointAsideSoThatTheNextOneDoesNotTakeItsPlace) {
  Open();
  Land(1, 1, 3, 100);
  store_->SaveCheckpoint(1, 3, SourceOf("state after 3"));
  store_->StepBackground();
  Kill();
  for (const char* aside : {"1-3.lfc.damaged", "1-3.lfc.2.damaged"}) {
    vfs_.FlipBit("data/checkpoint/1-3.lfc", 85, 0);
    const auto evidence = ReadWhole(vfs_, "data/checkpoint/1-3.lfc").value();
    EXPECT_THAT(Open().damages, SizeIs(1));
    store_->SaveCheckpoint(1, 3, SourceOf("state after 3"));
    store_->StepBackground();
    Kill();
    EXPECT_EQ(ReadWhole(vfs_, std::string("data/checkpoint/") + aside).value(), evidence);
  }
  EXPECT_THAT(Open().damages, IsEmpty());
  EXPECT_EQ(visitor_.checkpoints[1].second, "state after 3");
}

TEST_F(StoreOnFaultyDisk, TakesABatchLargerThanASegment) {
  Open();
  Append(1, 1, Content(1, 100));
  Append(1, 2, Content(2, 100'000));
  Append(1, 3, Content(3, 100));
  StepWhileUrgent();
  EXPECT_EQ(listener_.durable[1], 3u);
  Kill();
  EXPECT_THAT(Open().damages, IsEmpty());
  EXPECT_EQ(visitor_.batches[1][2], Content(2, 100'000));
  EXPECT_EQ(visitor_.batches[1][3], Content(3, 100));
}

TEST_F(StoreOnFaultyDisk, TakesABatchLargerThanASegmentAsItsFirst) {
  Open();
  Land(1, 1, 1, 50'000);
  Land(1, 2, 1, 50'000);
  Kill();
  EXPECT_THAT(Open().damages, IsEmpty());
  EXPECT_THAT(visitor_.batches[1], SizeIs(2));
}

TEST_F(StoreOnFaultyDisk, DeliversACheckpointThenTheBatchesAfterIt) {
  Open();
  Land(1, 1, 3, 100);
  store_->SaveCheckpoint(1, 2, SourceOf("state after 2"));
  store_->StepBackground();
  store_->SaveCheckpoint(1, 3, SourceOf("state after 3"));
  store_->StepBackground();
  Land(1, 4, 1, 100);
  EXPECT_THAT(vfs_.List("data/checkpoint").value(), ElementsAre("1-3.lfc"));
  Kill();
  EXPECT_THAT(Open().damages, IsEmpty());
  EXPECT_EQ(visitor_.checkpoints[1], std::pair(uint64_t{3}, std::string("state after 3")));
  EXPECT_THAT(visitor_.batches[1], ElementsAre(testing::Key(4)));
}

TEST_F(StoreOnFaultyDisk, AsksOnceForACheckpointOfWhoPinsTheOldestSegmentThenReleasesIt) {
  Open();
  Land(2, 1, 1, 100);  // in the oldest segment
  for (uint64_t seq = 1; listener_.wanted.empty(); ++seq) Land(1, seq, 1, 1000);
  EXPECT_THAT(listener_.wanted, testing::UnorderedElementsAre(1, 2));
  const uint64_t last = listener_.durable[1];
  Land(1, last + 1, 5, 1000);
  EXPECT_THAT(listener_.wanted, SizeIs(2));
  const auto before = Segments();
  store_->SaveCheckpoint(1, last + 5, SourceOf("one"));
  while (store_->StepBackground()) {
  }
  EXPECT_EQ(Segments(), before);  // shard 2 still needs the oldest
  store_->SaveCheckpoint(2, 1, SourceOf("two"));
  while (store_->StepBackground()) {
  }
  EXPECT_THAT(Segments(), ElementsAre(before.back()));
  Kill();
  EXPECT_THAT(Open().damages, IsEmpty());
  EXPECT_EQ(visitor_.checkpoints[2].second, "two");
}

TEST_F(StoreOnFaultyDisk, ReusesReleasedSegmentsInsteadOfAllocating) {
  options_.recycle_segments = 4;
  Open();
  int allocations = 0;
  vfs_.SetFaultHook([&](FaultVfs::Op op, const std::string&) -> std::optional<Error> {
    allocations += op == FaultVfs::Op::kAllocate;
    return std::nullopt;
  });
  uint64_t seq = 1;
  for (int round = 0; round < 20; ++round, seq += 40) {
    Land(1, seq, 40, 1000);
    store_->SaveCheckpoint(1, seq + 39, SourceOf("state"));
    while (store_->StepBackground()) {
    }
  }
  EXPECT_LT(allocations, 20);  // some 57 segments were written
  EXPECT_LE(vfs_.List("data/journal").value().size(), 6u);
  Kill();
  EXPECT_THAT(Open().damages, IsEmpty());
}

TEST_F(StoreOnFaultyDisk, DoesNotRewriteALargeLiveSetForEveryWindow) {
  Open();
  Land(1, 1, 1, 100);
  store_->SaveCheckpoint(1, 1, SourceOf(std::string(200'000, 's')));
  store_->StepBackground();
  Land(1, 2, 100, 1000);
  EXPECT_THAT(listener_.wanted, IsEmpty());
  Land(1, 102, 120, 1000);
  EXPECT_THAT(listener_.wanted, ElementsAre(1));
}

TEST_F(StoreOnFaultyDisk, EndsAndConfirmsNothingWhenASyncFails) {
  Open();
  Append(1, 1, "x");
  store_->Step();
  FailOn(FaultVfs::Op::kSync, ErrorCode::kIo);
  const uint64_t syncs = vfs_.syncs();
  store_->Step();
  vfs_.SetFaultHook(nullptr);
  ASSERT_THAT(fatal_, SizeIs(1));
  EXPECT_THAT(fatal_[0], HasSubstr("data/journal/00000000000000000001.lfj"));
  Append(1, 2, "y");
  store_->StepAll();
  store_->Stop();
  EXPECT_EQ(listener_.reports, 0);
  EXPECT_EQ(vfs_.syncs(), syncs + 1);  // never again
}

TEST_F(StoreOnFaultyDisk, EndsAndConfirmsNothingWhenAWriteFails) {
  for (const ErrorCode code : {ErrorCode::kIo, ErrorCode::kNoSpace}) {
    Open();
    FailOn(FaultVfs::Op::kWrite, code);
    Append(1, 1, "x");
    store_->StepAll();
    vfs_.SetFaultHook(nullptr);
    ASSERT_THAT(fatal_, SizeIs(1));
    EXPECT_THAT(fatal_[0], HasSubstr("Nothing that was confirmed is lost"));
    EXPECT_EQ(listener_.reports, 0);
    Kill();
  }
}

TEST(FatalErrorDeathTest, EndsTheProcessWithOneSentence) {
  EXPECT_EXIT(ExitOnFatalError({ErrorCode::kIo, "the store stops: cannot sync"}),
              testing::ExitedWithCode(3), "landfall: the store stops: cannot sync");
}

TEST_F(StoreOnFaultyDisk, WarnsWhileTheSpareSegmentStillTakesAppendsThenEndsClearly) {
  Open();
  EXPECT_THAT(listener_.space, IsEmpty());
  vfs_.SetCapacity(vfs_.UsedBytes() + 100);  // no third segment
  uint64_t seq = 0;
  while (listener_.space.empty() && seq < 100) Land(1, ++seq, 1, 1000);
  EXPECT_THAT(listener_.space, ElementsAre(true));
  const uint64_t when_warned = seq;
  while (fatal_.empty() && seq < 100) Land(1, ++seq, 1, 1000);
  EXPECT_GE(seq, when_warned + 10);  // a whole segment more
  ASSERT_THAT(fatal_, SizeIs(1));
  EXPECT_THAT(fatal_[0], HasSubstr("free space on that disk"));
  const uint64_t confirmed = listener_.durable[1];
  Kill();
  vfs_.SetCapacity(1 << 30);
  EXPECT_THAT(Open().damages, IsEmpty());
  EXPECT_GE(visitor_.batches[1].size(), confirmed);
}

TEST_F(StoreOnFaultyDisk, TakesTheWarningBackWhenThereIsSpaceAgain) {
  options_.low_space_bytes = 10'000;
  Open();
  vfs_.SetCapacity(vfs_.UsedBytes() + 9'000);
  store_->Tick();
  EXPECT_THAT(listener_.space, ElementsAre(true));
  vfs_.SetCapacity(vfs_.UsedBytes() + 11'000);
  store_->Tick();
  EXPECT_THAT(listener_.space, SizeIs(1));  // not enough to be sure
  vfs_.SetCapacity(vfs_.UsedBytes() + 13'000);
  store_->Tick();
  EXPECT_THAT(listener_.space, ElementsAre(true, false));
}

TEST_F(StoreOnFaultyDisk, TakesTheWarningBackWhenAReleasedSegmentStandsInForTheRefusedOne) {
  Open();
  vfs_.SetCapacity(vfs_.UsedBytes() + 1000);
  uint64_t seq = 0;
  while (listener_.space.empty() && seq < 100) Land(1, ++seq, 1, 1000);
  ASSERT_THAT(listener_.space, ElementsAre(true));
  store_->SaveCheckpoint(1, seq, SourceOf("state"));
  while (store_->StepBackground()) {
  }
  vfs_.SetCapacity(1 << 30);
  store_->Tick();
  while (store_->StepBackground()) {
  }
  EXPECT_THAT(listener_.space, ElementsAre(true, false));
}

TEST_F(StoreOnFaultyDisk, AsksAgainForACheckpointThatAFullDiskRefused) {
  Open();
  uint64_t seq = 0;
  while (listener_.wanted.empty()) Land(1, ++seq, 1, 1000);
  vfs_.SetCapacity(vfs_.UsedBytes() + 1000);
  store_->SaveCheckpoint(1, seq, SourceOf(std::string(5000, 's')));
  while (store_->StepBackground()) {
  }
  EXPECT_THAT(fatal_, IsEmpty());
  EXPECT_THAT(listener_.saved, IsEmpty());
  EXPECT_THAT(vfs_.List("data/checkpoint").value(), IsEmpty());
  for (int i = 0; i < 10; ++i) store_->Tick();
  EXPECT_THAT(listener_.wanted, ElementsAre(1, 1));
}

TEST_F(StoreOnFaultyDisk, RefusesADirectoryThatAnotherBrokerHolds) {
  Open();
  StepStore other(vfs_, options_, nullptr);
  EXPECT_EQ(other.Recover(visitor_).error().code, ErrorCode::kUnavailable);
}

TEST_F(StoreOnFaultyDisk, RefusesADirectoryOfANewerVersion) {
  Open();
  Kill();
  ASSERT_TRUE(WriteAll(*vfs_.Open(FormatPath("data"), OpenMode::kReadWrite).value(), 0,
                       "landfall data directory, version 9\n"));
  StepStore store(vfs_, options_, nullptr);
  const auto report = store.Recover(visitor_);
  ASSERT_FALSE(report);
  EXPECT_THAT(report.error().message, HasSubstr("written by a newer Landfall"));
}

// Its programs must not touch it any more.
TEST_F(StoreOnFaultyDisk, TakesOverADirectoryOfAnOlderVersion) {
  Open();
  Land(1, 1, 3, 100);
  Kill();
  ASSERT_TRUE(WriteAll(*vfs_.Open(FormatPath("data"), OpenMode::kReadWrite).value(), 0,
                       "landfall data directory, version 1\n"));
  Open();
  EXPECT_THAT(visitor_.batches[1], SizeIs(3));
  EXPECT_EQ(CheckDataDirectory(vfs_, "data").value(), kFormatVersion);
}

TEST_F(StoreOnFaultyDisk, LeavesNoSegmentBehindForALifeWithoutAppends) {
  for (int i = 0; i < 5; ++i) {
    Open();
    store_->Stop();
    Kill();
  }
  EXPECT_THAT(Segments(), SizeIs(1));
  EXPECT_THAT(vfs_.List("data/journal").value(), SizeIs(2));
}

TEST_F(StoreOnFaultyDisk, VerifyFindsWhatRecoveryWouldAndChangesNothing) {
  Open();
  Land(1, 1, 30, 1000);
  store_->SaveCheckpoint(1, 5, SourceOf("state"));
  store_->StepBackground();
  const auto tenth = Find(10);
  Kill();
  const uint64_t operations = vfs_.changing_operations();
  auto report = Verify(vfs_, "data");
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_TRUE(report->ok());
  EXPECT_EQ(report->log.frames, 30u);
  EXPECT_EQ(report->checkpoints, 1u);
  EXPECT_EQ(report->batches, 25u);
  vfs_.FlipBit(tenth.file, tenth.offset + 50, 1);
  report = Verify(vfs_, "data");
  ASSERT_TRUE(report);
  EXPECT_FALSE(report->ok());
  EXPECT_EQ(report->batches, 24u);
  std::vector<uint64_t> unreadable;
  ASSERT_TRUE(InspectJournal(vfs_, "data", [&](const InspectedFrame& frame) {
    if (frame.state == FrameState::kUnreadable) unreadable.push_back(frame.header.lsn);
    return true;
  }));
  EXPECT_THAT(unreadable, ElementsAre(10));
  EXPECT_EQ(vfs_.changing_operations(), operations);
  EXPECT_EQ(Verify(vfs_, "nowhere").error().code, ErrorCode::kNotFound);
}

TEST_F(StoreOnFaultyDisk, PutsADamagedSegmentAsideInsteadOfReusingIt) {
  Open();
  Land(1, 1, 30, 1000);
  const auto third = Find(3);
  Kill();
  vfs_.FlipBit(third.file, third.offset + 50, 1);
  Open();
  store_->SaveCheckpoint(1, 30, SourceOf("state"));
  while (store_->StepBackground()) {
  }
  EXPECT_TRUE(vfs_.Exists(third.file + ".damaged").value());
  EXPECT_FALSE(vfs_.Exists(third.file).value());
  Kill();
  EXPECT_THAT(Open().damages, IsEmpty());
}

}  // namespace
}  // namespace landfall::storage
