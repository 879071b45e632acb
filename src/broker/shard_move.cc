// Messages that an operator looks at or moves.
#include <algorithm>
#include <utility>

#include "broker/shard.h"

namespace landfall::broker {
namespace {

// More than this is not moved in one go: others wait for their messages.
constexpr uint64_t kMovedBytes = uint64_t{4} << 20;

}  // namespace

QueuePage Shard::Look(QueueId id, Sequence after, size_t at_most) const {
  const Queue* queue = FindQueue(id);
  return queue == nullptr ? QueuePage{.after = after, .upto = after, .end = after}
                          : queue->Look(after, at_most);
}

MovedByHand Shard::Execute(const MoveByHand& move, Time now) {
  now_ = now;
  MovedByHand result;
  if (ports_.topology().version < move.topology_version) {
    result.again = move.sequences;
    return result;
  }
  Queue* queue = FindOrCreate(move.queue);
  const QueueInfoRef info = ports_.topology().FindQueue(move.queue);
  const VhostRef vhost = info ? ports_.topology().FindVhost(info->vhost) : nullptr;
  if (queue == nullptr || !vhost) {
    result.gone = move.sequences.size();
    return result;
  }
  // Whether it is deleted shows soon.
  if (queue->sealed) {
    result.again = move.sequences;
    return result;
  }
  for (const Sequence sequence : move.sequences) {
    if (result.bytes < kMovedBytes) {
      MoveOne(*queue, *vhost, move, sequence, result);
    } else {
      result.again.push_back(sequence);
    }
  }
  result.lands_with = journaled_ && !entries_.empty() ? shard_seq_ + 1 : shard_seq_;
  WantDispatch(*queue);
  return result;
}

void Shard::MoveOne(Queue& queue, const Vhost& vhost, const MoveByHand& move, Sequence sequence,
                    MovedByHand& result) {
  const Entry* entry = queue.Find(sequence);
  if (entry == nullptr) {
    if (BacklogBlock* block = queue.Holds(sequence) ? queue.BlockOf(sequence) : nullptr) {
      if (!block->loading) LoadBlock(queue, *block);
      result.again.push_back(sequence);
    } else {
      ++result.gone;
    }
    return;
  }
  if (sequence > queue.landed() || entry->state == EntryState::kUnacked) {
    ++result.unacked;
    return;
  }
  Readdressed to = Readdress(vhost, move.target, entry->message);
  // The snapshot may still have one that is being deleted: what is here must not go there.
  const auto closed = [&](const QueueTarget& t) {
    return t.shard == id_ && FindOpen(t.id) == nullptr;
  };
  to.queues.erase(std::remove_if(to.queues.begin(), to.queues.end(), closed), to.queues.end());
  if (to.queues.empty()) {
    ++result.unroutable;
    return;
  }
  Move(queue, sequence, to.message, entry->journaled, to.queues, StoryOf(queue, sequence),
       MoveCause::kByHand);
  if (!queue.stories.empty()) {
    TellMore(queue, sequence,
             {.event = StoryEvent::kMoved,
              .exchange = std::string(to.message->exchange()),
              .routing_key = std::string(to.message->routing_key()),
              .detail = NamesOf(to.queues)});
  }
  result.bytes += to.message->footprint();
  queue.Erase(sequence, LeaveReason::kMoved);
  BoundBatch();
  ++result.moved;
}

uint64_t Shard::landed_upto() const {
  return pending_.empty() ? shard_seq_ : pending_.front().shard_seq - 1;
}

}  // namespace landfall::broker
