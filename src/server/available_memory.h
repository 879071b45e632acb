#pragma once

#include <cstdint>
#include <string>

namespace landfall::server {

// Bytes of memory that this process may use: the machine's, or less if a control group (that of a
// container or a service) allows less. `root` stands in for "/" in tests.
uint64_t AvailableMemory(const std::string& root = "");

// So many percent of it, in whole MiB.
inline uint64_t ShareOfMemory(uint64_t percent) {
  return AvailableMemory() / 100 * percent >> 20 << 20;
}

}  // namespace landfall::server
