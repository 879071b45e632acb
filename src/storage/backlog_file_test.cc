#include "storage/backlog_file.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "storage/data_directory.h"
#include "storage/fault_vfs.h"
#include "storage/step_store.h"
#include "storage/store_testing.h"

namespace landfall::storage {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

constexpr BacklogName kName{.shard = 3, .number = 7};

TEST(BacklogFile, HasANameThatSaysWhoseItIs) {
  EXPECT_EQ(BacklogFileName(kName), "3-7.lfb");
  EXPECT_EQ(ParseBacklogFileName("3-7.lfb"), kName);
  for (const char* wrong : {"3-7.lfc", "3.lfb", "-7.lfb", "3-x.lfb", "70000-1.lfb"}) {
    EXPECT_EQ(ParseBacklogFileName(wrong), std::nullopt) << wrong;
  }
}

class BacklogFileOnDisk : public testing::Test {
 protected:
  BacklogFileOnDisk() { EXPECT_TRUE(vfs_.MakeDirectory("b")); }

  std::vector<BlockPlace> Write(const std::vector<std::string>& blocks) {
    auto writer = BacklogWriter::Create(vfs_, "b", kName).value();
    std::vector<BlockPlace> places;
    for (const std::string& block : blocks) {
      places.push_back({writer->Append(block).value(), static_cast<uint32_t>(block.size())});
    }
    EXPECT_TRUE(writer->Finish());
    return places;
  }
  Result<ByteBuffer> Read(BlockPlace place, BacklogName name = kName) {
    return ReadBacklogBlock(*vfs_.Open("b/3-7.lfb", OpenMode::kRead).value(), name, place);
  }

  FaultVfs vfs_;
};

TEST_F(BacklogFileOnDisk, GivesEachBlockBack) {
  const std::vector<std::string> blocks = {"first", std::string(9 << 20, 'x'), "", "last"};
  const auto places = Write(blocks);
  for (size_t i = 0; i < blocks.size(); ++i) EXPECT_TRUE(Read(places[i]).value() == blocks[i]) << i;
}

TEST_F(BacklogFileOnDisk, ReplacesWhatAnAttemptBeforeHasLeft) {
  Write({std::string(1000, 'x')});
  const auto places = Write({"new"});
  EXPECT_EQ(Read(places[0]).value(), "new");
}

TEST_F(BacklogFileOnDisk, NoticesAFlippedBitACutEndAndAnotherPlace) {
  const auto places = Write({"aaaa", "bbbb", "aaaa"});
  EXPECT_EQ(Read({places[0].offset, 5}).error().code, ErrorCode::kCorrupt);
  EXPECT_EQ(Read({places[0].offset + 1, 4}).error().code, ErrorCode::kCorrupt);
  EXPECT_EQ(Read({places[2].offset, 5}).error().code, ErrorCode::kCorrupt);
  EXPECT_EQ(Read(places[0], {.shard = 3, .number = 8}).error().code, ErrorCode::kCorrupt);
  vfs_.FlipBit("b/3-7.lfb", places[1].offset + kBacklogBlockHeaderBytes + 2, 0);
  EXPECT_THAT(Read(places[1]).error().message, HasSubstr("checksum"));
  EXPECT_EQ(Read(places[2]).value(), "aaaa");
}

// The store's part.
class BacklogOfStore : public testing::Test {
 protected:
  // A new life on the same disk.
  void Open(const std::vector<uint64_t>& kept) {
    store_.reset();
    listener_.reads.clear();
    StoreOptions options;
    options.directory = "data";
    options.segment_bytes = 16 << 10;
    options.low_space_bytes = 0;
    options.nonce_seed = 42;
    store_ = std::make_unique<StepStore>(vfs_, options,
                                         [this](const Error& e) { fatal_.push_back(e.message); });
    visitor_ = {};
    ASSERT_TRUE(store_->Recover(visitor_));
    auto aside = store_->KeepBacklog({{ShardId{1}, kept}});
    ASSERT_TRUE(aside);
    aside_ = std::move(*aside);
    store_->Start(listener_);
    store_->StepAll();
  }
  std::vector<BlockPlace> Save(uint64_t shard_seq, uint64_t file,
                               const std::vector<std::string>& blocks) {
    std::vector<BlockPlace> places;
    store_->SaveCheckpoint(1, shard_seq, [&places, file, blocks](CheckpointOutput& out) {
      for (const std::string& block : blocks) {
        const auto place = out.WriteBlock(file, block);
        if (!place) return false;
        places.push_back(*place);
      }
      return out.Write("manifest");
    });
    store_->StepAll();
    return places;
  }
  std::vector<std::string> Files() {
    return vfs_.Exists("data/backlog").value() ? vfs_.List("data/backlog").value()
                                               : std::vector<std::string>();
  }

  static constexpr char kFile[] = "data/backlog/1-5.lfb";
  FaultVfs vfs_;
  RecordingListener listener_;
  RecordingVisitor visitor_;
  std::vector<Damage> aside_;
  std::vector<std::string> fatal_;
  std::unique_ptr<StepStore> store_;
};

TEST_F(BacklogOfStore, ReadsWhatACheckpointHasWritten) {
  Open({});
  const auto places = Save(1, 5, {"one", "two"});
  store_->ReadBlock(1, 5, places[1], 11);
  store_->ReadBlock(1, 5, places[0], 12);
  store_->StepAll();
  EXPECT_EQ(listener_.reads.at(11).value(), "two");
  EXPECT_EQ(listener_.reads.at(12).value(), "one");
}

TEST_F(BacklogOfStore, WhatIsSavedSurvivesAPowerCut) {
  Open({});
  for (uint64_t number = 1; number < 20; ++number) {
    const auto places = Save(number, number, {"one", "two"});
    ASSERT_EQ(listener_.saved.at(1), number);
    Rng rng(number);
    store_.reset();
    vfs_.Crash(rng);
    Open({number});
    EXPECT_EQ(visitor_.checkpoints.at(1).second, "manifest");
    store_->ReadBlock(1, number, places[1], 1);
    store_->StepAll();
    EXPECT_EQ(listener_.reads.at(1).value(), "two");
  }
}

TEST_F(BacklogOfStore, RemovesWhatNobodyKeeps) {
  Open({});
  Save(1, 5, {"one"});
  Save(2, 6, {"two"});
  EXPECT_THAT(Files(), ElementsAre("1-5.lfb", "1-6.lfb"));
  store_->DropBacklog(1, 5);
  store_->StepAll();
  EXPECT_THAT(Files(), ElementsAre("1-6.lfb"));
  Open({});
  EXPECT_THAT(Files(), IsEmpty());
}

TEST_F(BacklogOfStore, ACheckpointThatFailsLeavesNothingBehind) {
  Open({});
  vfs_.SetCapacity(vfs_.UsedBytes() + 10'000);
  Save(1, 5, {std::string(5000, 'x'), std::string(6000, 'x')});
  EXPECT_FALSE(listener_.saved.contains(1));
  EXPECT_THAT(Files(), IsEmpty());
  EXPECT_THAT(fatal_, IsEmpty());
}

TEST_F(BacklogOfStore, SaysWhatCannotBeReadAndGoesOn) {
  Open({});
  const auto places = Save(1, 5, {"one", "two"});
  vfs_.FlipBit("data/backlog/1-5.lfb", places[0].offset + kBacklogBlockHeaderBytes, 1);
  store_->ReadBlock(1, 5, places[0], 1);
  store_->ReadBlock(1, 5, places[1], 2);
  store_->StepAll();
  EXPECT_EQ(listener_.reads.at(1).error().code, ErrorCode::kCorrupt);
  EXPECT_THAT(listener_.reads.at(1).error().message, HasSubstr("data/backlog/1-5.lfb"));
  EXPECT_EQ(listener_.reads.at(2).value(), "two");
  EXPECT_THAT(fatal_, IsEmpty());
}

TEST_F(BacklogOfStore, TriesAgainLaterWhenThereIsNoFileDescriptorOrMemory) {
  Open({});
  const auto places = Save(1, 5, {"one", "two"});
  auto failing = FaultVfs::Op::kOpen;
  vfs_.SetFaultHook([&](FaultVfs::Op op, const std::string& path) -> std::optional<Error> {
    if (op != failing || path != kFile) return std::nullopt;
    return Error{ErrorCode::kExhausted, "cannot open " + path + ": Too many open files"};
  });
  for (uint64_t token : {1, 2}) store_->ReadBlock(1, 5, places[token - 1], token);
  const auto wait = [this](int seconds) {
    for (int i = 0; i < seconds; ++i) {
      store_->Tick();
      store_->StepAll();
    }
  };
  store_->StepAll();
  wait(1 + 2 + 4 + 8 + 16);
  failing = FaultVfs::Op::kRead;
  wait(32 + 32);
  EXPECT_THAT(listener_.delays, ElementsAre(1, 2, 4, 8, 16, 32, 32, 32));
  EXPECT_THAT(listener_.reads, IsEmpty());
  EXPECT_THAT(fatal_, IsEmpty());
  vfs_.SetFaultHook(nullptr);
  wait(31);
  EXPECT_THAT(listener_.reads, IsEmpty());
  wait(1);
  EXPECT_EQ(listener_.reads.at(1).value(), "one");
  EXPECT_EQ(listener_.reads.at(2).value(), "two");
  EXPECT_THAT(Files(), ElementsAre("1-5.lfb"));  // nothing was called damaged
}

TEST_F(BacklogOfStore, BeginsAnewWithShortWaitsAfterABlockThatCouldBeRead) {
  Open({});
  const auto places = Save(1, 5, {"one"});
  for (uint64_t token : {1, 2}) {
    vfs_.SetFaultHook([](FaultVfs::Op op, const std::string& path) -> std::optional<Error> {
      if (op != FaultVfs::Op::kRead) return std::nullopt;
      return Error{ErrorCode::kExhausted, "cannot read " + path + ": Cannot allocate memory"};
    });
    store_->ReadBlock(1, 5, places[0], token);
    store_->StepAll();
    vfs_.SetFaultHook(nullptr);
    store_->Tick();
    store_->StepAll();
    EXPECT_EQ(listener_.reads.at(token).value(), "one");
  }
  EXPECT_THAT(listener_.delays, ElementsAre(1, 1));
}

TEST_F(BacklogOfStore, StopsWhenTheDiskRefusesToRead) {
  Open({});
  const auto places = Save(1, 5, {"one"});
  vfs_.SetFaultHook([](FaultVfs::Op op, const std::string& path) -> std::optional<Error> {
    if (op != FaultVfs::Op::kRead) return std::nullopt;
    return Error{ErrorCode::kIo, "cannot read " + path + ": Input/output error"};
  });
  store_->ReadBlock(1, 5, places[0], 1);
  store_->StepAll();
  EXPECT_THAT(listener_.reads, IsEmpty());
  EXPECT_THAT(fatal_, ElementsAre(HasSubstr("Input/output error")));
}

TEST_F(BacklogOfStore, KeepsAFileWithADamagedBlockWhenTheRestOfItIsNotNeeded) {
  Open({});
  const auto places = Save(1, 5, {"one", "two"});
  vfs_.FlipBit(kFile, places[0].offset + kBacklogBlockHeaderBytes, 1);
  const auto evidence = ReadWhole(vfs_, kFile).value();
  for (uint64_t token : {1, 2}) store_->ReadBlock(1, 5, places[0], token);
  store_->StepAll();
  EXPECT_THAT(listener_.reads.at(2).error().message,
              HasSubstr("the file is kept as data/backlog/1-5.lfb.damaged"));
  Rng rng(1);
  store_.reset();
  vfs_.Crash(rng);
  Open({5});
  EXPECT_THAT(aside_, IsEmpty());
  store_->ReadBlock(1, 5, places[1], 1);
  store_->StepAll();
  EXPECT_EQ(listener_.reads.at(1).value(), "two");
  store_->DropBacklog(1, 5);
  store_->StepAll();
  EXPECT_THAT(Files(), ElementsAre("1-5.lfb.damaged"));
  EXPECT_EQ(ReadWhole(vfs_, std::string(kFile) + ".damaged").value(), evidence);
}

TEST_F(BacklogOfStore, ADamagedCheckpointDoesNotCostTheFilesThatItNamed) {
  Open({});
  Save(1, 5, {"one", "two"});
  const auto evidence = ReadWhole(vfs_, kFile).value();
  vfs_.FlipBit("data/checkpoint/1-1.lfc", 85, 0);
  ASSERT_TRUE(vfs_.Open("data/backlog/2-1.lfb", OpenMode::kCreate));  // of a shard that is whole
  Open({});
  EXPECT_THAT(Files(), ElementsAre("1-5.lfb.damaged"));
  ASSERT_THAT(aside_, SizeIs(1));
  EXPECT_EQ(aside_[0].file, "data/checkpoint/1-1.lfc.damaged");
  EXPECT_THAT(aside_[0].what, HasSubstr("1 backlog files that it may have named are kept as "
                                        "data/backlog/1-*.damaged"));
  // The shard goes on, and comes to the same numbers again.
  Save(1, 5, {"three"});
  Open({5});
  EXPECT_THAT(aside_, IsEmpty());
  EXPECT_THAT(Files(), ElementsAre("1-5.lfb", "1-5.lfb.damaged"));
  EXPECT_EQ(ReadWhole(vfs_, std::string(kFile) + ".damaged").value(), evidence);
}

TEST_F(BacklogOfStore, ADamagedCheckpointCostsNoFileWhenThePowerFailsWhileItIsPutAside) {
  bool finished = false;
  for (uint64_t round = 1; !finished; ++round) {
    for (const std::string& name : Files()) ASSERT_TRUE(vfs_.Remove("data/backlog/" + name));
    Open({});
    Save(round, 5, {"one", "two"});
    vfs_.FlipBit(fmt::format("data/checkpoint/1-{}.lfc", round), 85, 0);
    store_.reset();
    vfs_.CutPowerAfter(round);
    {
      StepStore store(vfs_, {.directory = "data", .segment_bytes = 16 << 10}, nullptr);
      finished = store.Recover(visitor_) && store.KeepBacklog({});
    }
    Rng rng(round);
    vfs_.Crash(rng);
    Open({});
    EXPECT_THAT(Files(), ElementsAre("1-5.lfb.damaged")) << round;
  }
}

}  // namespace
}  // namespace landfall::storage
