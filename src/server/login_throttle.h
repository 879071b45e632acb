#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <string>
#include <string_view>

#include "base/flat_map.h"

namespace landfall::server {

// How long to let the next attempt to log in as a user wait: nothing at first, after failures
// `first`, twice that, four times that … up to `cap`. The wait is each attempt's own, it is not a
// queue: somebody who guesses all the time slows down a person who knows the password by `cap`, and
// cannot lock them out.
//
// Pure: time is handed in. Thread: one at a time.
class LoginThrottle {
 public:
  using Clock = std::chrono::steady_clock;

  struct Options {
    std::chrono::milliseconds first{100};
    std::chrono::milliseconds cap{1000};
    // Failures are forgotten this long after the last one.
    std::chrono::seconds memory{60};
    // Names remembered; the one that came in first goes first, so that made-up names cannot fill
    // the memory.
    size_t max_users = 10'000;
  };

  LoginThrottle() : LoginThrottle(Options{}) {}
  explicit LoginThrottle(const Options& options) : options_(options) {}

  Clock::duration DelayFor(std::string_view user, Clock::time_point now) const;
  void OnFailure(std::string_view user, Clock::time_point now);
  void OnSuccess(std::string_view user);

  size_t size() const { return failures_.size(); }

 private:
  struct Failures {
    uint32_t count = 0;
    Clock::time_point last;
  };

  const Options options_;
  StringMap<Failures> failures_;
  std::deque<std::string> order_;  // of arrival; may name users that are gone
};

}  // namespace landfall::server
