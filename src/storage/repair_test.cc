// Damage anywhere, then repair: nothing is complained about any more, and what could be read before
// is there. Every case follows from its seed.
#include "storage/repair.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/rng.h"
#include "storage/checkpoint_file.h"
#include "storage/damaged_file.h"
#include "storage/data_directory.h"
#include "storage/fault_vfs.h"
#include "storage/log_reader.h"
#include "storage/segment.h"
#include "storage/step_store.h"
#include "storage/store_testing.h"

namespace landfall::storage {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

constexpr ShardId kShards = 4;

// All can be decoded, but for what stands behind a '!'.
class TestContent final : public RepairContent {
 public:
  void OnCheckpoint(ShardId, ByteView, bool) override {}
  std::optional<std::string> Undecodable(ShardId) override { return std::nullopt; }
  std::vector<uint64_t> BacklogFiles(ShardId) override { return {}; }
  std::vector<Damage> DamagedBlocks(ShardId) override { return {}; }
  bool CopyCheckpoint(ShardId, ByteView piece, CheckpointOutput& out) override {
    return out.Write(piece);
  }
  size_t Decodable(ShardId, ByteView entries) override {
    return std::min(entries.find('!'), entries.size());
  }
  ByteBuffer EmptyBatch(ShardId) override { return {}; }
};

// What recovery delivers and complains of.
struct Recovered {
  RecordingVisitor visitor;
  RecoveryReport report;
};

class RepairOnFaultyDisk : public testing::Test {
 protected:
  // A few lives: appends, checkpoints, ends of every kind. Everything is durable afterwards.
  void WriteHistory(uint64_t seed) {
    vfs_ = std::make_unique<FaultVfs>();
    std::map<ShardId, uint64_t> next;
    Rng rng(seed);
    const uint64_t lives = 1 + rng.Below(3);
    for (uint64_t life = 0; life < lives; ++life) {
      auto store = Open();
      RecordingListener listener;
      store->Start(listener);
      const uint64_t batches = 5 + rng.Below(60);
      for (uint64_t i = 0; i < batches; ++i) {
        const auto shard = static_cast<ShardId>(rng.Below(kShards));
        const uint64_t seq = ++next[shard];
        store->Append({.shard = shard, .shard_seq = seq, .entries = Content(shard, seq, rng)});
        if (rng.Chance(0.6)) store->StepAll();
        if (shard != kTopologyShard && rng.Chance(0.05)) {
          store->SaveCheckpoint(shard, seq, SourceOf(fmt::format("state after {}", seq)));
        }
      }
      store->StepAll();
      if (rng.Chance(0.5)) store->Stop();
      store.reset();
      vfs_->Crash(rng);
    }
  }
  std::unique_ptr<StepStore> Open() {
    auto store = std::make_unique<StepStore>(*vfs_,
                                             StoreOptions{.directory = "data",
                                                          .segment_bytes = 12 << 10,
                                                          .window_bytes = 30 << 10,
                                                          .low_space_bytes = 0,
                                                          .nonce_seed = 42},
                                             [](const Error& e) { FAIL() << e.message; });
    RecordingVisitor visitor;
    EXPECT_TRUE(store->Recover(visitor));
    EXPECT_TRUE(store->KeepBacklog({}));
    return store;
  }
  static std::string Content(ShardId shard, uint64_t seq, Rng& rng) {
    std::string content = fmt::format("batch {} of {}", seq, shard);
    content.resize(content.size() + rng.Below(rng.Chance(0.9) ? 300 : 9000), '.');
    return content;
  }

  std::vector<std::string> Paths() {
    std::vector<std::string> paths;
    for (const auto& directory :
         {JournalDirectory("data"), CheckpointDirectory("data"), BacklogDirectory("data")}) {
      const auto names = vfs_->List(directory).value();
      for (const std::string& name : names) {
        if (!ParseSpareName(name)) paths.push_back(fmt::format("{}/{}", directory, name));
      }
    }
    return paths;
  }
  std::string Bytes(const std::string& path) { return ReadWhole(*vfs_, path).value(); }

  void DamageAnything(Rng& rng) {
    const auto paths = Paths();
    if (paths.empty()) return;  // all of it has been removed
    const std::string& path = paths[rng.Below(paths.size())];
    const size_t size = Bytes(path).size();
    const uint64_t kind = rng.Below(100);
    if (kind < 70 && size > 0) {
      const uint64_t first = rng.Below(size);
      const uint64_t count = rng.Chance(0.7) ? 1 : 1 + rng.Below(3000);
      for (uint64_t at = first; at < std::min<uint64_t>(size, first + count); ++at) {
        vfs_->FlipBit(path, at, static_cast<int>(rng.Below(8)));
      }
    } else if (kind < 80 && size > kSegmentHeaderBytes) {
      for (const uint64_t at : {0, 2048}) vfs_->FlipBit(path, at, 0);
    } else if (kind < 88) {
      auto file = vfs_->Open(path, OpenMode::kReadWrite).value();
      ASSERT_TRUE(file->Truncate(rng.Below(size + 1)));
      ASSERT_TRUE(file->Sync());
    } else if (kind < 95) {
      ASSERT_TRUE(vfs_->Remove(path));
    } else {
      ASSERT_TRUE(
          vfs_->Open(fmt::format("data/checkpoint/stray{}", rng.Next()), OpenMode::kCreate));
    }
    for (const auto& directory : {JournalDirectory("data"), CheckpointDirectory("data")}) {
      ASSERT_TRUE(vfs_->SyncDirectory(directory));
    }
  }

  Recovered Read() {
    Recovered recovered;
    auto log = ReadLog(*vfs_, "data", recovered.visitor);
    EXPECT_TRUE(log);
    if (log) recovered.report = std::move(log->report);
    return recovered;
  }

  std::vector<RepairStep> Plan() { return PlanRepair(*vfs_, "data", content_).value(); }
  // What was said. `refused`: by steps that cannot be done.
  std::vector<std::string> Repair() {
    std::vector<std::string> said;
    refused_.clear();
    for (int round = 0; round < 5; ++round) {
      const auto steps = PlanRepair(*vfs_, "data", content_);
      if (!steps) return said;  // the power is off
      bool any = false;
      for (const RepairStep& step : *steps) {
        for (const Damage& d : step.said) (step.run ? said : refused_).push_back(d.what);
        if (!step.run) continue;
        any = true;
        if (!step.run()) return said;  // the same
      }
      if (!any) break;
    }
    return said;
  }

  // Everything of `before`, and nothing else but batches without effect.
  void ExpectSame(const Recovered& before, const Recovered& after, const std::string& where) {
    for (ShardId shard = 0; shard < kShards; ++shard) {
      const auto was = before.visitor.checkpoints.find(shard);
      const auto is = after.visitor.checkpoints.find(shard);
      const std::string none;
      EXPECT_EQ(was == before.visitor.checkpoints.end() ? none : was->second.second,
                is == after.visitor.checkpoints.end() ? none : is->second.second)
          << where;
      const auto batches = [shard](const Recovered& of) {
        const auto found = of.visitor.batches.find(shard);
        std::map<uint64_t, std::string> some;
        if (found == of.visitor.batches.end()) return some;
        for (const auto& [seq, entries] : found->second) {
          if (!entries.empty()) some.emplace(seq, entries);
        }
        return some;
      };
      EXPECT_EQ(batches(before), batches(after)) << where << ", shard " << shard;
    }
  }

  // Each file of `before` is there as it was, or kept.
  void ExpectKept(const std::map<std::string, std::string>& before, const std::string& where) {
    const auto paths = Paths();
    for (const auto& [path, bytes] : before) {
      const bool kept = std::ranges::any_of(paths, [&](const std::string& candidate) {
        const bool name = candidate == path ||
                          (candidate.starts_with(path) && candidate.ends_with(kDamagedSuffix));
        return name && Bytes(candidate) == bytes;
      });
      EXPECT_TRUE(kept) << where << ": " << path;
    }
  }

  std::unique_ptr<FaultVfs> vfs_ = std::make_unique<FaultVfs>();
  TestContent content_;
  std::vector<std::string> refused_;
};

TEST_F(RepairOnFaultyDisk, KeepsAllThatCouldBeReadWhateverIsDamagedAndThePowerFails) {
  int repaired = 0;
  int given_up = 0;
  for (uint64_t seed = 1; seed <= 1500; ++seed) {
    const std::string where = fmt::format("seed {}", seed);
    WriteHistory(seed);
    Rng rng(seed);
    const uint64_t damages = rng.Below(5);
    for (uint64_t i = 0; i < damages; ++i) DamageAnything(rng);
    const Recovered before = Read();
    std::map<std::string, std::string> files;
    for (const std::string& path : Paths()) files[path] = Bytes(path);

    if (rng.Chance(0.4)) {
      vfs_->CutPowerAfter(rng.Below(30));
      Repair();
      vfs_->Crash(rng);
      ExpectSame(before, Read(), where + " after the power failed");
    }
    const auto said = Repair();
    const Recovered after = Read();
    ExpectSame(before, after, where);
    ExpectKept(files, where);
    if (refused_.empty()) {
      EXPECT_THAT(after.report.damages, IsEmpty()) << where << ": " << after.report.damages[0].what;
      EXPECT_EQ(after.report.torn_tail_bytes, 0u) << where;
    }
    repaired += !before.report.damages.empty() && refused_.empty();
    given_up += !refused_.empty();

    // The broker boots and goes on.
    if (!refused_.empty()) continue;
    {
      auto store = Open();
      RecordingListener listener;
      store->Start(listener);
      const uint64_t seq = 1'000'000;  // of a shard that is new
      store->Append({.shard = kShards, .shard_seq = 1, .entries = fmt::format("{}", seq)});
      store->StepAll();
      EXPECT_EQ(listener.durable[kShards], 1u) << where;
    }
    const Recovered later = Read();
    ExpectSame(before, later, where + " later");
    EXPECT_THAT(later.report.damages, IsEmpty()) << where;
    if (testing::Test::HasFailure()) return;
  }
  EXPECT_GT(repaired, 500);
  EXPECT_LT(given_up, 300);
}

TEST_F(RepairOnFaultyDisk, HasNothingToDoAboutAWholeDirectory) {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    WriteHistory(seed);
    if (Read().report.torn_tail_bytes > 0) continue;
    EXPECT_THAT(Plan(), IsEmpty()) << seed;
  }
}

class RepairOfOneLife : public RepairOnFaultyDisk {
 protected:
  // Batches 1 to 3 of shards 0, 1, 2 in turns; LSN 1 to 9.
  void Write(const std::string& second_of_shard_1 = "batch 2 of 1") {
    auto store = Open();
    RecordingListener listener;
    store->Start(listener);
    for (uint64_t seq = 1; seq <= 3; ++seq) {
      for (ShardId shard = 0; shard < 3; ++shard) {
        const bool special = shard == 1 && seq == 2;
        store->Append(
            {.shard = shard,
             .shard_seq = seq,
             .entries = special ? second_of_shard_1 : fmt::format("batch {} of {}", seq, shard)});
        store->StepAll();
      }
    }
    store->Stop();
  }
  void Damage(uint64_t lsn) {
    RecordingVisitor visitor;
    const std::string bytes = Bytes(kSegment);
    const auto header = ReadSegmentHeader(bytes);
    const auto scan = ScanSegment(bytes, *header, std::nullopt);
    for (const ScannedFrame& frame : scan.frames) {
      if (frame.header.lsn == lsn) vfs_->FlipBit(kSegment, frame.offset + kFrameHeaderBytes, 0);
    }
  }

  static constexpr char kSegment[] = "data/journal/00000000000000000001.lfj";
};

TEST_F(RepairOfOneLife, SaysWhoseBatchesAreLost) {
  Write();
  Damage(5);
  EXPECT_THAT(Repair(), ElementsAre(HasSubstr("LSN 5 to 5 cannot be read"),
                                    HasSubstr("of shard 1 the batches 2 to 2 are lost")));
  EXPECT_THAT(Read().report.damages, IsEmpty());
  EXPECT_THAT(Plan(), IsEmpty());
}

TEST_F(RepairOfOneLife, ShowsAPlanWithoutDoingIt) {
  Write();
  Damage(5);
  const uint64_t operations = vfs_->changing_operations();
  EXPECT_THAT(Plan(), SizeIs(1));
  EXPECT_EQ(vfs_->changing_operations(), operations);
}

TEST_F(RepairOfOneLife, KeepsTheRecordsOfABatchThatCanBeDecoded) {
  Write("good records!and nonsense");
  EXPECT_THAT(Repair(), ElementsAre(HasSubstr("batch 2 of shard 1 cannot be decoded from its byte "
                                              "12 on")));
  EXPECT_EQ(Read().visitor.batches[1][2], "good records");
  EXPECT_THAT(Plan(), IsEmpty());
}

TEST_F(RepairOfOneLife, LetsAShardGoOnBehindBatchesThatItsLostCheckpointHad) {
  Write();
  {
    auto store = Open();
    RecordingListener listener;
    store->Start(listener);
    for (const ShardId shard : {0, 1, 2}) store->SaveCheckpoint(shard, 3, SourceOf("state"));
    store->StepAll();
    store->Append({.shard = 1, .shard_seq = 4, .entries = "batch 4 of 1"});
    store->StepAll();
    store->Stop();
  }
  vfs_->FlipBit("data/checkpoint/1-3.lfc", 85, 0);
  EXPECT_THAT(Repair(), ElementsAre(HasSubstr("the checkpoint of shard 1 cannot be read"),
                                    HasSubstr("of shard 1 the batches 1 to 3 are lost")));
  const Recovered after = Read();
  EXPECT_THAT(after.report.damages, IsEmpty());
  EXPECT_EQ(after.visitor.batches.at(1).at(4), "batch 4 of 1");
  EXPECT_EQ(after.visitor.checkpoints.at(1), std::pair(uint64_t{3}, std::string()));
}

TEST_F(RepairOfOneLife, LeavesATopologyThatIsLostAsItIs) {
  Write();
  {
    auto store = Open();
    RecordingListener listener;
    store->Start(listener);
    for (const ShardId shard : {0, 1, 2}) store->SaveCheckpoint(shard, 3, SourceOf("state"));
    store->StepAll();
    store->Stop();
  }
  vfs_->FlipBit("data/checkpoint/0-3.lfc", 85, 0);
  EXPECT_THAT(Repair(), IsEmpty());
  EXPECT_THAT(refused_, ElementsAre(HasSubstr("restore the data directory from a backup")));
  EXPECT_TRUE(vfs_->Exists("data/checkpoint/0-3.lfc").value());
}

TEST_F(RepairOfOneLife, RefusesToStandInForMoreFramesThanAnyJournalHas) {
  Write();
  ASSERT_TRUE(vfs_->Open("data/journal/18000000000000000000.lfj", OpenMode::kCreate));
  EXPECT_THAT(Repair(), IsEmpty());
  EXPECT_THAT(refused_, ElementsAre(HasSubstr("too many to stand in for")));
}

}  // namespace
}  // namespace landfall::storage
