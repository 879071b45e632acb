#include "server/toml_file.h"

#include <fmt/format.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <sstream>

namespace landfall::server {

Result<toml::table> ReadTomlFile(const std::string& path) {
  errno = 0;
  std::ifstream in(path);
  std::ostringstream text;
  if (in) text << in.rdbuf();
  // A directory opens, and then cannot be read; an empty file gives failbit on `text` alone.
  if (!in.is_open() || in.bad() || (!text && errno != 0)) {
    return Fail(errno == ENOENT ? ErrorCode::kNotFound : ErrorCode::kIo,
                fmt::format("cannot read {}: {}", path, std::strerror(errno)));
  }
  try {
    return toml::parse(text.str(), path);
  } catch (const toml::parse_error& error) {
    return Fail(
        ErrorCode::kInvalidArgument,
        fmt::format("{}: not TOML: {}", TomlPlace(path, error.source()), error.description()));
  }
}

std::string TomlPlace(const std::string& path, const toml::source_region& source) {
  return fmt::format("{}:{}", path, source.begin.line);
}

std::string TomlString(const std::string& text) {
  std::ostringstream out;
  out << toml::toml_formatter(toml::value<std::string>(text), toml::format_flags::none);
  return out.str();
}

std::string TomlWords(const toml::node& node) {
  if (const auto* text = node.as_string()) return "the string " + TomlString(text->get());
  if (const auto* number = node.as_integer()) return fmt::format("the number {}", number->get());
  if (const auto* number = node.as_floating_point())
    return fmt::format("the number {}", number->get());
  if (const auto* flag = node.as_boolean()) return flag->get() ? "true" : "false";
  if (node.is_array()) return "a list";
  if (node.is_table()) return "a table";
  return "a date or time";
}

}  // namespace landfall::server
