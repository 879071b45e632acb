#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "amqp/table.h"

// Heavy (nlohmann/json): for .cc files.
namespace landfall::server {

// The fields of one entry of a section of definitions, and the first thing that is wrong with them:
// what cannot be read is an empty value, and an error that names the place. Errors do not repeat
// values, which may be secrets.
class DefinitionEntry {
 public:
  DefinitionEntry(const nlohmann::json& object, std::string place);

  // Of a field that must be there, unless `otherwise` says what its absence means.
  std::string Text(const char* name, const char* otherwise = nullptr);
  std::optional<std::string> OptionalText(const char* name);
  bool Flag(const char* name);
  int64_t Number(const char* name);
  amqp::Table Table(const char* name);
  // A regular expression; `what` is what an error calls it.
  std::string Pattern(const char* name, std::string_view what);
  // Must be there.
  DefinitionEntry Object(const char* name);
  // Null: it is not there.
  const nlohmann::json* Find(const char* name) const;

  void Wrong(std::string_view sentence);
  // What errors from then on call the entry, besides its number.
  void Name(std::string_view name);
  void Name(std::string_view name, std::string_view vhost);
  const std::string& place() const { return place_; }
  const std::string& error() const { return error_; }

 private:
  const nlohmann::json* Require(const char* name);

  const nlohmann::json object_;
  std::string place_;
  std::string error_;
};

}  // namespace landfall::server
