#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <deque>
#include <string_view>

#include "base/flat_map.h"

namespace landfall::server {

// Names and passwords that were right a short time ago, so that a thousand clients that reconnect
// at once do not cost a thousand password hashes. Holds no password, only a BLAKE2b hash of both
// under a key that lives as long as this object.
//
// Pure: time is handed in. Thread: one at a time.
class CredentialCache {
 public:
  using Clock = std::chrono::steady_clock;
  using Digest = std::array<uint8_t, 32>;

  struct Options {
    size_t max_entries = 1024;  // the oldest goes first
    std::chrono::seconds lifetime{300};
  };

  CredentialCache() : CredentialCache(Options{}) {}
  explicit CredentialCache(const Options& options);
  ~CredentialCache();
  CredentialCache(const CredentialCache&) = delete;
  CredentialCache& operator=(const CredentialCache&) = delete;

  Digest DigestOf(std::string_view user, std::string_view password) const;
  // False: not known to be right.
  bool Knows(const Digest& digest, Clock::time_point now) const;
  void Add(const Digest& digest, Clock::time_point now);
  void Clear();

  size_t size() const { return entries_.size(); }

 private:
  struct DigestHash {
    size_t operator()(const Digest& digest) const;
  };

  const Options options_;
  std::array<uint8_t, 32> key_;
  boost::unordered_flat_map<Digest, Clock::time_point, DigestHash> entries_;  // until when
  std::deque<Digest> order_;  // of arrival, the same digests
};

}  // namespace landfall::server
