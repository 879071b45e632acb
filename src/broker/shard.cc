#include "broker/shard.h"

#include <algorithm>

#include "base/assert.h"
#include "broker/dead_letter.h"

namespace landfall::broker {
namespace {

// A producer that has been silent this long is forgotten, so that windows do not pile up for ever.
constexpr Duration kProducerIdle = std::chrono::hours(24 * 7);
constexpr Duration kProducerSweep = std::chrono::minutes(10);
constexpr size_t kMaxDroppedIds = 1024;
// A batch is closed early when it has grown to this: one command may dead-letter thousands of large
// messages, and the store takes no batch without bound.
constexpr size_t kBatchBytes = size_t{8} << 20;

}  // namespace

ShardStatistics& ShardStatistics::operator+=(const ShardStatistics& other) {
  published += other.published;
  repeats += other.repeats;
  delivered += other.delivered;
  redelivered += other.redelivered;
  leases_expired += other.leases_expired;
  expired += other.expired;
  over_length += other.over_length;
  refused += other.refused;
  unknown_records += other.unknown_records;
  return *this;
}

Shard::Shard(ShardId id, uint64_t seed, ShardPorts& ports, ShardOptions options)
    : id_(id),
      journaled_(!IsTransientShard(id)),
      ports_(ports),
      rng_(seed),
      stories_(options.stories),
      options_(options) {}

Shard::~Shard() = default;

void Shard::Start(uint64_t last_shard_seq, uint32_t epoch, Time now) {
  shard_seq_ = last_shard_seq;
  epoch_ = epoch;
  now_ = now;
  next_producer_sweep_ = now + kProducerSweep;
  // Those with x-expires have to be here to go.
  ports_.topology().queues_by_id.ForEach([&](QueueId id, const QueueInfoRef& info) {
    if (info->shard == id_ && info->config.expires) FindOrCreate(id);
  });
  FinishLedgers();
  for (auto& [id, queue] : queues_) {
    queue->FinishRecovery();
    queue->unused_since = now;
    Arm(*queue);
    // Transient ones, or what damage has taken.
    TellGone(*queue, StoryEvent::kLost, "not there after a restart");
    while (BacklogBlock* block = queue->ChangedBlock()) LoadBlock(*queue, *block);
  }
  // Whatever had not been answered before the end is sent again; its destination knows repeats.
  // Queues of unjournaled shards are gone, and there may be fewer such shards now. Transient
  // messages are gone wherever they were, and who sent them may send them again.
  for (auto& [destination, outbox] : outboxes_) {
    std::erase_if(outbox.unsettled, [&, to = destination](const auto& entry) {
      const auto& [transfer_seq, transfer] = entry;
      if (!IsTransientShard(to) && transfer.message->persistent()) return false;
      AppendRecord(entries_, TransferSettledRecord{to, transfer_seq});
      return true;
    });
    for (const auto& [transfer_seq, transfer] : outbox.unsettled) {
      SendTransfer(destination, transfer_seq, outbox, transfer);
    }
  }
}

void Shard::Execute(Command&& command, Time now) {
  now_ = now;
  std::visit([&](auto& body) { On(command.session, body); }, command.body);
}

void Shard::On(SessionId session, PublishCommand& c) {
  ++statistics_.published;
  boost::container::small_vector<Queue*, 1> taken;
  size_t repeats = 0;
  size_t fenced = 0;
  bool refused = false;
  bool journal_it = false;
  const bool in_unit = std::exchange(in_unit_, c.unit_goes_on) || c.unit_goes_on;
  for (QueueId id : c.queues) {
    Queue* queue = FindOpen(id);
    if (!queue) continue;
    if (c.identity) {
      const DedupVerdict verdict = queue->dedup.Check(*c.identity);
      if (verdict == DedupVerdict::kRepeat) {
        ++repeats;
        const ProducerWindow* w = queue->dedup.Fence(*c.identity);
        if (w && queue->journaled()) {
          AppendRecord(entries_, ProducerStateRecord{.queue = id,
                                                     .producer = c.identity->producer,
                                                     .epoch = w->epoch,
                                                     .floor = w->floor,
                                                     .last_used = w->last_used,
                                                     .taken = w->taken.ranges()});
        }
      }
      if (verdict == DedupVerdict::kRepeat) {
        TellArrival(*queue, 0, *c.message, c.story, StoryEvent::kRepeat, c.origin, false);
      }
      if (verdict == DedupVerdict::kFenced) ++fenced;
      if (verdict != DedupVerdict::kNew) continue;
    }
    if (Refuses(*queue)) {
      refused = true;
      TellArrival(*queue, 0, *c.message, c.story, StoryEvent::kRefused, c.origin, false);
      // A refused transaction has not happened, and its batch must not grow by dead letters.
      if (queue->config().overflow == Overflow::kRejectPublishDlx && !in_unit) {
        MoveToDeadLetters(*queue, /*sequence=*/0, *c.message,
                          queue->journaled() && c.message->persistent(), kMaxLen);
        BoundBatch();
      }
      continue;
    }
    journal_it |= queue->journaled();
    taken.push_back(queue);
  }
  journal_it &= c.message->persistent();

  boost::container::small_vector<QueuePosition, 1> positions;
  for (Queue* queue : taken) {
    const bool journaled = journal_it && queue->journaled();
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
  if (!positions.empty()) {
    AppendEnqueue(entries_, c.identity.get(), nullptr, positions.data(), positions.size(),
                  *c.message);
    urgent_ = true;
  }
  if (refused) {
    // Also if other queues have it: the publisher may send it again, and one with an identity is
    // then taken by those alone that did not.
    ports_.ToSession(session, PublishFate{id_, c.publish_seq, Fate::kRefused});
  } else if (taken.empty()) {
    statistics_.repeats += repeats > 0;
    const Fate fate = fenced > 0 ? Fate::kFenced : repeats > 0 ? Fate::kDuplicate : Fate::kGone;
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

// A publish that finds the queue full.
bool Shard::Refuses(const Queue& queue) {
  const QueueConfig& config = queue.config();
  if (!config.limited() || config.overflow == Overflow::kDropHead || !queue.Full()) return false;
  ++statistics_.refused;
  return true;
}

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

QueueReport Shard::Report(QueueId id) const {
  QueueReport report{.id = id};
  const Queue* queue = FindQueue(id);
  if (queue == nullptr) return report;
  report.ready = queue->ready();
  report.unacked = queue->unacked();
  report.delayed = queue->delayed();
  report.held = queue->size();
  report.resting = queue->resting();
  report.memory = queue->bytes();
  report.delivered = queue->total_delivered;
  report.redelivered = queue->total_redelivered;
  report.consumers = static_cast<uint32_t>(queue->consumers.size());
  report.ledger = queue->ledger();
  return report;
}

std::vector<ConsumerReport> Shard::ReportConsumers(QueueId id, size_t at_most) const {
  std::vector<ConsumerReport> reports;
  const Queue* queue = FindQueue(id);
  if (queue == nullptr) return reports;
  for (const HolderId holder : queue->consumers) {
    if (reports.size() == at_most) break;
    const Holder& h = holders_[holder];
    reports.push_back(
        {.session = h.session,
         .channel = h.channel,
         .consumer = h.consumer,
         .no_ack = h.no_ack,
         .exclusive = h.exclusive,
         .active = !queue->config().single_active_consumer || queue->active_consumer == holder,
         .prefetch = h.prefetch,
         .priority = h.priority,
         .unacked = h.unacked});
  }
  return reports;
}

uint64_t Shard::size() const {
  uint64_t sum = 0;
  for (const auto& [id, queue] : queues_) sum += queue->size();
  return sum;
}

uint64_t Shard::bytes() const {
  uint64_t sum = 0;
  for (const auto& [id, queue] : queues_) sum += queue->bytes();
  return sum;
}

Ledger Shard::ledger() const {
  Ledger sum = deleted_;
  for (const auto& [id, queue] : queues_) sum += queue->ledger();
  return sum;
}

uint64_t Shard::outbox_size() const {
  uint64_t sum = 0;
  for (const auto& [destination, outbox] : outboxes_) sum += outbox.unsettled.size();
  return sum;
}

void Shard::CheckLedgers() {
  for (const auto& [id, queue] : queues_) CheckLedger(*queue);
}

void Shard::CheckLedger(const Queue& queue) {
  if (queue.Balances() || !unbalanced_.insert(queue.id()).second) return;
  ports_.LedgerUnbalanced(queue.id(), queue.ledger(), queue.size());
}

// The batch that is being built says something about this queue.
void Shard::TouchBatch(Queue& queue) {
  if (queue.in_batch) return;
  queue.in_batch = true;
  batch_queues_.push_back(queue.id());
}

void Shard::Arm(Queue& queue) {
  const Time due = queue.NextDue();
  if (due >= queue.armed) return;
  queue.armed = due;
  alarms_.emplace(due, queue.id());
}

Time Shard::NextDeadline() const {
  return alarms_.empty() ? next_producer_sweep_
                         : std::min(alarms_.top().first, next_producer_sweep_);
}

void Shard::OnTick(Time now) {
  now_ = now;
  // Each once: what is left of one goes on in the next turn, so that others get theirs.
  std::vector<Alarm> due;
  for (; !alarms_.empty() && alarms_.top().first <= now; alarms_.pop()) {
    due.push_back(alarms_.top());
  }
  for (const auto& [time, id] : due) {
    const auto it = queues_.find(id);
    if (it == queues_.end() || it->second->armed != time) continue;
    Queue& queue = *it->second;
    queue.armed = kNever;
    ExpireLeases(queue);
    if (queue.config().holds_back) {
      ReleaseHeldBack(queue);
    } else {
      while (queue.PopDue(now) != 0) WantDispatch(queue);
    }
    // With a time to live of 0 a message still goes to a consumer that waits for it.
    Dispatch(queue);
    ExpireMessages(queue);
    ExpireQueue(queue);
    Arm(queue);
  }
  if (now >= next_producer_sweep_) {
    next_producer_sweep_ = now + kProducerSweep;
    ForgetIdleProducers();
  }
}

// At most so many at a time: others wait for their messages.
void Shard::ExpireMessages(Queue& queue) {
  constexpr int kAtATime = 10'000;
  for (int n = 0; n < kAtATime; ++n) {
    const Sequence sequence = queue.FirstExpired(now_);
    if (sequence == 0) break;
    ++statistics_.expired;
    DeadLetter(queue, sequence, *queue.Find(sequence), kExpired);
  }
  LoadBlocks(queue, /*wanted=*/false);
}

// The topology asks back whether it is still unused and deletes it.
void Shard::ExpireQueue(Queue& queue) {
  if (queue.UnusedDeadline() > now_ || queue.sealed) return;
  queue.unused_since = now_;
  ports_.UnusedToTopology(queue.id());
}

void Shard::ForgetIdleProducers() {
  for (auto& [id, queue] : queues_) {
    while (true) {
      const std::string idle = queue->dedup.IdleSince(now_ - kProducerIdle);
      if (idle.empty()) break;
      queue->dedup.Forget(idle);
      if (queue->journaled()) AppendRecord(entries_, ProducerForgottenRecord{id, idle});
    }
  }
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
