#include <cstdio>
#include <cstdlib>

#include "storage/options.h"

namespace landfall::storage {

void ExitOnFatalError(const Error& error) {
  std::fprintf(stderr, "landfall: %s\n", error.message.c_str());
  std::fflush(stderr);
  // No destructors: they might touch the disk that has just proved unreliable.
  std::_Exit(3);
}

}  // namespace landfall::storage
