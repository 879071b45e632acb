#include "base/assert.h"

#include <cstdio>
#include <cstdlib>

namespace landfall {

void AssertFailed(const char* condition, const char* file, int line) {
  std::fprintf(stderr, "%s:%d: broken invariant: %s\n", file, line, condition);
  std::fflush(stderr);
  std::abort();
}

}  // namespace landfall
