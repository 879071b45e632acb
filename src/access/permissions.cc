#include "access/permissions.h"

#include "base/assert.h"

namespace landfall::access {

std::string_view AccessName(Access access) {
  switch (access) {
    case Access::kConfigure:
      return "configure";
    case Access::kWrite:
      return "write";
    case Access::kRead:
      return "read";
  }
  LANDFALL_ASSERT(false);
}

bool Permissions::May(Access access, std::string_view name) const {
  if (name.empty()) name = "amq.default";
  switch (access) {
    case Access::kConfigure:
      return configure.Matches(name);
    case Access::kWrite:
      return write.Matches(name);
    case Access::kRead:
      return read.Matches(name);
  }
  LANDFALL_ASSERT(false);
}

bool Permissions::MayUseTopic(Access access, std::string_view exchange,
                              std::string_view routing_key) const {
  const auto it = topics.find(exchange);
  if (it == topics.end()) return true;
  return (access == Access::kWrite ? it->second.write : it->second.read).Matches(routing_key);
}

PermissionsRef FullPermissions() {
  static const PermissionsRef kFull = std::make_shared<const Permissions>(
      Permissions{Pattern::OfEverything(), Pattern::OfEverything(), Pattern::OfEverything(), {}});
  return kFull;
}

}  // namespace landfall::access
