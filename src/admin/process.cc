#include "admin/process.h"

#include <sys/resource.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>

namespace landfall::admin {

uint64_t ResidentBytes() {
  std::ifstream statm("/proc/self/statm");
  uint64_t pages = 0;
  return statm >> pages >> pages ? pages * sysconf(_SC_PAGESIZE) : 0;
}

DiskSpace LookAtDisk(const std::string& directory) {
  std::error_code error;
  const std::filesystem::space_info space = std::filesystem::space(directory, error);
  if (error) return {};
  return {.free_bytes = space.available, .total_bytes = space.capacity};
}

ProcessNumbers LookAtProcess(const std::string& directory) {
  ProcessNumbers numbers;
  numbers.resident_bytes = ResidentBytes();
  std::error_code error;
  const std::filesystem::directory_iterator files("/proc/self/fd", error);
  if (!error) numbers.open_files = std::distance(begin(files), end(files)) - 1;  // without its own
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) == 0) numbers.max_files = limit.rlim_cur;
  numbers.disk_free_bytes = LookAtDisk(directory).free_bytes;
  return numbers;
}

}  // namespace landfall::admin
