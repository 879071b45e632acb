// Random histories on a disk that forgets: append, checkpoint, lose power anywhere, recover, again
// on the same disk. Every history follows from its seed; LANDFALL_CRASH_SEED replays one and
// LANDFALL_CRASH_RUNS sets how many there are.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <memory>
#include <optional>

#include "base/wire.h"
#include "storage/fault_vfs.h"
#include "storage/step_store.h"

namespace landfall::storage {
namespace {

constexpr ShardId kShards = 4;

// A shard's state is a hash over all its batches in order: equal states mean equal histories.
uint64_t Next(uint64_t state, ByteView entries) {
  ByteBuffer both;
  AppendLittle(both, state);
  both.append(entries);
  return HashEntries(both);
}

class History final : public StoreListener, public RecoveryVisitor {
 public:
  explicit History(uint64_t seed, bool unsafe) : rng_(seed) {
    options_.directory = "data";
    options_.segment_bytes = 12 << 10;
    options_.window_bytes = 30 << 10;
    options_.max_group_bytes = 6 << 10;
    options_.low_space_bytes = 0;
    options_.recycle_segments = static_cast<uint32_t>(rng_.Below(3));
    options_.unsafe_no_sync = unsafe;
    options_.nonce_seed = seed + 1;
    for (auto& shard : shards_) shard.states = {0};
    if (rng_.Chance(0.3)) vfs_.SetShortWrites(0.2, seed);
  }

  // The first thing that went wrong, or empty.
  std::string Run() {
    const uint64_t lives = 2 + rng_.Below(4);
    for (uint64_t life = 0; life < lives && problem_.empty(); ++life) Live();
    if (problem_.empty()) FinalCheck();
    return problem_;
  }

  void OnAppended(ShardId shard, uint64_t shard_seq, uint64_t, AppendOutcome) override {
    Require(shard_seq > shards_[shard].reported, "confirmed twice or backwards");
    shards_[shard].reported = shard_seq;
    // A checkpoint may have been ahead: it need not wait for the batches it replaces.
    shards_[shard].confirmed = std::max(shards_[shard].confirmed, shard_seq);
  }
  void OnCheckpointSaved(ShardId shard, uint64_t shard_seq) override {
    Require(shard_seq < shards_[shard].states.size(), "saved a checkpoint nobody took");
    shards_[shard].confirmed = std::max(shards_[shard].confirmed, shard_seq);
  }
  void OnCheckpointWanted(ShardId shard) override { SaveCheckpoint(shard); }

  Result<void> OnCheckpoint(ShardId shard, uint64_t shard_seq, ByteView bytes, bool last) override {
    Require(last, "a small checkpoint in pieces");
    Require(recovered_[shard].seq == 0, "a checkpoint after something else");
    CheckOrder(shard);
    ByteReader reader(bytes);
    recovered_[shard] = {shard_seq, reader.Little<uint64_t>()};
    return {};
  }
  Result<void> OnBatch(ShardId shard, uint64_t shard_seq, ByteView entries) override {
    Require(shard_seq == recovered_[shard].seq + 1, "a batch out of order");
    CheckOrder(shard);
    recovered_[shard] = {shard_seq, Next(recovered_[shard].state, entries)};
    return {};
  }

 private:
  struct Shard {
    std::vector<uint64_t> states;  // states[n]: after batch n
    uint64_t confirmed = 0;
    uint64_t reported = 0;  // by OnAppended
  };
  struct Recovered {
    uint64_t seq = 0;
    uint64_t state = 0;
  };

  void Require(bool holds, const std::string& what) {
    if (!holds && problem_.empty()) problem_ = what;
  }

  void CheckOrder(ShardId shard) {
    Require(shard != kTopologyShard || !others_seen_, "the topology after other shards");
    others_seen_ |= shard != kTopologyShard;
  }

  // False: the power failed on the way.
  bool Open() {
    for (auto& r : recovered_) r = {};
    others_seen_ = false;
    fatal_.reset();
    store_ = std::make_unique<StepStore>(vfs_, options_, [this](const Error& e) {
      fatal_ = e.message;
      Require(vfs_.power_is_off() || sync_failure_armed_, "unexpected fatal error: " + e.message);
    });
    auto report = store_->Recover(*this);
    if (!report) {
      Require(vfs_.power_is_off(), "recovery failed: " + report.error().message);
      return false;
    }
    for (const auto& d : report->damages) {
      Require(false, fmt::format("damage in {} at {}: {}", d.file, d.offset, d.what));
    }
    for (ShardId i = 0; i < kShards; ++i) {
      Shard& shard = shards_[i];
      const Recovered& found = recovered_[i];
      Require(found.seq >= shard.confirmed,
              fmt::format("shard {} was confirmed up to {} and came back with {}", i,
                          shard.confirmed, found.seq));
      Require(found.seq < shard.states.size(), "a batch that nobody appended");
      if (!problem_.empty()) return false;
      Require(shard.states[found.seq] == found.state, "not what was appended");
      shard.states.resize(found.seq + 1);
      // The broker acts on what it recovered, so it must never vanish.
      shard.confirmed = found.seq;
      shard.reported = found.seq;
    }
    for (const auto& [shard, seq] : report->last_shard_seq) {
      Require(recovered_[shard].seq == seq, "last_shard_seq is wrong");
    }
    return problem_.empty();
  }

  void Append() {
    const auto i = static_cast<ShardId>(rng_.Below(kShards));
    Shard& shard = shards_[i];
    const uint64_t kind = rng_.Below(100);
    const size_t size = kind < 85   ? rng_.Below(200)
                        : kind < 98 ? rng_.Below(6000)
                                    : 5000 + rng_.Below(20000);
    ByteBuffer entries(size, '\0');
    for (size_t at = 0; at < size; at += 8) {
      const uint64_t word = rng_.Next();
      std::memcpy(entries.data() + at, &word, std::min<size_t>(8, size - at));
    }
    shard.states.push_back(Next(shard.states.back(), entries));
    store_->Append({.shard = i,
                    .shard_seq = shard.states.size() - 1,
                    .entries = std::move(entries),
                    .urgent = rng_.Chance(0.7)});
  }

  void SaveCheckpoint(ShardId i) {
    const Shard& shard = shards_[i];
    ByteBuffer bytes;
    AppendLittle(bytes, shard.states.back());
    bytes.append(rng_.Below(5000), 'c');
    store_->SaveCheckpoint(i, shard.states.size() - 1,
                           [bytes](CheckpointOutput& out) { return out.Write(bytes); });
  }

  void ArmFaults() {
    if (rng_.Chance(0.5)) vfs_.CutPowerAfter(rng_.Below(120));
    sync_failure_armed_ = rng_.Chance(0.15);
    if (!sync_failure_armed_) return;
    uint64_t left = rng_.Below(20);
    vfs_.SetFaultHook([left](FaultVfs::Op op, const std::string& path) mutable {
      if (op != FaultVfs::Op::kSync || left-- > 0) return std::optional<Error>();
      left = 0;
      return std::optional(Error{ErrorCode::kIo, "cannot sync " + path + ": injected"});
    });
  }

  void Live() {
    if (rng_.Chance(0.15)) vfs_.CutPowerAfter(rng_.Below(40));  // within recovery or soon after
    if (Open()) {
      if (!vfs_.power_is_off()) ArmFaults();
      store_->Start(*this);
      const uint64_t actions = rng_.Below(150);
      for (uint64_t n = 0; n < actions && !fatal_ && problem_.empty(); ++n) Act();
      if (rng_.Chance(0.2)) store_->Stop();
    }
    End();
  }

  void Act() {
    const uint64_t what = rng_.Below(100);
    if (what < 45) {
      Append();
    } else if (what < 80) {
      store_->Step(rng_.Chance(0.2));
    } else if (what < 95) {
      store_->StepBackground(rng_.Chance(0.5) ? Lane::kSegments : Lane::kCheckpoints);
    } else if (what < 98) {
      SaveCheckpoint(static_cast<ShardId>(rng_.Below(kShards)));
    } else {
      store_->Tick();
    }
  }

  void End() {
    sync_failure_armed_ = false;
    vfs_.SetFaultHook(nullptr);
    if (rng_.Chance(0.3)) {
      vfs_.KillProcess();
      store_.reset();
    } else {
      vfs_.Crash(rng_);
      store_.reset();
    }
  }

  void FinalCheck() {
    Open();
    store_.reset();
  }

  Rng rng_;
  FaultVfs vfs_;
  StoreOptions options_;
  std::unique_ptr<StepStore> store_;
  Shard shards_[kShards];
  Recovered recovered_[kShards];
  bool others_seen_ = false;
  bool sync_failure_armed_ = false;
  std::optional<std::string> fatal_;
  std::string problem_;
};

uint64_t FromEnvironment(const char* name, uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text != nullptr ? std::strtoull(text, nullptr, 10) : otherwise;
}

TEST(StoreCrash, KeepsWhatItConfirmedThroughPowerCutsAtAnyStep) {
  if (const uint64_t seed = FromEnvironment("LANDFALL_CRASH_SEED", 0); seed != 0) {
    EXPECT_EQ(History(seed, false).Run(), "");
    return;
  }
  const uint64_t runs = FromEnvironment("LANDFALL_CRASH_RUNS", 3000);
  for (uint64_t seed = 1; seed <= runs; ++seed) {
    ASSERT_EQ(History(seed, false).Run(), "") << "LANDFALL_CRASH_SEED=" << seed;
  }
}

// The test above can fail: a store that does not sync is caught.
TEST(StoreCrash, FindsTheLossesOfAStoreThatDoesNotSync) {
  int caught = 0;
  for (uint64_t seed = 1; seed <= 200; ++seed) caught += !History(seed, true).Run().empty();
  EXPECT_GT(caught, 20);
}

}  // namespace
}  // namespace landfall::storage
