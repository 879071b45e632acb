#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "storage/store.h"

// What the store's tests hear and what they replay into.
namespace landfall::storage {

// Remembers what was reported.
class RecordingListener final : public StoreListener {
 public:
  void OnAppended(ShardId shard, uint64_t shard_seq, uint64_t /*lsn*/,
                  AppendOutcome outcome) override {
    if (outcome == AppendOutcome::kDurable) durable[shard] = shard_seq;
    ++reports;
  }
  void OnCheckpointSaved(ShardId shard, uint64_t shard_seq) override { saved[shard] = shard_seq; }
  void OnCheckpointWanted(ShardId shard) override { wanted.push_back(shard); }
  void OnSpace(bool low) override { space.push_back(low); }
  void OnReadsDelayed(const Error&, uint32_t seconds) override { delays.push_back(seconds); }
  void OnBlockRead(ShardId, uint64_t token, Result<ByteBuffer> block) override {
    reads.emplace(token, std::move(block));
  }

  std::map<ShardId, uint64_t> durable;
  std::map<ShardId, uint64_t> saved;
  std::vector<ShardId> wanted;
  std::vector<bool> space;
  std::vector<uint32_t> delays;
  std::map<uint64_t, Result<ByteBuffer>> reads;
  int reports = 0;
};

// Remembers what recovery delivered.
class RecordingVisitor final : public RecoveryVisitor {
 public:
  Result<void> OnCheckpoint(ShardId shard, uint64_t shard_seq, ByteView piece, bool last) override {
    checkpoints[shard].first = shard_seq;
    checkpoints[shard].second += piece;
    if (last) order.push_back(shard);
    return {};
  }
  Result<void> OnBatch(ShardId shard, uint64_t shard_seq, ByteView entries) override {
    batches[shard][shard_seq] = std::string(entries);
    order.push_back(shard);
    return {};
  }

  std::map<ShardId, std::pair<uint64_t, std::string>> checkpoints;
  std::map<ShardId, std::map<uint64_t, std::string>> batches;
  std::vector<ShardId> order;
};

inline CheckpointSource SourceOf(std::string bytes) {
  return [bytes = std::move(bytes)](CheckpointOutput& out) { return out.Write(bytes); };
}

}  // namespace landfall::storage
