#include "apps/journal_content.h"

#include <algorithm>
#include <variant>

#include "base/wire.h"
#include "broker/topology_record.h"

namespace landfall::apps {

using storage::ShardId;

namespace {

size_t DecodableTopology(ByteView entries) {
  size_t count = 0;
  const auto read = broker::ReadTopologyRecords(entries, [&](const auto&) -> Result<void> {
    ++count;
    return {};
  });
  if (read) return entries.size();
  if (count == 0) return 0;
  ByteReader in(entries.substr(1));
  for (size_t i = 0; i < count; ++i) (void)in.Sized();
  return entries.size() - in.remaining();
}

// So that the queue's ledger balances without these blocks.
ByteBuffer WithQuarantined(broker::QueueLedgerRecord record,
                           const std::vector<BacklogCheck::DamagedBlock>& damaged) {
  for (const BacklogCheck::DamagedBlock& block : damaged) {
    if (block.queue != record.queue) continue;
    record.ledger.Leave(broker::LeaveReason::kQuarantined, block.messages);
  }
  ByteBuffer bytes;
  broker::AppendRecord(bytes, record);
  return bytes;
}

}  // namespace

const BacklogCheck::Checkpoint& JournalContent::CheckpointOf(ShardId shard) const {
  static const BacklogCheck::Checkpoint kNone;
  const auto found = backlog_.checkpoints().find(shard);
  return found == backlog_.checkpoints().end() ? kNone : found->second;
}

std::optional<std::string> JournalContent::Undecodable(ShardId shard) {
  return CheckpointOf(shard).undecodable;
}

std::vector<uint64_t> JournalContent::BacklogFiles(ShardId shard) {
  const std::set<uint64_t>& files = CheckpointOf(shard).files;
  return {files.begin(), files.end()};
}

std::vector<storage::Damage> JournalContent::DamagedBlocks(ShardId shard) {
  std::vector<storage::Damage> damages;
  for (const BacklogCheck::DamagedBlock& block : CheckpointOf(shard).damaged) {
    damages.push_back(block.damage);
    damages.back().what += ": they are quarantined, and the file is kept";
  }
  return damages;
}

bool JournalContent::CopyCheckpoint(ShardId shard, ByteView piece, storage::CheckpointOutput& out) {
  if (shard == storage::kTopologyShard) return out.Write(piece);
  const auto& damaged = CheckpointOf(shard).damaged;
  const auto copied = copies_[shard].Add(
      piece, /*last=*/false, [&](const broker::Record& record, ByteView bytes) -> Result<void> {
        const auto stands_at = [&](uint64_t file, uint64_t offset) {
          return std::ranges::any_of(damaged, [&](const BacklogCheck::DamagedBlock& d) {
            return d.file == file && d.damage.offset == offset;
          });
        };
        const auto* block = std::get_if<broker::BacklogBlockRecord>(&record);
        if (block != nullptr && stands_at(block->file, block->offset)) return {};
        const auto* stories = std::get_if<broker::StoryBlock>(&record);
        if (stories != nullptr && stands_at(stories->file, stories->place.offset)) return {};
        const auto* ledger = std::get_if<broker::QueueLedgerRecord>(&record);
        if (out.Write(ledger != nullptr ? WithQuarantined(*ledger, damaged) : bytes)) return {};
        return Fail(ErrorCode::kIo, "the copy of a checkpoint cannot be written");
      });
  return copied.has_value();
}

size_t JournalContent::Decodable(ShardId shard, ByteView entries) {
  if (shard == storage::kTopologyShard) return DecodableTopology(entries);
  ByteReader in(entries);
  while (!in.done()) {
    const size_t before = entries.size() - in.remaining();
    if (!broker::ReadRecord(in)) return before;
  }
  return entries.size();
}

ByteBuffer JournalContent::EmptyBatch(ShardId shard) {
  return shard == storage::kTopologyShard ? ByteBuffer(1, broker::kTopologyFormat) : ByteBuffer();
}

uint64_t JournalContent::quarantined() const {
  uint64_t messages = 0;
  for (const auto& [shard, checkpoint] : backlog_.checkpoints()) {
    for (const BacklogCheck::DamagedBlock& block : checkpoint.damaged) messages += block.messages;
  }
  return messages;
}

}  // namespace landfall::apps
