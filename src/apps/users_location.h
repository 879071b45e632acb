#pragma once

#include <string>

#include "base/error.h"
#include "server/users.h"

namespace CLI {  // NOLINT(readability-identifier-naming)
class App;
}

namespace landfall::apps {

// Whose users a command works on, as its flags say.
struct UsersLocation {
  std::string users_file;
  std::string data_dir;

  // --users-file and --data-dir; the location outlives the parsing.
  void AddFlags(CLI::App& command);
  bool said() const { return !users_file.empty() || !data_dir.empty(); }
  std::string path() const { return users_file.empty() ? data_dir + "/users.toml" : users_file; }
  // kInvalidArgument: not exactly one of the two is said, or a directory that is not there: a file
  // is made by its first change where there is none, but not in a place that was mistyped.
  Result<void> Check() const;
  // After Check. As UserFile::Open.
  Result<server::UserFile> Open() const;
};

}  // namespace landfall::apps
