#include "admin/backend.h"

#include <unistd.h>

#include <array>

#include "admin/on_thread.h"
#include "base/assert.h"

namespace landfall::admin {
namespace asio = boost::asio;

namespace {

// What a worker looks at in one go.
constexpr size_t kConsumersPerSlice = 500;

// Each may have some ten megabytes.
constexpr size_t kReaders = 4;

std::string NodeName() {
  std::array<char, 256> host{};
  if (gethostname(host.data(), host.size() - 1) != 0) return "landfall@localhost";
  return std::string("landfall@") + host.data();
}

}  // namespace

Backend::Backend(asio::io_context& io, server::Server& broker, std::string http_address,
                 std::string https_address)
    : broker_(broker),
      statistics_(io, broker),
      watcher_(io, broker, statistics_),
      authentication_(broker),
      node_(NodeName()),
      http_address_(std::move(http_address)),
      https_address_(std::move(https_address)),
      readers_(io.get_executor(), kReaders) {}

asio::awaitable<broker::SnapshotRef> Backend::Snapshot() {
  server::WorkerThread& first = broker_.worker(0);
  co_return co_await OnWorker(first, [&first] { return first.core().snapshot_ref(); });
}

asio::awaitable<broker::QueueReport> Backend::ReportOf(const broker::QueueInfo& queue) {
  server::WorkerThread& worker = broker_.WorkerOfShard(queue.shard);
  auto report = [&worker, id = queue.id, shard = queue.shard] {
    const broker::Shard* s = worker.core().FindShard(shard);
    return s == nullptr ? broker::QueueReport{.id = id} : s->Report(id);
  };
  co_return co_await OnWorker(worker, std::move(report));
}

asio::awaitable<std::vector<broker::ConsumerReport>> Backend::ConsumersOf(
    const broker::QueueInfo& queue, size_t at_most) {
  server::WorkerThread& worker = broker_.WorkerOfShard(queue.shard);
  auto report = [&worker, at_most, id = queue.id, shard = queue.shard] {
    const broker::Shard* s = worker.core().FindShard(shard);
    return s == nullptr ? std::vector<broker::ConsumerReport>() : s->ReportConsumers(id, at_most);
  };
  co_return co_await OnWorker(worker, std::move(report));
}

asio::awaitable<std::vector<Backend::Consumer>> Backend::ConsumersOf(
    const std::vector<broker::QueueInfoRef>& queues) {
  std::vector<std::vector<const broker::QueueInfo*>> of_workers(broker_.workers());
  for (const broker::QueueInfoRef& queue : queues)
    of_workers[broker_.WorkerOfShard(queue->shard).core().id()].push_back(queue.get());
  std::vector<Consumer> consumers;
  for (broker::WorkerId w = 0; w < broker_.workers(); ++w) {
    server::WorkerThread& worker = broker_.worker(w);
    const auto& all = of_workers[w];
    for (size_t next = 0; next < all.size();) {
      std::vector<Consumer> some;
      auto report = [&worker, &all, &some, &next] {
        while (next < all.size() && some.size() < kConsumersPerSlice) {
          const broker::QueueInfo* queue = all[next++];
          const broker::Shard* shard = worker.core().FindShard(queue->shard);
          if (shard == nullptr) continue;
          for (const broker::ConsumerReport& each : shard->ReportConsumers(queue->id, SIZE_MAX))
            some.push_back({.queue = queue, .report = each});
        }
        return true;
      };
      co_await OnWorker(worker, std::move(report));
      consumers.insert(consumers.end(), some.begin(), some.end());
    }
  }
  co_return consumers;
}

asio::awaitable<broker::TopologyReply> Backend::Ask(broker::TopologyRequest request) {
  server::WorkerThread& first = broker_.worker(0);
  auto start = [&first, &request](auto done) {
    asio::post(first.io(),
               [&first, request = std::move(request), done = std::move(done)]() mutable {
                 first.core().Request(std::move(request),
                                      [done](const broker::TopologyReply& reply) { done(reply); });
                 first.ScheduleTurn();
               });
  };
  co_return co_await Suspended<broker::TopologyReply>(std::move(start));
}

asio::awaitable<std::vector<broker::TopologyReply>> Backend::AskAll(
    std::vector<broker::TopologyRequest> requests) {
  LANDFALL_ASSERT(requests.size() <= kRequestsAtOnce);
  if (requests.empty()) co_return std::vector<broker::TopologyReply>();
  server::WorkerThread& first = broker_.worker(0);
  auto start = [&first, &requests](auto done) {
    asio::post(first.io(),
               [&first, requests = std::move(requests), done = std::move(done)]() mutable {
                 const auto replies = std::make_shared<std::vector<broker::TopologyReply>>();
                 const size_t count = requests.size();
                 for (broker::TopologyRequest& request : requests) {
                   first.core().Request(std::move(request),
                                        [replies, count, done](const broker::TopologyReply& reply) {
                                          replies->push_back(reply);
                                          if (replies->size() == count) done(std::move(*replies));
                                        });
                 }
                 first.ScheduleTurn();
               });
  };
  co_return co_await Suspended<std::vector<broker::TopologyReply>>(std::move(start));
}

asio::awaitable<Result<std::string>> Backend::Slowly(Work work) {
  co_return co_await OnThread(slow_.get_executor(), std::move(work));
}

void Backend::Stop() {
  slow_.stop();
  slow_.join();
}

}  // namespace landfall::admin
