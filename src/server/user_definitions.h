#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/error.h"
#include "server/password.h"
#include "server/user_table.h"

namespace landfall::server {

// Name of the algorithm in definitions for passwords as we keep them (password.h).
inline constexpr std::string_view kOwnHashingAlgorithm = "landfall_argon2id";

// What definitions (definitions.h) say of who may log in and do what. What they do not say stays as
// it is.
struct UserDefinitions {
  struct NoPassword {};
  struct Cleartext {
    std::string password;
  };
  struct OwnHash {
    std::string hash;  // one that CheckPasswordHash lets through
  };
  // monostate: not said.
  using Password = std::variant<std::monostate, NoPassword, Cleartext, OwnHash, RabbitHash>;
  struct Limit {
    std::optional<uint32_t> at_most;  // nothing: unlimited
  };

  struct User {
    std::string name;
    Password password;
    std::optional<std::vector<std::string>> tags;
    std::optional<std::vector<std::string>> vhosts;
    std::optional<Limit> max_connections;
    std::optional<Limit> max_channels;
  };
  struct Permission {
    std::string place;  // for an error: "permissions[3] (ada in /)"
    std::string user;
    std::string vhost;
    PermissionPatterns patterns;
  };
  struct TopicPermission {
    std::string place;
    std::string user;
    std::string vhost;
    std::string exchange;
    TopicPatterns patterns;
  };
  // What is not set stays as it is.
  struct VhostLimits {
    std::string vhost;
    std::optional<Limit> max_connections;
    std::optional<Limit> max_queues;
  };

  std::vector<User> users;
  std::vector<Permission> permissions;
  std::vector<TopicPermission> topic_permissions;
  std::vector<VhostLimits> vhost_limits;

  bool empty() const {
    return users.empty() && permissions.empty() && topic_permissions.empty() &&
           vhost_limits.empty();
  }
};

// kNotFound: permissions of a user whom neither the definitions nor the table know. The only reason
// why they could not be applied, but for a lack of memory.
Result<void> CheckUserDefinitions(const UserDefinitions& definitions, const UserTable& table);

// Changes the table to what the definitions say. Doing it twice changes nothing the second time: a
// password that is right already keeps its hash. Takes a look at a password, or a hashing, of
// `cost` for each that is not in our own form. On an error (as CheckUserDefinitions; kUnavailable:
// not enough memory) the table is of no use.
Result<void> ApplyUserDefinitions(const UserDefinitions& definitions, const PasswordCost& cost,
                                  UserTable& table);

}  // namespace landfall::server
