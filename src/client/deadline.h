#pragma once

#include <algorithm>
#include <chrono>

namespace landfall::client {

// When a wait that begins now and may take `timeout` is over. Of a person's timeouts the longest
// ones stand for "however long it takes": added to the time as they are, they would lie in the
// past.
inline std::chrono::steady_clock::time_point DeadlineAfter(std::chrono::milliseconds timeout) {
  using Clock = std::chrono::steady_clock;
  const Clock::time_point now = Clock::now();
  const auto longest =
      std::chrono::duration_cast<std::chrono::milliseconds>(Clock::time_point::max() - now);
  if (timeout >= longest) return Clock::time_point::max();
  return now + std::max(timeout, std::chrono::milliseconds(0));
}

}  // namespace landfall::client
