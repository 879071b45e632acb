#include "broker/backlog.h"

#include <algorithm>

#include "base/assert.h"

namespace landfall::broker {

BacklogBlock& Backlog::Add(BacklogBlock block) {
  LANDFALL_ASSERT(block.first > upto_ && block.last >= block.first && block.resting == 0);
  upto_ = block.last;
  return blocks_.emplace(block.last, std::move(block)).first->second;
}

BacklogBlock* Backlog::Find(Sequence sequence) {
  const auto it = blocks_.lower_bound(sequence);
  return it != blocks_.end() && it->second.first <= sequence ? &it->second : nullptr;
}

bool Backlog::Settle(Sequence sequence, bool was_resting) {
  BacklogBlock* block = Find(sequence);
  if (block == nullptr || block->settled.Contains(sequence)) return false;
  block->settled.Add(sequence);
  LANDFALL_ASSERT(block->alive > 0);
  --block->alive;
  if (was_resting) {
    SetResting(*block, block->resting - 1, block->resting_born, block->resting_expiry);
  }
  if (block->alive == 0) Remove(block->last);
  return true;
}

void Backlog::Remove(Sequence last) {
  const auto it = blocks_.find(last);
  NoneRests(it->second);
  demand_.dead_bytes += it->second.place.length;
  blocks_.erase(it);
}

void Backlog::SetResting(BacklogBlock& block, uint32_t resting, Time born, Time expiry) {
  resting_ += resting;
  resting_ -= block.resting;
  const uint32_t before = std::exchange(block.resting, resting);
  block.resting_born = born;
  if (before != 0 && resting != 0 && block.resting_expiry == expiry) return;
  if (before != 0) {
    resting_blocks_.erase(block.last);
    own_expiries_.erase({block.resting_expiry, block.last});
  }
  block.resting_expiry = expiry;
  if (resting == 0) return;
  resting_blocks_.insert(block.last);
  if (expiry != kNever) own_expiries_.emplace(expiry, block.last);
}

BacklogBlock* Backlog::FirstResting() {
  return resting_blocks_.empty() ? nullptr : &blocks_.at(*resting_blocks_.begin());
}

std::pair<BacklogBlock*, Time> Backlog::FirstToExpire(std::optional<Duration> ttl) {
  std::pair<BacklogBlock*, Time> found{nullptr, kNever};
  if (!own_expiries_.empty()) {
    found = {&blocks_.at(own_expiries_.begin()->second), own_expiries_.begin()->first};
  }
  // Messages come in the order of their sequences.
  if (ttl && !resting_blocks_.empty()) {
    BacklogBlock* first = FirstResting();
    const Time end = first->resting_born + *ttl;
    if (end < found.second) found = {first, end};
  }
  return found;
}

BacklogBlockRecord RecordOf(QueueId queue, const BacklogBlock& b) {
  return {.queue = queue,
          .file = b.file,
          .offset = b.place.offset,
          .length = b.place.length,
          .first = b.first,
          .last = b.last,
          .alive = b.alive,
          .footprint = b.footprint,
          .body_bytes = b.body_bytes,
          .born = b.born,
          .own_expiry = b.own_expiry == kNever ? Time{} : b.own_expiry,
          .settled = b.settled.ranges()};
}

}  // namespace landfall::broker
