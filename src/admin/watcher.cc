#include "admin/watcher.h"

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <exception>
#include <utility>

#include "admin/process.h"
#include "server/log.h"

namespace landfall::admin {
namespace asio = boost::asio;

namespace {

constexpr auto kAwait = asio::as_tuple(asio::use_awaitable);

}  // namespace

Watcher::Watcher(asio::io_context& io, server::Server& broker, Statistics& statistics)
    : broker_(broker),
      statistics_(statistics),
      syncs_(broker.store_statistics().sync_us.Snapshot()),
      due_(io),
      published_(io, asio::steady_timer::time_point::max()) {}

asio::awaitable<void> Watcher::Run() {
  for (;;) {
    while (Clock::now() < Due()) {
      due_.expires_at(Due());
      co_await due_.async_wait(kAwait);
    }
    began_ = Clock::now();
    std::string what;
    try {
      co_await Look();
    } catch (const std::exception& e) {
      what = e.what();
    }
    if (!what.empty()) server::LogError("a look at the broker failed", {{"error", what}});
  }
}

Watcher::Clock::time_point Watcher::Due() const {
  const bool is_watched = Clock::now() < watched_until_;
  const Clock::duration interval = is_watched ? kInterval : kIdleInterval;
  return began_ + std::max(interval, took_ * ((is_watched ? kRest : kIdleRest) + 1));
}

asio::awaitable<void> Watcher::Look() {
  auto tick = std::make_shared<Tick>();
  tick->table = co_await statistics_.Fresh();
  // Somebody else may have asked for it shortly before.
  if (last_ && tick->table == last_->table) tick->table = co_await statistics_.Next();
  const Clock::time_point taken = Clock::now();
  tick->number = last_ ? last_->number + 1 : 1;
  tick->health = LookAtNode();
  tick->problems = problems_.Find(*tick->table, tick->health);
  history_.Add(*tick->table, tick->health);
  took_ = tick->table->took + (Clock::now() - taken);
  last_ = std::move(tick);
  published_.cancel();
}

NodeHealth Watcher::LookAtNode() {
  const DiskSpace disk = LookAtDisk(broker_.config().data_dir);
  HistogramSnapshot now = broker_.store_statistics().sync_us.Snapshot();
  const HistogramSnapshot since = now.Since(syncs_);
  syncs_ = std::move(now);
  return {.memory_alarm = broker_.memory_alarm(),
          .disk_alarm = broker_.disk_alarm(),
          .resident_bytes = ResidentBytes(),
          .memory_limit = broker_.config().memory_limit,
          .disk_free_bytes = disk.free_bytes,
          .disk_total_bytes = disk.total_bytes,
          .disk_limit = broker_.store_options().low_space_bytes,
          .syncs = since.count(),
          .sync_p50_us = since.Percentile(50),
          .sync_p99_us = since.Percentile(99)};
}

asio::awaitable<TickRef> Watcher::Next(uint64_t seen) {
  const auto is_wanted = [&] {
    if (!last_ || last_->number == seen) return false;
    // Whoever has just come does not begin with what was long ago.
    return seen != 0 || broker_.Now() - last_->table->taken_at < 2 * kInterval;
  };
  Attend();
  while (!is_wanted()) {
    co_await published_.async_wait(kAwait);
    Attend();
  }
  co_return last_;
}

void Watcher::Attend() {
  const Clock::time_point now = Clock::now();
  if (now >= std::exchange(watched_until_, now + kAttention)) due_.cancel();
}

}  // namespace landfall::admin
