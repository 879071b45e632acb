#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>

#include "admin/statistics_table.h"
#include "server/server.h"

namespace landfall::admin {

// Takes a tick when somebody asks and the last one is too old, and gives the same one to all who
// ask meanwhile. Workers answer for a bounded slice of their queues or connections at a time, and
// have their turns in between, so a tick of many queues takes longer and does not stall messages.
//
// Thread: the administration's.
class Statistics {
 public:
  static constexpr std::chrono::milliseconds kMaxAge{1000};

  Statistics(boost::asio::io_context& io, server::Server& broker);

  // Not older than kMaxAge.
  boost::asio::awaitable<StatisticsRef> Fresh();
  // All of it from after the call, for what may be younger than the last tick: the next one, for
  // which one waits up to kMaxAge. However often somebody asks, there are no more ticks.
  boost::asio::awaitable<StatisticsRef> Next();

 private:
  boost::asio::awaitable<void> Renew();
  boost::asio::awaitable<StatisticsRef> Take();
  boost::asio::awaitable<void> AddQueues(StatisticsTable& table);
  boost::asio::awaitable<void> AddConnections(StatisticsTable& table);
  boost::asio::awaitable<void> AddShards(StatisticsTable& table);
  void AddRates(StatisticsTable& table) const;

  server::Server& broker_;
  StatisticsRef last_;
  bool taking_ = false;
  boost::asio::steady_timer taken_;  // cancelled when a tick has been taken
};

}  // namespace landfall::admin
