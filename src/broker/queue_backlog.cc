// What of a queue rests in backlog files instead of memory.
#include <algorithm>
#include <utility>

#include "base/assert.h"
#include "broker/message_properties.h"
#include "broker/queue.h"

namespace landfall::broker {
namespace {

constexpr size_t kDueLookups = 10'000;

}  // namespace

Backlog& Queue::OwnBacklog() {
  if (!backlog_) backlog_ = std::make_unique<Backlog>(demand_);
  return *backlog_;
}

std::vector<QueuedMessageRecord> Queue::TakeUnstored() {
  std::vector<QueuedMessageRecord> records;
  FlatMap<Sequence, Time> due_of;
  for (auto heap = due_; !heap.empty(); heap.pop()) due_of[heap.top().sequence] = heap.top().due;
  const Sequence upto = backlog_ ? backlog_->upto() : 0;
  for (Sequence s = entries_.FirstFrom(upto + 1); s != 0; s = entries_.FirstFrom(s + 1)) {
    Entry& e = *entries_.Find(s);
    if (!e.journaled) continue;
    e.stored = Stored::kUnderway;
    records.push_back({.position = {id_, s},
                       .failures = e.failures,
                       .redelivered = e.redelivered,
                       .due = e.state == EntryState::kDelayed ? due_of[s] : Time{},
                       .born = e.born,
                       .message = e.message});
  }
  return records;
}

std::vector<BacklogChangeRecord> Queue::StoredChanges() const {
  std::vector<BacklogChangeRecord> changes;
  if (!backlog_) return changes;
  for (const auto& [sequence, change] : changes_) changes.push_back(change);
  FlatMap<Sequence, Time> due_of;
  for (auto heap = due_; !heap.empty(); heap.pop()) due_of[heap.top().sequence] = heap.top().due;
  for (Sequence s = entries_.FirstFrom(1, backlog_->upto() + 1); s != 0;
       s = entries_.FirstFrom(s + 1, backlog_->upto() + 1)) {
    const Entry& e = *entries_.Find(s);
    if (!e.journaled || e.stored == Stored::kYes) continue;
    changes.push_back({.position = {id_, s},
                       .failures = e.failures,
                       .redelivered = e.redelivered,
                       .due = e.state == EntryState::kDelayed ? due_of[s] : Time{}});
  }
  return changes;
}

std::vector<BacklogBlockRecord> Queue::StoredBlocks() const {
  std::vector<BacklogBlockRecord> records;
  if (!backlog_) return records;
  for (const auto& [last, b] : backlog_->blocks()) {
    records.push_back(RecordOf(id_, b));
  }
  return records;
}

void Queue::Adopt(BacklogBlock block) {
  Backlog& backlog = OwnBacklog();
  LANDFALL_ASSERT(block.first > backlog.upto());
  block.settled.clear();
  block.alive = 0;
  block.resting = 0;
  Sequence expected = block.first;
  for (Sequence s = entries_.FirstFrom(block.first, block.last + 1); s != 0;
       s = entries_.FirstFrom(s + 1, block.last + 1)) {
    Entry& e = *entries_.Find(s);
    if (!e.journaled) continue;
    if (s > expected) block.settled.Add(expected, s - 1);
    expected = s + 1;
    ++block.alive;
    // What rests is ready; of one that is not yet, the next checkpoint says so.
    if (e.stored == Stored::kUnderway) {
      e.stored = e.state == EntryState::kDelayed ? Stored::kNo : Stored::kYes;
    }
    Unstored(-static_cast<int64_t>(e.cost()));
  }
  if (expected <= block.last) block.settled.Add(expected, block.last);
  if (block.alive == 0) {
    backlog.RestoreUpto(block.last);
    demand_.dead_bytes += block.place.length;
  } else {
    backlog.Add(std::move(block));
  }
}

void Queue::PageOut(size_t keep, uint64_t keep_bytes) {
  if (!backlog_) return;
  size_t kept = 0;
  uint64_t kept_bytes = 0;
  for (auto& [last, block] : backlog_->blocks()) {
    if (block.last < next_) continue;
    // Who consumes has at least what is next at hand.
    const bool fits =
        consumers.empty() ? kept_bytes + block.footprint <= keep_bytes : kept_bytes < keep_bytes;
    if (kept < keep && fits) {
      kept += block.alive - block.resting;
      kept_bytes += block.footprint;
      continue;
    }
    if (block.resting == block.alive || block.loading) continue;
    uint32_t resting = block.resting;
    Time born = resting != 0 ? block.resting_born : kNever;
    Time expiry = resting != 0 ? block.resting_expiry : kNever;
    const Sequence end = std::min(block.last, landed_) + 1;
    for (Sequence s = entries_.FirstFrom(std::max(block.first, next_), end); s != 0;
         s = entries_.FirstFrom(s + 1, end)) {
      const Entry& e = *entries_.Find(s);
      if (e.stored != Stored::kYes || e.state != EntryState::kReady) continue;
      bytes_ -= e.message->footprint();
      block.resting_bytes += e.message->body().size();
      born = std::min(born, e.born);
      if (const auto ttl = TtlOf(*e.message)) expiry = std::min(expiry, e.born + *ttl);
      entries_.Erase(s);
      ++resting;
    }
    backlog_->SetResting(block, resting, born, expiry);
  }
}

BacklogBlock* Queue::BlockToLoad(Time now, bool wanted, uint64_t read_ahead) {
  if (resting() == 0) return nullptr;
  const auto [expired, expiry] = backlog_->FirstToExpire(config_.message_ttl);
  if (expired != nullptr && expiry <= now && !expired->loading) return expired;
  if (!wanted) return nullptr;
  // From what is next on, also past what is in memory: more of that may stand behind what rests.
  auto& blocks = backlog_->blocks();
  const Sequence front = Front();
  auto next = blocks.lower_bound(front != 0 ? front : backlog_->FirstResting()->last);
  for (uint64_t ahead = 0; next != blocks.end() && ahead <= read_ahead; ++next) {
    BacklogBlock& block = next->second;
    if (block.resting > 0 && !block.loading) return &block;
    ahead += block.footprint;
  }
  return nullptr;
}

BacklogBlock* Queue::ChangedBlock() {
  for (const auto& [sequence, change] : changes_) {
    BacklogBlock* block = backlog_->Find(sequence);
    if (block != nullptr && !block->loading) return block;
  }
  return nullptr;
}

BacklogBlock* Queue::FindBlock(Sequence last) {
  if (!backlog_) return nullptr;
  const auto it = backlog_->blocks().find(last);
  return it == backlog_->blocks().end() ? nullptr : &it->second;
}

Entry Queue::EntryOf(const QueuedMessageRecord& r) const {
  const Sequence s = r.position.sequence;
  const bool was_delivered = s <= recovered_delivered_upto_;
  Entry e;
  e.message = r.message;
  e.born = r.born;
  e.journaled = true;
  e.failures = r.failures;
  e.redelivered = r.redelivered || was_delivered;
  e.stored = Stored::kYes;
  if (const auto change = changes_.find(s); change != changes_.end()) {
    e.failures = change->second.failures;
    e.redelivered |= change->second.redelivered;
    e.stored = Stored::kNo;
  }
  e.attempts = std::max(e.failures, was_delivered ? 1u : 0u);
  return e;
}

void Queue::ForEachResting(const ReadBlock& read, const Visit& visit) const {
  if (!backlog_) return;
  for (const auto& [last, block] : backlog_->blocks()) {
    if (block.resting == 0) continue;
    for (const QueuedMessageRecord& r : read(block)) {
      const Sequence s = r.position.sequence;
      if (block.settled.Contains(s) || entries_.Find(s)) continue;
      const auto change = changes_.find(s);
      visit(s, EntryOf(r), change == changes_.end() ? Time{} : change->second.due);
    }
  }
}

uint64_t Queue::Load(BacklogBlock& block, const std::vector<QueuedMessageRecord>& messages) {
  block.loading = false;
  NoLongerResting(block);
  uint32_t missing = block.resting;
  for (const QueuedMessageRecord& r : messages) {
    const Sequence s = r.position.sequence;
    if (s < block.first || s > block.last || block.settled.Contains(s) || entries_.Find(s) ||
        missing == 0) {
      continue;
    }
    --missing;
    Entry& e = entries_.Restore(s);
    e = EntryOf(r);
    bytes_ += e.message->footprint();
    if (config_.max_length_bytes) ready_bytes_ += e.message->body().size();
    if (s < next_) returned_.insert(s);
    Time due{};
    if (const auto change = changes_.find(s); change != changes_.end()) {
      due = change->second.due;
      changes_.erase(change);
    }
    if (due != Time{}) {
      NoLongerReady(s, e);
      Rest(s, e, due);
    } else if (const Time expiry = ExpiryOf(s); expiry != kNever) {
      PushExpiring(s, expiry);
    }
  }
  // What its place in the file should have had and has not.
  for (Sequence s = block.first; missing != 0 && s <= block.last; ++s) {
    if (!block.settled.Contains(s) && !entries_.Find(s)) {
      block.settled.Add(s);
      changes_.erase(s);
    }
  }
  ready_ -= missing;
  durable_ledger_.Leave(LeaveReason::kQuarantined, missing);
  backlog_->NoneRests(block);
  backlog_->Die(block, missing);
  return missing;
}

// What the limits count of it.
void Queue::NoLongerResting(BacklogBlock& block) {
  const uint64_t bytes = std::exchange(block.resting_bytes, 0);
  if (config_.max_length_bytes) ready_bytes_ -= std::min(ready_bytes_, bytes);
}

uint64_t Queue::PurgeResting(IntervalSet& gone) {
  uint64_t count = 0;
  while (BacklogBlock* block = backlog_ ? backlog_->FirstResting() : nullptr) {
    IntervalSet elsewhere = block->settled;
    for (Sequence s = entries_.FirstFrom(block->first, block->last + 1); s != 0;
         s = entries_.FirstFrom(s + 1, block->last + 1)) {
      elsewhere.Add(s);
    }
    const auto purge = [&](Sequence first, Sequence last) {
      if (first > last) return;
      gone.Add(first, last);
      block->settled.Add(first, last);
    };
    Sequence next = block->first;
    for (const auto& range : elsewhere.ranges()) {
      purge(next, range.first - 1);
      next = range.last + 1;
    }
    purge(next, block->last);
    const uint32_t purged = block->resting;
    count += purged;
    NoLongerResting(*block);
    backlog_->NoneRests(*block);
    backlog_->Die(*block, purged);
  }
  changes_.clear();
  ready_ -= count;
  durable_ledger_.Leave(LeaveReason::kPurged, count);
  return count;
}

void Queue::RestoreBlock(BacklogBlock block) {
  Backlog& backlog = OwnBacklog();
  BacklogBlock& added = backlog.Add(std::move(block));
  backlog.SetResting(added, added.alive, added.born, added.own_expiry);
}

void Queue::RestoreChange(const BacklogChangeRecord& change) {
  const BacklogBlock* block = backlog_ ? backlog_->Find(change.position.sequence) : nullptr;
  if (block == nullptr || block->settled.Contains(change.position.sequence)) return;
  changes_[change.position.sequence] = change;
}

uint64_t Queue::RestoreSettled(IntervalSet::Range range) {
  uint64_t there = 0;
  for (Sequence s = FirstFrom(range.first); s != 0 && s <= range.last; s = FirstFrom(s + 1)) {
    Remove(s, *entries_.Find(s));
    ++there;
  }
  if (!backlog_) return there;
  auto& blocks = backlog_->blocks();
  for (auto it = blocks.lower_bound(range.first);
       it != blocks.end() && it->second.first <= range.last;) {
    BacklogBlock& block = (it++)->second;
    const Sequence first = std::max(range.first, block.first);
    const Sequence last = std::min(range.last, block.last);
    // Whole ones at once: a purge leaves a range of millions.
    if (first == block.first && last == block.last) {
      for (Sequence s = first; !changes_.empty() && s <= last; ++s) changes_.erase(s);
      there += block.alive;
      backlog_->NoneRests(block);
      backlog_->Die(block, block.alive);
      continue;
    }
    for (Sequence s = first; s <= last; ++s) {
      if (!backlog_->Settle(s, /*was_resting=*/true)) continue;
      changes_.erase(s);
      ++there;
    }
  }
  return there;
}

bool Queue::Holds(Sequence sequence) const {
  if (entries_.Find(sequence) != nullptr) return true;
  if (!backlog_) return false;
  const auto block = backlog_->blocks().lower_bound(sequence);
  return block != backlog_->blocks().end() && block->second.first <= sequence &&
         block->second.resting > 0 && !block->second.settled.Contains(sequence);
}

QueuePage Queue::Look(Sequence after, size_t at_most) const {
  QueuePage page{.after = after, .upto = landed_, .end = landed_};
  if (after >= landed_) {
    page.upto = page.end = after;
    return page;
  }
  const BacklogBlock* block = NextResting(after);
  if (block != nullptr && block->first > landed_) block = nullptr;
  // A heap has no order to look things up in: where much of it rests, nobody waits to see until
  // when.
  FlatMap<Sequence, Time> due_of;
  if (due_.size() <= kDueLookups) {
    for (auto heap = due_; !heap.empty(); heap.pop()) due_of[heap.top().sequence] = heap.top().due;
  }
  for (Sequence s = entries_.FirstFrom(after + 1, landed_ + 1); s != 0;
       s = entries_.FirstFrom(s + 1, landed_ + 1)) {
    if (block != nullptr && s >= block->first) {
      if (!page.block) TakeBlock(*block, page);
      if (s > block->last) return page;
    } else if (page.messages.size() >= at_most) {
      page.upto = s - 1;
      return page;
    }
    const Entry& e = *entries_.Find(s);
    SeenMessage seen{.sequence = s,
                     .message = e.message,
                     .born = e.born,
                     .attempts = e.attempts,
                     .failures = e.failures,
                     .redelivered = e.redelivered};
    if (e.state == EntryState::kUnacked) seen.state = SeenMessage::State::kUnacked;
    if (e.state == EntryState::kDelayed) {
      seen.state = SeenMessage::State::kDelayed;
      if (const auto due = due_of.find(s); due != due_of.end()) seen.due = due->second;
    }
    page.messages.push_back(std::move(seen));
  }
  if (block != nullptr && !page.block) TakeBlock(*block, page);
  return page;
}

const BacklogBlock* Queue::NextResting(Sequence after) const {
  if (!backlog_) return nullptr;
  const auto& blocks = backlog_->blocks();
  auto block = blocks.upper_bound(after);
  while (block != blocks.end() && block->second.resting == 0) ++block;
  return block == blocks.end() ? nullptr : &block->second;
}

void Queue::TakeBlock(const BacklogBlock& block, QueuePage& page) const {
  page.upto = std::min(block.last, landed_);
  page.block = RestingBlock{.file = block.file,
                            .place = block.place,
                            .first = block.first,
                            .last = block.last,
                            .settled = block.settled,
                            .changes = {}};
  // Whichever are fewer: a block with gaps can span more sequences than there are changes.
  if (changes_.size() <= block.last - block.first) {
    for (const auto& change : changes_)
      if (change.first >= block.first && change.first <= block.last)
        page.block->changes.insert(change);
    return;
  }
  for (Sequence s = block.first; s <= block.last; ++s) {
    if (const auto change = changes_.find(s); change != changes_.end())
      page.block->changes.insert(*change);
  }
}

}  // namespace landfall::broker
