#pragma once

#include <cstdint>

#include "base/rng.h"
#include "base/time.h"

namespace landfall::broker {

// How long a message rests after its n-th failed delivery: min(first * multiplier^(n-1), cap),
// spread by +-jitter so that messages that failed together do not come back together.
struct Backoff {
  Duration first{0};
  double multiplier = 2.0;
  Duration cap{std::chrono::minutes(10)};
  double jitter = 0.1;  // share of the delay, 0 = none, at most 1

  bool operator==(const Backoff&) const = default;

  // `failures` counts from 1. Never negative, never above cap * (1 + jitter).
  Duration DelayAfter(uint32_t failures, Rng& rng) const;
};

}  // namespace landfall::broker
