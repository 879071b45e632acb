#include "server/users.h"

#include <fmt/format.h>
#include <sodium.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <functional>
#include <map>
#include <mutex>
#include <sstream>
#include <utility>

#include "base/assert.h"
#include "server/log.h"
#include "server/private_file.h"
#include "server/toml_file.h"

namespace landfall::server {
namespace {

using UserTable = std::map<std::string, User, std::less<>>;
using UserTableRef = std::shared_ptr<const UserTable>;

constexpr std::string_view kFileHeader =
    "# Users of a Landfall broker. Changed by `landfall user`; a running broker reads it again on\n"
    "# SIGHUP.\n\n";

constexpr std::string_view kWrong = "wrong user name or password";

std::unexpected<Error> Refuse(std::string message) {
  return Fail(ErrorCode::kInvalidArgument, std::move(message));
}

// crypto_pwhash_str_verify is declared to read all of such an array.
struct HashText {
  explicit HashText(const std::string& hash) {
    LANDFALL_ASSERT(hash.size() < sizeof bytes);
    std::memcpy(bytes, hash.data(), hash.size());
  }
  char bytes[crypto_pwhash_STRBYTES] = {};
};

bool IsPasswordHash(const std::string& text) {
  if (text.size() >= crypto_pwhash_STRBYTES || !text.starts_with("$argon2id$")) return false;
  return crypto_pwhash_str_needs_rehash(HashText(text).bytes, crypto_pwhash_OPSLIMIT_INTERACTIVE,
                                        crypto_pwhash_MEMLIMIT_INTERACTIVE) != -1;
}

Result<std::string> HashPassword(std::string_view password, const PasswordCost& cost) {
  char hash[crypto_pwhash_STRBYTES];
  if (crypto_pwhash_str(hash, password.data(), password.size(), cost.passes, cost.memory_bytes) !=
      0) {
    return Fail(ErrorCode::kUnavailable,
                fmt::format("hashing a password needs {} MiB of memory, which this machine does "
                            "not have free",
                            cost.memory_bytes >> 20));
  }
  return std::string(hash);
}

// `at` is where the user begins in the file.
Result<User> ReadUser(const std::string& path, std::string name, const toml::node& node) {
  const std::string at = TomlPlace(path, node.source());
  const toml::table* table = node.as_table();
  if (table == nullptr)
    return Refuse(fmt::format("{}: users.{} must be a table, not {}", at, name, TomlWords(node)));
  User user{.name = std::move(name)};
  bool has_vhosts = false;
  for (const auto& [key, value] : *table) {
    const std::string place = TomlPlace(path, key.source());
    if (key.str() == "password") {
      const auto* text = value.as_string();
      if (text == nullptr || !IsPasswordHash(text->get()))
        return Refuse(fmt::format(
            "{}: the password of user {} must be an argon2id hash, as `landfall user passwd` "
            "writes it",
            place, user.name));
      user.password_hash = text->get();
    } else if (key.str() == "vhosts") {
      const auto* list = value.as_array();
      if (list == nullptr || !std::ranges::all_of(*list, &toml::node::is_string))
        return Refuse(
            fmt::format("{}: the vhosts of user {} must be a list of names, \"*\" for all of them",
                        place, user.name));
      for (const toml::node& vhost : *list) user.vhosts.push_back(vhost.as_string()->get());
      has_vhosts = true;
    } else {
      return Refuse(
          fmt::format("{}: unknown key {}; a user has password and vhosts", place, key.str()));
    }
  }
  if (user.password_hash.empty() || !has_vhosts)
    return Refuse(fmt::format("{}: user {} needs password and vhosts", at, user.name));
  return user;
}

Result<UserTable> UsersIn(const toml::table& file, const std::string& path) {
  UserTable users;
  for (const auto& [key, node] : file) {
    const toml::table* table = node.as_table();
    if (key.str() != "users" || table == nullptr)
      return Refuse(fmt::format("{}: unknown key {}; the file has tables [users.NAME]",
                                TomlPlace(path, key.source()), key.str()));
    for (const auto& [name, value] : *table) {
      Result<User> user = ReadUser(path, std::string(name.str()), value);
      if (!user) return std::unexpected(user.error());
      users.emplace(name.str(), std::move(*user));
    }
  }
  return users;
}

Result<UserTable> ReadUsers(const std::string& path) {
  const Result<toml::table> file = ReadTomlFile(path);
  if (!file) return std::unexpected(file.error());
  return UsersIn(*file, path);
}

std::string FileText(const UserTable& users) {
  toml::table all;
  for (const auto& [name, user] : users) {
    toml::array vhosts;
    for (const std::string& vhost : user.vhosts) vhosts.push_back(vhost);
    all.insert(name, toml::table{{"password", user.password_hash}, {"vhosts", std::move(vhosts)}});
  }
  std::ostringstream out;
  const toml::table file{{"users", std::move(all)}};
  out << kFileHeader << toml::toml_formatter(file, toml::format_flags::none) << "\n";
  return out.str();
}

// Whether the next one to read the file will see just these users: not so with names that are no
// UTF-8, which TOML cannot express.
bool ReadsBackAs(const std::string& text, const UserTable& users) {
  try {
    return UsersIn(toml::parse(text), "") == users;
  } catch (const toml::parse_error&) {
    return false;
  }
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
  State(std::string p, PasswordCost c) : path(std::move(p)), cost(c) {}

  UserTableRef users() const {
    std::lock_guard lock(mutex);
    return current;
  }
  void Install(UserTable table) {
    auto fresh = std::make_shared<const UserTable>(std::move(table));
    std::lock_guard lock(mutex);
    current = std::move(fresh);
  }

  // What stands in the file, changed by `change(UserTable&)` and written, unless that fails.
  Result<void> Update(const std::function<Result<void>(UserTable&)>& change) {
    auto lock = LockDirectoryOf(path);
    if (!lock) return std::unexpected(lock.error());
    Result<UserTable> table = ReadUsers(path);
    if (!table && table.error().code == ErrorCode::kNotFound) table = UserTable{};
    if (!table) return std::unexpected(table.error());
    if (Result<void> changed = change(*table); !changed) return changed;
    const std::string text = FileText(*table);
    if (!ReadsBackAs(text, *table)) return Refuse("names of users and vhosts have to be UTF-8");
    if (auto written = WritePrivateFile(path, text); !written) return written;
    Install(std::move(*table));
    return {};
  }

  const std::string path;
  const PasswordCost cost;
  // Stands in for the hash of users that do not exist.
  std::string decoy;
  mutable std::mutex mutex;
  UserTableRef current = std::make_shared<const UserTable>();
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
  Result<void> added = file.Add("guest", "guest", {"*"});
  // Another process was quicker.
  if (!added && added.error().code == ErrorCode::kExists) added = file.Reload();
  if (!added) return std::unexpected(added.error());
  return file;
}

Result<void> UserFile::Reload() {
  Result<UserTable> table = ReadUsers(state_->path);
  if (!table) return std::unexpected(table.error());
  struct stat info;
  if (stat(state_->path.c_str(), &info) == 0 && (info.st_mode & 077) != 0)
    LogWarn("the user file can be read by others; chmod 600 it", {{"file", state_->path}});
  state_->Install(std::move(*table));
  return {};
}

session::AuthResult UserFile::Verify(std::string_view name, std::string_view password) const {
  const UserTableRef users = state_->users();
  const auto it = users->find(name);
  const bool known = it != users->end();
  const HashText hash(known ? it->second.password_hash : state_->decoy);
  errno = 0;
  const bool right = crypto_pwhash_str_verify(hash.bytes, password.data(), password.size()) == 0;
  if (known && right) return {.ok = true, .vhosts = it->second.vhosts};
  if (errno == ENOMEM)
    return {.ok = false, .reason = "not enough memory to look at the password; try again later"};
  return {.ok = false, .reason = std::string(kWrong)};
}

bool UserFile::Knows(std::string_view name) const { return state_->users()->contains(name); }

std::vector<User> UserFile::List() const {
  const UserTableRef users = state_->users();
  std::vector<User> list;
  for (const auto& [name, user] : *users) list.push_back(user);
  return list;
}

Result<void> UserFile::Add(std::string_view name, std::string_view password,
                           std::vector<std::string> vhosts) {
  if (auto ok = CheckName(name); !ok) return ok;
  if (auto ok = CheckPassword(password); !ok) return ok;
  Result<std::string> hash = HashPassword(password, state_->cost);
  if (!hash) return std::unexpected(hash.error());
  return state_->Update([&](UserTable& users) -> Result<void> {
    if (users.contains(name))
      return Fail(ErrorCode::kExists,
                  fmt::format("user {} exists already in {}", name, state_->path));
    users.emplace(name, User{.name = std::string(name),
                             .password_hash = std::move(*hash),
                             .vhosts = std::move(vhosts)});
    return {};
  });
}

Result<void> UserFile::SetPassword(std::string_view name, std::string_view password) {
  if (auto ok = CheckPassword(password); !ok) return ok;
  Result<std::string> hash = HashPassword(password, state_->cost);
  if (!hash) return std::unexpected(hash.error());
  return state_->Update([&](UserTable& users) -> Result<void> {
    const auto it = users.find(name);
    if (it == users.end()) return std::unexpected(NoSuchUser(name, state_->path));
    it->second.password_hash = std::move(*hash);
    return {};
  });
}

Result<void> UserFile::Delete(std::string_view name) {
  return state_->Update([&](UserTable& users) -> Result<void> {
    const auto it = users.find(name);
    if (it == users.end()) return std::unexpected(NoSuchUser(name, state_->path));
    users.erase(it);
    return {};
  });
}

const std::string& UserFile::path() const { return state_->path; }

}  // namespace landfall::server
