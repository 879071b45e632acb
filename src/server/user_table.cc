#include "server/user_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <sstream>
#include <utility>

#include "server/password.h"
#include "server/toml_file.h"

namespace landfall::server {
namespace {

constexpr std::string_view kFileHeader =
    "# Users of a Landfall broker. Changed by `landfall user`; a running broker reads it again on\n"
    "# SIGHUP.\n\n";

std::unexpected<Error> Refuse(std::string message) {
  return Fail(ErrorCode::kInvalidArgument, std::move(message));
}

// Where in which file something stands that is being read.
struct Place {
  const std::string& path;

  std::string Of(const toml::key& key) const { return TomlPlace(path, key.source()); }
  std::string Of(const toml::node& node) const { return TomlPlace(path, node.source()); }
};

// Calls `read(key, table)` for each of the tables in `node`.
template <class Read>
Result<void> EachTable(const Place& place, const std::string& name, const toml::node& node,
                       const Read& read) {
  const toml::table* tables = node.as_table();
  if (tables == nullptr)
    return Refuse(
        fmt::format("{}: {} must be a table, not {}", place.Of(node), name, TomlWords(node)));
  for (const auto& [key, value] : *tables) {
    const toml::table* table = value.as_table();
    const std::string full_name = fmt::format("{}.{}", name, key.str());
    if (table == nullptr)
      return Refuse(fmt::format("{}: {} must be a table, not {}", place.Of(value), full_name,
                                TomlWords(value)));
    if (Result<void> done = read(full_name, std::string(key.str()), *table); !done) return done;
  }
  return {};
}

Result<uint32_t> ReadLimit(const Place& place, const toml::key& key, const toml::node& node) {
  const auto* number = node.as_integer();
  if (number == nullptr || number->get() < 0 ||
      number->get() > std::numeric_limits<uint32_t>::max())
    return Refuse(fmt::format("{}: {} must be a whole number, not {}", place.Of(key), key.str(),
                              TomlWords(node)));
  return static_cast<uint32_t>(number->get());
}

Result<std::vector<std::string>> ReadNames(const Place& place, const toml::key& key,
                                           const toml::node& node, const std::string& user) {
  const auto* list = node.as_array();
  if (list == nullptr || !std::ranges::all_of(*list, &toml::node::is_string))
    return Refuse(fmt::format("{}: the {} of user {} must be a list of names{}", place.Of(key),
                              key.str(), user, key == "vhosts" ? ", \"*\" for all of them" : ""));
  std::vector<std::string> names;
  for (const toml::node& name : *list) names.push_back(name.as_string()->get());
  return names;
}

// The patterns of the table, each into the string that `known` has for it. One that is missing
// allows nothing.
Result<void> ReadPatterns(const Place& place, const std::string& name, const toml::table& table,
                          const std::vector<std::pair<std::string_view, std::string*>>& known) {
  for (const auto& [key, value] : table) {
    const auto it =
        std::ranges::find(known, key.str(), &std::pair<std::string_view, std::string*>::first);
    if (it == known.end())
      return Refuse(fmt::format("{}: unknown key {} in {}", place.Of(key), key.str(), name));
    const auto* text = value.as_string();
    if (text == nullptr)
      return Refuse(fmt::format("{}: {} must be a regular expression, not {}", place.Of(key),
                                key.str(), TomlWords(value)));
    if (auto pattern = access::Pattern::Compile(text->get()); !pattern)
      return Refuse(fmt::format("{}: {}", place.Of(key), pattern.error().message));
    *it->second = text->get();
  }
  return {};
}

Result<ByName<PermissionPatterns>> ReadPermissions(const Place& place, const std::string& name,
                                                   const toml::node& node) {
  ByName<PermissionPatterns> all;
  Result<void> done = EachTable(
      place, name, node, [&](const std::string& at, std::string vhost, const toml::table& table) {
        PermissionPatterns& p = all[std::move(vhost)];
        return ReadPatterns(place, at, table,
                            {{"configure", &p.configure}, {"write", &p.write}, {"read", &p.read}});
      });
  if (!done) return std::unexpected(done.error());
  return all;
}

Result<ByName<ByName<TopicPatterns>>> ReadTopicPermissions(const Place& place,
                                                           const std::string& name,
                                                           const toml::node& node) {
  ByName<ByName<TopicPatterns>> all;
  Result<void> done = EachTable(
      place, name, node, [&](const std::string& at, std::string vhost, const toml::table& table) {
        ByName<TopicPatterns>& exchanges = all[std::move(vhost)];
        return EachTable(
            place, at, table,
            [&](const std::string& inner_at, std::string exchange, const toml::table& patterns) {
              TopicPatterns& p = exchanges[std::move(exchange)];
              return ReadPatterns(place, inner_at, patterns,
                                  {{"write", &p.write}, {"read", &p.read}});
            });
      });
  if (!done) return std::unexpected(done.error());
  return all;
}

// Into `to`, unless it could not be read.
template <class To, class From>
Result<void> Assign(To& to, Result<From> from) {
  if (!from) return std::unexpected(from.error());
  to = std::move(*from);
  return {};
}

Result<void> ReadUserKey(const Place& place, const std::string& at, const toml::key& key,
                         const toml::node& value, User& user) {
  const std::string name = fmt::format("{}.{}", at, key.str());
  if (key == "password") {
    const auto* text = value.as_string();
    if (text == nullptr)
      return Refuse(
          fmt::format("{}: the password of user {} must be a string", place.Of(key), user.name));
    if (const auto checked = CheckPasswordHash(text->get()); !checked)
      return Refuse(fmt::format("{}: the password of user {} is {}", place.Of(key), user.name,
                                checked.error().message));
    user.password_hash = text->get();
    return {};
  }
  if (key == "vhosts") return Assign(user.vhosts, ReadNames(place, key, value, user.name));
  if (key == "tags") return Assign(user.tags, ReadNames(place, key, value, user.name));
  if (key == "permissions") return Assign(user.permissions, ReadPermissions(place, name, value));
  if (key == "topic_permissions")
    return Assign(user.topic_permissions, ReadTopicPermissions(place, name, value));
  if (key == "max_connections") return Assign(user.max_connections, ReadLimit(place, key, value));
  if (key == "max_channels") return Assign(user.max_channels, ReadLimit(place, key, value));
  return Refuse(
      fmt::format("{}: unknown key {}; a user has password, vhosts, tags, permissions, "
                  "topic_permissions, max_connections and max_channels",
                  place.Of(key), key.str()));
}

Result<User> ReadUser(const Place& place, const std::string& at, std::string name,
                      const toml::table& table) {
  User user{.name = std::move(name)};
  for (const auto& [key, value] : table) {
    if (Result<void> done = ReadUserKey(place, at, key, value, user); !done)
      return std::unexpected(done.error());
  }
  // Somebody who may go nowhere is more likely a mistake; `vhosts = []` says that it is not.
  if (!table.contains("vhosts") && !table.contains("permissions"))
    return Refuse(
        fmt::format("{}: user {} needs vhosts or permissions", place.Of(table), user.name));
  return user;
}

Result<void> ReadVhost(const Place& place, const std::string& name, const toml::table& table,
                       UserTable& to) {
  for (const auto& [key, value] : table) {
    access::VhostLimits& limits = to.vhost_limits[name];
    auto* limit = key == "max_connections" ? &limits.max_connections
                  : key == "max_queues"    ? &limits.max_queues
                                           : nullptr;
    if (limit == nullptr)
      return Refuse(fmt::format("{}: unknown key {}; a vhost has max_connections and max_queues",
                                place.Of(key), key.str()));
    if (auto done = Assign(*limit, ReadLimit(place, key, value)); !done) return done;
  }
  return {};
}

Result<UserTable> TableIn(const toml::table& file, const std::string& path) {
  const Place place{path};
  UserTable table;
  for (const auto& [key, node] : file) {
    Result<void> done;
    if (key == "users") {
      done =
          EachTable(place, "users", node,
                    [&](const std::string& at, const std::string& name, const toml::table& user) {
                      return Assign(table.users[name], ReadUser(place, at, name, user));
                    });
    } else if (key == "vhosts") {
      done = EachTable(place, "vhosts", node,
                       [&](const std::string&, const std::string& name, const toml::table& vhost) {
                         return ReadVhost(place, name, vhost, table);
                       });
    } else {
      done =
          Refuse(fmt::format("{}: unknown key {}; the file has tables [users.NAME] and "
                             "[vhosts.NAME]",
                             place.Of(key), key.str()));
    }
    if (!done) return std::unexpected(done.error());
  }
  return table;
}

toml::array Names(const std::vector<std::string>& names) {
  toml::array list;
  for (const std::string& name : names) list.push_back(name);
  return list;
}

toml::table ToToml(const User& user) {
  toml::table out;
  if (!user.password_hash.empty()) out.insert("password", user.password_hash);
  out.insert("vhosts", Names(user.vhosts));
  if (!user.tags.empty()) out.insert("tags", Names(user.tags));
  if (user.max_connections) out.insert("max_connections", int64_t{*user.max_connections});
  if (user.max_channels) out.insert("max_channels", int64_t{*user.max_channels});
  toml::table permissions;
  for (const auto& [vhost, p] : user.permissions)
    permissions.insert(
        vhost, toml::table{{"configure", p.configure}, {"write", p.write}, {"read", p.read}});
  if (!permissions.empty()) out.insert("permissions", std::move(permissions));
  toml::table topics;
  for (const auto& [vhost, exchanges] : user.topic_permissions) {
    toml::table of_vhost;
    for (const auto& [exchange, p] : exchanges)
      of_vhost.insert(exchange, toml::table{{"write", p.write}, {"read", p.read}});
    topics.insert(vhost, std::move(of_vhost));
  }
  if (!topics.empty()) out.insert("topic_permissions", std::move(topics));
  return out;
}

std::string TextOf(const UserTable& table) {
  toml::table users;
  for (const auto& [name, user] : table.users) users.insert(name, ToToml(user));
  toml::table vhosts;
  for (const auto& [name, limits] : table.vhost_limits) {
    toml::table vhost;
    if (limits.max_connections) vhost.insert("max_connections", int64_t{*limits.max_connections});
    if (limits.max_queues) vhost.insert("max_queues", int64_t{*limits.max_queues});
    vhosts.insert(name, std::move(vhost));
  }
  toml::table file{{"users", std::move(users)}};
  if (!vhosts.empty()) file.insert("vhosts", std::move(vhosts));
  std::ostringstream out;
  out << kFileHeader << toml::toml_formatter(file, toml::format_flags::none) << "\n";
  return out.str();
}

access::Pattern Compiled(std::string_view text) {
  auto pattern = access::Pattern::Compile(text);
  // Checked when it was read. One that grew too large with a name in it allows nothing.
  return pattern ? std::move(*pattern) : access::Pattern();
}

// A name in a pattern stands for itself: a user called ".*" is not everybody.
std::string WithNames(std::string text, std::string_view user, std::string_view vhost) {
  for (const auto& [variable, name] :
       {std::pair<std::string_view, std::string_view>{"{username}", user}, {"{vhost}", vhost}}) {
    const std::string quoted = access::QuotedForPattern(name);
    for (size_t at = 0; (at = text.find(variable, at)) != std::string::npos; at += quoted.size())
      text.replace(at, variable.size(), quoted);
  }
  return text;
}

access::PermissionsRef PermissionsIn(const User& user, const std::string& vhost) {
  access::Permissions permissions;
  if (const auto it = user.permissions.find(vhost); it != user.permissions.end()) {
    permissions.configure = Compiled(it->second.configure);
    permissions.write = Compiled(it->second.write);
    permissions.read = Compiled(it->second.read);
  } else {
    permissions = *access::FullPermissions();
  }
  if (const auto it = user.topic_permissions.find(vhost); it != user.topic_permissions.end()) {
    for (const auto& [exchange, p] : it->second)
      permissions.topics[exchange] = {.write = Compiled(WithNames(p.write, user.name, vhost)),
                                      .read = Compiled(WithNames(p.read, user.name, vhost))};
  }
  return std::make_shared<const access::Permissions>(std::move(permissions));
}

access::AccountRef CompileAccount(const User& user) {
  access::Account account;
  account.tags = user.tags;
  account.max_connections = user.max_connections;
  account.max_channels = user.max_channels;
  for (const std::string& vhost : user.vhosts) {
    if (vhost == "*") {
      account.elsewhere = access::FullPermissions();
    } else {
      account.vhosts[vhost] = PermissionsIn(user, vhost);
    }
  }
  for (const auto& [vhost, patterns] : user.permissions)
    account.vhosts[vhost] = PermissionsIn(user, vhost);
  for (const auto& [vhost, exchanges] : user.topic_permissions)
    if (account.elsewhere) account.vhosts[vhost] = PermissionsIn(user, vhost);
  return std::make_shared<const access::Account>(std::move(account));
}

}  // namespace

Result<UserTable> ReadUserTable(const std::string& path) {
  const Result<toml::table> file = ReadTomlFile(path);
  if (!file) return std::unexpected(file.error());
  return TableIn(*file, path);
}

Result<std::string> UserTableText(const UserTable& table) {
  const auto refusal = [] { return Refuse("names and patterns have to be UTF-8"); };
  std::string text = TextOf(table);
  try {
    const Result<UserTable> again = TableIn(toml::parse(text), "users");
    if (!again) return std::unexpected(again.error());
    if (*again != table) return refusal();
  } catch (const toml::parse_error&) {
    return refusal();
  }
  return text;
}

access::AccountsRef CompileAccounts(const UserTable& table,
                                    std::shared_ptr<access::UsageBook> usage) {
  auto accounts = std::make_shared<access::Accounts>();
  accounts->usage = std::move(usage);
  for (const auto& [name, user] : table.users) accounts->users[name] = CompileAccount(user);
  for (const auto& [name, limits] : table.vhost_limits) accounts->vhost_limits[name] = limits;
  return accounts;
}

}  // namespace landfall::server
