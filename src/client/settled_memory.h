#pragma once

#include <cstddef>
#include <cstdint>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include "amqp/properties.h"
#include "base/flat_map.h"

namespace landfall::client {

// A hash of what makes a message this message: producer, epoch and sequence; or its message id.
using MessageIdentity = std::pair<uint64_t, uint64_t>;

// Whether two messages with the same message id are the same message. Nothing in AMQP says so:
// people put an order's number there, or a constant, and taking a new message for a repeat loses
// it.
enum class MessageIds { kMeanNothing, kAreUnique };

// Nothing if the message has no identity.
std::optional<MessageIdentity> IdentityOf(const amqp::PropertiesView& properties, MessageIds ids);

// The identities of the messages that were acknowledged last.
//
// Only acknowledged ones: a rejected message may come back on purpose, by way of a dead-letter
// queue, and then it has to be seen again.
//
// Thread-safe.
class SettledMemory {
 public:
  SettledMemory(size_t capacity, MessageIds ids) : capacity_(capacity), ids_(ids) {}

  // Nothing if it is turned off, too.
  std::optional<MessageIdentity> IdentityOf(const amqp::PropertiesView& properties) const;
  void Remember(const MessageIdentity& identity);
  bool Contains(const MessageIdentity& identity) const;

 private:
  const size_t capacity_;
  const MessageIds ids_;
  mutable std::mutex mutex_;
  FlatSet<MessageIdentity> known_;
  std::vector<MessageIdentity> order_;  // a ring: next_ is the oldest once it is full
  size_t next_ = 0;
};

}  // namespace landfall::client
