#include "broker/backoff.h"

#include <algorithm>
#include <cmath>

namespace landfall::broker {

Duration Backoff::DelayAfter(uint32_t failures, Rng& rng) const {
  const auto cap_us = static_cast<double>(std::max<int64_t>(cap.count(), 0));
  auto delay = static_cast<double>(first.count());
  if (!(delay > 0)) return Duration(0);
  // For large exponents the power is infinite, which min takes as well as any other number.
  delay = std::min(delay * std::pow(multiplier, failures > 0 ? failures - 1 : 0), cap_us);
  delay *= 1.0 + jitter * (2.0 * rng.Unit() - 1.0);
  // 2^62 is exact as a double and far from where the conversion would be undefined.
  return Duration(static_cast<int64_t>(std::clamp(delay, 0.0, 0x1.0p62)));
}

}  // namespace landfall::broker
