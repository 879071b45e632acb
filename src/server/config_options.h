#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "server/config.h"

namespace landfall::server {

// The kinds of values that a key of the file may have.
struct TomlKinds {
  bool text = false, number = false, truth = false, list = false;
};

// How options of one kind are read and shown.
struct OptionKind {
  std::string value_name;  // in the help; empty: a flag that needs no value
  std::string expects;     // completes "must be …"
  TomlKinds toml;
  // Of one value, or of a list's. False: not acceptable, and nothing has changed.
  std::function<bool(Config&, const std::vector<std::string>&)> read;
  // As it stands in a file.
  std::function<std::string(const Config&)> show;
};

// One thing that can be configured: by the flag --amqp-listen, the environment variable
// LANDFALL_AMQP_LISTEN and the key amqp_listen of the file.
struct ConfigOption {
  std::string name;  // the key
  OptionKind kind;
  std::string help;
  // What happens without it, if that is not simply the value in a fresh Config.
  std::string default_words;

  std::string flag() const;
  std::string variable() const;
};

// All there are, in the order in which a person reads about them.
const std::vector<ConfigOption>& ConfigOptions();

// The one of `known` that `name` was probably meant to be, or nothing.
std::string NearestName(std::string_view name, const std::vector<std::string>& known);

}  // namespace landfall::server
