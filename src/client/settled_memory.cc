#include "client/settled_memory.h"

#include <xxhash.h>

#include <string>

#include "base/wire.h"
#include "client/message_encoding.h"

namespace landfall::client {

std::optional<MessageIdentity> IdentityOf(const amqp::PropertiesView& properties, MessageIds ids) {
  ByteBuffer key;
  const auto sequence = properties.headers.FindInteger(kSequenceHeader);
  const auto producer = properties.headers.FindString(kProducerHeader);
  if (sequence && producer) {
    key += 'p';
    AppendBig<uint64_t>(key, static_cast<uint64_t>(*sequence));
    const int64_t epoch = properties.headers.FindInteger(kEpochHeader).value_or(0);
    AppendBig<uint64_t>(key, static_cast<uint64_t>(epoch));
    key.append(*producer);
  } else if (ids == MessageIds::kAreUnique && !properties.message_id.empty()) {
    key += 'm';
    key.append(properties.message_id);
  } else {
    return std::nullopt;
  }
  const XXH128_hash_t hash = XXH3_128bits(key.data(), key.size());
  return MessageIdentity(hash.high64, hash.low64);
}

std::optional<MessageIdentity> SettledMemory::IdentityOf(
    const amqp::PropertiesView& properties) const {
  if (capacity_ == 0) return std::nullopt;
  return client::IdentityOf(properties, ids_);
}

void SettledMemory::Remember(const MessageIdentity& identity) {
  if (capacity_ == 0) return;
  const std::lock_guard lock(mutex_);
  if (!known_.insert(identity).second) return;
  if (order_.size() < capacity_) {
    order_.push_back(identity);
    return;
  }
  known_.erase(order_[next_]);
  order_[next_] = identity;
  next_ = (next_ + 1) % capacity_;
}

bool SettledMemory::Contains(const MessageIdentity& identity) const {
  if (capacity_ == 0) return false;
  const std::lock_guard lock(mutex_);
  return known_.contains(identity);
}

}  // namespace landfall::client
