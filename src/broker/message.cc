#include "broker/message.h"

#include <cstring>
#include <limits>
#include <new>

#include "base/assert.h"

namespace landfall::broker {

MessageRef Message::Make(ByteView exchange, ByteView routing_key, ByteView properties,
                         ByteView body, bool persistent) {
  LANDFALL_ASSERT(exchange.size() <= 255 && routing_key.size() <= 255);
  LANDFALL_ASSERT(properties.size() <= std::numeric_limits<uint32_t>::max());
  void* memory = ::operator new(sizeof(Message) + exchange.size() + routing_key.size() +
                                properties.size() + body.size());
  auto* m = new (memory) Message;
  m->exchange_size_ = static_cast<uint8_t>(exchange.size());
  m->routing_key_size_ = static_cast<uint8_t>(routing_key.size());
  m->properties_size_ = static_cast<uint32_t>(properties.size());
  m->body_size_ = body.size();
  m->persistent_ = persistent;
  char* p = reinterpret_cast<char*>(m + 1);
  for (ByteView part : {exchange, routing_key, properties, body}) {
    // An empty view may have a null pointer, which memcpy must not see.
    if (!part.empty()) std::memcpy(p, part.data(), part.size());
    p += part.size();
  }
  return MessageRef(m);
}

void Message::Destroy(const Message* m) {
  m->~Message();
  ::operator delete(const_cast<Message*>(m));
}

}  // namespace landfall::broker
