#pragma once

#include <algorithm>
#include <cstdint>

#include "base/rng.h"
#include "base/time.h"
#include "landfall/connection.h"

namespace landfall::client {

// Delay number `n`, from 1.
inline Duration DelayOf(const RetryTimes& times, uint32_t n, Rng& rng) {
  const auto cap = static_cast<double>(Duration(times.cap).count());
  double delay = static_cast<double>(Duration(times.first).count());
  for (uint32_t i = 1; i < n && delay < cap; ++i) delay *= times.multiplier;
  delay = std::min(delay, cap);
  delay *= 1 + times.jitter * (2 * rng.Unit() - 1);
  return Duration(std::max<int64_t>(1, static_cast<int64_t>(delay)));
}

// False if the numbers cannot be meant.
inline bool IsValid(const RetryTimes& times) {
  return times.first.count() > 0 && times.cap >= times.first && times.multiplier >= 1 &&
         times.jitter >= 0 && times.jitter < 1;
}

}  // namespace landfall::client
