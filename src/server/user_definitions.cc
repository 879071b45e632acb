#include "server/user_definitions.h"

#include <fmt/format.h>

#include <set>
#include <string_view>
#include <utility>

namespace landfall::server {
namespace {

// The hash to be kept for a password, where `current` is the one that is there, or empty.
class HashOf {
 public:
  HashOf(const std::string& current, const PasswordCost& cost) : current_(current), cost_(cost) {}

  Result<std::string> operator()(std::monostate) const { return current_; }
  Result<std::string> operator()(UserDefinitions::NoPassword) const { return std::string(); }
  Result<std::string> operator()(const UserDefinitions::OwnHash& own) const { return own.hash; }
  Result<std::string> operator()(const UserDefinitions::Cleartext& said) const {
    if (!current_.empty() && MatchPassword(current_, said.password) == PasswordMatch::kRight)
      return current_;
    return HashPassword(said.password, cost_);
  }
  Result<std::string> operator()(const RabbitHash& hash) const {
    if (MatchRabbitHash(current_, hash) == PasswordMatch::kRight) return current_;
    return WrapRabbitHash(hash, cost_);
  }

 private:
  const std::string& current_;
  const PasswordCost& cost_;
};

Result<void> Apply(const UserDefinitions::User& said, const PasswordCost& cost, UserTable& table) {
  User& user = table.users[said.name];
  user.name = said.name;
  Result<std::string> hash = std::visit(HashOf(user.password_hash, cost), said.password);
  if (!hash) return std::unexpected(hash.error());
  user.password_hash = std::move(*hash);
  if (said.tags) user.tags = *said.tags;
  if (said.vhosts) user.vhosts = *said.vhosts;
  if (said.max_connections) user.max_connections = said.max_connections->at_most;
  if (said.max_channels) user.max_channels = said.max_channels->at_most;
  return {};
}

}  // namespace

Result<void> CheckUserDefinitions(const UserDefinitions& definitions, const UserTable& table) {
  std::set<std::string_view> fresh;
  for (const UserDefinitions::User& user : definitions.users) fresh.insert(user.name);
  const auto check = [&](const auto& permission) -> Result<void> {
    if (fresh.contains(permission.user) || table.users.contains(permission.user)) return {};
    return Fail(ErrorCode::kNotFound,
                fmt::format("{}: there is no user {}, neither in these definitions nor already",
                            permission.place, permission.user));
  };
  for (const auto& permission : definitions.permissions)
    if (auto known = check(permission); !known) return known;
  for (const auto& permission : definitions.topic_permissions)
    if (auto known = check(permission); !known) return known;
  return {};
}

Result<void> ApplyUserDefinitions(const UserDefinitions& definitions, const PasswordCost& cost,
                                  UserTable& table) {
  if (auto checked = CheckUserDefinitions(definitions, table); !checked) return checked;
  for (const UserDefinitions::User& user : definitions.users)
    if (auto done = Apply(user, cost, table); !done) return done;
  for (const UserDefinitions::Permission& p : definitions.permissions)
    table.users.find(p.user)->second.permissions[p.vhost] = p.patterns;
  for (const UserDefinitions::TopicPermission& p : definitions.topic_permissions)
    table.users.find(p.user)->second.topic_permissions[p.vhost][p.exchange] = p.patterns;
  for (const UserDefinitions::VhostLimits& said : definitions.vhost_limits) {
    access::VhostLimits& limits = table.vhost_limits[said.vhost];
    if (said.max_connections) limits.max_connections = said.max_connections->at_most;
    if (said.max_queues) limits.max_queues = said.max_queues->at_most;
    if (limits == access::VhostLimits{}) table.vhost_limits.erase(said.vhost);
  }
  return {};
}

}  // namespace landfall::server
