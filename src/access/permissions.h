#pragma once

#include <cstdint>
#include <memory>
#include <string_view>

#include "access/pattern.h"
#include "base/flat_map.h"

namespace landfall::access {

// What is wanted of a queue or an exchange: to make, change or remove it; to put messages into it;
// to take messages out of it.
enum class Access : uint8_t { kConfigure, kWrite, kRead };

// "configure", "write", "read": as errors say it.
std::string_view AccessName(Access access);

// What one user may do in one vhost, in RabbitMQ's model: the operation is allowed if the pattern
// for it matches the name.
struct Permissions {
  // On the routing keys of one topic exchange, besides the permission on the exchange itself.
  struct Topic {
    Pattern write;
    Pattern read;
    bool operator==(const Topic&) const = default;
  };

  Pattern configure;
  Pattern write;
  Pattern read;
  // By exchange. Without an entry every routing key is allowed.
  StringMap<Topic> topics;

  // `name` of an exchange or queue; the default exchange goes by the name amq.default.
  bool May(Access access, std::string_view name) const;
  // Of kWrite and kRead; `exchange` is a topic exchange.
  bool MayUseTopic(Access access, std::string_view exchange, std::string_view routing_key) const;
};
using PermissionsRef = std::shared_ptr<const Permissions>;

// Everything in a vhost.
PermissionsRef FullPermissions();

}  // namespace landfall::access
