// From the commands of a turn to one batch of the journal, and from a batch on disk to what it
// makes true.
#include <algorithm>
#include <iterator>
#include <utility>
#include <vector>

#include "broker/shard.h"

namespace landfall::broker {
namespace {

// A batch is closed early when it has grown to this: one command may dead-letter thousands of large
// messages, and the store takes no batch without bound.
constexpr size_t kBatchBytes = size_t{8} << 20;

}  // namespace

// The batch that is being built says something about this queue.
void Shard::TouchBatch(Queue& queue) {
  if (queue.in_batch) return;
  queue.in_batch = true;
  batch_queues_.push_back(queue.id());
}

void Shard::OnDurable(uint64_t shard_seq, uint64_t lsn, Time now) {
  now_ = now;
  landing_lsn_ = lsn;
  while (!pending_.empty() && pending_.front().shard_seq <= shard_seq) {
    Effects effects = std::move(pending_.front().effects);
    landing_seq_ = pending_.front().shard_seq;
    pending_.pop_front();
    Apply(effects);
  }
}

void Shard::Apply(Effects& effects) {
  for (const QueuePosition& p : effects.landed) {
    const auto it = queues_.find(p.queue);
    if (it == queues_.end()) continue;  // dropped meanwhile
    Queue& queue = *it->second;
    const Sequence landed = queue.landed();
    queue.Land(p.sequence);
    if (!queue.stories.empty()) TellLanded(queue, landed, p.sequence);
    if (!queue.waiting_consumers.empty() || queue.config().limited()) WantDispatch(queue);
  }
  for (const auto& [session, upto] : effects.published)
    if (upto != 0) ports_.ToSession(session, Published{id_, upto});
  for (const auto& [session, ack] : effects.acks) ports_.ToSession(session, ack);
  for (auto& [shard, command] : effects.to_shards) ports_.ToShard(shard, std::move(command));
  RunDeferred();
}

template <class C>
bool Shard::Defer(const Queue& queue, SessionId session, const C& c) {
  // Once only: others may go on publishing for ever.
  if (running_deferred_ || queue.landed() >= queue.last()) return false;
  deferred_.push_back({.queue = queue.id(),
                       .upto = queue.last(),
                       .channel = c.channel,
                       .command = Command{.session = session, .body = c}});
  return true;
}
template bool Shard::Defer(const Queue&, SessionId, const GetCommand&);
template bool Shard::Defer(const Queue&, SessionId, const CancelCommand&);
template bool Shard::Defer(const Queue&, SessionId, const CountCommand&);
template bool Shard::Defer(const Queue&, SessionId, const PurgeCommand&);

void Shard::RunDeferred() {
  if (deferred_.empty()) return;
  const auto waits = [this](const Deferred& d) {
    Queue* queue = FindOpen(d.queue);
    if (queue == nullptr) return false;
    if (d.for_block) {
      if (queue->resting() == 0 || queue->Front() != 0) return false;
      // None of what was read can be had.
      LoadForOne(*queue);
      return true;
    }
    return queue->landed() < d.upto;
  };
  const auto due = std::stable_partition(deferred_.begin(), deferred_.end(), waits);
  std::vector<Deferred> ready(std::make_move_iterator(due),
                              std::make_move_iterator(deferred_.end()));
  deferred_.erase(due, deferred_.end());
  running_deferred_ = true;
  for (Deferred& d : ready) Execute(std::move(d.command), now_);
  running_deferred_ = false;
}

// Who asks about a queue must not see what a Flush would have sent to a consumer or thrown away. A
// consumer that waits comes first: with a time to live of 0 a message still goes to it.
void Shard::BringUpToDate(Queue& queue) {
  Dispatch(queue);
  ExpireMessages(queue);
  EnforceLength(queue);
}

void Shard::Flush(Time now) {
  now_ = now;
  // Landing at once (unjournaled shards, transient messages) makes more to deliver, and what is
  // delivered without acknowledgement makes more to journal.
  do {
    std::vector<QueueId> queues;
    queues.swap(to_dispatch_);
    for (QueueId id : queues) {
      const auto it = queues_.find(id);
      if (it == queues_.end()) continue;
      // A dead letter may make another queue, and the iterator invalid.
      Queue& queue = *it->second;
      queue.dispatch_wanted = false;
      Dispatch(queue);
      EnforceLength(queue);
      Arm(queue);
    }
    BuildBatch();
  } while (!to_dispatch_.empty() || !batch_queues_.empty());
}

void Shard::Effects::Append(Effects&& later) {
  landed.insert(landed.end(), later.landed.begin(), later.landed.end());
  published.insert(published.end(), later.published.begin(), later.published.end());
  std::move(later.to_shards.begin(), later.to_shards.end(), std::back_inserter(to_shards));
  acks.insert(acks.end(), later.acks.begin(), later.acks.end());
}

// What needs no write of its own takes the place of the last append that somebody waits for, so
// that order holds; acks may rest on any append before them.
void Shard::ApplyAfterLastUrgent(Effects effects) {
  if (!effects.acks.empty() && !pending_.empty()) {
    auto& acks = pending_.back().effects.acks;
    acks.insert(acks.end(), effects.acks.begin(), effects.acks.end());
    effects.acks.clear();
  }
  const auto last = std::find_if(pending_.rbegin(), pending_.rend(),
                                 [](const PendingBatch& b) { return b.urgent; });
  if (last == pending_.rend()) {
    Apply(effects);
  } else {
    last->effects.Append(std::move(effects));
  }
}

// Between two commands, or two messages of one. Only with something urgent: then nothing comes true
// from within BuildBatch that the caller does not expect.
void Shard::BoundBatch() {
  if (urgent_ && entries_.size() > kBatchBytes) BuildBatch();
}

void Shard::BuildBatch() {
  for (QueueId id : batch_queues_) {
    const auto it = queues_.find(id);
    if (it == queues_.end()) continue;
    Queue& queue = *it->second;
    queue.in_batch = false;
    if (queue.last() > queue.landed()) effects_.landed.push_back({id, queue.last()});
    if (!queue.settled.empty()) {
      AppendRecord(entries_, SettledRecord{id, LeaveReason::kAcked, queue.settled.ranges()});
      queue.settled.clear();
    }
    if (queue.delivered_in_batch) {
      queue.delivered_in_batch = false;
      if (queue.journaled()) AppendRecord(entries_, DeliveredRecord{{id, queue.delivered_upto()}});
    }
  }
  batch_queues_.clear();
  for (auto& [session, upto] : effects_.published) {
    if (auto* s = holders_.FindSession(session)) {
      s->in_batch = false;
      upto = s->published;
    }
  }
  Effects effects = std::exchange(effects_, Effects{});
  bool urgent = std::exchange(urgent_, false);
  if (!journaled_) entries_.clear();
  if (!urgent || entries_.empty()) {
    ApplyAfterLastUrgent(std::move(effects));
    effects = Effects{};
    // What was deferred may have run in there and added to this batch: what that makes true waits
    // for the batch.
    urgent = std::exchange(urgent_, false);
    if (!journaled_) entries_.clear();
    if (urgent && !entries_.empty()) effects = std::exchange(effects_, Effects{});
  }
  if (entries_.empty()) return;

  ByteBuffer entries;
  entries.reserve(entries_.size() + 12);
  AppendRecord(entries, BatchTimeRecord{now_});
  entries += entries_;
  entries_.clear();
  const uint64_t seq = ++shard_seq_;
  pending_.push_back({seq, urgent, std::move(effects)});
  ports_.Append({.shard = id_, .shard_seq = seq, .entries = std::move(entries), .urgent = urgent});
}

}  // namespace landfall::broker
