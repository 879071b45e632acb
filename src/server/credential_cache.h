#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <deque>
#include <optional>
#include <string_view>

#include "base/flat_map.h"
#include "session/session.h"

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
  // Null when it is not known to be right. Valid until the next change.
  const session::AuthResult* Find(const Digest& digest, Clock::time_point now) const;
  void Add(const Digest& digest, const session::AuthResult& result, Clock::time_point now);
  void Clear();

  size_t size() const { return entries_.size(); }

 private:
  struct DigestHash {
    size_t operator()(const Digest& digest) const;
  };
  struct Entry {
    session::AuthResult result;
    Clock::time_point expires;
  };

  const Options options_;
  std::array<uint8_t, 32> key_;
  boost::unordered_flat_map<Digest, Entry, DigestHash> entries_;
  std::deque<Digest> order_;  // of arrival, the same digests
};

}  // namespace landfall::server
