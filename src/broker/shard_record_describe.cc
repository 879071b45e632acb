// What a record says, for people who inspect a journal.
#include <fmt/format.h>

#include "broker/shard_record.h"

namespace landfall::broker {
namespace {

std::string Text(const QueuePosition& p) {
  return fmt::format("queue {} #{}", p.queue, p.sequence);
}
std::string Text(const MessageRef& m) {
  return fmt::format("exchange '{}' key '{}' {} bytes{}", m->exchange(), m->routing_key(),
                     m->body().size(), m->persistent() ? "" : " transient");
}
std::string Text(const std::vector<IntervalSet::Range>& ranges) {
  std::string s;
  for (const auto& r : ranges) s += fmt::format(" {}-{}", r.first, r.last);
  return s;
}
std::string Text(const OutboxItem& o) {
  return fmt::format("shard {} transfer {} ({} queues)", o.destination, o.transfer_seq,
                     o.queues.size());
}
template <class T>
std::string Text(const std::vector<T>& items) {
  std::string s;
  for (const auto& i : items) s += (s.empty() ? "" : ", ") + Text(i);
  return s;
}
int64_t Micros(Time t) { return t.time_since_epoch().count(); }

struct Describer {
  std::string operator()(const BatchTimeRecord& r) const {
    return fmt::format("time {}", Micros(r.time));
  }
  std::string operator()(const EnqueueRecord& r) const {
    std::string s = fmt::format("enqueue {}: {}", Text(r.positions), Text(r.message));
    if (r.identity)
      s += fmt::format(" producer '{}' epoch {} sequence {}", r.identity->producer,
                       r.identity->epoch, r.identity->sequence);
    if (r.transfer)
      s += fmt::format(" from shard {} transfer {}", r.transfer->source, r.transfer->transfer_seq);
    return s;
  }
  std::string operator()(const SettledRecord& r) const {
    return fmt::format("{} queue {}{}", NameOf(r.reason), r.queue, Text(r.ranges));
  }
  std::string operator()(const FailedRecord& r) const {
    return fmt::format("failed {}: {} times, due {}", Text(r.position), r.failures, Micros(r.due));
  }
  std::string operator()(const DeliveredRecord& r) const {
    return fmt::format("delivered up to {}", Text(r.position));
  }
  std::string operator()(const MoveRecord& r) const {
    return fmt::format("moved {}{} to [{}] outbox [{}]: {}", r.by_hand ? "by hand " : "",
                       Text(r.from), Text(r.positions), Text(r.outbox), Text(r.message));
  }
  std::string operator()(const TransferSettledRecord& r) const {
    return fmt::format("transfer {} to shard {} arrived", r.transfer_seq, r.destination);
  }
  std::string operator()(const ProducerForgottenRecord& r) const {
    return fmt::format("queue {} forgets producer '{}'", r.queue, r.producer);
  }
  std::string operator()(const QueueStateRecord& r) const {
    return fmt::format("queue {}: last {} delivered up to {}", r.queue, r.last, r.delivered_upto);
  }
  std::string operator()(const ProducerStateRecord& r) const {
    return fmt::format("queue {}: producer '{}' epoch {} floor {} taken{}", r.queue, r.producer,
                       r.epoch, r.floor, Text(r.taken));
  }
  std::string operator()(const MessageStateRecord& r) const {
    return fmt::format("{}: {} failures, due {}: {}", Text(r.position), r.failures, Micros(r.due),
                       Text(r.message));
  }
  std::string operator()(const OutboxStateRecord& r) const {
    return fmt::format("outbox {}: {}", Text(r.item), Text(r.message));
  }
  std::string operator()(const OutboxNextRecord& r) const {
    return fmt::format("outbox to shard {} goes on at {}", r.destination, r.next);
  }
  std::string operator()(const MessageExpiryRecord& r) const {
    return fmt::format("{}: expires {}", Text(r.position), Micros(r.expiry));
  }
  std::string operator()(const QueueTtlRecord& r) const {
    return fmt::format("queue {} had a time to live of {} us at {}", r.queue,
                       r.ttl ? r.ttl->count() : -1, Micros(r.now));
  }
  std::string operator()(const QueuedMessageRecord& r) const {
    return fmt::format("{}: {} failures, due {}, came {}: {}", Text(r.position), r.failures,
                       Micros(r.due), Micros(r.born), Text(r.message));
  }
  std::string operator()(const BacklogBlockRecord& r) const {
    return fmt::format(
        "queue {} #{}-{}: {} of {} messages in backlog file {} at {}, {} bytes; gone:{}", r.queue,
        r.first, r.last, r.alive, r.written, r.file, r.offset, r.length, Text(r.settled));
  }
  std::string operator()(const BacklogChangeRecord& r) const {
    return fmt::format("{}: {} failures, due {}", Text(r.position), r.failures, Micros(r.due));
  }
  std::string operator()(const QueueLedgerRecord& r) const {
    return fmt::format("queue {}: {}", r.queue, Describe(r.ledger));
  }
  std::string operator()(const StoryRecord& r) const { return broker::Describe(r); }
  std::string operator()(const StoryBlock& r) const {
    return fmt::format("stories from {} to {} in backlog file {} at {}, {} bytes", Micros(r.first),
                       Micros(r.last), r.file, r.place.offset, r.place.length);
  }
  std::string operator()(const OpenStoriesRecord& r) const {
    return fmt::format("queue {}: {} messages are traced", r.queue, r.stories.size());
  }
  std::string operator()(const AppliedStateRecord& r) const {
    return fmt::format("applied from shard {}: below {} and{}", r.source, r.floor, Text(r.applied));
  }
};

}  // namespace

std::string Describe(const Record& record) { return std::visit(Describer{}, record); }

}  // namespace landfall::broker
