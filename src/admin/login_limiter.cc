#include "admin/login_limiter.h"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <cmath>

namespace landfall::admin {

double LoginLimiter::Buckets::LeftOf(std::string_view name, Clock::time_point now) const {
  const auto it = buckets_.find(name);
  if (it == buckets_.end()) return rate_.burst;
  const double elapsed = std::chrono::duration<double>(now - it->second.at).count();
  const double each = std::chrono::duration<double>(rate_.each).count();
  return std::min(rate_.burst, it->second.left + elapsed / each);
}

std::chrono::seconds LoginLimiter::Buckets::Wait(std::string_view name,
                                                 Clock::time_point now) const {
  const double left = LeftOf(name, now);
  if (left >= 1) return std::chrono::seconds(0);
  const double each = std::chrono::duration<double>(rate_.each).count();
  return std::chrono::seconds(std::max(1L, std::lround(std::ceil((1 - left) * each))));
}

void LoginLimiter::Buckets::Take(std::string_view name, Clock::time_point now) {
  Set(name, LeftOf(name, now) - 1, now);
}

void LoginLimiter::Buckets::GiveBack(std::string_view name, Clock::time_point now) {
  Set(name, std::min(rate_.burst, LeftOf(name, now) + 1), now);
}

void LoginLimiter::Buckets::Set(std::string_view name, double left, Clock::time_point now) {
  if (const auto it = buckets_.find(name); it != buckets_.end()) {
    it->second = {.left = left, .at = now};
    return;
  }
  if (buckets_.size() >= max_entries_) {
    buckets_.erase(order_.front());
    order_.pop_front();
  }
  buckets_.emplace(std::string(name), Bucket{.left = left, .at = now});
  order_.emplace_back(name);
}

namespace {

std::string Together(std::string_view user, std::string_view network) {
  // No network has a space in it.
  return std::string(network) + " " + std::string(user);
}

}  // namespace

std::optional<std::chrono::seconds> LoginLimiter::Take(std::string_view user, std::string_view peer,
                                                       Clock::time_point now) {
  const std::string network = PeerNetwork(peer);
  const bool is_known = known_.Has(Together(user, network));
  auto wait = peers_.Wait(network, now);
  if (!is_known) wait = std::max(wait, users_.Wait(user, now));
  if (wait > std::chrono::seconds(0)) return wait;
  peers_.Take(network, now);
  if (!is_known) users_.Take(user, now);
  return std::nullopt;
}

void LoginLimiter::OnSuccess(std::string_view user, std::string_view peer, Clock::time_point now) {
  const std::string network = PeerNetwork(peer);
  const std::string together = Together(user, network);
  peers_.GiveBack(network, now);
  if (!known_.Has(together)) users_.GiveBack(user, now);
  known_.Take(together, now);
}

std::string PeerNetwork(std::string_view peer) {
  std::string host(peer.substr(0, peer.rfind(':')));
  if (!host.starts_with('[')) return host;
  host = host.substr(1, host.rfind(']') - 1);
  std::array<unsigned char, 16> address{};
  if (inet_pton(AF_INET6, host.c_str(), address.data()) != 1) return host;
  constexpr std::array<unsigned char, 12> kMapped{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
  if (!std::equal(kMapped.begin(), kMapped.end(), address.begin()))
    std::fill(address.begin() + 8, address.end(), 0);
  std::array<char, INET6_ADDRSTRLEN> text{};
  inet_ntop(AF_INET6, address.data(), text.data(), text.size());
  return text.data();
}

}  // namespace landfall::admin
