#include "broker/queue.h"

#include <algorithm>

#include "base/assert.h"

namespace landfall::broker {

Queue::Queue(QueueId id, bool journaled, QueueConfig config)
    : id_(id), journaled_(journaled), config_(std::move(config)) {}

Sequence Queue::Push(MessageRef message, bool journaled) {
  const Sequence sequence = entries_.next();
  bytes_ += message->footprint();
  Entry& e = entries_.Append();
  e.message = std::move(message);
  e.journaled = journaled;
  return sequence;
}

void Queue::Land(Sequence upto) {
  if (upto <= landed_) return;
  // Sequences are dense and nothing leaves before it has landed, so all of them are ready now.
  ready_ += upto - landed_;
  landed_ = upto;
}

Sequence Queue::Front() {
  if (ready_ == 0) return 0;
  if (!returned_.empty() && *returned_.begin() < next_) return *returned_.begin();
  // Only recovery leaves holes and delayed messages above next_.
  while (true) {
    next_ = entries_.FirstFrom(next_);
    LANDFALL_ASSERT(next_ != 0 && next_ <= landed_);
    if (entries_.Find(next_)->state == EntryState::kReady) return next_;
    ++next_;
  }
}

Entry& Queue::Deliver(Sequence sequence, HolderId holder) {
  Entry& e = *entries_.Find(sequence);
  LANDFALL_ASSERT(e.state == EntryState::kReady && sequence <= landed_);
  if (sequence == next_) {
    ++next_;
  } else {
    returned_.erase(sequence);
  }
  --ready_;
  ++unacked_;
  e.state = EntryState::kUnacked;
  e.holder = holder;
  ++e.attempts;
  delivered_upto_ = std::max(delivered_upto_, sequence);
  return e;
}

void Queue::Requeue(Sequence sequence, Time due) {
  Entry& e = *entries_.Find(sequence);
  LANDFALL_ASSERT(e.state == EntryState::kUnacked);
  --unacked_;
  e.holder = kNobody;
  e.redelivered = true;
  if (!renewed_.empty()) renewed_.erase(sequence);
  if (due != Time{}) {
    e.state = EntryState::kDelayed;
    ++delayed_;
    due_.push({due, sequence});
    return;
  }
  e.state = EntryState::kReady;
  ++ready_;
  returned_.insert(sequence);
}

void Queue::Erase(Sequence sequence) {
  Entry& e = *entries_.Find(sequence);
  bytes_ -= e.message->footprint();
  switch (e.state) {
    case EntryState::kReady:
      if (sequence <= landed_) --ready_;
      if (sequence < next_) returned_.erase(sequence);
      break;
    case EntryState::kUnacked:
      --unacked_;
      if (!renewed_.empty()) renewed_.erase(sequence);
      break;
    case EntryState::kDelayed:
      --delayed_;  // its place in due_ is found stale
      break;
  }
  entries_.Erase(sequence);
}

void Queue::StartLease(Lease lease) {
  CompactLeases();
  leases_.push(lease);
}

void Queue::RenewLease(Lease lease) {
  renewed_[lease.sequence] = lease.deadline;
  StartLease(lease);
}

// Leases of settled messages, and those that a renewal has replaced, stay in the heap until their
// deadline; without this their number would be the rate of messages and renewals times the lease.
void Queue::CompactLeases() {
  if (leases_.size() < 1024 || leases_.size() < 4 * unacked_) return;
  std::vector<Lease> alive;
  alive.reserve(unacked_);
  for (; !leases_.empty(); leases_.pop()) {
    const Lease& l = leases_.top();
    const Entry* e = entries_.Find(l.sequence);
    if (!e || e->state != EntryState::kUnacked || e->attempts != l.attempt) continue;
    const auto renewed = renewed_.find(l.sequence);
    if (renewed == renewed_.end() || renewed->second == l.deadline) alive.push_back(l);
  }
  leases_ = MinHeap<Lease>(std::greater<>{}, std::move(alive));
}

std::optional<Queue::Lease> Queue::PopExpiredLease(Time now) {
  while (!leases_.empty() && leases_.top().deadline <= now) {
    const Lease l = leases_.top();
    leases_.pop();
    const Entry* e = entries_.Find(l.sequence);
    if (!e || e->state != EntryState::kUnacked || e->attempts != l.attempt) continue;
    const auto renewed = renewed_.find(l.sequence);
    if (renewed != renewed_.end() && renewed->second != l.deadline) continue;
    return l;
  }
  return std::nullopt;
}

Sequence Queue::PopDue(Time now) {
  while (!due_.empty() && due_.top().due <= now) {
    const Sequence sequence = due_.top().sequence;
    due_.pop();
    Entry* e = entries_.Find(sequence);
    if (!e || e->state != EntryState::kDelayed) continue;
    e->state = EntryState::kReady;
    --delayed_;
    ++ready_;
    if (sequence < next_) returned_.insert(sequence);
    return sequence;
  }
  return 0;
}

Time Queue::NextDue() const {
  Time t = kNever;
  if (!leases_.empty()) t = leases_.top().deadline;
  if (!due_.empty()) t = std::min(t, due_.top().due);
  return t;
}

void Queue::Restore(Sequence sequence, MessageRef message, uint32_t failures, bool redelivered,
                    Time due) {
  bytes_ += message->footprint();
  Entry& e = entries_.InsertAt(sequence);
  e.message = std::move(message);
  e.journaled = true;
  e.failures = failures;
  e.attempts = failures;
  e.redelivered = redelivered;
  if (due != Time{}) restored_due_[sequence] = due;
}

void Queue::ForEach(const std::function<void(Sequence, const Entry&, Time)>& visit) const {
  FlatMap<Sequence, Time> due_of;
  for (auto heap = due_; !heap.empty(); heap.pop()) due_of[heap.top().sequence] = heap.top().due;
  for (Sequence s = entries_.FirstFrom(1); s != 0; s = entries_.FirstFrom(s + 1)) {
    const Entry& e = *entries_.Find(s);
    visit(s, e, e.state == EntryState::kDelayed ? due_of[s] : Time{});
  }
}

void Queue::RestoreDeliveredUpto(Sequence upto) {
  delivered_upto_ = std::max(delivered_upto_, upto);
}

void Queue::RestoreFailure(Sequence sequence, uint32_t failures, Time due) {
  Entry* e = entries_.Find(sequence);
  if (!e) return;
  e->failures = failures;
  e->attempts = std::max(e->attempts, failures);
  e->redelivered = true;
  restored_due_[sequence] = due;
}

void Queue::FinishRecovery() {
  landed_ = last();
  for (const auto& [sequence, due] : restored_due_) {
    Entry* e = entries_.Find(sequence);
    if (!e || due == Time{}) continue;
    e->state = EntryState::kDelayed;
    ++delayed_;
    due_.push({due, sequence});
  }
  restored_due_.clear();
  ready_ = entries_.size() - delayed_;
  for (Sequence s = entries_.FirstFrom(1); s != 0 && s <= delivered_upto_;
       s = entries_.FirstFrom(s + 1)) {
    Entry& e = *entries_.Find(s);
    e.redelivered = true;
    e.attempts = std::max(e.attempts, 1u);
  }
}

}  // namespace landfall::broker
