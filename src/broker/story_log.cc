#include "broker/story_log.h"

#include <algorithm>

#include "broker/backlog.h"

namespace landfall::broker {

void StoryLog::Add(ByteView bytes, Time time) {
  if (current_bytes_.empty()) current_.first = time;
  current_.last = time;
  current_bytes_ += bytes;
  unstored_bytes_ += bytes.size();
  if (current_bytes_.size() >= kBacklogBlockBytes) CloseChunk();
  DropBeyondMemory();
}

// What a checkpoint is about to write stays: OnStored counts on it.
void StoryLog::DropBeyondMemory() {
  while (unstored_bytes_ > limits_.memory_bytes && chunks_.size() > being_stored_) {
    const auto oldest = chunks_.begin() + static_cast<ptrdiff_t>(being_stored_);
    unstored_bytes_ -= oldest->bytes->size();
    dropped_bytes_ += oldest->bytes->size();
    chunks_.erase(oldest);
  }
}

void StoryLog::DropOldBlocks(Time now) {
  while (!blocks_.empty() &&
         (block_bytes_ > limits_.disk_bytes || blocks_.front().last + limits_.age < now)) {
    block_bytes_ -= blocks_.front().place.length;
    blocks_.pop_front();
  }
}

void StoryLog::CloseChunk() {
  if (current_bytes_.empty()) return;
  current_.bytes = std::make_shared<const ByteBuffer>(std::exchange(current_bytes_, {}));
  chunks_.push_back(std::exchange(current_, {}));
}

std::vector<StoryChunk> StoryLog::Chunks() const {
  std::vector<StoryChunk> chunks(chunks_.begin(), chunks_.end());
  if (!current_bytes_.empty()) {
    chunks.push_back(
        {current_.first, current_.last, std::make_shared<const ByteBuffer>(current_bytes_)});
  }
  return chunks;
}

StoryLog::Unstored StoryLog::TakeUnstored(Time now) {
  // A checkpoint before that has come to nothing no longer holds on to what it was to write.
  being_stored_ = 0;
  DropOldBlocks(now);
  if (unstored_bytes_ < limits_.few_bytes) return {.chunks = Chunks(), .few = true};
  CloseChunk();
  DropBeyondMemory();
  being_stored_ = chunks_.size();
  return {.chunks = Chunks()};
}

void StoryLog::OnStored(const std::vector<StoryBlock>& blocks) {
  for (const StoryBlock& block : blocks) RestoreBlock(block);
  const size_t stored = std::min(blocks.size(), chunks_.size());
  for (size_t n = 0; n < stored; ++n) {
    unstored_bytes_ -= chunks_.front().bytes->size();
    chunks_.pop_front();
  }
  being_stored_ = 0;
}

void StoryLog::RestoreBlock(const StoryBlock& block) {
  blocks_.push_back(block);
  block_bytes_ += block.place.length;
}

StoryView StoryLog::View(storage::ShardId shard) const {
  return {.shard = shard,
          .blocks = {blocks_.begin(), blocks_.end()},
          .chunks = Chunks(),
          .dropped_bytes = dropped_bytes_};
}

}  // namespace landfall::broker
