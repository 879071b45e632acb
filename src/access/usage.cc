#include "access/usage.h"

#include <string>

namespace landfall::access {

std::optional<Seat> Seat::Take(const UsageRef& usage, Counter Usage::* counter,
                               std::optional<uint32_t> limit) {
  Counter& taken = *usage.*counter;
  uint32_t before = taken.load();
  do {
    if (limit && before >= *limit) return std::nullopt;
  } while (!taken.compare_exchange_weak(before, before + 1));
  return Seat(usage, counter);
}

UsageRef UsageBook::Find(StringMap<UsageRef>& map, std::string_view name) {
  const std::lock_guard lock(mutex_);
  const auto it = map.find(name);
  if (it != map.end()) return it->second;
  return map.emplace(std::string(name), std::make_shared<Usage>()).first->second;
}

}  // namespace landfall::access
