// From bytes to a shard and back.
#include <memory>

#include "base/wire.h"
#include "broker/shard.h"

namespace landfall::broker {

Result<void> Shard::RecoverCheckpoint(ByteView piece, bool last) {
  unfinished_record_ += piece;
  ByteView bytes = unfinished_record_;
  while (!bytes.empty()) {
    ByteReader in(bytes);
    auto record = ReadRecord(in);
    if (!record) {
      if (last) return std::unexpected(record.error());
      break;  // the rest of it is in the next piece
    }
    std::visit([this](const auto& r) { Replay(r); }, *record);
    bytes.remove_prefix(bytes.size() - in.remaining());
  }
  unfinished_record_.erase(0, unfinished_record_.size() - bytes.size());
  if (last) unfinished_record_ = {};
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
  for (const auto& range : r.ranges) {
    for (Sequence s = queue->FirstFrom(range.first); s != 0 && s <= range.last;
         s = queue->FirstFrom(s + 1))
      queue->Erase(s);
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
  if (Queue* from = ReplayQueue(r.from.queue))
    if (from->Find(r.from.sequence)) from->Erase(r.from.sequence);
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

void Shard::Replay(const QueueTtlRecord& r) {
  if (Queue* queue = ReplayQueue(r.queue)) queue->RestoreTtl(r.ttl, r.now);
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

namespace {

// A shard as it was at one moment: cheap to take (messages are shared, not copied), encoded later
// on another thread.
struct Image {
  std::vector<Record> states;                // everything but messages
  std::vector<MessageStateRecord> messages;  // in order per queue
  std::vector<MessageExpiryRecord> expiries;
};

constexpr size_t kPiece = 1 << 20;

bool WriteImage(const Image& image, storage::CheckpointOutput& out) {
  ByteBuffer piece;
  const auto pass_on = [&](size_t at_least) {
    if (piece.size() < at_least) return true;
    const bool ok = out.Write(piece);
    piece.clear();
    return ok;
  };
  // Messages first: a queue's "last" comes after them, for a sequence is never given out twice.
  for (const auto& m : image.messages) {
    AppendRecord(piece, m);
    if (!pass_on(kPiece)) return false;
  }
  for (const auto& e : image.expiries) {
    AppendRecord(piece, e);
    if (!pass_on(kPiece)) return false;
  }
  for (const Record& r : image.states) {
    AppendRecord(piece, r);
    if (!pass_on(kPiece)) return false;
  }
  return pass_on(1);
}

}  // namespace

std::pair<uint64_t, storage::CheckpointSource> Shard::Checkpoint() const {
  auto image = std::make_shared<Image>();
  for (const auto& [id, queue] : queues_) {
    if (!queue->journaled()) continue;
    queue->ForEach([&](Sequence sequence, const Entry& e, Time due) {
      if (!e.journaled) return;
      image->messages.push_back({.position = {id, sequence},
                                 .failures = e.failures,
                                 .redelivered = e.redelivered,
                                 .due = due,
                                 .message = e.message});
      const Time expiry = queue->ExpiryOf(sequence);
      if (expiry != kNever) image->expiries.push_back({{id, sequence}, expiry});
    });
    image->states.emplace_back(QueueStateRecord{id, queue->last(), queue->delivered_upto()});
    image->states.emplace_back(QueueTtlRecord{id, now_, queue->config().message_ttl});
    for (const auto& [name, window] : queue->dedup.producers()) {
      image->states.emplace_back(ProducerStateRecord{.queue = id,
                                                     .producer = name,
                                                     .epoch = window.epoch,
                                                     .floor = window.floor,
                                                     .last_used = window.last_used,
                                                     .taken = window.taken.ranges()});
    }
  }
  for (const auto& [destination, outbox] : outboxes_) {
    image->states.emplace_back(OutboxNextRecord{destination, outbox.next});
    for (const auto& [seq, transfer] : outbox.unsettled)
      image->states.emplace_back(
          OutboxStateRecord{{destination, seq, transfer.queues}, transfer.message});
  }
  for (const auto& [source, applied] : applied_)
    image->states.emplace_back(AppliedStateRecord{source, applied.floor, applied.above.ranges()});
  return {shard_seq_, [image](storage::CheckpointOutput& out) { return WriteImage(*image, out); }};
}

}  // namespace landfall::broker
