#pragma once

#include <chrono>
#include <cstddef>
#include <deque>
#include <optional>
#include <string>
#include <string_view>

#include "base/flat_map.h"

namespace landfall::admin {

// Bounds how often passwords are guessed: for one user, and from one address for all users. What
// turns out to be right costs nothing. Somebody who guesses as a user from elsewhere does not lock
// the person out: an address from which the user has logged in before is bounded by itself alone.
//
// Pure: time is handed in. Thread: one at a time.
class LoginLimiter {
 public:
  using Clock = std::chrono::steady_clock;

  struct Rate {
    double burst;               // attempts at once
    std::chrono::seconds each;  // then one each
  };
  struct Options {
    Rate user{.burst = 10, .each = std::chrono::seconds(6)};
    Rate peer{.burst = 30, .each = std::chrono::seconds(2)};
    // Of each kind; the one that came first goes first, so that made-up names fill no memory.
    size_t max_entries = 10'000;
  };

  LoginLimiter() : LoginLimiter(Options{}) {}
  explicit LoginLimiter(const Options& options)
      : users_(options.user, options.max_entries),
        peers_(options.peer, options.max_entries),
        known_({.burst = 1, .each = std::chrono::seconds(1)}, options.max_entries) {}

  // Nothing: an attempt may be made, and counts as a failure unless OnSuccess follows. Otherwise
  // when to come back. `peer` is an address and port as in Request.
  std::optional<std::chrono::seconds> Take(std::string_view user, std::string_view peer,
                                           Clock::time_point now);
  void OnSuccess(std::string_view user, std::string_view peer, Clock::time_point now);

 private:
  // Attempts that are left, by name.
  class Buckets {
   public:
    Buckets(Rate rate, size_t max_entries) : rate_(rate), max_entries_(max_entries) {}
    // Until there is one again; 0: there is.
    std::chrono::seconds Wait(std::string_view name, Clock::time_point now) const;
    void Take(std::string_view name, Clock::time_point now);
    void GiveBack(std::string_view name, Clock::time_point now);
    bool Has(std::string_view name) const { return buckets_.contains(name); }

   private:
    struct Bucket {
      double left = 0;
      Clock::time_point at;
    };
    double LeftOf(std::string_view name, Clock::time_point now) const;
    void Set(std::string_view name, double left, Clock::time_point now);

    const Rate rate_;
    const size_t max_entries_;
    StringMap<Bucket> buckets_;
    std::deque<std::string> order_;  // of arrival, the same names
  };

  Buckets users_;
  Buckets peers_;
  Buckets known_;  // user and address that have gone together before
};

// What counts as one peer: an IPv4 address, or the 64 bits of an IPv6 network, of which anybody has
// all addresses. `peer` as "127.0.0.1:4711" or "[::1]:4711".
std::string PeerNetwork(std::string_view peer);

}  // namespace landfall::admin
