#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "access/permissions.h"
#include "session/connection_context.h"
#include "session/exception.h"

namespace landfall::session {

// Whether the connection's user may do it; otherwise 403 ACCESS_REFUSED in RabbitMQ's words. Asked
// before it is looked whether the queue or exchange exists: a name that a user may not use tells
// them nothing.
Verdict CheckQueue(const ConnectionContext& context, access::Access access, ByteView name);
Verdict CheckExchange(const ConnectionContext& context, access::Access access, ByteView name);
// Of a routing key, where `exchange` is a topic exchange; asked besides CheckExchange.
Verdict CheckTopic(const ConnectionContext& context, access::Access access, ByteView exchange,
                   ByteView routing_key);

// The exchanges that a channel may publish to, as far as it has asked since the user's permissions
// last changed: the next message most often goes where the last one went, and costs a comparison.
class PublishPermits {
 public:
  Verdict Check(const ConnectionContext& context, ByteView exchange) {
    if (version_ == context.access_version && names_[last_] == exchange) [[likely]] {
      return {};
    }
    return Look(context, exchange);
  }

 private:
  Verdict Look(const ConnectionContext& context, ByteView exchange);

  // As many as RabbitMQ remembers for a channel.
  static constexpr size_t kNames = 12;

  uint64_t version_ = 0;  // of the permissions that the names were allowed with; 0: of none
  size_t last_ = 0;
  size_t size_ = 0;
  size_t next_ = 0;  // to be replaced
  std::array<std::string, kNames> names_;
};

}  // namespace landfall::session
