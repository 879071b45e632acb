#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "admin/caller.h"
#include "base/error.h"
#include "base/time.h"

namespace landfall::admin {

// Something long that somebody has asked for and that goes on without them.
struct Job {
  enum class State : uint8_t { kRunning, kDone, kFailed, kCancelled };
  uint64_t id = 0;
  std::string kind;  // "move", "redrive"
  std::string user;
  std::string vhost;
  std::string queue;
  State state = State::kRunning;
  bool cancel = false;  // somebody wants it to stop
  uint64_t total = 0;   // messages in the queue at its start
  uint64_t scanned = 0;
  uint64_t moved = 0;       // and on stable storage
  uint64_t unroutable = 0;  // had nowhere to go: they have stayed
  uint64_t unacked = 0;     // with a consumer: the same
  std::string waits_for;    // why it does not get on; "" if it does
  std::string error;
  Time started{};
  Time ended{};
};
using JobRef = std::shared_ptr<Job>;

nlohmann::json FormOf(const Job& job);

// The jobs of this life of the broker: those that run, bounded, and the last ones that have ended.
//
// Thread: the administration's.
class Jobs {
 public:
  static constexpr size_t kRunning = 4;
  static constexpr size_t kRunningOfUser = 2;
  static constexpr size_t kKept = 100;

  // The caller sees to it that it ends. kUnavailable: as many run as may, of this user or in
  // all.
  Result<JobRef> Start(std::string kind, std::string user, Time now);
  JobRef Find(uint64_t id) const;
  const std::deque<JobRef>& all() const { return jobs_; }

 private:
  std::deque<JobRef> jobs_;  // oldest first
  uint64_t last_id_ = 0;
};

}  // namespace landfall::admin
