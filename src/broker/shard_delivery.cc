// Consumers and what they are sent.
#include <algorithm>

#include "base/assert.h"
#include "broker/dead_letter.h"
#include "broker/shard.h"

namespace landfall::broker {

void Shard::WantDispatch(Queue& queue) {
  if (queue.dispatch_wanted) return;
  queue.dispatch_wanted = true;
  to_dispatch_.push_back(queue.id());
}

void Shard::On(SessionId session, ConsumeCommand& c) {
  Consuming answer{.channel = c.channel, .consumer = c.consumer};
  Queue* queue = FindOpen(c.queue);
  if (!queue) {
    answer.refused = amqp::ReplyCode::kNotFound;
    answer.text = "NOT_FOUND - the queue has been deleted";
  } else if (queue->exclusive_consumer ||
             (c.exclusive &&
              (!queue->consumers.empty() || queue->config().single_active_consumer))) {
    const QueueInfoRef info = ports_.topology().FindQueue(c.queue);
    answer.refused = amqp::ReplyCode::kAccessRefused;
    answer.text = "ACCESS_REFUSED - queue '" + (info ? info->name : "") + "' in vhost '" +
                  (info ? info->vhost : "") + "' in exclusive use";
  }
  ports_.ToSession(session, answer);
  if (answer.refused) return;

  queue->exclusive_consumer = c.exclusive;
  const HolderId id = holders_.Add({.session = session,
                                    .queue = c.queue,
                                    .channel = c.channel,
                                    .consumer = c.consumer,
                                    .subscribed = true,
                                    .no_ack = c.no_ack,
                                    .exclusive = c.exclusive,
                                    .by_grant = c.by_grant,
                                    .priority = c.priority,
                                    .prefetch = c.prefetch,
                                    .credit_messages = c.credit.messages,
                                    .credit_bytes = static_cast<int64_t>(c.credit.bytes),
                                    .origin = std::move(c.origin)});
  queue->consumers.push_back(id);
  if (queue->config().single_active_consumer) {
    if (queue->active_consumer == kNobody) Activate(*queue);
  } else {
    Offer(id, holders_[id]);
  }
}

void Shard::On(SessionId session, CancelCommand& c) {
  const HolderId id = holders_.FindConsumer(session, c.consumer);
  if (id != kNobody && holders_[id].subscribed) {
    const auto it = queues_.find(holders_[id].queue);
    if (it != queues_.end()) {
      // What was published before may still be for it.
      if (holders_[id].HasRoom() && Defer(*it->second, session, c)) return;
      Dispatch(*it->second);
      Unsubscribe(*it->second, id, holders_[id]);
      Release(id, holders_[id]);
    }
  }
  ports_.ToSession(session, Cancelled{c.channel, c.consumer, true});
}

void Shard::On(SessionId session, GetCommand& c) {
  Got answer{.channel = c.channel, .shard = id_, .queue = c.queue};
  Queue* queue = FindOpen(c.queue);
  if (!queue) {
    answer.queue_gone = true;
    ports_.ToSession(session, std::move(answer));
    return;
  }
  queue->unused_since = now_;
  // What was published before counts: for its priority, and in how many are left.
  if (Defer(*queue, session, c)) return;
  BringUpToDate(*queue);
  if (const Sequence sequence = queue->paused ? 0 : queue->Front()) {
    HolderId id = holders_.FindGetter(session, c.channel, c.queue);
    if (id == kNobody)
      id = holders_.Add({.session = session, .queue = c.queue, .channel = c.channel});
    holders_[id].origin = c.origin;
    const Entry& e = HandOut(*queue, sequence, id, holders_[id], c.no_ack);
    answer.redelivered = e.redelivered;
    answer.tell_count = queue->counts_deliveries();
    answer.attempt = e.attempts;
    answer.delivery_count = e.failures;
    answer.sequence = sequence;
    answer.message = e.message;
    answer.ready_left = static_cast<uint32_t>(queue->ready());
    FinishHandOut(*queue, sequence, c.no_ack);
    Release(id, holders_[id]);
    Arm(*queue);
  } else if (queue->ready() > 0 && !queue->paused) {
    LoadForOne(*queue);
    deferred_.push_back({.queue = queue->id(),
                         .for_block = true,
                         .channel = c.channel,
                         .command = Command{.session = session, .body = c}});
    return;
  }
  ports_.ToSession(session, std::move(answer));
}

void Shard::On(SessionId session, CreditCommand& c) {
  const HolderId id = holders_.FindConsumer(session, c.consumer);
  if (id == kNobody) return;
  Holder& h = holders_[id];
  h.credit_messages += c.credit.messages;
  h.credit_bytes += static_cast<int64_t>(c.credit.bytes);
  Offer(id, h);
}

void Shard::On(SessionId session, GrantCommand& c) {
  const HolderId id = holders_.FindConsumer(session, c.consumer);
  if (id == kNobody || !holders_[id].subscribed) {
    ports_.ToSession(session, ReturnGrants{0, c.consumer, c.grants});
    return;
  }
  Holder& h = holders_[id];
  h.by_grant = true;
  h.grants_asked = false;
  h.grants += c.grants;
  Offer(id, h);
  // Grants that find no message go back at the end of the dispatch.
  const auto it = queues_.find(h.queue);
  if (it != queues_.end()) WantDispatch(*it->second);
}

void Shard::On(SessionId session, CloseChannelCommand& c) {
  std::erase_if(deferred_, [&](const Deferred& d) {
    return d.command.session == session && (c.channel == 0 || d.channel == c.channel);
  });
  if (auto* s = holders_.FindSession(session)) {
    const std::vector<HolderId> ids = s->holders;
    for (HolderId id : ids) {
      Holder& h = holders_[id];
      if (c.channel != 0 && h.channel != c.channel) continue;
      const auto it = queues_.find(h.queue);
      LANDFALL_ASSERT(it != queues_.end());
      Queue& queue = *it->second;
      if (h.subscribed) Unsubscribe(queue, id, h);
      for (Sequence q = queue.FirstFrom(1); q != 0 && h.unacked > 0; q = queue.FirstFrom(q + 1)) {
        Entry& e = *queue.Find(q);
        if (e.state == EntryState::kUnacked && e.holder == id)
          DeliveryFailed(queue, q, e, StoryEvent::kConsumerGone, Duration{-1});
      }
      // Already free when its last message went.
      if (holders_[id].session == session && holders_[id].queue == queue.id())
        Release(id, holders_[id]);
    }
    if (c.channel == 0) holders_.ForgetSession(session);
  }
  ports_.ToSession(session, ChannelClosed{id_, c.channel});
}

void Shard::On(SessionId session, PauseLeasesCommand& c) {
  auto& s = holders_.SessionOf(session);
  if (c.paused == (s.paused_since != kNever)) return;
  if (c.paused) {
    s.paused_since = now_;
  } else {
    s.paused_before = s.PausedUntil(now_);
    s.paused_since = kNever;
  }
}

// Puts a consumer with room in line for messages.
void Shard::Offer(HolderId id, Holder& holder) {
  if (holder.waiting || !holder.HasRoom()) return;
  const auto it = queues_.find(holder.queue);
  if (it == queues_.end()) return;
  const Queue& queue = *it->second;
  if (queue.config().single_active_consumer && queue.active_consumer != id) return;
  holder.waiting = true;
  it->second->waiting_consumers[holder.priority].push_back(id);
  if (it->second->ready() > 0) WantDispatch(*it->second);
}

// Of a queue with a single active consumer: the first of those with the highest priority.
void Shard::Activate(Queue& queue) {
  queue.active_consumer = kNobody;
  for (const HolderId id : queue.consumers) {
    if (queue.active_consumer == kNobody ||
        holders_[id].priority > holders_[queue.active_consumer].priority) {
      queue.active_consumer = id;
    }
  }
  if (queue.active_consumer == kNobody) return;
  Offer(queue.active_consumer, holders_[queue.active_consumer]);
}

// What is too much after everybody who could has taken theirs leaves at the head.
void Shard::EnforceLength(Queue& queue) {
  if (!queue.config().limited() || queue.config().overflow != Overflow::kDropHead) return;
  while (queue.OverLimit()) {
    const Sequence head = queue.Front();
    if (head == 0) return LoadBlocks(queue, /*wanted=*/true);
    ++statistics_.over_length;
    DeadLetter(queue, head, *queue.Find(head), kMaxLen);
  }
}

void Shard::Unsubscribe(Queue& queue, HolderId id, Holder& holder) {
  holder.subscribed = false;
  std::erase(queue.consumers, id);
  if (holder.exclusive) queue.exclusive_consumer = false;
  if (holder.waiting) {
    holder.waiting = false;
    const auto line = queue.waiting_consumers.find(holder.priority);
    std::erase(line->second, id);
    if (line->second.empty()) queue.waiting_consumers.erase(line);
  }
  if (holder.grants > 0) {
    ports_.ToSession(holder.session, ReturnGrants{holder.channel, holder.consumer, holder.grants});
    holder.grants = 0;
  }
  if (queue.active_consumer == id) Activate(queue);
  if (queue.consumers.empty()) {
    queue.unused_since = now_;
    Arm(queue);
    const QueueInfoRef info = ports_.topology().FindQueue(queue.id());
    if (info && info->auto_delete) ports_.UnusedToTopology(queue.id());
  }
}

void Shard::Release(HolderId id, Holder& holder) {
  if (!holder.subscribed && holder.unacked == 0) holders_.Free(id);
}

Entry& Shard::HandOut(Queue& queue, Sequence sequence, HolderId id, Holder& holder, bool no_ack) {
  ++statistics_.delivered;
  Entry& e = queue.Deliver(sequence, no_ack ? kNobody : id);
  statistics_.redelivered += e.redelivered;
  ++queue.total_delivered;
  queue.total_redelivered += e.redelivered;
  TouchBatch(queue);
  queue.delivered_in_batch = true;
  if (!queue.stories.empty()) TellDelivery(queue, sequence, e, holder);
  if (!no_ack) {
    ++holder.unacked;
    if (queue.config().consumer_timeout) {
      queue.StartLease({.deadline = now_ + *queue.config().consumer_timeout,
                        .sequence = sequence,
                        .attempt = e.attempts,
                        .holder_paused = holders_.SessionOf(holder.session).PausedUntil(now_)});
    }
  }
  return e;
}

// After the outcome has been made: what nobody will acknowledge is settled at once.
void Shard::FinishHandOut(Queue& queue, Sequence sequence, bool no_ack) {
  if (!no_ack) return;
  if (queue.Find(sequence)->journaled) queue.settled.Add(sequence);
  TellOf(queue, sequence, StoryEvent::kAcked, 0, "by its delivery");
  queue.Erase(sequence, LeaveReason::kAcked);
}

void Shard::Dispatch(Queue& queue) {
  while (queue.ready() > 0 && !queue.sealed && !queue.paused && !queue.waiting_consumers.empty()) {
    auto& line = queue.waiting_consumers.begin()->second;
    const HolderId id = line.front();
    Holder& h = holders_[id];
    const bool needs_grant = h.by_grant && h.grants == 0;
    if (!h.HasRoom() || needs_grant) {
      h.waiting = false;
      line.pop_front();
      if (line.empty()) queue.waiting_consumers.erase(queue.waiting_consumers.begin());
      if (!h.HasRoom() && h.grants > 0) {
        // Its own prefetch is full: another consumer of its channel may have use for the rest.
        ports_.ToSession(h.session, ReturnGrants{h.channel, h.consumer, h.grants});
        h.grants = 0;
      }
      if (needs_grant && h.HasRoom() && !h.grants_asked) {
        h.grants_asked = true;
        ports_.ToSession(h.session,
                         WantGrants{h.channel, h.consumer, static_cast<uint32_t>(queue.ready())});
      }
      continue;
    }
    const Sequence sequence = queue.Front();
    if (sequence == 0) break;
    const Entry& e = HandOut(queue, sequence, id, h, h.no_ack);
    if (h.by_grant) --h.grants;
    --h.credit_messages;
    h.credit_bytes -= static_cast<int64_t>(e.message->footprint());
    ports_.ToSession(h.session, Deliver{.channel = h.channel,
                                        .redelivered = e.redelivered,
                                        .tell_count = queue.counts_deliveries(),
                                        .consumer = h.consumer,
                                        .attempt = e.attempts,
                                        .delivery_count = e.failures,
                                        .shard = id_,
                                        .queue = queue.id(),
                                        .sequence = sequence,
                                        .message = e.message});
    FinishHandOut(queue, sequence, h.no_ack);
    if (line.size() > 1) {
      line.pop_front();
      line.push_back(id);
    }
  }
  if (!queue.waiting_consumers.empty() && !queue.paused) LoadBlocks(queue, /*wanted=*/true);
  ReturnUnusedGrants(queue);
}

// An idle queue must not sit on a budget that another queue's consumer of the same channel needs.
void Shard::ReturnUnusedGrants(Queue& queue) {
  const bool gives = queue.ready() > 0 && !queue.paused;
  if (gives || queue.waiting_consumers.empty()) return;
  for (auto& [priority, line] : queue.waiting_consumers) {
    for (HolderId id : line) {
      Holder& h = holders_[id];
      if (h.grants == 0) continue;
      ports_.ToSession(h.session, ReturnGrants{h.channel, h.consumer, h.grants});
      h.grants = 0;
    }
  }
}

}  // namespace landfall::broker
