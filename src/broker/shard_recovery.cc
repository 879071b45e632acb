// From bytes to a shard; shard_checkpoint.cc goes the other way.
#include <algorithm>
#include <utility>

#include "base/wire.h"
#include "broker/shard.h"

namespace landfall::broker {

Result<void> Shard::RecoverCheckpoint(ByteView piece, bool last) {
  auto replayed = checkpoint_records_.Add(piece, last, [this](const Record& record, ByteView) {
    std::visit([this](const auto& r) { Replay(r); }, record);
    return Result<void>();
  });
  if (!replayed || !last) return replayed;
  // A checkpoint that was written before there were ledgers.
  for (auto& [id, queue] : queues_) {
    Ledger& ledger = queue->recovered_ledger();
    if (ledger.accepted == 0) ledger.accepted = queue->size();
  }
  return {};
}

Result<void> Shard::RecoverBatch(ByteView entries) {
  ByteReader in(entries);
  while (!in.done()) {
    auto record = ReadRecord(in);
    if (!record) return std::unexpected(record.error());
    std::visit([this](const auto& r) { Replay(r); }, *record);
  }
  return {};
}

// Null for a queue that was deleted: the topology has been recovered before and knows best.
Queue* Shard::ReplayQueue(QueueId id) {
  Queue* queue = FindOrCreate(id);
  if (!queue) ++statistics_.unknown_records;
  return queue;
}

Ledger& Shard::ReplayLedger(QueueId id) {
  Queue* queue = Find(id);
  return queue ? queue->recovered_ledger() : deleted_later_[id];
}

void Shard::FinishLedgers() {
  for (auto& [id, queue] : queues_) {
    CheckLedger(*queue);
    queue->recovered_ledger().Reconcile(queue->size());
  }
  unbalanced_.clear();
  for (auto& [id, ledger] : std::exchange(deleted_later_, {})) {
    const uint64_t left = ledger.left_total();
    if (ledger.accepted > left) ledger.Leave(LeaveReason::kDeleted, ledger.accepted - left);
    if (ledger.accepted < left) ledger.accepted = left;  // damage
    deleted_ += ledger;
  }
}

void Shard::Replay(const BatchTimeRecord& r) { replay_time_ = r.time; }

void Shard::Replay(const EnqueueRecord& r) {
  if (r.transfer) {
    Applied& applied = applied_[r.transfer->source];
    if (r.transfer->lowest_unsettled > applied.floor) {
      applied.floor = r.transfer->lowest_unsettled;
      applied.above.EraseBelow(applied.floor);
    }
    applied.above.Add(r.transfer->transfer_seq);
  }
  for (const QueuePosition& p : r.positions) {
    Queue* queue = ReplayQueue(p.queue);
    ++ReplayLedger(p.queue).accepted;
    if (!queue) continue;
    if (r.identity) queue->dedup.Take(*r.identity, /*survives=*/true, replay_time_);
    queue->Restore(p.sequence, r.message, 0, false, Time{}, replay_time_);
  }
}

void Shard::Replay(const SettledRecord& r) {
  Queue* queue = ReplayQueue(r.queue);
  for (const auto& range : r.ranges) {
    ReplayLedger(r.queue).Leave(r.reason, range.last - range.first + 1);
    if (queue) queue->RestoreSettled(range);
  }
}

void Shard::Replay(const FailedRecord& r) {
  if (Queue* queue = ReplayQueue(r.position.queue))
    queue->RestoreFailure(r.position.sequence, r.failures, r.due);
}

void Shard::Replay(const DeliveredRecord& r) {
  if (Queue* queue = ReplayQueue(r.position.queue))
    queue->RestoreDeliveredUpto(r.position.sequence);
}

void Shard::Replay(const MoveRecord& r) {
  StoryId story = 0;
  if (Queue* from = ReplayQueue(r.from.queue)) {
    story = StoryOf(*from, r.from.sequence);
    // One that does not survive may move to where it does, and has not been counted here.
    const uint64_t there = from->RestoreSettled({r.from.sequence, r.from.sequence});
    const LeaveReason why = r.by_hand                   ? LeaveReason::kMoved
                            : from->config().holds_back ? LeaveReason::kReleased
                                                        : LeaveReason::kDeadLettered;
    from->recovered_ledger().Leave(why, there);
  }
  for (const QueuePosition& p : r.positions) {
    Queue* to = ReplayQueue(p.queue);
    ++ReplayLedger(p.queue).accepted;
    if (to) to->Restore(p.sequence, r.message, 0, false, Time{}, replay_time_);
  }
  for (const OutboxItem& o : r.outbox) {
    Outbox& outbox = outboxes_[o.destination];
    outbox.next = std::max(outbox.next, o.transfer_seq + 1);
    outbox.unsettled[o.transfer_seq] = {.queues = o.queues, .message = r.message, .story = story};
  }
}

void Shard::Replay(const TransferSettledRecord& r) {
  outboxes_[r.destination].unsettled.erase(r.transfer_seq);
}

void Shard::Replay(const ProducerForgottenRecord& r) {
  if (Queue* queue = ReplayQueue(r.queue)) queue->dedup.Forget(r.producer);
}

void Shard::Replay(const QueueStateRecord& r) {
  Queue* queue = ReplayQueue(r.queue);
  if (!queue) return;
  queue->RestoreSequence(r.last);
  queue->RestoreDeliveredUpto(r.delivered_upto);
}

void Shard::Replay(const ProducerStateRecord& r) {
  Queue* queue = ReplayQueue(r.queue);
  if (!queue) return;
  ProducerWindow window{.epoch = r.epoch, .floor = r.floor, .last_used = r.last_used};
  for (const auto& range : r.taken) window.taken.Add(range.first, range.last);
  queue->dedup.Restore(r.producer, std::move(window));
}

void Shard::Replay(const MessageStateRecord& r) {
  if (Queue* queue = ReplayQueue(r.position.queue))
    queue->Restore(r.position.sequence, r.message, r.failures, r.redelivered, r.due, Time{});
}

void Shard::Replay(const MessageExpiryRecord& r) {
  Queue* queue = ReplayQueue(r.position.queue);
  if (queue && queue->Find(r.position.sequence)) {
    queue->RestoreExpiry(r.position.sequence, r.expiry);
  }
}

// Every message says when it came.
void Shard::Replay(const QueueTtlRecord&) {}

void Shard::Replay(const QueuedMessageRecord& r) {
  if (Queue* queue = ReplayQueue(r.position.queue))
    queue->Restore(r.position.sequence, r.message, r.failures, r.redelivered, r.due, r.born);
}

void Shard::Replay(const BacklogBlockRecord& r) {
  // Also of a queue that is no more, so that its file goes.
  NoteFile(r.file, {r.offset, r.length});
  next_file_ = std::max(next_file_, r.file + 1);
  Queue* queue = ReplayQueue(r.queue);
  if (!queue) return;
  BacklogBlock block{.file = r.file,
                     .place = {r.offset, r.length},
                     .first = r.first,
                     .last = r.last,
                     .written = r.written,
                     .alive = r.alive,
                     .footprint = r.footprint,
                     .body_bytes = r.body_bytes,
                     .born = r.born,
                     .own_expiry = r.own_expiry == Time{} ? kNever : r.own_expiry};
  for (const auto& range : r.settled) block.settled.Add(range.first, range.last);
  queue->RestoreBlock(std::move(block));
}

void Shard::Replay(const BacklogChangeRecord& r) {
  if (Queue* queue = ReplayQueue(r.position.queue)) queue->RestoreChange(r);
}

void Shard::Replay(const QueueLedgerRecord& r) {
  if (r.queue == 0) {
    deleted_ = r.ledger;
    return;
  }
  ReplayQueue(r.queue);
  ReplayLedger(r.queue) = r.ledger;
}

void Shard::Replay(const OutboxStateRecord& r) {
  outboxes_[r.item.destination].unsettled[r.item.transfer_seq] = {.queues = r.item.queues,
                                                                  .message = r.message};
}

void Shard::Replay(const OutboxNextRecord& r) { outboxes_[r.destination].next = r.next; }

void Shard::Replay(const AppliedStateRecord& r) {
  Applied& applied = applied_[r.source];
  applied.floor = r.floor;
  for (const auto& range : r.applied) applied.above.Add(range.first, range.last);
}

}  // namespace landfall::broker
