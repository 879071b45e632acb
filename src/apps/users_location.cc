#include "apps/users_location.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <filesystem>

namespace landfall::apps {

void UsersLocation::AddFlags(CLI::App& command) {
  command.add_option("--users-file", users_file, "The broker's user file");
  command.add_option("--data-dir", data_dir, "The broker's data directory, with users.toml in it");
}

Result<void> UsersLocation::Check() const {
  if (users_file.empty() == data_dir.empty())
    return Fail(ErrorCode::kInvalidArgument,
                "say which users with either --users-file FILE or --data-dir DIR");
  const std::string directory = std::filesystem::absolute(path()).parent_path().string();
  if (!std::filesystem::is_directory(directory))
    return Fail(ErrorCode::kInvalidArgument, fmt::format("there is no directory {}", directory));
  return {};
}

Result<server::UserFile> UsersLocation::Open() const {
  return server::UserFile::Open(path(), server::UserFile::IfMissing::kStartEmpty);
}

}  // namespace landfall::apps
