// From bytes to a shard; shard_checkpoint.cc goes the other way.
#include <algorithm>
#include <utility>

#include "base/wire.h"
#include "broker/shard.h"

namespace landfall::broker {

Result<void> Shard::RecoverCheckpoint(ByteView piece, bool last) {
  return checkpoint_records_.Add(piece, last, [this](const Record& record, ByteView) {
    std::visit([this](const auto& r) { Replay(r); }, record);
    return Result<void>();
  });
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
    if (!queue) continue;
    if (r.identity) queue->dedup.Take(*r.identity, /*survives=*/true, replay_time_);
    queue->Restore(p.sequence, r.message, 0, false, Time{}, replay_time_);
  }
}

void Shard::Replay(const SettledRecord& r) {
  Queue* queue = ReplayQueue(r.queue);
  if (!queue) return;
  for (const auto& range : r.ranges) queue->RestoreSettled(range);
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
  if (Queue* from = ReplayQueue(r.from.queue))
    from->RestoreSettled({r.from.sequence, r.from.sequence});
  for (const QueuePosition& p : r.positions)
    if (Queue* to = ReplayQueue(p.queue))
      to->Restore(p.sequence, r.message, 0, false, Time{}, replay_time_);
  for (const OutboxItem& o : r.outbox) {
    Outbox& outbox = outboxes_[o.destination];
    outbox.next = std::max(outbox.next, o.transfer_seq + 1);
    outbox.unsettled[o.transfer_seq] = {o.queues, r.message};
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
  files_.insert(r.file);
  next_file_ = std::max(next_file_, r.file + 1);
  Queue* queue = ReplayQueue(r.queue);
  if (!queue) return;
  BacklogBlock block{.file = r.file,
                     .place = {r.offset, r.length},
                     .first = r.first,
                     .last = r.last,
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

void Shard::Replay(const OutboxStateRecord& r) {
  outboxes_[r.item.destination].unsettled[r.item.transfer_seq] = {r.item.queues, r.message};
}

void Shard::Replay(const OutboxNextRecord& r) { outboxes_[r.destination].next = r.next; }

void Shard::Replay(const AppliedStateRecord& r) {
  Applied& applied = applied_[r.source];
  applied.floor = r.floor;
  for (const auto& range : r.applied) applied.above.Add(range.first, range.last);
}

}  // namespace landfall::broker
