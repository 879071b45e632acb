#include "apps/user_command.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <filesystem>
#include <functional>
#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include "apps/password_input.h"
#include "server/log.h"
#include "server/users.h"

namespace landfall::apps {
namespace {

struct UserFlags {
  std::string users_file;
  std::string data_dir;
  std::string name;
  std::vector<std::string> vhosts{"*"};

  std::string path() const { return users_file.empty() ? data_dir + "/users.toml" : users_file; }
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
  if (flags.users_file.empty() == flags.data_dir.empty())
    return Refuse("say which users with either --users-file FILE or --data-dir DIR", 2);
  // A file is made where there is none, but not for a mistyped directory.
  const std::string directory = std::filesystem::absolute(flags.path()).parent_path().string();
  if (!std::filesystem::is_directory(directory))
    return Refuse(fmt::format("there is no directory {}", directory), 2);
  auto file = UserFile::Open(flags.path(), UserFile::IfMissing::kStartEmpty);
  if (!file) return Refuse(file.error().message, 1);
  const auto done = action(*file, flags);
  if (!done) return Refuse(done.error().message, 1);
  std::cout << *done << std::flush;
  return 0;
}

std::string Changed(std::string_view what, const UserFlags& flags) {
  return fmt::format("{} user {} in {}; a running broker sees it after SIGHUP\n", what, flags.name,
                     flags.path());
}

Result<std::string> Add(UserFile& file, const UserFlags& flags) {
  // Asked before a person types a password in vain; Add makes sure.
  if (file.Knows(flags.name))
    return Fail(ErrorCode::kExists,
                fmt::format("user {} exists already in {}", flags.name, file.path()));
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

Result<std::string> List(UserFile& file, const UserFlags&) {
  std::string out;
  for (const server::User& user : file.List())
    out += fmt::format("{}\tvhosts: {}\n", user.name, fmt::join(user.vhosts, ", "));
  return out;
}

}  // namespace

void AddUserCommand(CLI::App& app) {
  CLI::App* users = app.add_subcommand("user", "Changes the users that a broker lets in");
  users->require_subcommand(1);
  const auto add = [users](const std::string& name, const std::string& help, bool named,
                           Action action) {
    CLI::App* command = users->add_subcommand(name, help);
    auto flags = std::make_shared<UserFlags>();
    if (named) command->add_option("NAME", flags->name, "The user's name")->required();
    command->add_option("--users-file", flags->users_file, "The broker's user file");
    command->add_option("--data-dir", flags->data_dir,
                        "The broker's data directory, with users.toml in it");
    command->callback([flags, action = std::move(action)] {
      const int code = Run(*flags, action);
      if (code != 0) throw CLI::RuntimeError(code);
    });
    return std::pair(command, flags);
  };
  const auto [command, flags] =
      add("add", "Adds a user; the password comes from stdin or a prompt", true, Add);
  command->add_option("--vhost", flags->vhosts,
                      "A vhost that the user may open; * is all (default)");
  add("passwd", "Sets a password, which comes from stdin or a prompt", true, SetPassword);
  add("delete", "Deletes a user; connections that are open stay open", true, Delete);
  add("list", "Lists the users and the vhosts that they may open", false, List);
}

}  // namespace landfall::apps
