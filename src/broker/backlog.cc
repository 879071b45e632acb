#include "broker/backlog.h"

#include <algorithm>

#include "base/assert.h"

namespace landfall::broker {

BacklogBlock& Backlog::Add(BacklogBlock block) {
  LANDFALL_ASSERT(block.first > upto_ && block.last >= block.first && block.resting == 0);
  upto_ = block.last;
  demand_.dead_bytes += block.dead_bytes();
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
  if (was_resting) {
    SetResting(*block, block->resting - 1, block->resting_born, block->resting_expiry);
  }
  Die(*block, 1);
  return true;
}

void Backlog::Die(BacklogBlock& block, uint32_t messages) {
  LANDFALL_ASSERT(block.alive >= messages);
  const uint64_t dead = block.dead_bytes();
  block.alive -= messages;
  demand_.dead_bytes += block.dead_bytes() - dead;
  if (block.alive > 0) return;
  NoneRests(block);
  blocks_.erase(block.last);
}

void Backlog::Move(const BacklogBlockRecord& to) {
  const auto it = blocks_.find(to.last);
  if (it == blocks_.end()) return;
  BacklogBlock& block = it->second;
  block.file = to.file;
  block.place = {to.offset, to.length};
  block.written = to.written;
  block.footprint = to.footprint;
  block.body_bytes = to.body_bytes;
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
          .written = b.written,
          .alive = b.alive,
          .footprint = b.footprint,
          .body_bytes = b.body_bytes,
          .born = b.born,
          .own_expiry = b.own_expiry == kNever ? Time{} : b.own_expiry,
          .settled = b.settled.ranges()};
}

}  // namespace landfall::broker
