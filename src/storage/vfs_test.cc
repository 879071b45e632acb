#include "storage/vfs.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <filesystem>

#include "storage/fault_vfs.h"
#include "storage/posix_vfs.h"

namespace landfall::storage {
namespace {

// What both filesystems promise.
class AnyVfs : public testing::TestWithParam<bool> {
 protected:
  AnyVfs() {
    if (GetParam()) {
      vfs_ = std::make_unique<PosixVfs>();
      std::string pattern = testing::TempDir() + "landfall-vfs-XXXXXX";
      directory_ = ::mkdtemp(pattern.data());
    } else {
      vfs_ = std::make_unique<FaultVfs>();
      directory_ = "d";
    }
    EXPECT_TRUE(vfs_->MakeDirectory(directory_));
  }
  ~AnyVfs() override {
    if (GetParam()) std::filesystem::remove_all(directory_);
  }

  std::string Path(const std::string& name) const { return directory_ + "/" + name; }

  std::unique_ptr<Vfs> vfs_;
  std::string directory_;
};

INSTANTIATE_TEST_SUITE_P(Vfs, AnyVfs, testing::Bool(),
                         [](const auto& parameter) { return parameter.param ? "Posix" : "Fault"; });

TEST_P(AnyVfs, ReadsBackManyPiecesWrittenAtOnce) {
  auto file = vfs_->Open(Path("f"), OpenMode::kCreate);
  ASSERT_TRUE(file);
  std::string expected(10, '\0');
  std::vector<std::string> texts;
  for (int i = 0; i < 3000; ++i) texts.push_back(std::to_string(i));
  std::vector<ByteView> pieces(texts.begin(), texts.end());
  for (const auto& text : texts) expected += text;
  ASSERT_TRUE(WriteAll(**file, 10, pieces));
  ASSERT_TRUE((*file)->Sync());
  EXPECT_EQ(ReadWhole(*vfs_, Path("f")).value(), expected);
}

TEST_P(AnyVfs, CreatesOnlyWhatIsNotThereAndOpensOnlyWhatIs) {
  EXPECT_EQ(vfs_->Open(Path("f"), OpenMode::kReadWrite).error().code, ErrorCode::kNotFound);
  EXPECT_FALSE(vfs_->Exists(Path("f")).value());
  ASSERT_TRUE(vfs_->Open(Path("f"), OpenMode::kCreate));
  EXPECT_TRUE(vfs_->Exists(Path("f")).value());
  EXPECT_EQ(vfs_->Open(Path("f"), OpenMode::kCreate).error().code, ErrorCode::kExists);
}

TEST_P(AnyVfs, RenamesOverAnotherFile) {
  ASSERT_TRUE(WriteAll(*vfs_->Open(Path("a"), OpenMode::kCreate).value(), 0, "from a"));
  ASSERT_TRUE(WriteAll(*vfs_->Open(Path("b"), OpenMode::kCreate).value(), 0, "from b"));
  ASSERT_TRUE(vfs_->Rename(Path("a"), Path("b")));
  ASSERT_TRUE(vfs_->SyncDirectory(directory_));
  EXPECT_EQ(vfs_->List(directory_).value(), std::vector<std::string>{"b"});
  EXPECT_EQ(ReadWhole(*vfs_, Path("b")).value(), "from a");
  ASSERT_TRUE(vfs_->Remove(Path("b")));
  EXPECT_EQ(vfs_->Remove(Path("b")).error().code, ErrorCode::kNotFound);
}

TEST_P(AnyVfs, GivesAFileASecondNameWhichOutlivesTheFirst) {
  ASSERT_TRUE(WriteAll(*vfs_->Open(Path("a"), OpenMode::kCreate).value(), 0, "from a"));
  ASSERT_TRUE(vfs_->Open(Path("b"), OpenMode::kCreate));
  EXPECT_EQ(vfs_->Link(Path("a"), Path("b")).error().code, ErrorCode::kExists);
  EXPECT_EQ(vfs_->Link(Path("nothing"), Path("c")).error().code, ErrorCode::kNotFound);
  ASSERT_TRUE(vfs_->Link(Path("a"), Path("c")));
  EXPECT_TRUE(vfs_->Link(Path("a"), Path("c")));
  ASSERT_TRUE(vfs_->Remove(Path("a")));
  EXPECT_EQ(vfs_->List(directory_).value(), (std::vector<std::string>{"b", "c"}));
  EXPECT_EQ(ReadWhole(*vfs_, Path("c")).value(), "from a");
}

TEST_P(AnyVfs, AllocatesZerosAndKeepsWhatIsThere) {
  auto file = vfs_->Open(Path("f"), OpenMode::kCreate).value();
  ASSERT_TRUE(WriteAll(*file, 0, "abc"));
  ASSERT_TRUE(file->Allocate(10000));
  EXPECT_EQ(file->Size().value(), 10000u);
  ASSERT_TRUE(file->Allocate(50));
  EXPECT_EQ(file->Size().value(), 10000u);
  EXPECT_EQ(ReadWhole(*vfs_, Path("f")).value(), "abc" + std::string(9997, '\0'));
  ASSERT_TRUE(file->Truncate(2));
  EXPECT_EQ(ReadWhole(*vfs_, Path("f")).value(), "ab");
}

TEST_P(AnyVfs, LetsOnlyOneHoldADirectory) {
  {
    auto lock = vfs_->Lock(directory_);
    ASSERT_TRUE(lock);
    EXPECT_EQ(vfs_->Lock(directory_).error().code, ErrorCode::kUnavailable);
  }
  EXPECT_TRUE(vfs_->Lock(directory_));
}

TEST_P(AnyVfs, MakesDirectoriesWithTheirParents) {
  ASSERT_TRUE(vfs_->MakeDirectory(Path("x/y/z")));
  ASSERT_TRUE(vfs_->MakeDirectory(Path("x/y/z")));
  ASSERT_TRUE(vfs_->Open(Path("x/y/z/f"), OpenMode::kCreate));
  EXPECT_EQ(vfs_->List(Path("x/y/z")).value(), std::vector<std::string>{"f"});
  EXPECT_GT(vfs_->FreeSpace(Path("x/y")).value(), 0u);
}

TEST(PosixVfs, TellsAProcessWithoutFileDescriptorsFromADiskThatFails) {
  rlimit before;
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  rlimit none = before;
  none.rlim_cur = 0;
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &none), 0);
  const auto file = PosixVfs().Open("/dev/null", OpenMode::kRead);
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
  ASSERT_FALSE(file);
  EXPECT_EQ(file.error().code, ErrorCode::kExhausted);
}

class FaultyDisk : public testing::Test {
 protected:
  FaultyDisk() { EXPECT_TRUE(vfs_.MakeDirectory("d")); }

  FaultVfs vfs_;
};

TEST_F(FaultyDisk, KeepsWhatWasSyncedAndMayLoseTheRest) {
  bool kept = false;
  bool lost = false;
  for (uint64_t seed = 0; seed < 40; ++seed) {
    FaultVfs vfs;
    ASSERT_TRUE(vfs.MakeDirectory("d"));
    auto file = vfs.Open("d/f", OpenMode::kCreate).value();
    ASSERT_TRUE(WriteAll(*file, 0, "durable"));
    ASSERT_TRUE(file->Sync());
    ASSERT_TRUE(vfs.SyncDirectory("d"));
    ASSERT_TRUE(WriteAll(*file, 7, " or not"));
    Rng rng(seed);
    vfs.Crash(rng);
    const auto found = ReadWhole(vfs, "d/f").value();
    kept |= found == "durable or not";
    lost |= found == "durable";
    EXPECT_TRUE(found.starts_with("durable"));
    EXPECT_FALSE(file->Sync());
  }
  EXPECT_TRUE(kept);
  EXPECT_TRUE(lost);
}

TEST_F(FaultyDisk, TearsAtSectorsAndNeverInsideOne) {
  bool torn = false;
  for (uint64_t seed = 0; seed < 100; ++seed) {
    FaultVfs vfs;
    ASSERT_TRUE(vfs.MakeDirectory("d"));
    auto file = vfs.Open("d/f", OpenMode::kCreate).value();
    ASSERT_TRUE(file->Allocate(4096));
    ASSERT_TRUE(file->Sync());
    ASSERT_TRUE(vfs.SyncDirectory("d"));
    ASSERT_TRUE(WriteAll(*file, 0, std::string(4096, 'x')));
    Rng rng(seed);
    vfs.Crash(rng);
    const auto found = ReadWhole(vfs, "d/f").value();
    ASSERT_EQ(found.size(), 4096u);
    int written = 0;
    for (size_t s = 0; s < 4096; s += 512) {
      const auto sector = found.substr(s, 512);
      EXPECT_TRUE(sector == std::string(512, 'x') || sector == std::string(512, '\0'));
      written += sector[0] == 'x';
    }
    torn |= written > 0 && written < 8;
  }
  EXPECT_TRUE(torn);
}

TEST_F(FaultyDisk, MayForgetARenameThatWasNotSynced) {
  bool before = false;
  bool after = false;
  for (uint64_t seed = 0; seed < 40; ++seed) {
    FaultVfs vfs;
    ASSERT_TRUE(vfs.MakeDirectory("d"));
    ASSERT_TRUE(vfs.Open("d/a", OpenMode::kCreate));
    ASSERT_TRUE(vfs.SyncDirectory("d"));
    ASSERT_TRUE(vfs.Rename("d/a", "d/b"));
    Rng rng(seed);
    vfs.Crash(rng);
    const auto names = vfs.List("d").value();
    ASSERT_EQ(names.size(), 1u);
    before |= names[0] == "a";
    after |= names[0] == "b";
  }
  EXPECT_TRUE(before && after);
}

TEST_F(FaultyDisk, IsFullWhenItsCapacityIsUsed) {
  vfs_.SetCapacity(1000);
  auto file = vfs_.Open("d/f", OpenMode::kCreate).value();
  EXPECT_EQ(file->Allocate(1001).error().code, ErrorCode::kNoSpace);
  EXPECT_EQ(WriteAll(*file, 0, std::string(1001, 'x')).error().code, ErrorCode::kNoSpace);
  EXPECT_EQ(vfs_.FreeSpace("d").value(), 0u);
}

TEST_F(FaultyDisk, WritesShortAndWriteAllGoesOn) {
  vfs_.SetShortWrites(0.9, 5);
  auto file = vfs_.Open("d/f", OpenMode::kCreate).value();
  const std::vector<ByteView> pieces{"one", "", "two", "and a longer third", ""};
  ASSERT_TRUE(WriteAll(*file, 0, pieces));
  EXPECT_EQ(ReadWhole(vfs_, "d/f").value(), "onetwoand a longer third");
}

TEST_F(FaultyDisk, NeverMakesDurableWhatAFailedSyncLost) {
  bool lost = false;
  for (int n = 0; n < 20; ++n) {
    const std::string path = "d/f" + std::to_string(n);
    auto file = vfs_.Open(path, OpenMode::kCreate).value();
    ASSERT_TRUE(vfs_.SyncDirectory("d"));
    ASSERT_TRUE(WriteAll(*file, 0, "abc"));
    vfs_.SetFaultHook([](FaultVfs::Op op, const std::string&) {
      return op == FaultVfs::Op::kSync ? std::optional(Error{ErrorCode::kIo, "no"}) : std::nullopt;
    });
    EXPECT_FALSE(file->Sync());
    vfs_.SetFaultHook(nullptr);
    EXPECT_TRUE(file->Sync());
    EXPECT_EQ(ReadWhole(vfs_, path).value(), "abc");
    Rng rng(1);
    vfs_.Crash(rng);
    lost |= ReadWhole(vfs_, path).value() != "abc";
  }
  EXPECT_TRUE(lost);
}

TEST_F(FaultyDisk, ChangesNothingOnceThePowerIsOff) {
  auto file = vfs_.Open("d/f", OpenMode::kCreate).value();
  vfs_.CutPowerAfter(1);
  EXPECT_TRUE(WriteAll(*file, 0, "abc"));
  EXPECT_FALSE(file->Sync());
  EXPECT_FALSE(vfs_.List("d"));
  EXPECT_TRUE(vfs_.power_is_off());
  Rng rng(1);
  vfs_.Crash(rng);
  EXPECT_TRUE(vfs_.List("d"));
}

}  // namespace
}  // namespace landfall::storage
