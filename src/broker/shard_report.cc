// What a shard tells of itself.
#include <vector>

#include "broker/shard.h"

namespace landfall::broker {

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

}  // namespace landfall::broker
