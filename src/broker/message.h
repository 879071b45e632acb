#pragma once

#include <atomic>
#include <boost/smart_ptr/intrusive_ptr.hpp>
#include <cstdint>

#include "base/bytes.h"

namespace landfall::broker {

class Message;
using MessageRef = boost::intrusive_ptr<const Message>;

// A message as it was published: immutable, reference-counted, one allocation, shared by every
// queue it went to and every thread that looks at it.
class Message {
 public:
  // `properties` are the encoded property flags and list of the content header, as on the wire.
  // exchange and routing_key are at most 255 bytes. `persistent` is delivery mode 2.
  static MessageRef Make(ByteView exchange, ByteView routing_key, ByteView properties,
                         ByteView body, bool persistent);

  Message(const Message&) = delete;
  Message& operator=(const Message&) = delete;

  ByteView exchange() const { return {bytes(), exchange_size_}; }
  ByteView routing_key() const { return {bytes() + exchange_size_, routing_key_size_}; }
  ByteView properties() const {
    return {bytes() + exchange_size_ + routing_key_size_, properties_size_};
  }
  ByteView body() const {
    return {bytes() + exchange_size_ + routing_key_size_ + properties_size_, body_size_};
  }
  bool persistent() const { return persistent_; }
  // What it costs in memory, for limits and credit.
  size_t footprint() const {
    return sizeof(Message) + exchange_size_ + routing_key_size_ + properties_size_ + body_size_;
  }

 private:
  Message() = default;
  ~Message() = default;
  const char* bytes() const { return reinterpret_cast<const char*>(this + 1); }

  friend void intrusive_ptr_add_ref(const Message* m) {
    m->references_.fetch_add(1, std::memory_order_relaxed);
  }
  friend void intrusive_ptr_release(const Message* m) {
    if (m->references_.fetch_sub(1, std::memory_order_acq_rel) == 1) Destroy(m);
  }
  static void Destroy(const Message* m);

  mutable std::atomic<uint32_t> references_{0};
  uint8_t exchange_size_ = 0;
  uint8_t routing_key_size_ = 0;
  bool persistent_ = false;
  uint32_t properties_size_ = 0;
  uint64_t body_size_ = 0;
};

}  // namespace landfall::broker
