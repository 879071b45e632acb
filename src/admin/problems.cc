#include "admin/problems.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <tuple>
#include <utility>

namespace landfall::admin {
namespace {

using nlohmann::json;

constexpr double kTrendSeconds = 10;   // that rates are averaged over
constexpr double kRecentSeconds = 60;  // that events count for
// So long it has to last: what comes and goes is how queues work.
constexpr double kLastingSeconds = 15;
// Fewer messages than that are no backlog.
constexpr uint64_t kBacklog = 1000;
constexpr double kGrowth = 1;  // messages per second
constexpr uint64_t kSlowSyncUs = 100'000;
constexpr uint64_t kVerySlowSyncUs = 1'000'000;
constexpr unsigned kSlowLooks = 3;
// Of queues that hold most while an alarm is on.
constexpr size_t kHolders = 5;

constexpr size_t kKinds = static_cast<size_t>(ProblemKind::kPaused) + 1;
constexpr std::array<const char*, kKinds> kNames{
    "ledger",          "memory_alarm", "disk_alarm",       "blocked_publishers",
    "sync_slow",       "no_consumer",  "consumers_stuck",  "queue_growing",
    "unacked_growing", "dead_letters", "messages_dropped", "paused"};

std::string Bytes(double bytes) {
  constexpr std::array<const char*, 5> kUnits{"B", "KiB", "MiB", "GiB", "TiB"};
  size_t unit = 0;
  while (bytes >= 1024 && unit + 1 < kUnits.size()) {
    bytes /= 1024;
    ++unit;
  }
  return fmt::format("{:.{}f} {}", bytes, unit == 0 ? 0 : 1, kUnits[unit]);
}

std::string Count(double number) { return fmt::format("{:.0f}", number); }

std::string Messages(double number) {
  return number == 1 ? "1 message" : Count(number) + " messages";
}

std::string SummaryOfNode(const Problem& p) {
  switch (p.kind) {
    case ProblemKind::kMemoryAlarm:
      return fmt::format("The broker uses {} of memory; publishers are blocked from {} on.",
                         Bytes(p.amount), Bytes(p.limit));
    case ProblemKind::kDiskAlarm:
      return fmt::format("{} of disk space are left; publishers are blocked below {}.",
                         Bytes(p.amount), Bytes(p.limit));
    case ProblemKind::kBlockedPublishers:
      return fmt::format("{} connections that publish are blocked by an alarm.", Count(p.amount));
    default:
      return fmt::format("One sync of the journal in a hundred takes {:.0f} ms or more.",
                         p.amount / 1000);
  }
}

std::string SummaryOfQueue(const Problem& p) {
  const std::string& name = p.queue->name;
  switch (p.kind) {
    case ProblemKind::kLedger:
      return fmt::format("The ledger of queue '{}' does not balance.", name);
    case ProblemKind::kMemoryAlarm:
      return fmt::format("Messages of queue '{}' take {} of memory.", name, Bytes(p.amount));
    case ProblemKind::kDiskAlarm:
      return fmt::format("Queue '{}' holds {} messages.", name, Count(p.amount));
    case ProblemKind::kNoConsumer:
      return fmt::format("Queue '{}' gets messages and has no consumer; {} are waiting.", name,
                         Count(p.amount));
    case ProblemKind::kConsumersStuck:
      return fmt::format(
          "Consumers of queue '{}' hold {} messages, acknowledge none and get no more.", name,
          Count(p.amount));
    case ProblemKind::kQueueGrowing:
      return fmt::format("Queue '{}' has {} messages and grows by {} a second.", name,
                         Count(p.amount), Count(p.weight));
    case ProblemKind::kUnackedGrowing:
      return fmt::format("{} messages of queue '{}' are not acknowledged, {} more each second.",
                         Count(p.amount), name, Count(p.weight));
    case ProblemKind::kDeadLetters:
      return fmt::format("Messages of queue '{}' are dead-lettered: about {} in the last minute.",
                         name, Count(p.amount));
    case ProblemKind::kPaused:
      return fmt::format("Queue '{}' is paused, with {} waiting.", name, Messages(p.amount));
    default:
      return fmt::format(
          "Messages of queue '{}' are lost to its limits or rejected with nowhere "
          "to go: about {} in the last minute.",
          name, Count(p.amount));
  }
}

const char* AdviceOf(const Problem& p) {
  switch (p.kind) {
    case ProblemKind::kLedger:
      return "After damage that was reported at a start it follows from that. Otherwise it is a "
             "fault of the broker: keep the data directory and report it.";
    case ProblemKind::kMemoryAlarm:
      return "Start consumers or more of them, purge what nobody needs, or raise memory_limit.";
    case ProblemKind::kDiskAlarm:
      return "Free space on the disk of the data directory, but remove no file of the directory "
             "itself. Acks go on, so consumers free space as well.";
    case ProblemKind::kBlockedPublishers:
      return "They go on by themselves when the alarm has ended.";
    case ProblemKind::kSyncSlow:
      return "Look for others who use the disk, and at the disk itself. Confirms wait for it.";
    case ProblemKind::kNoConsumer:
      return "Start a consumer, or delete the queue if nobody needs it.";
    case ProblemKind::kConsumersStuck:
      return "Look at what the consumers wait for. Restarting them gives the messages back; "
             "x-consumer-timeout does so by itself.";
    case ProblemKind::kQueueGrowing:
      return "Start more consumers or make them faster; a length limit bounds the queue.";
    case ProblemKind::kUnackedGrowing:
      return "See that consumers acknowledge, and give them a prefetch limit.";
    case ProblemKind::kDeadLetters:
      return "Look at the dead letters for the reason; move them back when it is gone.";
    case ProblemKind::kMessagesDropped:
      return "Give the queue a dead-letter exchange, or a longer time to live or length limit.";
    case ProblemKind::kPaused:
      return "Resume it when its consumers may go on.";
  }
  return "";
}

json FormOf(const Problem& p) {
  json form{{"severity", p.critical ? "critical" : "warning"},
            {"kind", kNames[static_cast<size_t>(p.kind)]},
            {"summary", p.queue ? SummaryOfQueue(p) : SummaryOfNode(p)},
            {"what_to_do", AdviceOf(p)},
            {"amount", p.amount}};
  if (p.limit > 0) form["limit"] = p.limit;
  if (p.kind == ProblemKind::kQueueGrowing || p.kind == ProblemKind::kUnackedGrowing)
    form["per_second"] = p.weight;
  if (p.queue) {
    form["vhost"] = p.queue->vhost;
    form["name"] = p.queue->name;
  }
  return form;
}

void Smooth(double& average, double now, double seconds) {
  average += (now - average) * (1 - std::exp(-seconds / kTrendSeconds));
}

void CountRecent(double& recent, uint64_t& before, uint64_t now, double seconds) {
  recent *= std::exp(-seconds / kRecentSeconds);
  // The first look at all cannot tell when it was.
  if (seconds > 0 && now > before) recent += static_cast<double>(now - before);
  before = now;
}

void Last(double& lasted, bool holds, double seconds) { lasted = holds ? lasted + seconds : 0; }

uint64_t DroppedOf(const broker::Ledger& ledger) {
  return ledger.Left(broker::LeaveReason::kDropped) + ledger.Left(broker::LeaveReason::kTtl) +
         ledger.Left(broker::LeaveReason::kMaxLength);
}

// The worst of each kind and vhost; of others there is nothing more to be said.
void Bound(std::vector<Problem>& problems) {
  std::ranges::sort(problems, [](const Problem& a, const Problem& b) {
    return std::tuple(!a.critical, a.kind, -a.weight) < std::tuple(!b.critical, b.kind, -b.weight);
  });
  std::map<std::pair<ProblemKind, std::string_view>, size_t> counts;
  std::erase_if(problems, [&](const Problem& p) {
    return p.queue && ++counts[{p.kind, p.queue->vhost}] > ProblemFinder::kPerVhost;
  });
}

}  // namespace

// Nothing of it could be a problem, now or by what has been before.
bool ProblemFinder::IsQuiet(const QueueRow& row) {
  return row.now.held == 0 && row.now.ledger.Left(broker::LeaveReason::kDeadLettered) == 0 &&
         DroppedOf(row.now.ledger) == 0 && row.now.balances();
}

std::vector<Problem> ProblemFinder::Find(const StatisticsTable& table, const NodeHealth& health) {
  const double seconds =
      looked_at_ == Time{} ? 0 : std::chrono::duration<double>(table.taken_at - looked_at_).count();
  looked_at_ = table.taken_at;
  LookAtNode(table, health);
  table.topology->vhosts.ForEach([&](const std::string&, const broker::VhostRef& vhost) {
    vhost->queues.ForEach([&](const std::string&, const broker::QueueInfoRef& queue) {
      const QueueRow& row = table.Of(queue->id);
      if (!IsQuiet(row)) LookAtQueue(queue, row, seconds);
    });
  });
  trends_ = std::exchange(next_, {});
  std::vector<Problem> found = std::exchange(found_, {});
  Bound(found);
  return found;
}

void ProblemFinder::LookAtNode(const StatisticsTable& table, const NodeHealth& health) {
  if (health.memory_alarm) {
    Add({.kind = ProblemKind::kMemoryAlarm,
         .critical = true,
         .queue = nullptr,
         .weight = 1e18,
         .amount = static_cast<double>(health.resident_bytes),
         .limit = static_cast<double>(health.memory_limit)});
    AddHolders(table, ProblemKind::kMemoryAlarm);
  }
  if (health.disk_alarm) {
    Add({.kind = ProblemKind::kDiskAlarm,
         .critical = true,
         .queue = nullptr,
         .weight = 1e18,
         .amount = static_cast<double>(health.disk_free_bytes),
         .limit = static_cast<double>(health.disk_limit)});
    AddHolders(table, ProblemKind::kDiskAlarm);
  }
  const auto blocked =
      std::ranges::count(table.connections, std::string_view("blocked"),
                         [](const ConnectionRow& row) { return row.info.session.state; });
  if (blocked > 0) {
    Add({.kind = ProblemKind::kBlockedPublishers,
         .critical = false,
         .queue = nullptr,
         .amount = static_cast<double>(blocked)});
  }
  // A look without syncs says nothing about the disk.
  if (health.syncs > 0) slow_syncs_ = health.sync_p99_us >= kSlowSyncUs ? slow_syncs_ + 1 : 0;
  if (slow_syncs_ >= kSlowLooks && health.syncs > 0) {
    Add({.kind = ProblemKind::kSyncSlow,
         .critical = health.sync_p99_us >= kVerySlowSyncUs,
         .queue = nullptr,
         .amount = static_cast<double>(health.sync_p99_us)});
  }
}

// Who has most of what an alarm is about, of each vhost: an alarm that names nobody leaves the
// person searching.
void ProblemFinder::AddHolders(const StatisticsTable& table, ProblemKind kind) {
  table.topology->vhosts.ForEach([&](const std::string&, const broker::VhostRef& vhost) {
    std::vector<Problem> holders;
    vhost->queues.ForEach([&](const std::string&, const broker::QueueInfoRef& queue) {
      const broker::QueueReport& now = table.Of(queue->id).now;
      const auto amount =
          static_cast<double>(kind == ProblemKind::kMemoryAlarm ? now.memory : now.held);
      if (amount > 0)
        holders.push_back({.kind = kind, .queue = queue, .weight = amount, .amount = amount});
    });
    const auto end = holders.begin() + static_cast<long>(std::min(kHolders, holders.size()));
    std::ranges::partial_sort(holders, end, std::ranges::greater{}, &Problem::weight);
    found_.insert(found_.end(), holders.begin(), end);
  });
}

void ProblemFinder::LookAtQueue(const broker::QueueInfoRef& queue, const QueueRow& row,
                                double seconds) {
  Trend& trend = next_[queue->id];
  if (const auto before = trends_.find(queue->id); before != trends_.end()) trend = before->second;
  const broker::QueueReport& now = row.now;
  const auto messages = static_cast<double>(now.ready + now.unacked + now.delayed);
  const bool is_taken = row.rates.deliver > 0 || row.rates.ack > 0;
  Smooth(trend.messages, row.rates.messages, seconds);
  Smooth(trend.unacked, row.rates.unacked, seconds);
  CountRecent(trend.dead_lettered, trend.dead_lettered_before,
              now.ledger.Left(broker::LeaveReason::kDeadLettered), seconds);
  CountRecent(trend.dropped, trend.dropped_before, DroppedOf(now.ledger), seconds);
  Last(trend.growing_seconds, now.ready >= kBacklog && trend.messages >= kGrowth && !queue->paused,
       seconds);
  Last(trend.unacked_seconds, now.unacked >= kBacklog && trend.unacked >= kGrowth, seconds);
  Last(trend.stuck_seconds,
       now.consumers > 0 && now.unacked > 0 && now.ready > 0 && !is_taken && !queue->paused,
       seconds);
  // From somebody who publishes now; what lies there for long was put there to lie.
  const bool is_unconsumed = now.consumers == 0 && now.ready > 0 && !is_taken && !queue->paused;
  Last(trend.unconsumed_seconds, is_unconsumed && (trend.messages > 0.01 || row.rates.publish > 0),
       seconds);

  const auto add = [&](ProblemKind kind, double weight, double amount, bool critical = false) {
    Add({.kind = kind, .critical = critical, .queue = queue, .weight = weight, .amount = amount});
  };
  const double ready = static_cast<double>(now.ready);
  if (!now.balances()) add(ProblemKind::kLedger, 1, 0, true);
  const bool no_consumer = trend.unconsumed_seconds > 0;
  if (queue->paused && now.ready > 0) add(ProblemKind::kPaused, ready, ready);
  if (no_consumer) add(ProblemKind::kNoConsumer, ready, ready);
  if (trend.stuck_seconds >= kLastingSeconds)
    add(ProblemKind::kConsumersStuck, ready, static_cast<double>(now.unacked));
  if (trend.growing_seconds >= kLastingSeconds && !no_consumer)
    add(ProblemKind::kQueueGrowing, trend.messages, messages);
  if (trend.unacked_seconds >= kLastingSeconds)
    add(ProblemKind::kUnackedGrowing, trend.unacked, static_cast<double>(now.unacked));
  if (trend.dead_lettered >= 1)
    add(ProblemKind::kDeadLetters, trend.dead_lettered, trend.dead_lettered);
  if (trend.dropped >= 1) add(ProblemKind::kMessagesDropped, trend.dropped, trend.dropped);
}

json ProblemsFor(const Caller& caller, const std::vector<Problem>& problems) {
  json forms = json::array();
  std::array<size_t, kKinds> counts{};
  for (const Problem& problem : problems) {
    if (problem.queue && !caller.MaySee(problem.queue->vhost)) continue;
    if (++counts[static_cast<size_t>(problem.kind)] > kProblemsPerKind) continue;
    forms.push_back(FormOf(problem));
  }
  return forms;
}

}  // namespace landfall::admin
