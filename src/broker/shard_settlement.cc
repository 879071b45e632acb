// What becomes of deliveries: acknowledged, given back, failed, dead-lettered.
#include <algorithm>

#include "broker/dead_letter.h"
#include "broker/delayed_exchange.h"
#include "broker/shard.h"

namespace landfall::broker {

void Shard::On(SessionId session, SettleCommand& c) {
  if (Queue* found = Find(c.queue)) {
    Queue& queue = *found;
    for (Sequence s = c.first; s <= c.last; ++s) {
      Entry* e = queue.Find(s);
      if (!e) continue;  // settled already
      if (c.kind == Settlement::kAck) {
        // Counts however late: the receiver has done its work.
        Acknowledge(queue, s, *e);
        continue;
      }
      // A late refusal says nothing about the delivery that is under way now.
      if (e->state != EntryState::kUnacked || e->attempts != c.attempt) continue;
      switch (c.kind) {
        case Settlement::kAck:
          break;  // done above
        case Settlement::kReject:
          TakeBack(*e);
          TellOf(queue, s, StoryEvent::kRejection, e->attempts);
          DeadLetter(queue, s, *e, kRejected);
          break;
        case Settlement::kRelease:
          TakeBack(*e);
          TellOf(queue, s, StoryEvent::kReleased, e->attempts);
          Return(queue, s, Time{});
          break;
        case Settlement::kRequeue:
        case Settlement::kReturn:
          DeliveryFailed(
              queue, s, *e,
              c.kind == Settlement::kReturn ? StoryEvent::kReturned : StoryEvent::kRequeued,
              c.delay);
          break;
      }
    }
    Arm(queue);
  }
  if (c.notify_token != 0) {
    effects_.acks.emplace_back(session, AckLanded{c.channel, c.notify_token});
    urgent_ = true;  // somebody waits for it
  }
}

void Shard::On(SessionId session, RenewCommand& c) {
  Queue* found = Find(c.queue);
  if (found == nullptr) return;
  Queue& queue = *found;
  const Entry* e = queue.Find(c.sequence);
  if (!e || e->state != EntryState::kUnacked || e->attempts != c.attempt) return;
  if (!queue.config().consumer_timeout) return;  // no lease to extend
  queue.RenewLease({.deadline = now_ + c.lease,
                    .sequence = c.sequence,
                    .attempt = c.attempt,
                    .holder_paused = holders_.SessionOf(session).PausedUntil(now_)});
  Arm(queue);
}

// The holder does not hold it any longer and may have room for another one.
void Shard::TakeBack(Entry& entry) {
  const HolderId id = entry.holder;
  if (id == kNobody) return;
  entry.holder = kNobody;
  Holder& h = holders_[id];
  --h.unacked;
  Offer(id, h);
  Release(id, h);
}

void Shard::Acknowledge(Queue& queue, Sequence sequence, Entry& entry) {
  TakeBack(entry);
  if (entry.journaled) {
    queue.settled.Add(sequence);
    TouchBatch(queue);
  }
  TellOf(queue, sequence, StoryEvent::kAcked, entry.attempts);
  queue.Erase(sequence, LeaveReason::kAcked);
}

// The one way back for every delivery that did not succeed: count it where counting matters, then
// dead-letter it, let it rest, or make it ready at once. delay < 0: as the queue's policy says.
void Shard::DeliveryFailed(Queue& queue, Sequence sequence, Entry& entry, StoryEvent how,
                           Duration delay) {
  TakeBack(entry);
  const QueueConfig& config = queue.config();
  if (queue.counts_deliveries()) {
    ++entry.failures;
    if (config.delivery_limit && entry.failures > *config.delivery_limit) {
      TellOf(queue, sequence, how, entry.attempts);
      DeadLetter(queue, sequence, entry, kDeliveryLimit);
      return;
    }
  }
  if (delay < Duration{0}) {
    delay = config.RetriesAreDelayed(how == StoryEvent::kReturned)
                ? config.backoff.DelayAfter(std::max(entry.failures, 1u), rng_)
                : Duration{0};
  }
  const Time due = delay > Duration{0} ? now_ + delay : Time{};
  if (entry.journaled && (queue.counts_deliveries() || due != Time{}))
    AppendRecord(entries_, FailedRecord{{queue.id(), sequence}, entry.failures, due});
  TellOf(queue, sequence, how, entry.attempts, {}, due);
  Return(queue, sequence, due);
  Arm(queue);
}

// Nobody holds it any more. If its time to live has gone by meanwhile, nobody gets it again.
void Shard::Return(Queue& queue, Sequence sequence, Time due) {
  queue.Requeue(sequence, due);
  if (queue.ExpiryOf(sequence) <= now_) {
    ExpireMessages(queue);
  } else {
    WantDispatch(queue);
  }
}

void Shard::ExpireLeases(Queue& queue) {
  while (auto lease = queue.PopExpiredLease(now_)) {
    Entry& e = *queue.Find(lease->sequence);
    const Holder& h = holders_[e.holder];
    // The time in which its connection was not read does not count.
    const Duration paused = holders_.SessionOf(h.session).PausedUntil(now_);
    if (paused > lease->holder_paused) {
      lease->deadline = now_ + std::max(paused - lease->holder_paused, Duration{1000});
      lease->holder_paused = paused;
      queue.RenewLease(*lease);
      continue;
    }
    ++statistics_.leases_expired;
    ports_.ToSession(h.session, LeaseExpired{h.channel, h.consumer, queue.id(), lease->sequence,
                                             lease->attempt});
    DeliveryFailed(queue, lease->sequence, e, StoryEvent::kLeaseExpired, Duration{-1});
  }
}

// Leaves its queue for where the dead-letter exchange routes it, or for good.
void Shard::DeadLetter(Queue& queue, Sequence sequence, Entry& entry, ByteView reason) {
  LeaveReason why = LeaveReason::kDeadLettered;
  if (!MoveToDeadLetters(queue, sequence, *entry.message, entry.journaled, reason)) {
    why = reason == kExpired  ? LeaveReason::kTtl
          : reason == kMaxLen ? LeaveReason::kMaxLength
                              : LeaveReason::kDropped;
    if (entry.journaled) {
      AppendRecord(entries_, SettledRecord{queue.id(), why, {{sequence, sequence}}});
    }
    TellOf(queue, sequence, StoryEvent::kDropped, 0, reason);
  }
  queue.Erase(sequence, why);
  BoundBatch();
}

// False: there is nowhere to go. `sequence` 0: the message has not been in the queue. `journaled`:
// it survives a restart where it is.
bool Shard::MoveToDeadLetters(Queue& queue, Sequence sequence, const Message& message,
                              bool journaled, ByteView reason) {
  const QueueInfoRef info = ports_.topology().FindQueue(queue.id());
  // The snapshot may be ahead of the queue's own configuration for a moment, or behind it.
  if (!info || !queue.config().dead_letter_exchange || !info->config.dead_letter_exchange) {
    return false;
  }
  QueueTargets targets;
  const MessageRef dead = MakeDeadLetter(message, *info, reason, now_);
  if (const VhostRef vhost = ports_.topology().FindVhost(info->vhost))
    Route(*vhost, dead->exchange(), *dead, targets);
  if (reason != kRejected) {
    const auto cycles = [&](const QueueTarget& t) {
      const QueueInfoRef to = ports_.topology().FindQueue(t.id);
      return !to || (!to->holds_back && IsDeadLetterCycle(*dead, to->name));
    };
    targets.erase(std::remove_if(targets.begin(), targets.end(), cycles), targets.end());
  }
  if (targets.empty()) return false;
  Move(queue, sequence, dead, journaled, targets, StoryOf(queue, sequence));
  if (!queue.stories.empty()) {
    TellMore(queue, sequence,
             {.event = StoryEvent::kDeadLettered,
              .exchange = std::string(dead->exchange()),
              .routing_key = std::string(dead->routing_key()),
              .detail = std::string(reason) + " " + NamesOf(targets)});
  }
  return true;
}

// At the end of its delay a message goes on from the exchange that has held it back. At most so
// many at a time: others wait for their messages.
void Shard::ReleaseHeldBack(Queue& queue) {
  constexpr int kAtATime = 10'000;
  const QueueInfoRef info = ports_.topology().FindQueue(queue.id());
  if (!info) return;  // the drop is on its way
  const VhostRef vhost = ports_.topology().FindVhost(info->vhost);
  for (int n = 0; n < kAtATime; ++n) {
    const Sequence sequence = queue.PopDue(now_);
    if (sequence == 0) break;
    const Entry& entry = *queue.Find(sequence);
    const MessageRef message = WithoutDelay(*entry.message);
    QueueTargets targets;
    if (vhost) Route(*vhost, info->name, *message, targets);
    const LeaveReason why = targets.empty() ? LeaveReason::kDropped : LeaveReason::kReleased;
    if (!targets.empty()) {
      Move(queue, sequence, message, entry.journaled, targets, /*story=*/0);
    } else if (entry.journaled) {
      AppendRecord(entries_, SettledRecord{queue.id(), why, {{sequence, sequence}}});
    }
    queue.Erase(sequence, why);
    BoundBatch();
  }
}

// Within the shard that is one journal record, so it can neither be lost nor doubled; queues of
// other shards get it through the outbox. `journaled`: it survives a restart where it is.
void Shard::Move(Queue& queue, Sequence sequence, const MessageRef& message, bool journaled,
                 const QueueTargets& targets, StoryId story, MoveCause cause) {
  MoveRecord move{
      .from = {queue.id(), sequence}, .message = message, .by_hand = cause == MoveCause::kByHand};
  bool journal_it = journaled;
  FlatMap<ShardId, std::vector<QueueId>> elsewhere;
  for (const QueueTarget& t : targets) {
    if (t.shard != id_) {
      elsewhere[t.shard].push_back(t.id);
      continue;
    }
    Queue* to = FindOpen(t.id);
    if (!to) continue;
    const bool survives = to->journaled() && message->persistent();
    const Sequence position = to->Push(message, survives, now_);
    if (survives) move.positions.push_back({t.id, position});
    journal_it |= survives;
    TellArrival(*to, position, *message, story, StoryEvent::kArrived, nullptr, story != 0);
    TouchBatch(*to);
    Arm(*to);
  }
  for (auto& [destination, queues] : elsewhere) {
    Outbox& outbox = outboxes_[destination];
    // An unjournaled shard forgets its count at a restart, its destination does not.
    if (!journaled_ && outbox.next == 1) outbox.next = uint64_t{epoch_} << 32 | 1;
    const uint64_t transfer_seq = outbox.next++;
    move.outbox.push_back({destination, transfer_seq, queues});
    const auto& transfer = outbox.unsettled[transfer_seq] = {std::move(queues), message, story};
    SendTransfer(destination, transfer_seq, outbox, transfer);
    // Also when the message need not survive: the number that it has used must.
    journal_it |= journaled_;
  }
  if (journal_it) {
    AppendRecord(entries_, move);
    urgent_ = true;
  }
}

}  // namespace landfall::broker
