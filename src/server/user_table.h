#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "access/accounts.h"
#include "base/error.h"

namespace landfall::server {

// Regular expressions as they stand in the file; see access/permissions.h for what they mean.
struct PermissionPatterns {
  std::string configure;
  std::string write;
  std::string read;
  bool operator==(const PermissionPatterns&) const = default;
};
// {username} and {vhost} in them stand for what the user and the vhost are called.
struct TopicPatterns {
  std::string write;
  std::string read;
  bool operator==(const TopicPatterns&) const = default;
};

template <class T>
using ByName = std::map<std::string, T, std::less<>>;

struct User {
  std::string name;
  std::string password_hash;        // as in password.h; empty: certificates only
  std::vector<std::string> vhosts;  // in which the user may do everything; "*": all
  std::vector<std::string> tags;
  ByName<PermissionPatterns> permissions;           // by vhost; goes before `vhosts`
  ByName<ByName<TopicPatterns>> topic_permissions;  // by vhost and exchange
  std::optional<uint32_t> max_connections;
  std::optional<uint32_t> max_channels;
  bool operator==(const User&) const = default;
};

// What the user file says:
//
//   [users.guest]
//   password = "$argon2id$v=19$m=19456,t=2,p=1$..."
//   vhosts = ["*"]
//   tags = ["administrator"]
//
//   [users.shop]
//   password = "$argon2id$v=19$m=19456,t=2,p=1$..."
//   vhosts = []
//   max_connections = 20
//   max_channels = 200
//   [users.shop.permissions."/"]
//   configure = "^shop\\."
//   write = "^(shop\\.|amq\\.topic$)"
//   read = "^shop\\."
//   [users.shop.topic_permissions."/"."amq.topic"]
//   write = "^{username}\\."
//   read = ".*"
//
//   [vhosts."/"]
//   max_connections = 1000
//   max_queues = 200
struct UserTable {
  ByName<User> users;
  ByName<access::VhostLimits> vhost_limits;
  bool operator==(const UserTable&) const = default;
};

// Errors: kNotFound; kIo; kInvalidArgument with the line that cannot be understood.
Result<UserTable> ReadUserTable(const std::string& path);

// As a file; kInvalidArgument if that would not be read as the same again (names that are no UTF-8,
// which TOML cannot express; patterns that are none).
Result<std::string> UserTableText(const UserTable& table);

// What sessions ask; `usage` goes on being counted.
access::AccountsRef CompileAccounts(const UserTable& table,
                                    std::shared_ptr<access::UsageBook> usage);

}  // namespace landfall::server
