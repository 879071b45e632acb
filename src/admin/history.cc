#include "admin/history.h"

#include <algorithm>
#include <nlohmann/json.hpp>

namespace landfall::admin {
namespace {

using nlohmann::json;

int64_t Milliseconds(Time time) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(time.time_since_epoch()).count();
}

double Activity(const QueueRates& rates) {
  return rates.publish + rates.deliver + rates.ack + rates.redeliver;
}

template <class T>
void Bound(std::deque<T>& samples, int64_t now_ms) {
  const int64_t first = now_ms - std::chrono::milliseconds(History::kSpan).count();
  while (!samples.empty() &&
         (samples.size() > History::kSamples || samples.front().time_ms < first))
    samples.pop_front();
}

json SeriesOf(json samples) {
  return {{"interval_ms", History::kIntervalMs}, {"samples", std::move(samples)}};
}

}  // namespace

History::Numbers& History::Numbers::operator+=(const Numbers& other) {
  publish += other.publish;
  deliver += other.deliver;
  ack += other.ack;
  redeliver += other.redeliver;
  ready += other.ready;
  unacked += other.unacked;
  return *this;
}

bool History::Numbers::is_zero() const {
  return publish == 0 && deliver == 0 && ack == 0 && redeliver == 0 && ready == 0 && unacked == 0;
}

History::Numbers History::NumbersOf(const QueueRow& row) {
  // A rate below zero would be that of a counter that has begun anew.
  const auto rate = [](double r) { return static_cast<float>(std::max(r, 0.0)); };
  return {.publish = rate(row.rates.publish),
          .deliver = rate(row.rates.deliver),
          .ack = rate(row.rates.ack),
          .redeliver = rate(row.rates.redeliver),
          .ready = row.now.ready,
          .unacked = row.now.unacked};
}

void History::Add(const StatisticsTable& table, const NodeHealth& health) {
  const int64_t time_ms = Milliseconds(table.taken_at);
  Sample sample{.time_ms = time_ms,
                .syncs = health.syncs,
                .sync_p50_us = health.sync_p50_us,
                .sync_p99_us = health.sync_p99_us,
                .all = {},
                .vhosts = {}};
  AddVhosts(table, sample);
  samples_.push_back(std::move(sample));
  Bound(samples_, time_ms);
  MarkBusy(table);
  DropQueues(table.taken_at);
  AddQueues(table, time_ms);
}

void History::AddVhosts(const StatisticsTable& table, Sample& sample) const {
  table.topology->vhosts.ForEach([&](const std::string&, const broker::VhostRef& vhost) {
    Numbers sum;
    vhost->queues.ForEach([&](const std::string&, const broker::QueueInfoRef& queue) {
      sum += NumbersOf(table.Of(queue->id));
    });
    sample.all += sum;
    if (!sum.is_zero()) sample.vhosts.emplace_back(vhost->name, sum);
  });
  if (sample.vhosts.size() > kVhosts) {
    std::ranges::nth_element(sample.vhosts, sample.vhosts.begin() + kVhosts, std::ranges::greater{},
                             [](const auto& entry) {
                               return entry.second.publish + entry.second.deliver +
                                      entry.second.ack;
                             });
    sample.vhosts.resize(kVhosts);
  }
  sample.vhosts.shrink_to_fit();
}

void History::MarkBusy(const StatisticsTable& table) {
  std::vector<std::pair<double, broker::QueueId>> busy;
  for (const auto& [id, row] : table.queues) {
    const double activity = Activity(row.rates);
    if (activity > 0) busy.emplace_back(activity, id);
  }
  const auto end = busy.begin() + static_cast<long>(std::min(kBusyQueues, busy.size()));
  std::ranges::partial_sort(busy, end, std::ranges::greater{});
  for (auto it = busy.begin(); it != end; ++it) queues_[it->second].busy = table.taken_at;
}

// Who was busy or looked at stays for a while, but not more of them than there may be.
void History::DropQueues(Time now) {
  boost::unordered::erase_if(queues_, [&](const auto& entry) {
    return now - std::max(entry.second.asked, entry.second.busy) >= kSpan;
  });
  const size_t most = kAskedQueues + kBusyQueues;
  if (queues_.size() <= most) return;
  std::vector<std::pair<Time, broker::QueueId>> by_use;
  by_use.reserve(queues_.size());
  for (const auto& [id, history] : queues_)
    by_use.emplace_back(std::max(history.asked, history.busy), id);
  const auto end = by_use.begin() + static_cast<long>(queues_.size() - most);
  std::ranges::nth_element(by_use, end);
  for (auto it = by_use.begin(); it != end; ++it) queues_.erase(it->second);
}

void History::AddQueues(const StatisticsTable& table, int64_t time_ms) {
  for (auto& [id, history] : queues_) {
    const auto row = table.queues.find(id);
    if (row == table.queues.end()) continue;  // deleted: it goes by itself
    history.samples.push_back({.time_ms = time_ms, .numbers = NumbersOf(row->second)});
    Bound(history.samples, time_ms);
  }
}

json History::FormOf(int64_t time_ms, const Numbers& numbers) {
  return {
      {"time", time_ms},           {"publish", numbers.publish},     {"deliver", numbers.deliver},
      {"ack", numbers.ack},        {"redeliver", numbers.redeliver}, {"ready", numbers.ready},
      {"unacked", numbers.unacked}};
}

json History::For(const Caller& caller) const {
  json samples = json::array();
  for (const Sample& sample : samples_) {
    Numbers sum = caller.is_monitor() ? sample.all : Numbers{};
    if (!caller.is_monitor()) {
      for (const auto& [vhost, numbers] : sample.vhosts)
        if (caller.MaySee(vhost)) sum += numbers;
    }
    json form = FormOf(sample.time_ms, sum);
    form["sync_p50_us"] = sample.syncs > 0 ? json(sample.sync_p50_us) : json();
    form["sync_p99_us"] = sample.syncs > 0 ? json(sample.sync_p99_us) : json();
    samples.push_back(std::move(form));
  }
  return SeriesOf(std::move(samples));
}

void History::Keep(broker::QueueId queue, Time now) {
  queues_[queue].asked = now;
  DropQueues(now);
}

json History::OfQueue(broker::QueueId queue, Time now) {
  Keep(queue, now);
  json samples = json::array();
  for (const QueueSample& sample : queues_[queue].samples)
    samples.push_back(FormOf(sample.time_ms, sample.numbers));
  return SeriesOf(std::move(samples));
}

}  // namespace landfall::admin
