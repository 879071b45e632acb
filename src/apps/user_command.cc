#include "apps/user_command.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <functional>
#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include "apps/password_input.h"
#include "apps/users_location.h"
#include "server/log.h"
#include "server/users.h"

namespace landfall::apps {
namespace {

struct UserFlags {
  UsersLocation users;
  std::string name;
  std::vector<std::string> vhosts{"*"};
  bool no_password = false;
  std::string vhost = "/";
  std::string exchange;
  std::string configure, write, read;
  std::vector<std::string> tags;
};

using server::UserFile;

// What a command does with the file. The sentence that it gives is printed.
using Action = std::function<Result<std::string>(UserFile&, const UserFlags&)>;

int Refuse(const std::string& message, int code) {
  std::cerr << "landfall user: " << message << '\n';
  return code;
}

int Run(const UserFlags& flags, const Action& action) {
  server::SetUpLog({});
  if (auto ok = flags.users.Check(); !ok) return Refuse(ok.error().message, 2);
  auto file = flags.users.Open();
  if (!file) return Refuse(file.error().message, 1);
  const auto done = action(*file, flags);
  if (!done) return Refuse(done.error().message, 1);
  std::cout << *done << std::flush;
  return 0;
}

std::string Changed(std::string_view what, const UserFlags& flags) {
  return fmt::format("{} user {} in {}; a running broker sees it after SIGHUP\n", what, flags.name,
                     flags.users.path());
}

Result<std::string> Add(UserFile& file, const UserFlags& flags) {
  // Asked before a person types a password in vain; Add makes sure.
  if (file.Knows(flags.name))
    return Fail(ErrorCode::kExists,
                fmt::format("user {} exists already in {}", flags.name, file.path()));
  if (flags.no_password) {
    if (auto done = file.AddWithoutPassword(flags.name, flags.vhosts); !done)
      return std::unexpected(done.error());
    return Changed("added", flags);
  }
  const auto password = ReadPassword();
  if (!password) return std::unexpected(password.error());
  if (auto done = file.Add(flags.name, *password, flags.vhosts); !done)
    return std::unexpected(done.error());
  return Changed("added", flags);
}

Result<std::string> SetPassword(UserFile& file, const UserFlags& flags) {
  if (!file.Knows(flags.name))
    return Fail(ErrorCode::kNotFound,
                fmt::format("there is no user {} in {}", flags.name, file.path()));
  const auto password = ReadPassword();
  if (!password) return std::unexpected(password.error());
  if (auto done = file.SetPassword(flags.name, *password); !done)
    return std::unexpected(done.error());
  return Changed("set the password of", flags);
}

Result<std::string> Delete(UserFile& file, const UserFlags& flags) {
  if (auto done = file.Delete(flags.name); !done) return std::unexpected(done.error());
  return Changed("deleted", flags);
}

// Of a change that only the file can refuse.
Action Changing(std::string what, std::function<Result<void>(UserFile&, const UserFlags&)> change) {
  return [what = std::move(what), change = std::move(change)](
             UserFile& file, const UserFlags& flags) -> Result<std::string> {
    if (auto done = change(file, flags); !done) return std::unexpected(done.error());
    return Changed(what, flags);
  };
}

std::string Describe(const server::User& user) {
  std::string out = fmt::format("{}\tvhosts: {}", user.name, fmt::join(user.vhosts, ", "));
  if (!user.tags.empty()) out += fmt::format("\ttags: {}", fmt::join(user.tags, ", "));
  if (user.password_hash.empty()) out += "\tno password";
  if (user.max_connections) out += fmt::format("\tmax_connections: {}", *user.max_connections);
  if (user.max_channels) out += fmt::format("\tmax_channels: {}", *user.max_channels);
  out += '\n';
  for (const auto& [vhost, p] : user.permissions)
    out += fmt::format("\t{}: configure '{}', write '{}', read '{}'\n", vhost, p.configure, p.write,
                       p.read);
  for (const auto& [vhost, exchanges] : user.topic_permissions)
    for (const auto& [exchange, p] : exchanges)
      out += fmt::format("\t{}, routing keys of {}: write '{}', read '{}'\n", vhost, exchange,
                         p.write, p.read);
  return out;
}

Result<std::string> List(UserFile& file, const UserFlags&) {
  std::string out;
  for (const server::User& user : file.List()) out += Describe(user);
  return out;
}

// Makes subcommands of `landfall user`.
class Commands {
 public:
  explicit Commands(CLI::App* users) : users_(users) {}

  struct Command {
    CLI::App* app;
    std::shared_ptr<UserFlags> flags;

    void TakesVhost() {
      app->add_option("--vhost", flags->vhost, "The vhost")->capture_default_str();
    }
    void TakesPattern(const std::string& name, std::string UserFlags::* at) {
      app->add_option(name, flags.get()->*at, "A regular expression; '' for nothing, '.*' for all")
          ->required();
    }
  };

  Command Add(const std::string& name, const std::string& help, Action action) {
    CLI::App* command = users_->add_subcommand(name, help);
    auto flags = std::make_shared<UserFlags>();
    flags->users.AddFlags(*command);
    command->callback([flags, action = std::move(action)] {
      const int code = Run(*flags, action);
      if (code != 0) throw CLI::RuntimeError(code);
    });
    return {command, flags};
  }
  Command AddNamed(const std::string& name, const std::string& help, Action action) {
    Command command = Add(name, help, std::move(action));
    command.app->add_option("NAME", command.flags->name, "The user's name")->required();
    return command;
  }

 private:
  CLI::App* users_;
};

void AddPermissionCommands(Commands& commands) {
  auto set = commands.AddNamed(
      "set-permissions", "Says what a user may do in a vhost",
      Changing("set the permissions of", [](UserFile& file, const UserFlags& f) {
        return file.SetPermissions(f.name, f.vhost,
                                   {.configure = f.configure, .write = f.write, .read = f.read});
      }));
  set.TakesVhost();
  set.TakesPattern("CONFIGURE", &UserFlags::configure);
  set.TakesPattern("WRITE", &UserFlags::write);
  set.TakesPattern("READ", &UserFlags::read);

  commands
      .AddNamed("clear-permissions", "Lets a user no longer open a vhost; * is every vhost",
                Changing("cleared the permissions of",
                         [](UserFile& file, const UserFlags& f) {
                           return file.ClearPermissions(f.name, f.vhost);
                         }))
      .TakesVhost();

  auto set_topic = commands.AddNamed(
      "set-topic-permissions", "Says which routing keys of a topic exchange a user may use",
      Changing("set the topic permissions of", [](UserFile& file, const UserFlags& f) {
        return file.SetTopicPermissions(f.name, f.vhost, f.exchange,
                                        {.write = f.write, .read = f.read});
      }));
  set_topic.TakesVhost();
  set_topic.app->add_option("EXCHANGE", set_topic.flags->exchange, "A topic exchange")->required();
  set_topic.TakesPattern("WRITE", &UserFlags::write);
  set_topic.TakesPattern("READ", &UserFlags::read);

  auto clear_topic = commands.AddNamed(
      "clear-topic-permissions", "Lets a user use every routing key again",
      Changing("cleared the topic permissions of", [](UserFile& file, const UserFlags& f) {
        return file.ClearTopicPermissions(f.name, f.vhost, f.exchange);
      }));
  clear_topic.TakesVhost();
  clear_topic.app->add_option("EXCHANGE", clear_topic.flags->exchange,
                              "A topic exchange; without it all of them");

  auto tags = commands.AddNamed("set-tags", "Sets a user's tags, none if none is given",
                                Changing("set the tags of", [](UserFile& file, const UserFlags& f) {
                                  return file.SetTags(f.name, f.tags);
                                }));
  tags.app->add_option("TAG", tags.flags->tags, "administrator, monitoring, impersonator …");
}

}  // namespace

void AddUserCommand(CLI::App& app) {
  CLI::App* users = app.add_subcommand("user", "Changes the users that a broker lets in");
  users->require_subcommand(1);
  Commands commands(users);
  auto add =
      commands.AddNamed("add", "Adds a user; the password comes from stdin or a prompt", Add);
  add.app->add_option("--vhost", add.flags->vhosts,
                      "A vhost in which the user may do everything; * is all (default), '' none");
  add.app->add_flag("--no-password", add.flags->no_password,
                    "The user logs in with a TLS certificate only");
  commands.AddNamed("passwd", "Sets a password, which comes from stdin or a prompt", SetPassword);
  commands.AddNamed("delete", "Deletes a user; a running broker closes the user's connections",
                    Delete);
  AddPermissionCommands(commands);
  commands.Add("list", "Lists the users and what they may do", List);
}

}  // namespace landfall::apps
