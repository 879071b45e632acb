#include "server/login_throttle.h"

#include <algorithm>

namespace landfall::server {

LoginThrottle::Clock::duration LoginThrottle::DelayFor(std::string_view user,
                                                       Clock::time_point now) const {
  const auto it = failures_.find(user);
  if (it == failures_.end() || now - it->second.last > options_.memory) return {};
  // 2^20 times any first delay is beyond any cap, and does not overflow.
  const uint32_t doublings = std::min<uint32_t>(it->second.count - 1, 20);
  return std::min(options_.first * (int64_t{1} << doublings), options_.cap);
}

void LoginThrottle::OnFailure(std::string_view user, Clock::time_point now) {
  auto it = failures_.find(user);
  if (it == failures_.end()) {
    if (order_.size() >= options_.max_users) {
      failures_.erase(order_.front());
      order_.pop_front();
    }
    order_.emplace_back(user);
    it = failures_.emplace(order_.back(), Failures{}).first;
  }
  Failures& failures = it->second;
  if (now - failures.last > options_.memory) failures.count = 0;
  ++failures.count;
  failures.last = now;
}

void LoginThrottle::OnSuccess(std::string_view user) {
  if (const auto it = failures_.find(user); it != failures_.end()) failures_.erase(it);
}

}  // namespace landfall::server
