#include "server/definition_entry.h"

#include <fmt/format.h>

#include <utility>

#include "access/pattern.h"
#include "server/table_json.h"

namespace landfall::server {

using nlohmann::json;

DefinitionEntry::DefinitionEntry(const json& object, std::string place)
    : object_(object), place_(std::move(place)) {
  if (!object.is_object()) Wrong("must be an object");
}

const json* DefinitionEntry::Find(const char* name) const {
  if (!object_.is_object()) return nullptr;
  const auto it = object_.find(name);
  return it == object_.end() ? nullptr : &*it;
}

const json* DefinitionEntry::Require(const char* name) {
  const json* value = Find(name);
  if (value == nullptr) Wrong(fmt::format("{} is missing", name));
  return value;
}

std::optional<std::string> DefinitionEntry::OptionalText(const char* name) {
  const json* value = Find(name);
  if (value == nullptr) return std::nullopt;
  if (!value->is_string()) {
    Wrong(fmt::format("{} must be a string", name));
    return std::nullopt;
  }
  return value->get<std::string>();
}

std::string DefinitionEntry::Text(const char* name, const char* otherwise) {
  if (otherwise == nullptr) Require(name);
  return OptionalText(name).value_or(otherwise == nullptr ? "" : otherwise);
}

bool DefinitionEntry::Flag(const char* name) {
  const json* value = Find(name);
  if (value == nullptr) return false;
  if (!value->is_boolean()) Wrong(fmt::format("{} must be true or false", name));
  return value->is_boolean() && value->get<bool>();
}

int64_t DefinitionEntry::Number(const char* name) {
  const json* value = Find(name);
  if (value == nullptr) return 0;
  if (!value->is_number_integer()) Wrong(fmt::format("{} must be an integer", name));
  return value->is_number_integer() ? value->get<int64_t>() : 0;
}

amqp::Table DefinitionEntry::Table(const char* name) {
  const json* value = Find(name);
  // What exports an empty object as [] is common.
  if (value == nullptr || (value->is_array() && value->empty())) return {};
  if (!value->is_object()) {
    Wrong(fmt::format("{} must be an object", name));
    return {};
  }
  auto table = ToTable(*value);
  if (!table)
    Wrong(fmt::format("a name in {} is longer than {} bytes", name, amqp::kMaxShortString));
  return table ? std::move(*table) : amqp::Table();
}

std::string DefinitionEntry::Pattern(const char* name, std::string_view what) {
  std::string text = Text(name);
  if (const auto pattern = access::Pattern::Compile(text); !pattern)
    Wrong(fmt::format("{}: {}", what, pattern.error().message));
  return text;
}

DefinitionEntry DefinitionEntry::Object(const char* name) {
  const json* value = Require(name);
  return {value == nullptr ? json() : *value, fmt::format("{}.{}", place_, name)};
}

void DefinitionEntry::Wrong(std::string_view sentence) {
  if (error_.empty()) error_ = fmt::format("{}: {}", place_, sentence);
}

void DefinitionEntry::Name(std::string_view name) { place_ += fmt::format(" ({})", name); }

void DefinitionEntry::Name(std::string_view name, std::string_view vhost) {
  place_ += fmt::format(" ({} in {})", name, vhost);
}

}  // namespace landfall::server
