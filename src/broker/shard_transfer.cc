// The one way between shards. The source journals "left the queue, in the outbox as s", sends
// (source, s, lowest unsettled) once that is durable, and forgets after the durable answer. The
// destination takes each (source, s) once: it remembers what it has applied from the lowest
// unsettled on. So a resend after a crash of either side neither loses nor doubles.
#include "broker/shard.h"

namespace landfall::broker {

// With the batch that is being built: not before it is durable that the message is on its way.
void Shard::SendTransfer(ShardId destination, uint64_t transfer_seq, const Outbox& outbox,
                         const OutgoingTransfer& transfer) {
  TransferCommand c{.source = id_,
                    .transfer_seq = transfer_seq,
                    .lowest_unsettled = outbox.lowest(),
                    .message = transfer.message,
                    .story = transfer.story};
  c.queues.assign(transfer.queues.begin(), transfer.queues.end());
  effects_.to_shards.emplace_back(
      destination, Command{.topology_version = ports_.topology().version, .body = std::move(c)});
}

void Shard::On(SessionId, TransferCommand& c) {
  Applied& applied = applied_[c.source];
  if (c.lowest_unsettled > applied.floor) {
    applied.floor = c.lowest_unsettled;
    applied.above.EraseBelow(applied.floor);
  }
  const bool known = c.transfer_seq < applied.floor || applied.above.Contains(c.transfer_seq);
  if (!known) {
    applied.above.Add(c.transfer_seq);
    boost::container::small_vector<QueuePosition, 1> positions;
    for (QueueId id : c.queues) {
      Queue* queue = FindOpen(id);
      if (!queue) continue;  // deleted meanwhile: unroutable there
      const bool journaled = queue->journaled() && c.message->persistent();
      const Sequence sequence = queue->Push(c.message, journaled, now_);
      if (journaled) positions.push_back({id, sequence});
      TellArrival(*queue, sequence, *c.message, c.story, StoryEvent::kArrived, nullptr,
                  c.story != 0);
      TouchBatch(*queue);
      Arm(*queue);
    }
    if (journaled_) {
      const TransferId id{c.source, c.transfer_seq, c.lowest_unsettled};
      AppendEnqueue(entries_, nullptr, &id, positions.data(), positions.size(), *c.message);
      urgent_ = true;
    }
  }
  effects_.to_shards.emplace_back(c.source,
                                  Command{.body = TransferSettledCommand{id_, c.transfer_seq}});
  BoundBatch();
}

void Shard::On(SessionId, TransferSettledCommand& c) {
  const auto it = outboxes_.find(c.destination);
  if (it == outboxes_.end() || it->second.unsettled.erase(c.transfer_seq) == 0) return;
  if (journaled_) AppendRecord(entries_, TransferSettledRecord{c.destination, c.transfer_seq});
}

}  // namespace landfall::broker
