#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "access/permissions.h"
#include "access/usage.h"
#include "base/flat_map.h"

namespace landfall::access {

// What is known of a user once the password is right.
struct Account {
  std::vector<std::string> tags;
  StringMap<PermissionsRef> vhosts;
  // In the vhosts that are not named above; null: none.
  PermissionsRef elsewhere;
  // At a time, over all of the user's connections.
  std::optional<uint32_t> max_connections;
  std::optional<uint32_t> max_channels;

  // Null: the user may not even open the vhost.
  PermissionsRef In(std::string_view vhost) const;
  bool HasTag(std::string_view tag) const;
};
using AccountRef = std::shared_ptr<const Account>;

// What a vhost may have at a time; not set: as much as anybody likes.
struct VhostLimits {
  std::optional<uint32_t> max_connections;
  std::optional<uint32_t> max_queues;
  bool operator==(const VhostLimits&) const = default;
};

// All accounts as they were at one moment, and what everybody has open now. Immutable: another
// state of the users is another object, with the same usage.
struct Accounts {
  StringMap<AccountRef> users;
  // Stands for users that are not listed; null outside of tests.
  AccountRef anybody;
  StringMap<VhostLimits> vhost_limits;
  std::shared_ptr<UsageBook> usage = std::make_shared<UsageBook>();

  // Null: there is no such user.
  AccountRef Find(std::string_view user) const;
  VhostLimits LimitsOf(std::string_view vhost) const;

  // For tests and simulations: everybody may do everything.
  static std::shared_ptr<const Accounts> WithoutLimits();
};
using AccountsRef = std::shared_ptr<const Accounts>;

}  // namespace landfall::access
