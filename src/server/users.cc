#include "server/users.h"

#include <fmt/format.h>
#include <sodium.h>

#include <algorithm>
#include <functional>
#include <mutex>
#include <utility>

#include "base/assert.h"
#include "server/log.h"
#include "server/private_file.h"

namespace landfall::server {
namespace {

constexpr std::string_view kEveryVhost = "*";
constexpr std::string_view kWrong = "wrong user name or password";

std::unexpected<Error> Refuse(std::string message) {
  return Fail(ErrorCode::kInvalidArgument, std::move(message));
}

Result<void> CheckName(std::string_view name) {
  if (name.empty() || name.size() > kMaxUserNameBytes)
    return Refuse(fmt::format("a user's name has 1 to {} bytes", kMaxUserNameBytes));
  return {};
}

Result<void> CheckPassword(std::string_view password) {
  if (password.empty() || password.size() > kMaxPasswordBytes)
    return Refuse(fmt::format("a password has 1 to {} bytes", kMaxPasswordBytes));
  return {};
}

Error NoSuchUser(std::string_view name, const std::string& path) {
  return {ErrorCode::kNotFound, fmt::format("there is no user {} in {}", name, path)};
}

}  // namespace

struct UserFile::State {
  // What is in force, in both of its forms.
  struct Current {
    UserTable table;
    access::AccountsRef accounts;
  };
  using CurrentRef = std::shared_ptr<const Current>;

  State(std::string p, PasswordCost c) : path(std::move(p)), cost(c) { Install({}); }

  CurrentRef current() const {
    std::lock_guard lock(mutex);
    return in_force;
  }
  void Install(UserTable table) {
    access::AccountsRef accounts = CompileAccounts(table, usage);
    auto fresh = std::make_shared<const Current>(std::move(table), std::move(accounts));
    std::lock_guard lock(mutex);
    in_force = std::move(fresh);
  }

  // What stands in the file, changed by `change(UserTable&)` and written, unless that fails.
  Result<void> Update(const std::function<Result<void>(UserTable&)>& change) {
    std::lock_guard one_at_a_time(taking);
    auto lock = LockDirectoryOf(path);
    if (!lock) return std::unexpected(lock.error());
    const Result<UserTable> before = ReadUserTable(path);
    if (!before && before.error().code != ErrorCode::kNotFound)
      return std::unexpected(before.error());
    UserTable table = before ? *before : UserTable{};
    if (Result<void> changed = change(table); !changed) return changed;
    if (!before || table != *before) {
      const Result<std::string> text = UserTableText(table);
      if (!text) return std::unexpected(text.error());
      if (auto written = WritePrivateFile(path, *text); !written) return written;
    }
    Install(std::move(table));
    return {};
  }
  Result<void> UpdateUser(std::string_view name, const std::function<Result<void>(User&)>& change) {
    return Update([&](UserTable& table) -> Result<void> {
      const auto it = table.users.find(name);
      if (it == table.users.end()) return std::unexpected(NoSuchUser(name, path));
      return change(it->second);
    });
  }

  const std::string path;
  const PasswordCost cost;
  // Stands in for the hash of users that do not exist.
  std::string decoy;
  const std::shared_ptr<access::UsageBook> usage = std::make_shared<access::UsageBook>();
  std::mutex taking;  // held from reading the file to putting in force what it says
  mutable std::mutex mutex;
  CurrentRef in_force;
};

UserFile::UserFile(std::unique_ptr<State> state) : state_(std::move(state)) {}
UserFile::UserFile(UserFile&&) noexcept = default;
UserFile& UserFile::operator=(UserFile&&) noexcept = default;
UserFile::~UserFile() = default;

Result<UserFile> UserFile::Open(std::string path, IfMissing if_missing, PasswordCost cost) {
  LANDFALL_ASSERT(sodium_init() >= 0);
  UserFile file(std::make_unique<State>(std::move(path), cost));
  Result<std::string> decoy = HashPassword("decoy", cost);
  if (!decoy) return std::unexpected(decoy.error());
  file.state_->decoy = std::move(*decoy);
  Result<void> loaded = file.Reload();
  if (loaded) return file;
  if (loaded.error().code != ErrorCode::kNotFound) return std::unexpected(loaded.error());
  if (if_missing == IfMissing::kStartEmpty) return file;
  Result<std::string> hash = HashPassword("guest", cost);
  if (!hash) return std::unexpected(hash.error());
  Result<void> added = file.AddUser({.name = "guest",
                                     .password_hash = std::move(*hash),
                                     .vhosts = {"*"},
                                     .tags = {"administrator"}});
  // Another process was quicker.
  if (!added && added.error().code == ErrorCode::kExists) added = file.Reload();
  if (!added) return std::unexpected(added.error());
  return file;
}

Result<void> UserFile::Reload() {
  // What has been read before a change must not be put in force after it.
  std::lock_guard one_at_a_time(state_->taking);
  Result<UserTable> table = ReadUserTable(state_->path);
  if (!table) return std::unexpected(table.error());
  if (OthersMayRead(state_->path))
    LogWarn("the user file can be read by others; chmod 600 it", {{"file", state_->path}});
  state_->Install(std::move(*table));
  return {};
}

session::AuthResult UserFile::Verify(std::string_view name, std::string_view password) const {
  const State::CurrentRef current = state_->current();
  const auto it = current->table.users.find(name);
  const bool known = it != current->table.users.end() && !it->second.password_hash.empty();
  const PasswordMatch match =
      MatchPassword(known ? it->second.password_hash : state_->decoy, password);
  if (known && match == PasswordMatch::kRight)
    return {.ok = true, .reason = "", .accounts = current->accounts};
  if (match == PasswordMatch::kNoMemory)
    return {.ok = false, .reason = "not enough memory to look at the password; try again later"};
  return {.ok = false, .reason = std::string(kWrong)};
}

bool UserFile::Knows(std::string_view name) const {
  return state_->current()->table.users.contains(name);
}

std::vector<User> UserFile::List() const {
  const State::CurrentRef current = state_->current();
  std::vector<User> list;
  for (const auto& [name, user] : current->table.users) list.push_back(user);
  return list;
}

access::AccountsRef UserFile::accounts() const { return state_->current()->accounts; }

Result<void> UserFile::AddUser(User user) {
  return state_->Update([&](UserTable& table) -> Result<void> {
    if (table.users.contains(user.name))
      return Fail(ErrorCode::kExists,
                  fmt::format("user {} exists already in {}", user.name, state_->path));
    table.users.emplace(user.name, std::move(user));
    return {};
  });
}

Result<void> UserFile::Add(std::string_view name, std::string_view password,
                           std::vector<std::string> vhosts) {
  if (auto ok = CheckName(name); !ok) return ok;
  if (auto ok = CheckPassword(password); !ok) return ok;
  Result<std::string> hash = HashPassword(password, state_->cost);
  if (!hash) return std::unexpected(hash.error());
  return AddUser(
      {.name = std::string(name), .password_hash = std::move(*hash), .vhosts = std::move(vhosts)});
}

Result<void> UserFile::AddWithoutPassword(std::string_view name, std::vector<std::string> vhosts) {
  if (auto ok = CheckName(name); !ok) return ok;
  return AddUser({.name = std::string(name), .password_hash = "", .vhosts = std::move(vhosts)});
}

Result<void> UserFile::SetPassword(std::string_view name, std::string_view password) {
  if (auto ok = CheckPassword(password); !ok) return ok;
  Result<std::string> hash = HashPassword(password, state_->cost);
  if (!hash) return std::unexpected(hash.error());
  return state_->UpdateUser(name, [&](User& user) -> Result<void> {
    user.password_hash = std::move(*hash);
    return {};
  });
}

Result<void> UserFile::Delete(std::string_view name) {
  return state_->Update([&](UserTable& table) -> Result<void> {
    const auto it = table.users.find(name);
    if (it == table.users.end()) return std::unexpected(NoSuchUser(name, state_->path));
    table.users.erase(it);
    return {};
  });
}

Result<void> UserFile::SetPermissions(std::string_view name, const std::string& vhost,
                                      PermissionPatterns patterns) {
  if (vhost == kEveryVhost) return Refuse("permissions are set in one vhost, not in *");
  return state_->UpdateUser(name, [&](User& user) -> Result<void> {
    std::erase(user.vhosts, vhost);
    user.permissions[vhost] = std::move(patterns);
    return {};
  });
}

Result<void> UserFile::ClearPermissions(std::string_view name, const std::string& vhost) {
  return state_->UpdateUser(name, [&](User& user) -> Result<void> {
    user.permissions.erase(vhost);
    if (vhost == kEveryVhost) user.permissions.clear();
    std::erase(user.vhosts, vhost);
    // Otherwise the user could do more in the vhost than before.
    if (std::ranges::find(user.vhosts, kEveryVhost) != user.vhosts.end())
      return Refuse(
          fmt::format("user {} may do everything in every vhost; take that back first, "
                      "with --vhost '*'",
                      name));
    return {};
  });
}

Result<void> UserFile::ForgetVhost(const std::string& vhost) {
  return state_->Update([&](UserTable& table) -> Result<void> {
    for (auto& [name, user] : table.users) {
      user.permissions.erase(vhost);
      user.topic_permissions.erase(vhost);
      std::erase(user.vhosts, vhost);
    }
    table.vhost_limits.erase(vhost);
    return {};
  });
}

Result<void> UserFile::SetTopicPermissions(std::string_view name, const std::string& vhost,
                                           const std::string& exchange, TopicPatterns patterns) {
  return state_->UpdateUser(name, [&](User& user) -> Result<void> {
    user.topic_permissions[vhost][exchange] = std::move(patterns);
    return {};
  });
}

Result<void> UserFile::ClearTopicPermissions(std::string_view name, const std::string& vhost,
                                             const std::string& exchange) {
  return state_->UpdateUser(name, [&](User& user) -> Result<void> {
    const auto it = user.topic_permissions.find(vhost);
    if (it == user.topic_permissions.end()) return {};
    it->second.erase(exchange);
    if (exchange.empty() || it->second.empty()) user.topic_permissions.erase(it);
    return {};
  });
}

Result<void> UserFile::SetTags(std::string_view name, std::vector<std::string> tags) {
  return state_->UpdateUser(name, [&](User& user) -> Result<void> {
    user.tags = std::move(tags);
    return {};
  });
}

Result<void> UserFile::CanImport(const UserDefinitions& definitions) const {
  return CheckUserDefinitions(definitions, state_->current()->table);
}

Result<void> UserFile::Import(const UserDefinitions& definitions) {
  return state_->Update(
      [&](UserTable& table) { return ApplyUserDefinitions(definitions, state_->cost, table); });
}

const std::string& UserFile::path() const { return state_->path; }

}  // namespace landfall::server
