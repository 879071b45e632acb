#include "admin/statistics.h"

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <utility>

#include "admin/on_thread.h"

namespace landfall::admin {
namespace asio = boost::asio;

namespace {

// What a worker looks at in one go: some ten microseconds.
constexpr size_t kQueuesPerSlice = 500;
constexpr size_t kObjectsPerSlice = 500;  // connections, channels and consumers

double PerSecond(uint64_t before, uint64_t now, double seconds) {
  return (static_cast<double>(now) - static_cast<double>(before)) / seconds;
}

struct ConnectionSlice {
  std::vector<server::ConnectionInfo> infos;
  size_t next = 0;
};

struct ShardSums {
  broker::Ledger deleted;
  broker::ShardStatistics statistics;
  uint64_t outbox = 0;
};

void SortObjectsOf(server::ConnectionInfo& info) {
  std::ranges::sort(info.session.channels, {}, &session::ChannelInfo::number);
  for (session::ChannelInfo& channel : info.session.channels)
    std::ranges::sort(channel.consumers, {}, &session::ConsumerInfo::id);
}

size_t ObjectsIn(const server::ConnectionInfo& info) {
  size_t objects = 1;
  for (const session::ChannelInfo& channel : info.session.channels)
    objects += 1 + channel.consumers.size();
  return objects;
}

}  // namespace

Statistics::Statistics(asio::io_context& io, server::Server& broker)
    : broker_(broker), taken_(io, asio::steady_timer::time_point::max()) {}

asio::awaitable<StatisticsRef> Statistics::Fresh() {
  while (!last_ || broker_.Now() - last_->taken_at >= kMaxAge) {
    if (taking_) {
      co_await taken_.async_wait(asio::as_tuple(asio::use_awaitable));
    } else {
      co_await Renew();
    }
  }
  co_return last_;
}

asio::awaitable<StatisticsRef> Statistics::Next() {
  const Time asked = broker_.Now();
  while (!last_ || last_->taken_at < asked) {
    const Time due = last_ ? last_->taken_at + kMaxAge : asked;
    if (const Duration rest = due - broker_.Now(); !taking_ && rest > Duration::zero()) {
      asio::steady_timer due_timer(co_await asio::this_coro::executor, rest);
      co_await due_timer.async_wait(asio::as_tuple(asio::use_awaitable));
    }
    co_await Fresh();
  }
  co_return last_;
}

asio::awaitable<void> Statistics::Renew() {
  struct Done {
    Statistics& statistics;
    ~Done() {
      statistics.taking_ = false;
      statistics.taken_.cancel();
    }
  };
  taking_ = true;
  // Also if it fails: others would wait for ever.
  const Done done{*this};
  last_ = co_await Take();
}

asio::awaitable<StatisticsRef> Statistics::Take() {
  auto table = std::make_shared<StatisticsTable>();
  table->taken_at = broker_.Now();
  server::WorkerThread& first = broker_.worker(0);
  table->topology = co_await OnWorker(first, [&first] { return first.core().snapshot_ref(); });
  co_await AddQueues(*table);
  co_await AddConnections(*table);
  co_await AddShards(*table);
  AddRates(*table);
  table->number = last_ ? last_->number + 1 : 1;
  table->took = broker_.Now() - table->taken_at;
  co_return table;
}

asio::awaitable<void> Statistics::AddQueues(StatisticsTable& table) {
  std::vector<std::vector<std::pair<broker::ShardId, broker::QueueId>>> of_workers(
      broker_.workers());
  table.topology->queues_by_id.ForEach([&](broker::QueueId id, const broker::QueueInfoRef& queue) {
    const broker::WorkerId worker = broker_.WorkerOfShard(queue->shard).core().id();
    of_workers[worker].emplace_back(queue->shard, id);
  });
  for (broker::WorkerId w = 0; w < broker_.workers(); ++w) {
    server::WorkerThread& worker = broker_.worker(w);
    const auto& queues = of_workers[w];
    for (size_t first = 0; first < queues.size(); first += kQueuesPerSlice) {
      const size_t end = std::min(queues.size(), first + kQueuesPerSlice);
      auto report = [&worker, &queues, first, end] {
        std::vector<broker::QueueReport> reports;
        reports.reserve(end - first);
        for (size_t i = first; i < end; ++i) {
          const broker::Shard* shard = worker.core().FindShard(queues[i].first);
          if (shard != nullptr) reports.push_back(shard->Report(queues[i].second));
        }
        return reports;
      };
      const std::vector<broker::QueueReport> reports = co_await OnWorker(worker, std::move(report));
      for (const broker::QueueReport& each : reports) {
        table.queues[each.id].now = each;
        table.ledger += each.ledger;
        table.held += each.held;
        table.unbalanced += each.balances() ? 0 : 1;
      }
    }
  }
}

asio::awaitable<void> Statistics::AddConnections(StatisticsTable& table) {
  for (broker::WorkerId w = 0; w < broker_.workers(); ++w) {
    server::WorkerThread& worker = broker_.worker(w);
    const std::vector<broker::SessionId> ids =
        co_await OnWorker(worker, [&worker] { return worker.ConnectionIds(); });
    for (size_t next = 0; next < ids.size();) {
      auto describe = [&worker, &ids, next] {
        ConnectionSlice slice{.infos = {}, .next = next};
        for (size_t objects = 0; slice.next < ids.size() && objects < kObjectsPerSlice;) {
          auto info = worker.Describe(ids[slice.next++]);
          if (!info) continue;
          objects += ObjectsIn(*info);
          slice.infos.push_back(std::move(*info));
        }
        return slice;
      };
      ConnectionSlice slice = co_await OnWorker(worker, std::move(describe));
      next = slice.next;
      for (server::ConnectionInfo& info : slice.infos) {
        SortObjectsOf(info);
        table.connections.push_back({.info = std::move(info)});
      }
    }
  }
  std::ranges::sort(table.connections, {},
                    [](const ConnectionRow& row) { return row.info.session.id; });
}

asio::awaitable<void> Statistics::AddShards(StatisticsTable& table) {
  for (broker::WorkerId w = 0; w < broker_.workers(); ++w) {
    server::WorkerThread& worker = broker_.worker(w);
    auto sum = [&worker] {
      ShardSums total;
      for (const auto& shard : worker.core().shards()) {
        total.deleted += shard->deleted_ledger();
        total.statistics += shard->statistics();
        total.outbox += shard->outbox_size();
      }
      return total;
    };
    const ShardSums sums = co_await OnWorker(worker, std::move(sum));
    table.ledger += sums.deleted;
    table.shards += sums.statistics;
    table.outbox += sums.outbox;
  }
}

void Statistics::AddRates(StatisticsTable& table) const {
  if (!last_) return;
  const double seconds = std::chrono::duration<double>(table.taken_at - last_->taken_at).count();
  if (seconds <= 0) return;
  for (auto& [id, row] : table.queues) {
    const auto it = last_->queues.find(id);
    if (it == last_->queues.end()) continue;
    const broker::QueueReport& then = it->second.now;
    const broker::QueueReport& now = row.now;
    const auto rate = [&](uint64_t a, uint64_t b) { return PerSecond(a, b, seconds); };
    const auto acked = [](const broker::QueueReport& report) {
      return report.ledger.Left(broker::LeaveReason::kAcked);
    };
    row.rates = {.publish = rate(then.ledger.accepted, now.ledger.accepted),
                 .deliver = rate(then.delivered, now.delivered),
                 .redeliver = rate(then.redelivered, now.redelivered),
                 .ack = rate(acked(then), acked(now)),
                 .messages = rate(then.ready + then.unacked + then.delayed,
                                  now.ready + now.unacked + now.delayed),
                 .ready = rate(then.ready, now.ready),
                 .unacked = rate(then.unacked, now.unacked)};
  }
  for (ConnectionRow& row : table.connections) {
    const session::SessionInfo& now = row.info.session;
    const ConnectionRow* before = last_->ConnectionOf(now.id);
    if (before == nullptr) continue;
    const session::SessionInfo& then = before->info.session;
    row.receive_rate = PerSecond(then.bytes_received, now.bytes_received, seconds);
    row.send_rate = PerSecond(then.bytes_sent, now.bytes_sent, seconds);
  }
}

}  // namespace landfall::admin
