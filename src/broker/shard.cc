#include "broker/shard.h"

#include <algorithm>
#include <chrono>
#include <string>
#include <vector>

#include "broker/dead_letter.h"

namespace landfall::broker {
namespace {

// A producer that has been silent this long is forgotten, so that windows do not pile up for ever.
constexpr Duration kProducerIdle = std::chrono::hours(24 * 7);
constexpr Duration kProducerSweep = std::chrono::minutes(10);

}  // namespace

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

}  // namespace landfall::broker
