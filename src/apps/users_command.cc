// `landfall users` and `landfall permissions`: of a broker that runs. `landfall user` changes its
// file.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>

#include "apps/api_verb.h"
#include "apps/operator_commands.h"
#include "apps/password_input.h"

namespace landfall::apps {
namespace {
using nlohmann::json;

struct UserFlags {
  std::string name;
  std::vector<std::string> tags;
  bool no_password = false;
  std::string vhost = "/";
  std::string configure, write, read;

  std::string path() const { return "/api/users/" + Quoted(name); }
  std::string permission() const {
    return "/api/permissions/" + Quoted(vhost) + "/" + Quoted(name);
  }
};

Outcome<void> Put(Api& api, const UserFlags& flags, const json& user, std::string_view what) {
  const auto done = api->Put(flags.path(), user);
  if (!done) return std::unexpected(done.error());
  api.Say(fmt::format("user {} {}", flags.name, what));
  return {};
}

Outcome<void> ListUsers(Api& api) {
  auto users = api->Get("/api/users");
  if (!users) return std::unexpected(users.error());
  for (json& user : *users) {
    user["has_password"] = !user.value("password_hash", "").empty();
    user.erase("password_hash");
  }
  api.PrintList(
      *users,
      {{"user", "name"}, {"tags", "tags"}, {"password", "has_password"}, {"limits", "limits"}});
  return {};
}

Outcome<void> AddUser(Api& api, const UserFlags& flags) {
  // PUT would change one that is there.
  const auto there = api->Send("GET", flags.path());
  if (!there) return std::unexpected(there.error());
  if (there->status == 200)
    return Failing(kExitFailed, fmt::format("user {} exists already", flags.name));
  if (there->status != 404) return std::unexpected(FailureOf(*there));
  json user{{"tags", flags.tags}};
  if (flags.no_password) {
    user["password_hash"] = "";
  } else {
    const auto password = ReadPassword();
    if (!password) return NotTried(password.error());
    user["password"] = *password;
  }
  return Put(api, flags, user, "is there");
}

// PUT takes all of a user, so what stays is read first.
Outcome<void> SetPassword(Api& api, const UserFlags& flags) {
  const auto user = api->Get(flags.path());
  if (!user) return std::unexpected(user.error());
  const auto password = ReadPassword();
  if (!password) return NotTried(password.error());
  return Put(api, flags, {{"tags", user->at("tags")}, {"password", *password}},
             "has a new password");
}

Outcome<void> SetTags(Api& api, const UserFlags& flags) {
  const auto user = api->Get(flags.path());
  if (!user) return std::unexpected(user.error());
  json changed{{"tags", flags.tags}, {"password_hash", user->value("password_hash", "")}};
  if (user->contains("hashing_algorithm"))
    changed["hashing_algorithm"] = user->at("hashing_algorithm");
  return Put(api, flags, changed, "has these tags");
}

Outcome<void> DeleteUser(Api& api, const UserFlags& flags) {
  const auto user = api->Get(flags.path());
  if (!user) return std::unexpected(user.error());
  const std::string question =
      fmt::format("Delete user {} and close all of their connections?", flags.name);
  if (auto ok = api.Confirm(question); !ok) return ok;
  const auto done = api->Delete(flags.path());
  if (!done) return std::unexpected(done.error());
  api.Say(fmt::format("user {} is deleted", flags.name));
  return {};
}

Outcome<void> ListPermissions(Api& api, const UserFlags& flags) {
  const auto all =
      api->Get(flags.name.empty() ? "/api/permissions" : flags.path() + "/permissions");
  if (!all) return std::unexpected(all.error());
  api.PrintList(*all, {{"vhost", "vhost"},
                       {"user", "user"},
                       {"configure", "configure"},
                       {"write", "write"},
                       {"read", "read"}});
  return {};
}

Outcome<void> SetPermissions(Api& api, const UserFlags& flags) {
  const auto done =
      api->Put(flags.permission(),
               {{"configure", flags.configure}, {"write", flags.write}, {"read", flags.read}});
  if (!done) return std::unexpected(done.error());
  api.Say(fmt::format("user {} may do that in vhost {}", flags.name, flags.vhost));
  return {};
}

Outcome<void> ClearPermissions(Api& api, const UserFlags& flags) {
  const std::string question =
      fmt::format("Let user {} no longer open vhost {}?", flags.name, flags.vhost);
  if (auto ok = api.Confirm(question); !ok) return ok;
  const auto done = api->Delete(flags.permission());
  if (!done) return std::unexpected(done.error());
  api.Say(fmt::format("user {} may no longer open vhost {}", flags.name, flags.vhost));
  return {};
}

using UserVerb = Outcome<void> (*)(Api&, const UserFlags&);
struct Added {
  CLI::App* command;
  std::shared_ptr<UserFlags> flags;

  void TakesVhost() const {
    command->add_option("--vhost", flags->vhost, "The vhost")->capture_default_str();
  }
};

Added AddForUser(CLI::App& parent, const std::string& name, const std::string& help, VerbKind kind,
                 UserVerb verb) {
  CLI::App* command = parent.add_subcommand(name, help);
  const auto flags = std::make_shared<UserFlags>();
  command->add_option("NAME", flags->name, "The user's name")->required();
  SetVerb(*command, kind, [flags, verb](Api& api) { return verb(api, *flags); });
  return {command, flags};
}

void AddSetPermissions(CLI::App& parent, const std::string& name) {
  const Added set = AddForUser(parent, name, "Says what a user may do in a vhost",
                               VerbKind::kChanges, SetPermissions);
  set.TakesVhost();
  const auto pattern = [&](const char* what, std::string& at) {
    set.command->add_option(what, at, "A regular expression; '' for nothing, '.*' for all")
        ->required();
  };
  pattern("CONFIGURE", set.flags->configure);
  pattern("WRITE", set.flags->write);
  pattern("READ", set.flags->read);
}

void AddUsers(CLI::App& app) {
  CLI::App* users = app.add_subcommand(
      "users", "Shows and changes the users of a broker that runs (user: those in its file)");
  users->require_subcommand(1);
  SetVerb(*users->add_subcommand("list", "Users with their tags"), VerbKind::kShows, ListUsers);
  const Added add = AddForUser(*users, "add", "Adds one; the password comes from stdin or a prompt",
                               VerbKind::kChanges, AddUser);
  add.command->add_option("--tag", add.flags->tags, "management, monitoring …; may be repeated")
      ->allow_extra_args(false);
  add.command->add_flag("--no-password", add.flags->no_password,
                        "The user logs in with a TLS certificate only");
  AddForUser(*users, "set-password", "Sets a password, which comes from stdin or a prompt",
             VerbKind::kChanges, SetPassword);
  const Added tags = AddForUser(*users, "set-tags", "Sets a user's tags, none if none is given",
                                VerbKind::kChanges, SetTags);
  tags.command->add_option("TAG", tags.flags->tags, "administrator, monitoring …");
  AddSetPermissions(*users, "set-permissions");
  AddForUser(*users, "delete", "Deletes a user and closes the user's connections",
             VerbKind::kDestroys, DeleteUser);
}

void AddPermissions(CLI::App& app) {
  CLI::App* permissions = app.add_subcommand("permissions", "Who may do what in which vhost");
  permissions->require_subcommand(1);
  CLI::App* list = permissions->add_subcommand("list", "Permissions of all users, or of one");
  const auto flags = std::make_shared<UserFlags>();
  list->add_option("NAME", flags->name, "A user's name");
  SetVerb(*list, VerbKind::kShows, [flags](Api& api) { return ListPermissions(api, *flags); });
  AddSetPermissions(*permissions, "set");
  AddForUser(*permissions, "clear", "Lets a user no longer open a vhost", VerbKind::kDestroys,
             ClearPermissions)
      .TakesVhost();
}

}  // namespace

void AddUserCommands(CLI::App& app) {
  AddUsers(app);
  AddPermissions(app);
}

}  // namespace landfall::apps
