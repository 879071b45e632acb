#include "admin/process.h"

#include <sys/resource.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>

namespace landfall::admin {

ProcessNumbers LookAtProcess(const std::string& directory) {
  ProcessNumbers numbers;
  std::ifstream statm("/proc/self/statm");
  uint64_t pages = 0;
  if (statm >> pages >> pages) numbers.resident_bytes = pages * sysconf(_SC_PAGESIZE);
  std::error_code error;
  const std::filesystem::directory_iterator files("/proc/self/fd", error);
  if (!error) numbers.open_files = std::distance(begin(files), end(files)) - 1;  // without its own
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) == 0) numbers.max_files = limit.rlim_cur;
  const std::filesystem::space_info space = std::filesystem::space(directory, error);
  if (!error) numbers.disk_free_bytes = space.available;
  return numbers;
}

}  // namespace landfall::admin
