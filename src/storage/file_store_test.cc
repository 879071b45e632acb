// The store with its threads, on real files.
#include "storage/file_store.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <condition_variable>
#include <filesystem>

#include "storage/inspect.h"
#include "storage/posix_vfs.h"
#include "storage/store_testing.h"

namespace landfall::storage {
namespace {

constexpr auto kDeadline = std::chrono::seconds(20);

// Lets other threads wait for what is reported.
class WaitingListener final : public StoreListener {
 public:
  void OnAppended(ShardId shard, uint64_t shard_seq, uint64_t, AppendOutcome) override {
    Set([&] { durable_[shard] = shard_seq; });
  }
  void OnCheckpointSaved(ShardId shard, uint64_t shard_seq) override {
    Set([&] { saved_[shard] = shard_seq; });
  }
  void OnCheckpointWanted(ShardId) override {}

  bool WaitDurable(ShardId shard, uint64_t seq) { return Wait(durable_, shard, seq); }
  bool WaitSaved(ShardId shard, uint64_t seq) { return Wait(saved_, shard, seq); }

 private:
  template <class Change>
  void Set(Change change) {
    std::lock_guard lock(mutex_);
    change();
    changed_.notify_all();
  }
  bool Wait(std::map<ShardId, uint64_t>& values, ShardId shard, uint64_t seq) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, kDeadline, [&] { return values[shard] >= seq; });
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<ShardId, uint64_t> durable_;
  std::map<ShardId, uint64_t> saved_;
};

class FileStoreOnRealFiles : public testing::Test {
 protected:
  FileStoreOnRealFiles() {
    std::string pattern = testing::TempDir() + "landfall-store-XXXXXX";
    directory_ = ::mkdtemp(pattern.data());
    options_.directory = directory_ + "/data";
    options_.segment_bytes = 256 << 10;
    options_.window_bytes = 1 << 20;
    options_.low_space_bytes = 0;
  }
  ~FileStoreOnRealFiles() override { std::filesystem::remove_all(directory_); }

  PosixVfs vfs_;
  std::string directory_;
  StoreOptions options_;
};

TEST_F(FileStoreOnRealFiles, LandsWhatManyThreadsAppendWhileCheckpointsAreSaved) {
  constexpr ShardId kShards = 4;
  constexpr uint64_t kBatches = 400;
  {
    WaitingListener listener;
    RecordingVisitor visitor;
    FileStore store(vfs_, options_);
    ASSERT_TRUE(store.Recover(visitor));
    store.Start(listener);
    std::vector<std::thread> threads;
    for (ShardId shard = 0; shard < kShards; ++shard) {
      threads.emplace_back([&, shard] {
        for (uint64_t seq = 1; seq <= kBatches; ++seq) {
          Batch batch{.shard = shard,
                      .shard_seq = seq,
                      .entries = std::string(seq * 7 % 3000, static_cast<char>('a' + shard)),
                      .urgent = seq % 3 != 0};
          if (seq % 5 < 2) {
            std::vector<Batch> batches;
            batches.push_back(std::move(batch));
            store.AppendHere(std::move(batches));
          } else {
            store.Append(std::move(batch));
          }
          if (seq % 100 == 50)
            store.SaveCheckpoint(shard, seq, SourceOf("at " + std::to_string(seq)));
          if (seq % 10 == 0) {
            EXPECT_TRUE(listener.WaitDurable(shard, seq - 9));
          }
        }
        EXPECT_TRUE(listener.WaitDurable(shard, kBatches));
        EXPECT_TRUE(listener.WaitSaved(shard, 350));
      });
    }
    for (auto& thread : threads) thread.join();
    store.Stop();
  }
  RecordingVisitor visitor;
  FileStore store(vfs_, options_);
  const auto report = store.Recover(visitor);
  ASSERT_TRUE(report) << report.error().message;
  EXPECT_TRUE(report->damages.empty());
  EXPECT_EQ(report->torn_tail_bytes, 0u);
  for (ShardId shard = 0; shard < kShards; ++shard) {
    EXPECT_EQ(visitor.checkpoints[shard].second, "at 350");
    EXPECT_EQ(visitor.batches[shard].size(), 50u);
    EXPECT_EQ(visitor.batches[shard].rbegin()->first, kBatches);
  }
}

TEST_F(FileStoreOnRealFiles, CommitsOnTheCallersThreadWhenItIsAtRest) {
  class ThreadListener final : public StoreListener {
   public:
    void OnAppended(ShardId, uint64_t, uint64_t, AppendOutcome) override {
      thread = std::this_thread::get_id();
    }
    void OnCheckpointSaved(ShardId, uint64_t) override {}
    void OnCheckpointWanted(ShardId) override {}
    std::atomic<std::thread::id> thread;
  };
  ThreadListener listener;
  RecordingVisitor visitor;
  FileStore store(vfs_, options_);
  ASSERT_TRUE(store.Recover(visitor));
  store.Start(listener);
  bool here = false;
  // The committer may be at work on something of its own at first.
  const auto until = std::chrono::steady_clock::now() + kDeadline;
  for (uint64_t seq = 1; !here && std::chrono::steady_clock::now() < until; ++seq) {
    std::vector<Batch> batches;
    batches.push_back({.shard = 1, .shard_seq = seq, .entries = "x"});
    store.AppendHere(std::move(batches));
    here = listener.thread == std::this_thread::get_id();
  }
  store.Stop();
  EXPECT_TRUE(here);
}

TEST_F(FileStoreOnRealFiles, LandsLazyBatchesWithoutAnyoneAsking) {
  WaitingListener listener;
  RecordingVisitor visitor;
  FileStore store(vfs_, options_);
  ASSERT_TRUE(store.Recover(visitor));
  store.Start(listener);
  store.Append({.shard = 1, .shard_seq = 1, .entries = "x", .urgent = false});
  EXPECT_TRUE(listener.WaitDurable(1, 1));
  store.Append({.shard = 1, .shard_seq = 2, .entries = std::string(1 << 20, 'x'), .urgent = false});
  store.Stop();
  EXPECT_TRUE(listener.WaitDurable(1, 2));
  const auto report = Verify(vfs_, options_.directory);
  ASSERT_TRUE(report);
  EXPECT_TRUE(report->ok());
  EXPECT_EQ(report->batches, 2u);
}

TEST_F(FileStoreOnRealFiles, GivesUpACheckpointWhenItStops) {
  WaitingListener listener;
  RecordingVisitor visitor;
  FileStore store(vfs_, options_);
  ASSERT_TRUE(store.Recover(visitor));
  store.Start(listener);
  std::atomic<bool> started = false;
  std::atomic<bool> refused = false;
  store.SaveCheckpoint(1, 1, [&](CheckpointOutput& out) {
    started = true;
    const auto until = std::chrono::steady_clock::now() + kDeadline;
    while (std::chrono::steady_clock::now() < until) {
      if (!out.Write("x")) {
        refused = true;
        return false;
      }
      std::this_thread::yield();
    }
    return true;
  });
  while (!started) std::this_thread::yield();
  store.Stop();
  EXPECT_TRUE(refused);
  EXPECT_TRUE(vfs_.List(options_.directory + "/checkpoint").value().empty());
}

TEST_F(FileStoreOnRealFiles, HoldsItsDirectoryAlone) {
  RecordingVisitor visitor;
  auto first = std::make_unique<FileStore>(vfs_, options_);
  ASSERT_TRUE(first->Recover(visitor));
  FileStore second(vfs_, options_);
  EXPECT_EQ(second.Recover(visitor).error().code, ErrorCode::kUnavailable);
  first.reset();
  FileStore third(vfs_, options_);
  EXPECT_TRUE(third.Recover(visitor));
}

}  // namespace
}  // namespace landfall::storage
