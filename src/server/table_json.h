#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "amqp/table.h"
#include "base/error.h"

// Field tables as JSON and JSON as field tables. Heavy (nlohmann/json): for .cc files.
namespace landfall::server {

// What JSON cannot say loses its type: a timestamp is its number of seconds, bytes are a string.
nlohmann::json ToJson(const amqp::Table& table);

// Numbers, texts, lists and objects as the types in which clients send them. Nothing: a name is
// longer than the 255 bytes that a table can have.
std::optional<amqp::Table> ToTable(const nlohmann::json& object);

// Not fewer than there are in a text of JSON, those within others and the names of fields among
// them: what it takes in memory grows with them, up to some hundred bytes each.
size_t CountJsonValues(std::string_view text);

// Of somebody who is not trusted: the memory is a constant times the size of the text, and nobody
// decides how deep our stack goes. kInvalidArgument says where it ceases to be JSON and repeats
// nothing, since it may be a password.
Result<nlohmann::json> ParseJson(std::string_view text);

}  // namespace landfall::server
