#pragma once

namespace landfall {

// Prints the broken invariant and aborts. A crash loses nothing here (recovery rebuilds what was
// confirmed); going on with a wrong state may.
[[noreturn]] void AssertFailed(const char* condition, const char* file, int line);

}  // namespace landfall

// Stays on in release builds.
#define LANDFALL_ASSERT(condition)                           \
  (__builtin_expect(!!(condition), 1) ? static_cast<void>(0) \
                                      : ::landfall::AssertFailed(#condition, __FILE__, __LINE__))
