// Messages that come back from backlog files.
#include <algorithm>
#include <utility>

#include "broker/shard.h"

namespace landfall::broker {

void Shard::LoadBlocks(Queue& queue, bool wanted) {
  while (BacklogBlock* block = queue.BlockToLoad(now_, wanted, options_.read_ahead_bytes))
    LoadBlock(queue, *block);
}

// Who gets one message wants the block that has it, and no more.
void Shard::LoadForOne(Queue& queue) {
  if (BacklogBlock* block = queue.BlockToLoad(now_, /*wanted=*/true, /*read_ahead=*/0))
    LoadBlock(queue, *block);
}

void Shard::LoadBlock(Queue& queue, BacklogBlock& block) {
  block.loading = true;
  reads_[++last_read_] = {queue.id(), block.last, block.file};
  ports_.ReadBlock(id_, block.file, block.place, last_read_);
}

void Shard::OnBlockRead(uint64_t token, Result<ByteBuffer> bytes, Time now) {
  now_ = now;
  const auto it = reads_.find(token);
  if (it == reads_.end()) return;
  const Read read = it->second;
  reads_.erase(it);
  DropUnnamedFiles();
  const auto found = queues_.find(read.queue);
  if (found == queues_.end()) return;  // dropped meanwhile
  Queue& queue = *found->second;
  BacklogBlock* block = queue.FindBlock(read.last);
  if (block == nullptr) return;  // all of it is gone
  Result<std::vector<QueuedMessageRecord>> messages =
      bytes ? ReadBlockMessages(*bytes) : std::unexpected(std::move(bytes.error()));
  const std::vector<QueuedMessageRecord> none;
  const uint64_t lost = queue.Load(*block, messages ? *messages : none);
  if (lost > 0) {
    if (messages) messages = Fail(ErrorCode::kCorrupt, "a block lacks messages");
    ports_.BacklogDamaged(queue.id(), lost, messages.error());
    TellGone(queue, StoryEvent::kLost, "cannot be read back");
  }
  WantDispatch(queue);
  ExpireMessages(queue);
  Arm(queue);
  RunDeferred();
}

// Not under a read.
void Shard::DropUnnamedFiles() {
  std::erase_if(unnamed_files_, [this](uint64_t file) {
    const bool in_use =
        std::ranges::any_of(reads_, [file](const auto& read) { return read.second.file == file; });
    if (in_use) return false;
    files_.erase(file);
    ports_.DropBacklog(id_, file);
    return true;
  });
}

}  // namespace landfall::broker
