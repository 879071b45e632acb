#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string_view>
#include <utility>

#include "base/flat_map.h"

namespace landfall::access {

using Counter = std::atomic<uint32_t>;

// How much one user, or one vhost, has open on all workers of the broker.
struct Usage {
  Counter connections{0};
  Counter channels{0};
};
using UsageRef = std::shared_ptr<Usage>;

// One of what is counted; gives it back when it goes.
//
// Thread: one at a time; seats of the same usage from any.
class Seat {
 public:
  Seat() = default;
  // Nothing if `limit` of them are taken. Takes the last seat only once, however many ask.
  static std::optional<Seat> Take(const UsageRef& usage, Counter Usage::* counter,
                                  std::optional<uint32_t> limit);
  Seat(Seat&& other) noexcept
      : usage_(std::exchange(other.usage_, nullptr)), counter_(other.counter_) {}
  Seat& operator=(Seat&& other) noexcept {
    std::swap(usage_, other.usage_);
    std::swap(counter_, other.counter_);
    return *this;
  }
  ~Seat() {
    if (usage_) --(*usage_.*counter_);
  }

 private:
  Seat(UsageRef usage, Counter Usage::* counter) : usage_(std::move(usage)), counter_(counter) {}

  UsageRef usage_;
  Counter Usage::* counter_ = nullptr;
};

// The usage of every user and vhost by name, whatever the limits are at the moment: those may
// change while connections are open.
//
// Thread: any, several at a time.
class UsageBook {
 public:
  UsageRef OfUser(std::string_view name) { return Find(users_, name); }
  UsageRef OfVhost(std::string_view name) { return Find(vhosts_, name); }

 private:
  UsageRef Find(StringMap<UsageRef>& map, std::string_view name);

  std::mutex mutex_;
  StringMap<UsageRef> users_;
  StringMap<UsageRef> vhosts_;
};

}  // namespace landfall::access
