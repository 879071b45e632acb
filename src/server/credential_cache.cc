#include "server/credential_cache.h"

#include <sodium.h>

#include <cstring>

#include "base/assert.h"
#include "base/wire.h"

namespace landfall::server {
namespace {

void Hash(crypto_generichash_state& state, std::string_view bytes) {
  LANDFALL_ASSERT(crypto_generichash_update(&state,
                                            reinterpret_cast<const unsigned char*>(bytes.data()),
                                            bytes.size()) == 0);
}

}  // namespace

CredentialCache::CredentialCache(const Options& options) : options_(options) {
  LANDFALL_ASSERT(sodium_init() >= 0);
  randombytes_buf(key_.data(), key_.size());
}

CredentialCache::~CredentialCache() { sodium_memzero(key_.data(), key_.size()); }

CredentialCache::Digest CredentialCache::DigestOf(std::string_view user,
                                                  std::string_view password) const {
  // The length in front keeps ("ab", "c") and ("a", "bc") apart.
  char size[8];
  StoreLittle<uint64_t>(size, user.size());
  crypto_generichash_state state;
  Digest digest;
  LANDFALL_ASSERT(crypto_generichash_init(&state, key_.data(), key_.size(), digest.size()) == 0);
  Hash(state, {size, sizeof size});
  Hash(state, user);
  Hash(state, password);
  LANDFALL_ASSERT(crypto_generichash_final(&state, digest.data(), digest.size()) == 0);
  sodium_memzero(&state, sizeof state);
  return digest;
}

bool CredentialCache::Knows(const Digest& digest, Clock::time_point now) const {
  const auto it = entries_.find(digest);
  return it != entries_.end() && now < it->second;
}

void CredentialCache::Add(const Digest& digest, Clock::time_point now) {
  if (!entries_.contains(digest)) {
    if (order_.size() >= options_.max_entries) {
      entries_.erase(order_.front());
      order_.pop_front();
    }
    order_.push_back(digest);
  }
  entries_[digest] = now + options_.lifetime;
}

void CredentialCache::Clear() {
  entries_.clear();
  order_.clear();
}

// A digest is as good as random already.
size_t CredentialCache::DigestHash::operator()(const Digest& digest) const {
  size_t hash;
  std::memcpy(&hash, digest.data(), sizeof hash);
  return hash;
}

}  // namespace landfall::server
