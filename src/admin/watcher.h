#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "admin/history.h"
#include "admin/problems.h"
#include "admin/statistics.h"
#include "server/server.h"

namespace landfall::admin {

// One look at the broker, for all who watch it.
struct Tick {
  uint64_t number = 0;  // the first one is 1
  StatisticsRef table;
  NodeHealth health;
  std::vector<Problem> problems;
  // What has been made of it for those who watch, by whose it is: null for administrators, who all
  // see the same. See event_stream.cc.
  std::map<access::AccountRef, std::shared_ptr<const std::string>> texts;
};
using TickRef = std::shared_ptr<Tick>;

// Looks at the broker once a second while somebody watches, and every few seconds otherwise, so
// that there is a history when somebody comes. Looks are those of Statistics; if they take long
// there are fewer of them, so that they cost the workers a bounded share of their time.
//
// Thread: the administration's.
class Watcher {
 public:
  Watcher(boost::asio::io_context& io, server::Server& broker, Statistics& statistics);

  // Never ends by itself.
  boost::asio::awaitable<void> Run();

  // Watches: the next tick after that with the number `seen`; of 0, the one at hand, or if it is
  // too old the next.
  boost::asio::awaitable<TickRef> Next(uint64_t seen);
  History& history() { return history_; }

 private:
  static constexpr std::chrono::milliseconds kInterval{1000};
  static constexpr std::chrono::milliseconds kIdleInterval{5000};
  // Nobody has asked for a tick for so long: nobody watches.
  static constexpr std::chrono::milliseconds kAttention{15'000};
  // A look that takes a millisecond is followed by so many without one.
  static constexpr int kRest = 9;
  static constexpr int kIdleRest = 499;

  using Clock = std::chrono::steady_clock;
  boost::asio::awaitable<void> Look();
  NodeHealth LookAtNode();
  void Attend();
  Clock::time_point Due() const;

  server::Server& broker_;
  Statistics& statistics_;
  ProblemFinder problems_;
  History history_;
  HistogramSnapshot syncs_;
  TickRef last_;
  Clock::time_point began_{};  // the last look, ...
  Clock::duration took_{};     // ... and what it cost
  Clock::time_point watched_until_{};
  boost::asio::steady_timer due_;        // cancelled when somebody comes to watch
  boost::asio::steady_timer published_;  // cancelled when there is a tick
};

}  // namespace landfall::admin
