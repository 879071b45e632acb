// What the topology asks of a queue, and what people ask of all of it.
#include "broker/shard.h"

namespace landfall::broker {
namespace {

constexpr size_t kMaxDroppedIds = 1024;

}  // namespace

// Conditions are decided here and now. Once sealed, the queue takes no message and no consumer any
// more, so what was decided stays true until the topology drops it.
void Shard::On(SessionId, SealQueueCommand& c) {
  Sealed answer{.queue = c.queue, .token = c.token, .unused = true, .empty = true};
  if (Queue* queue = FindOrCreate(c.queue)) {
    answer.unused = queue->consumers.empty();
    answer.empty = queue->size() == 0;
    answer.messages = static_cast<uint32_t>(queue->ready());
    queue->sealed = (answer.unused || !c.if_unused) && (answer.empty || !c.if_empty);
  }
  ports_.SealedToTopology(answer);
}

void Shard::On(SessionId, UnsealQueueCommand& c) {
  if (Queue* queue = FindOrCreate(c.queue)) {
    queue->sealed = false;
    WantDispatch(*queue);
  }
}

void Shard::On(SessionId, DropQueueCommand& c) {
  if (dropped_.size() > kMaxDroppedIds) {
    boost::unordered::erase_if(
        dropped_, [this](QueueId id) { return ports_.topology().FindQueue(id) == nullptr; });
  }
  dropped_.insert(c.queue);
  const auto it = queues_.find(c.queue);
  if (it == queues_.end()) return;
  Queue& queue = *it->second;
  for (HolderId id : queue.consumers) {
    Holder& h = holders_[id];
    h.subscribed = false;
    ports_.ToSession(h.session, Cancelled{h.channel, h.consumer, false});
  }
  for (Sequence s = queue.FirstFrom(1); s != 0; s = queue.FirstFrom(s + 1)) {
    const Entry& e = *queue.Find(s);
    if (e.holder == kNobody) continue;
    Holder& h = holders_[e.holder];
    --h.unacked;
    if (!h.subscribed && h.unacked == 0) holders_.Free(e.holder);
  }
  for (HolderId id : queue.consumers)
    if (holders_[id].queue == c.queue) holders_.Free(id);
  // The journal needs no record: ids are never reused, and replay drops what belongs to none. Its
  // backlog files go with the next checkpoint.
  TellEndOfAll(queue, StoryEvent::kQueueDeleted);
  deleted_.Leave(LeaveReason::kDeleted, queue.size());
  deleted_ += queue.ledger();
  last_queue_ = nullptr;
  queues_.erase(it);
  RunDeferred();
}

void Shard::On(SessionId session, PurgeCommand& c) {
  Queue* queue = FindOpen(c.queue);
  if (!queue) {
    ports_.ToSession(session, Purged{.channel = c.channel, .queue_gone = true});
    return;
  }
  if (Defer(*queue, session, c)) return;
  queue->unused_since = now_;
  BringUpToDate(*queue);
  Purged answer{.channel = c.channel};
  SettledRecord record{.queue = c.queue, .reason = LeaveReason::kPurged};
  IntervalSet purged;
  // What rests goes first, or Front would stop before it.
  answer.messages += static_cast<uint32_t>(queue->PurgeResting(purged));
  while (const Sequence s = queue->Front()) {
    if (queue->Find(s)->journaled) purged.Add(s);
    queue->Erase(s, LeaveReason::kPurged);
    ++answer.messages;
  }
  if (!purged.empty()) {
    record.ranges = purged.ranges();
    AppendRecord(entries_, record);
  }
  TellGone(*queue, StoryEvent::kPurged);
  ports_.ToSession(session, answer);
}

void Shard::On(SessionId session, CountCommand& c) {
  QueueCounts answer{.channel = c.channel};
  if (Queue* queue = FindOpen(c.queue)) {
    if (Defer(*queue, session, c)) return;
    queue->unused_since = now_;
    BringUpToDate(*queue);
    answer.ready = static_cast<uint32_t>(queue->ready());
    answer.consumers = static_cast<uint32_t>(queue->consumers.size());
  } else {
    answer.queue_gone = true;
  }
  ports_.ToSession(session, answer);
}

void Shard::On(SessionId session, EchoCommand& c) { ports_.ToSession(session, Echo{c.channel}); }

void Shard::On(SessionId, TouchQueueCommand& c) { FindOpen(c.queue); }

void Shard::On(SessionId, ConfigureQueueCommand& c) {
  const QueueInfoRef info = ports_.topology().FindQueue(c.queue);
  const auto it = queues_.find(c.queue);
  if (it == queues_.end()) {
    // Made with it when it is first touched; one that is never touched has to be here to go.
    if (info && info->config.expires) FindOrCreate(c.queue);
    return;
  }
  if (!info) return;  // the drop is on its way
  Queue& queue = *it->second;
  if (queue.config().expires != info->config.expires) queue.unused_since = now_;
  queue.Configure(info->config);
  queue.paused = info->paused;
  WantDispatch(queue);  // which sees to the limits as well
  Arm(queue);
}

// Queues are made here when they are first touched; null when the topology does not know it (any
// more).
Queue* Shard::Find(QueueId id) {
  if (last_queue_ != nullptr && last_queue_->id() == id) return last_queue_;
  const auto it = queues_.find(id);
  if (it == queues_.end()) return nullptr;
  last_queue_ = it->second.get();
  return last_queue_;
}

Queue* Shard::FindOrCreate(QueueId id) {
  if (Queue* queue = Find(id)) return queue;
  if (dropped_.contains(id)) return nullptr;
  const QueueInfoRef info = ports_.topology().FindQueue(id);
  if (!info || info->shard != id_) return nullptr;
  Queue& queue = *queues_
                      .emplace(id, std::make_unique<Queue>(id, journaled_ && info->journaled(),
                                                           info->config, demand_))
                      .first->second;
  queue.paused = info->paused;
  queue.unused_since = now_;
  Arm(queue);
  return &queue;
}

Queue* Shard::FindOpen(QueueId id) {
  Queue* queue = FindOrCreate(id);
  return queue && !queue->sealed ? queue : nullptr;
}

const Queue* Shard::FindQueue(QueueId id) const {
  const auto it = queues_.find(id);
  return it == queues_.end() ? nullptr : it->second.get();
}

}  // namespace landfall::broker
