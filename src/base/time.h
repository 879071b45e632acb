#pragma once

#include <chrono>

namespace landfall {

// The one clock that pure code sees, handed in by its shell. Microseconds since the Unix epoch, so
// that due times mean the same after a restart; the shell derives it from the steady clock, so it
// never goes back while the process lives.
using Duration = std::chrono::microseconds;
using Time = std::chrono::sys_time<Duration>;

inline constexpr Time kNever = Time::max();

}  // namespace landfall
