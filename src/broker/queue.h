#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <queue>
#include <set>
#include <vector>

#include "base/flat_map.h"
#include "base/interval_set.h"
#include "base/sequence_window.h"
#include "base/time.h"
#include "broker/backlog.h"
#include "broker/command.h"
#include "broker/dedup.h"
#include "broker/message.h"
#include "broker/queue_config.h"
#include "broker/queue_page.h"
#include "broker/shard_record.h"
#include "broker/story.h"
#include "broker/types.h"

namespace landfall::broker {

// Whoever may hold deliveries of a queue: a consumer, or a channel that used basic.get. Lives in
// its shard until it is gone and holds nothing.
using HolderId = uint32_t;
inline constexpr HolderId kNobody = 0;

enum class EntryState : uint8_t {
  kReady,    // waits for a consumer (or, above Queue::landed, for the disk)
  kUnacked,  // delivered to `holder`
  kDelayed,  // rests until its due time
};

// Whether the queue's backlog has a message as it is now, so that it need not be in memory.
enum class Stored : uint8_t { kNo, kUnderway, kYes };

// One message in one queue.
struct Entry {
  MessageRef message;
  Time born{};            // when it came
  uint32_t attempts = 0;  // deliveries so far
  uint32_t failures = 0;  // failed ones among them
  HolderId holder = kNobody;
  EntryState state = EntryState::kReady;
  uint8_t priority = 0;  // at most the queue's; 0 in queues without priorities
  bool redelivered = false;
  bool journaled = false;  // it survives a restart, so what becomes of it must be journaled too
  Stored stored = Stored::kNo;

  // What it takes in memory.
  uint64_t cost() const { return message->footprint() + sizeof(Entry) + 16; }
};

// The order of messages and what state each is in; knows nothing of journals or sessions. Ready,
// unacked and delayed messages are one window over the queue's sequences, so a requeue restores the
// position and costs no copy. In a deep queue, ready messages rest in backlog files and not in the
// window: Front is 0 then until the block that BlockToLoad names has been read and given to Load.
//
// Thread: its shard's.
class Queue {
 public:
  // `demand` is kept; not owned.
  Queue(QueueId id, bool journaled, QueueConfig config, BacklogDemand& demand);
  ~Queue();

  QueueId id() const { return id_; }
  bool journaled() const { return journaled_; }
  const QueueConfig& config() const { return config_; }
  // From now on another configuration holds, with the same priorities and single-active-consumer as
  // before: they are for the life of a queue. Messages that are there live as long as they would if
  // it had had the new time to live when they came. Leases under way keep theirs.
  void Configure(QueueConfig config);
  // Failed deliveries are counted and told to receivers only where something depends on them.
  bool counts_deliveries() const {
    return config_.delivery_limit || config_.retry_type != RetryType::kDisabled ||
           config_.consumer_timeout;
  }

  // Adds a message at the end; it becomes visible when landed() reaches its sequence. `now` is when
  // it began to live (see x-message-ttl and the property expiration), or to rest where messages are
  // held back.
  Sequence Push(MessageRef message, bool journaled, Time now);
  Sequence last() const { return entries_.next() - 1; }
  Sequence landed() const { return landed_; }
  void Land(Sequence upto);

  size_t ready() const { return ready_; }
  size_t unacked() const { return unacked_; }
  size_t delayed() const { return delayed_; }
  size_t size() const { return entries_.size() + resting(); }
  // In memory.
  uint64_t bytes() const { return bytes_; }

  // More is ready than the limits allow.
  bool OverLimit() const;
  // At a limit, counting what has not landed yet: one more publish would be too much.
  bool Full() const;

  // The first ready message (of the highest priority), 0 when there is none in memory.
  Sequence Front();
  // Marks a ready message (from Front) delivered.
  Entry& Deliver(Sequence sequence, HolderId holder);
  // An unacked message becomes ready again, at its old place, or rests until `due`.
  void Requeue(Sequence sequence, Time due);
  // Removes a message in whatever state it is.
  void Erase(Sequence sequence, LeaveReason reason);

  // What has come and left: of messages that survive a restart over the life of the queue, of the
  // others since the start of the broker.
  Ledger ledger() const;
  const Ledger& durable_ledger() const { return durable_ledger_; }
  // Everything that has come is there, or has left for a reason that was counted.
  bool Balances() const { return ledger().Balances(size()); }

  // Messages can leave memory: their order is that of their sequences, and they survive a restart.
  bool pageable() const { return journaled_ && !orders_by_priority() && !config_.holds_back; }
  const Backlog* backlog() const { return backlog_.get(); }
  // Messages that are in backlog files only. All of them are ready.
  uint64_t resting() const { return backlog_ ? backlog_->resting() : 0; }
  // What a checkpoint has to write of it: messages that no block has. Each counts as being stored
  // from now on, until something happens to it.
  std::vector<QueuedMessageRecord> TakeUnstored();
  // ... and changes of messages that blocks have.
  std::vector<BacklogChangeRecord> StoredChanges() const;
  std::vector<BacklogBlockRecord> StoredBlocks() const;
  // A block that holds what TakeUnstored has given, or a part of it, is durable. In order.
  void Adopt(BacklogBlock block);
  // A block of StoredBlocks has been written anew.
  void MoveBlock(const BacklogBlockRecord& to) { backlog_->Move(to); }
  // Lets messages rest that blocks have, except the first ones: so many, in blocks of so many bytes
  // together.
  void PageOut(size_t keep, uint64_t keep_bytes);
  // By its last sequence; null if there is none (any more).
  BacklogBlock* FindBlock(Sequence last);
  // The block that must be read next, null if none: because its messages' time has come, or, if
  // somebody wants messages, because it is among the next `read_ahead` bytes of them, or the first.
  BacklogBlock* BlockToLoad(Time now, bool wanted, uint64_t read_ahead);
  // The same after recovery, as long as there are some: something has become of a message in it.
  BacklogBlock* ChangedBlock();
  // The block's messages that rest come into memory. Returns how many of them are not there, which
  // are lost.
  uint64_t Load(BacklogBlock& block, const std::vector<QueuedMessageRecord>& messages);
  // All that rests is purged: adds the sequences to `gone` and returns how many.
  uint64_t PurgeResting(IntervalSet& gone);
  Entry* Find(Sequence sequence) { return entries_.Find(sequence); }
  // What comes after `after`: see Shard::Look.
  QueuePage Look(Sequence after, size_t at_most) const;
  // The block that has this sequence in it; null if none does (any more).
  BacklogBlock* BlockOf(Sequence sequence) { return backlog_ ? backlog_->Find(sequence) : nullptr; }
  // In memory or at rest.
  bool Holds(Sequence sequence) const;
  // The first message at or after `sequence` in any state, 0 when there is none.
  Sequence FirstFrom(Sequence sequence) const { return entries_.FirstFrom(sequence); }

  // A lease: the delivery `attempts` of `sequence` must be settled by `deadline`. Renewed by
  // starting another one with a later deadline.
  struct Lease {
    Time deadline;
    Sequence sequence = 0;
    uint32_t attempt = 0;
    Duration holder_paused{0};  // how long the holder's session had been paused at the start
    bool operator>(const Lease& o) const { return deadline > o.deadline; }
  };
  void StartLease(Lease lease);
  void RenewLease(Lease lease);
  // Removes and returns a lease that has run out and still matters; nothing when there is none.
  std::optional<Lease> PopExpiredLease(Time now);
  // Removes and returns a delayed message whose time has come (it is ready now); 0 for none.
  Sequence PopDue(Time now);
  // Returns a ready or delayed message whose time to live is over; 0 for none. It stays where it
  // is. What is held by a consumer expires only if it comes back.
  Sequence FirstExpired(Time now);
  // When a message ceases to live; kNever if it has no end.
  Time ExpiryOf(Sequence sequence) const;
  // Nobody consumes from it, or has got, declared or consumed since then: see x-expires.
  Time unused_since = Time{};
  // When the queue itself is to go; kNever while it is in use or lives for ever.
  Time UnusedDeadline() const;
  // When one of these could next give something; kNever when none can.
  Time NextDue() const;
  // A message like this one, pushed, may bring that forward.
  bool AlarmsFor(const Message& message) const;

  // Every message in memory in order, with its due time (none: Time{}). Not for hot paths.
  using Visit = std::function<void(Sequence, const Entry&, Time due)>;
  void ForEach(const Visit& visit) const;
  // The same for what rests, as it would come into memory. For tests.
  using ReadBlock = std::function<std::vector<QueuedMessageRecord>(const BacklogBlock&)>;
  void ForEachResting(const ReadBlock& read, const Visit& visit) const;

  // The highest sequence ever delivered; journaled lazily so that `redelivered` is truthful.
  Sequence delivered_upto() const { return delivered_upto_; }

  // Recovery: puts a message back where it was. `born` is as `now` in Push; Time{}: not known.
  void Restore(Sequence sequence, MessageRef message, uint32_t failures, bool redelivered, Time due,
               Time born);
  // ... and of one that came at an unknown time, when it expires.
  void RestoreExpiry(Sequence sequence, Time expiry);
  void RestoreBlock(BacklogBlock block);
  void RestoreChange(const BacklogChangeRecord& change);
  // Messages are gone, wherever they are. Returns how many of them were there.
  uint64_t RestoreSettled(IntervalSet::Range range);
  // To be kept by whoever replays: it counts what the journal says has come and left, also if it is
  // not there.
  Ledger& recovered_ledger() { return durable_ledger_; }
  void RestoreSequence(Sequence last) { entries_.SkipTo(last + 1); }
  void RestoreDeliveredUpto(Sequence upto);
  // Marks a restored message as failed so often, ready again at `due`.
  void RestoreFailure(Sequence sequence, uint32_t failures, Time due);
  // Everything that was recovered has landed.
  void FinishRecovery();

  DedupTable dedup;

  // Consumers that want a message now, by priority, in turn.
  std::map<int32_t, std::deque<HolderId>, std::greater<>> waiting_consumers;
  // All consumers that are subscribed, in the order in which they came.
  std::vector<HolderId> consumers;
  // With x-single-active-consumer: the one that gets messages.
  HolderId active_consumer = kNobody;
  bool exclusive_consumer = false;
  bool sealed = false;
  // By an operator: nobody gets messages of it.
  bool paused = false;
  // Since the start, for statistics.
  uint64_t total_delivered = 0;
  uint64_t total_redelivered = 0;
  // The deadline that the shard's timer holds for it.
  Time armed = kNever;
  // Bookkeeping of the shard for the journal batch that is being built.
  bool in_batch = false;
  bool delivered_in_batch = false;
  bool dispatch_wanted = false;
  IntervalSet settled;  // journaled messages settled since the last flush
  // Messages of which the shard tells the story, as long as they are here.
  std::map<Sequence, StoryId> stories;

 private:
  struct Due {
    Time due;
    Sequence sequence;
    bool operator>(const Due& o) const {
      return due != o.due ? due > o.due : sequence > o.sequence;
    }
  };
  template <class T>
  using MinHeap = std::priority_queue<T, std::vector<T>, std::greater<>>;

  // Something becomes ready or ceases to be. Only of what has landed.
  void NowReady(Sequence sequence, const Entry& entry);
  void NoLongerReady(Sequence sequence, const Entry& entry);
  void Remove(Sequence sequence, Entry& entry);
  void PushExpiring(Sequence sequence, Time expiry);
  void Live(Sequence sequence, const Message& message, Time born);
  void Rest(Sequence sequence, Entry& entry, Time due);
  void CountBytes();
  void CollectExpiring();
  Backlog& OwnBacklog();
  // The first block behind that sequence with messages that rest; null: there is none.
  const BacklogBlock* NextResting(Sequence after) const;
  void TakeBlock(const BacklogBlock& block, QueuePage& page) const;
  void NoLongerResting(BacklogBlock& block);
  Entry EntryOf(const QueuedMessageRecord& record) const;
  void Unstored(int64_t bytes);
  uint8_t PriorityIn(const Message& message) const;
  bool orders_by_priority() const { return config_.max_priority.has_value(); }
  void CompactLeases();

  const QueueId id_;
  const bool journaled_;
  QueueConfig config_;
  SequenceWindow<Entry, 128> entries_;
  Sequence landed_ = 0;
  Sequence next_ = 1;            // no message below it is ready, except those in returned_
  std::set<Sequence> returned_;  // ready again, below next_
  // With priorities instead of these two: what is ready, per priority.
  std::map<uint8_t, std::set<Sequence>, std::greater<>> by_priority_;
  size_t ready_ = 0;             // landed only
  uint64_t ready_bytes_ = 0;     // of bodies; kept only where a limit asks for it
  uint64_t unlanded_bytes_ = 0;  // the same
  size_t unacked_ = 0;
  size_t delayed_ = 0;
  uint64_t bytes_ = 0;
  Ledger durable_ledger_;
  Ledger transient_ledger_;
  Sequence delivered_upto_ = 0;
  MinHeap<Lease> leases_;
  FlatMap<Sequence, Time> renewed_;
  MinHeap<Due> due_;
  MinHeap<Due> expiring_;                 // may name what has left, or is held by a consumer
  FlatMap<Sequence, Time> restored_due_;  // the last word of the journal on each, during recovery

  std::unique_ptr<Backlog> backlog_;                // null: nothing ever was in it
  FlatMap<Sequence, BacklogChangeRecord> changes_;  // of what rests, since its block was written
  Sequence recovered_delivered_upto_ = 0;
  uint64_t unstored_bytes_ = 0;
  BacklogDemand& demand_;
};

}  // namespace landfall::broker
