#pragma once

#include <cstdint>
#include <string>

namespace landfall::admin {

// What the operating system says of this process.
struct ProcessNumbers {
  uint64_t resident_bytes = 0;
  uint64_t open_files = 0;
  uint64_t max_files = 0;
  uint64_t disk_free_bytes = 0;  // where `directory` is
};
ProcessNumbers LookAtProcess(const std::string& directory);

// The parts of it that take no time.
uint64_t ResidentBytes();
struct DiskSpace {
  uint64_t free_bytes = 0;
  uint64_t total_bytes = 0;
};
DiskSpace LookAtDisk(const std::string& directory);

}  // namespace landfall::admin
