#include "broker/queue.h"

#include <algorithm>
#include <limits>

#include "base/assert.h"
#include "broker/delayed_exchange.h"
#include "broker/message_properties.h"

namespace landfall::broker {
namespace {

std::optional<Duration> Shorter(std::optional<Duration> a, std::optional<Duration> b) {
  if (!a || !b) return a ? a : b;
  return std::min(*a, *b);
}

// What is over before it has landed is looked at again so much later.
constexpr Duration kUntilLanded = std::chrono::milliseconds(2);

}  // namespace

Queue::Queue(QueueId id, bool journaled, QueueConfig config, BacklogDemand& demand)
    : id_(id), journaled_(journaled), config_(std::move(config)), demand_(demand) {}

Queue::~Queue() {
  Unstored(-static_cast<int64_t>(unstored_bytes_));
  if (!backlog_) return;
  for (const auto& [last, block] : backlog_->blocks())
    demand_.dead_bytes += block.place.length - block.dead_bytes();
}

void Queue::Unstored(int64_t bytes) {
  unstored_bytes_ += static_cast<uint64_t>(bytes);
  demand_.unstored_bytes += static_cast<uint64_t>(bytes);
}

Sequence Queue::Push(MessageRef message, bool journaled, Time now) {
  const Sequence sequence = entries_.next();
  bytes_ += message->footprint();
  if (config_.max_length_bytes) unlanded_bytes_ += message->body().size();
  if (!config_.holds_back) Live(sequence, *message, now);
  ++(journaled ? durable_ledger_ : transient_ledger_).accepted;
  Entry& e = entries_.Append();
  e.priority = PriorityIn(*message);
  e.message = std::move(message);
  e.born = now;
  e.journaled = journaled;
  if (journaled && pageable()) Unstored(static_cast<int64_t>(e.cost()));
  if (config_.holds_back) Rest(sequence, e, now + DelayOf(*e.message));
  return sequence;
}

uint8_t Queue::PriorityIn(const Message& message) const {
  return orders_by_priority() ? std::min(PriorityOf(message), *config_.max_priority) : uint8_t{0};
}

void Queue::Live(Sequence sequence, const Message& message, Time born) {
  if (!config_.message_ttl && !Has(message, amqp::kHasExpiration)) return;
  if (const auto ttl = Shorter(TtlOf(message), config_.message_ttl)) {
    PushExpiring(sequence, born + *ttl);
  }
}

void Queue::Rest(Sequence sequence, Entry& entry, Time due) {
  entry.state = EntryState::kDelayed;
  ++delayed_;
  due_.push({due, sequence});
}

void Queue::Configure(QueueConfig config) {
  LANDFALL_ASSERT(config.max_priority == config_.max_priority &&
                  config.single_active_consumer == config_.single_active_consumer);
  const QueueConfig before = std::exchange(config_, std::move(config));
  if (before.max_length_bytes.has_value() != config_.max_length_bytes.has_value()) CountBytes();
  if (before.message_ttl != config_.message_ttl) CollectExpiring();
}

// Bytes are counted only where a limit asks for it: here it begins, or ceases, to ask.
void Queue::CountBytes() {
  ready_bytes_ = 0;
  unlanded_bytes_ = 0;
  if (!config_.max_length_bytes) return;
  if (backlog_) {
    for (const auto& [last, block] : backlog_->blocks()) ready_bytes_ += block.resting_bytes;
  }
  for (Sequence s = entries_.FirstFrom(1); s != 0; s = entries_.FirstFrom(s + 1)) {
    const Entry& e = *entries_.Find(s);
    if (s > landed_) {
      unlanded_bytes_ += e.message->body().size();
    } else if (e.state == EntryState::kReady) {
      ready_bytes_ += e.message->body().size();
    }
  }
}

// From what is in memory.
void Queue::CollectExpiring() {
  std::vector<Due> alive;
  for (Sequence s = entries_.FirstFrom(1); s != 0; s = entries_.FirstFrom(s + 1)) {
    if (const Time expiry = ExpiryOf(s); expiry != kNever) alive.push_back({expiry, s});
  }
  expiring_ = MinHeap<Due>(std::greater<>{}, std::move(alive));
}

void Queue::RestoreExpiry(Sequence sequence, Time expiry) {
  Entry& e = *entries_.Find(sequence);
  const auto ttl = Shorter(TtlOf(*e.message), config_.message_ttl);
  if (!ttl) return;
  e.born = expiry - *ttl;
  PushExpiring(sequence, expiry);
}

void Queue::PushExpiring(Sequence sequence, Time expiry) {
  expiring_.push({expiry, sequence});
  // What leaves early stays in the heap until its time: without this, the rate of messages times
  // their time to live.
  if (expiring_.size() >= 1024 && expiring_.size() > 4 * entries_.size()) CollectExpiring();
}

void Queue::Land(Sequence upto) {
  if (upto <= landed_) return;
  // All of them rest until their time.
  if (config_.holds_back) {
    landed_ = upto;
    return;
  }
  // Sequences are dense and nothing leaves before it has landed, so all of them are ready now.
  if (!orders_by_priority() && !config_.max_length_bytes) {
    ready_ += upto - landed_;
    landed_ = upto;
    return;
  }
  while (landed_ < upto) {
    const Entry& e = *entries_.Find(++landed_);
    if (config_.max_length_bytes) unlanded_bytes_ -= e.message->body().size();
    NowReady(landed_, e);
  }
}

void Queue::NowReady(Sequence sequence, const Entry& entry) {
  ++ready_;
  if (config_.max_length_bytes) ready_bytes_ += entry.message->body().size();
  if (orders_by_priority()) {
    by_priority_[entry.priority].insert(sequence);
  } else if (sequence < next_) {
    returned_.insert(sequence);
  }
}

void Queue::NoLongerReady(Sequence sequence, const Entry& entry) {
  --ready_;
  // Of what rests it may be an estimate.
  if (config_.max_length_bytes)
    ready_bytes_ -= std::min(ready_bytes_, entry.message->body().size());
  if (orders_by_priority()) {
    const auto level = by_priority_.find(entry.priority);
    level->second.erase(sequence);
    if (level->second.empty()) by_priority_.erase(level);
  } else if (sequence == next_) {
    ++next_;
  } else if (sequence < next_) {
    returned_.erase(sequence);
  }
}

bool Queue::OverLimit() const {
  return (config_.max_length && ready_ > *config_.max_length) ||
         (config_.max_length_bytes && ready_bytes_ > *config_.max_length_bytes);
}

bool Queue::Full() const {
  return (config_.max_length && ready_ + (last() - landed_) >= *config_.max_length) ||
         (config_.max_length_bytes && ready_bytes_ + unlanded_bytes_ >= *config_.max_length_bytes);
}

Sequence Queue::Front() {
  if (ready_ == 0) return 0;
  if (orders_by_priority()) return *by_priority_.begin()->second.begin();
  if (!returned_.empty() && *returned_.begin() < next_) return *returned_.begin();
  const BacklogBlock* resting = backlog_ ? backlog_->FirstResting() : nullptr;
  const Sequence limit = resting ? resting->first : std::numeric_limits<Sequence>::max();
  // Holes and delayed messages above next_ are what recovery leaves, and what has been at rest.
  while (const Sequence sequence = entries_.FirstFrom(next_, limit)) {
    LANDFALL_ASSERT(sequence <= landed_);
    next_ = sequence;
    if (entries_.Find(sequence)->state == EntryState::kReady) return sequence;
    ++next_;
  }
  LANDFALL_ASSERT(resting != nullptr);
  return 0;
}

Entry& Queue::Deliver(Sequence sequence, HolderId holder) {
  Entry& e = *entries_.Find(sequence);
  LANDFALL_ASSERT(e.state == EntryState::kReady && sequence <= landed_);
  NoLongerReady(sequence, e);
  ++unacked_;
  e.state = EntryState::kUnacked;
  e.holder = holder;
  e.stored = Stored::kNo;
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
  e.stored = Stored::kNo;
  if (!renewed_.empty()) renewed_.erase(sequence);
  if (const Time expiry = ExpiryOf(sequence); expiry != kNever) PushExpiring(sequence, expiry);
  if (due != Time{}) return Rest(sequence, e, due);
  e.state = EntryState::kReady;
  NowReady(sequence, e);
}

void Queue::Erase(Sequence sequence, LeaveReason reason) {
  Entry& e = *entries_.Find(sequence);
  (e.journaled ? durable_ledger_ : transient_ledger_).Leave(reason);
  Remove(sequence, e);
}

Ledger Queue::ledger() const {
  Ledger sum = durable_ledger_;
  sum += transient_ledger_;
  return sum;
}

// Not counted.
void Queue::Remove(Sequence sequence, Entry& e) {
  bytes_ -= e.message->footprint();
  if (e.journaled && pageable()) {
    const bool stored = backlog_ && sequence <= backlog_->upto();
    if (stored) backlog_->Settle(sequence, /*was_resting=*/false);
    if (!stored) Unstored(-static_cast<int64_t>(e.cost()));
  }
  switch (e.state) {
    case EntryState::kReady:
      if (sequence <= landed_) NoLongerReady(sequence, e);
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

Time Queue::ExpiryOf(Sequence sequence) const {
  const Entry* e = entries_.Find(sequence);
  if (e == nullptr || e->born == Time{} || config_.holds_back) return kNever;
  const auto ttl = Shorter(TtlOf(*e->message), config_.message_ttl);
  return ttl ? e->born + *ttl : kNever;
}

Sequence Queue::FirstExpired(Time now) {
  while (!expiring_.empty() && expiring_.top().due <= now) {
    const Sequence sequence = expiring_.top().sequence;
    const Entry* e = entries_.Find(sequence);
    if (e != nullptr && e->state != EntryState::kUnacked && sequence <= landed_ &&
        ExpiryOf(sequence) <= now) {
      return sequence;
    }
    expiring_.pop();
    // Nobody may see it leave before it has landed.
    if (e != nullptr && sequence > landed_) expiring_.push({now + kUntilLanded, sequence});
  }
  return 0;
}

Time Queue::UnusedDeadline() const {
  return config_.expires && consumers.empty() ? unused_since + *config_.expires : kNever;
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
    if (sequence > landed_) {
      due_.push({now + kUntilLanded, sequence});
      continue;
    }
    e->state = EntryState::kReady;
    --delayed_;
    NowReady(sequence, *e);
    return sequence;
  }
  return 0;
}

Time Queue::NextDue() const {
  Time t = kNever;
  if (!leases_.empty()) t = leases_.top().deadline;
  if (!due_.empty()) t = std::min(t, due_.top().due);
  if (!expiring_.empty()) t = std::min(t, expiring_.top().due);
  if (resting() > 0) {
    const auto [block, expiry] = backlog_->FirstToExpire(config_.message_ttl);
    if (block != nullptr && !block->loading) t = std::min(t, expiry);
  }
  return std::min(t, UnusedDeadline());
}

bool Queue::AlarmsFor(const Message& message) const {
  return config_.message_ttl || config_.holds_back || Has(message, amqp::kHasExpiration);
}

void Queue::Restore(Sequence sequence, MessageRef message, uint32_t failures, bool redelivered,
                    Time due, Time born) {
  bytes_ += message->footprint();
  if (config_.holds_back) {
    if (due == Time{}) due = born + DelayOf(*message);
  } else if (born != Time{}) {
    Live(sequence, *message, born);
  }
  Entry& e = entries_.InsertAt(sequence);
  e.priority = PriorityIn(*message);
  e.message = std::move(message);
  e.born = born;
  e.journaled = true;
  e.failures = failures;
  e.attempts = failures;
  e.redelivered = redelivered;
  if (pageable()) Unstored(static_cast<int64_t>(e.cost()));
  if (due != Time{}) restored_due_[sequence] = due;
}

void Queue::ForEach(const Visit& visit) const {
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
  if (!e) {
    RestoreChange(
        {.position = {id_, sequence}, .failures = failures, .redelivered = true, .due = due});
    return;
  }
  e->failures = failures;
  e->attempts = std::max(e->attempts, failures);
  e->redelivered = true;
  restored_due_[sequence] = due;
}

void Queue::FinishRecovery() {
  landed_ = last();
  for (const auto& [sequence, due] : restored_due_) {
    Entry* e = entries_.Find(sequence);
    if (e && due != Time{}) Rest(sequence, *e, due);
  }
  restored_due_.clear();
  if (orders_by_priority() || config_.max_length_bytes) {
    for (Sequence s = entries_.FirstFrom(1); s != 0; s = entries_.FirstFrom(s + 1)) {
      const Entry& e = *entries_.Find(s);
      if (e.state == EntryState::kReady) NowReady(s, e);
    }
  } else {
    ready_ = entries_.size() - delayed_;
  }
  ready_ += resting();
  if (backlog_) {
    // Which of the bodies are left is not known without reading them.
    for (auto& [last, block] : backlog_->blocks()) {
      block.resting_bytes = block.body_bytes * block.resting / block.written;
      if (config_.max_length_bytes) ready_bytes_ += block.resting_bytes;
    }
  }
  recovered_delivered_upto_ = delivered_upto_;
  for (Sequence s = entries_.FirstFrom(1); s != 0 && s <= delivered_upto_;
       s = entries_.FirstFrom(s + 1)) {
    Entry& e = *entries_.Find(s);
    e.redelivered = true;
    e.attempts = std::max(e.attempts, 1u);
  }
}

}  // namespace landfall::broker
