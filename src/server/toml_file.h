#pragma once

#include <toml++/toml.h>

#include <string>

#include "base/error.h"

// Heavy (toml++): for .cc files.
namespace landfall::server {

// Errors: kNotFound; kIo; kInvalidArgument with "path:line: what is wrong".
Result<toml::table> ReadTomlFile(const std::string& path);

// "path:line" of something read from a file.
std::string TomlPlace(const std::string& path, const toml::source_region& source);

// As it would stand in a file.
std::string TomlString(const std::string& text);

// What a value is, in words: "the string \"x\"", "the number 3", "a table".
std::string TomlWords(const toml::node& node);

}  // namespace landfall::server
