#include "server/available_memory.h"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <limits>
#include <string_view>

namespace landfall::server {
namespace {

constexpr uint64_t kNoLimit = std::numeric_limits<uint64_t>::max();

// "max" and what is not there are no limit.
uint64_t ReadLimit(const std::string& path) {
  std::ifstream in(path);
  uint64_t bytes = 0;
  return in >> bytes && bytes > 0 ? bytes : kNoLimit;
}

uint64_t MachineMemory(const std::string& root) {
  std::ifstream in(root + "/proc/meminfo");
  std::string key;
  uint64_t kib = 0;
  while (in >> key) {
    if (key == "MemTotal:" && in >> kib) return kib * 1024;
    in.ignore(std::numeric_limits<std::streamsize>::max(), '\n');
  }
  return kNoLimit;
}

// The least of the limits of a group and of all groups around it.
uint64_t GroupLimit(const std::string& mount, std::string_view group, const std::string& file) {
  uint64_t least = kNoLimit;
  while (true) {
    least = std::min(least, ReadLimit(fmt::format("{}{}/{}", mount, group, file)));
    if (group.empty()) return least;
    group = group.substr(0, group.rfind('/'));
  }
}

}  // namespace

uint64_t AvailableMemory(const std::string& root) {
  uint64_t least = MachineMemory(root);
  std::ifstream groups(root + "/proc/self/cgroup");
  // Lines of "hierarchy:controllers:path"; version 2 is hierarchy 0 without controllers.
  for (std::string line; std::getline(groups, line);) {
    const size_t first = line.find(':');
    const size_t second = line.find(':', first + 1);
    if (first == std::string::npos || second == std::string::npos) continue;
    const std::string controllers = "," + line.substr(first + 1, second - first - 1) + ",";
    std::string_view group = std::string_view(line).substr(second + 1);
    if (group == "/") group = {};
    if (controllers == ",,") {
      least = std::min(least, GroupLimit(root + "/sys/fs/cgroup", group, "memory.max"));
    } else if (controllers.find(",memory,") != std::string::npos) {
      least = std::min(least,
                       GroupLimit(root + "/sys/fs/cgroup/memory", group, "memory.limit_in_bytes"));
    }
  }
  return least;
}

}  // namespace landfall::server
