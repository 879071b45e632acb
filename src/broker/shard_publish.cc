// A message comes in: new, a repeat, or refused by a full queue.
#include <boost/container/small_vector.hpp>
#include <string>
#include <utility>

#include "broker/dead_letter.h"
#include "broker/shard.h"

namespace landfall::broker {

// What the queues that a message was routed to made of it.
struct Shard::Takers {
  boost::container::small_vector<Queue*, 1> queues;  // those that take it
  size_t repeats = 0;
  size_t fenced = 0;
  bool refused = false;
  bool journaled = false;  // one of them keeps it over a restart
};

void Shard::On(SessionId session, PublishCommand& c) {
  ++statistics_.published;
  const bool in_unit = std::exchange(in_unit_, c.unit_goes_on) || c.unit_goes_on;
  const Takers takers = FindTakers(c, in_unit);
  Enqueue(c, takers);
  if (takers.refused) {
    // Also if other queues have it: the publisher may send it again, and one with an identity is
    // then taken by those alone that did not.
    ports_.ToSession(session, PublishFate{id_, c.publish_seq, Fate::kRefused});
  } else if (takers.queues.empty()) {
    statistics_.repeats += takers.repeats > 0;
    const Fate fate = takers.fenced > 0    ? Fate::kFenced
                      : takers.repeats > 0 ? Fate::kDuplicate
                                           : Fate::kGone;
    ports_.ToSession(session, PublishFate{id_, c.publish_seq, fate});
  }
  auto& s = holders_.SessionOf(session);
  s.published = c.publish_seq;
  if (!s.in_batch) {
    s.in_batch = true;
    effects_.published.emplace_back(session, 0);
  }
  if (!c.unit_goes_on) BoundBatch();
}

Shard::Takers Shard::FindTakers(const PublishCommand& c, bool in_unit) {
  Takers takers;
  for (QueueId id : c.queues) {
    Queue* queue = FindOpen(id);
    if (!queue || (c.identity && !IsNew(*queue, c, takers))) continue;
    if (Refuses(*queue)) {
      takers.refused = true;
      TellArrival(*queue, 0, *c.message, c.story, StoryEvent::kRefused, c.origin, false);
      // A refused transaction has not happened, and its batch must not grow by dead letters.
      if (queue->config().overflow == Overflow::kRejectPublishDlx && !in_unit) {
        MoveToDeadLetters(*queue, /*sequence=*/0, *c.message,
                          queue->journaled() && c.message->persistent(), kMaxLen);
        BoundBatch();
      }
      continue;
    }
    takers.journaled |= queue->journaled();
    takers.queues.push_back(queue);
  }
  takers.journaled &= c.message->persistent();
  return takers;
}

// Of a message with an identity: counts what it is otherwise.
bool Shard::IsNew(Queue& queue, const PublishCommand& c, Takers& takers) {
  switch (queue.dedup.Check(*c.identity)) {
    case DedupVerdict::kNew:
      return true;
    case DedupVerdict::kFenced:
      ++takers.fenced;
      return false;
    case DedupVerdict::kRepeat:
      break;
  }
  ++takers.repeats;
  const ProducerWindow* w = queue.dedup.Fence(*c.identity);
  if (w && queue.journaled()) {
    AppendRecord(entries_, ProducerStateRecord{.queue = queue.id(),
                                               .producer = c.identity->producer,
                                               .epoch = w->epoch,
                                               .floor = w->floor,
                                               .last_used = w->last_used,
                                               .taken = w->taken.ranges()});
  }
  TellArrival(queue, 0, *c.message, c.story, StoryEvent::kRepeat, c.origin, false);
  return false;
}

void Shard::Enqueue(const PublishCommand& c, const Takers& takers) {
  boost::container::small_vector<QueuePosition, 1> positions;
  for (Queue* queue : takers.queues) {
    const bool journaled = takers.journaled && queue->journaled();
    const Sequence sequence = queue->Push(c.message, journaled, now_);
    if (journaled) positions.push_back({queue->id(), sequence});
    if (queue->config().trace > 0)
      TellArrival(*queue, sequence, *c.message, c.story, StoryEvent::kReceived, c.origin, false);
    if (c.identity) {
      if (!queue->dedup.producers().contains(c.identity->producer)) {
        const std::string evicted = queue->dedup.ToEvict();
        if (!evicted.empty()) queue->dedup.Forget(evicted);
        if (!evicted.empty() && queue->journaled())
          AppendRecord(entries_, ProducerForgottenRecord{queue->id(), evicted});
      }
      queue->dedup.Take(*c.identity, journaled, now_);
    }
    TouchBatch(*queue);
    if (queue->AlarmsFor(*c.message)) Arm(*queue);
  }
  if (positions.empty()) return;
  AppendEnqueue(entries_, c.identity.get(), nullptr, positions.data(), positions.size(),
                *c.message);
  urgent_ = true;
}

// A publish that finds the queue full.
bool Shard::Refuses(const Queue& queue) {
  const QueueConfig& config = queue.config();
  if (!config.limited() || config.overflow == Overflow::kDropHead || !queue.Full()) return false;
  ++statistics_.refused;
  return true;
}

}  // namespace landfall::broker
