#include "server/table_json.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace landfall::server {
namespace {

using nlohmann::json;

constexpr int kMaxDepth = 64;

json ToJson(const amqp::Value& value) {
  if (const auto v = value.AsInteger()) return *v;
  if (const auto v = value.AsBool()) return *v;
  if (const auto v = value.AsDouble()) return *v;
  if (const auto v = value.AsDecimal()) return v->value / std::pow(10.0, v->scale);
  if (const auto v = value.AsTimestamp()) return *v;
  if (const auto v = value.AsBytes()) return std::string(*v);
  if (const amqp::Table* v = value.AsTable()) return server::ToJson(*v);
  if (const amqp::Array* v = value.AsArray()) {
    json array = json::array();
    for (const amqp::Value& each : *v) array.push_back(ToJson(each));
    return array;
  }
  return nullptr;
}

// False: a name is too long.
bool ToAmqp(const json& value, int depth, amqp::Value& out);

bool AddEntries(const json& object, int depth, amqp::Table& table) {
  if (depth >= amqp::kMaxTableDepth) return true;
  for (const auto& [name, value] : object.items()) {
    amqp::Value entry;
    if (name.size() > amqp::kMaxShortString || !ToAmqp(value, depth, entry)) return false;
    table.Append(name, std::move(entry));  // names in an object differ
  }
  return true;
}

bool ToAmqp(const json& value, int depth, amqp::Value& out) {
  if (value.is_boolean()) {
    out = value.get<bool>();
  } else if (value.is_number_unsigned() && value.get<uint64_t>() > INT64_MAX) {
    out = value.get<double>();
  } else if (value.is_number_integer()) {
    out = value.get<int64_t>();
  } else if (value.is_number_float()) {
    out = value.get<double>();
  } else if (value.is_string()) {
    out = value.get<std::string>();
  } else if (value.is_object()) {
    amqp::Table table;
    if (!AddEntries(value, depth + 1, table)) return false;
    out = std::move(table);
  } else if (value.is_array() && depth < amqp::kMaxTableDepth) {
    amqp::Array array;
    for (const json& each : value) {
      amqp::Value element;
      if (!ToAmqp(each, depth + 1, element)) return false;
      array.push_back(std::move(element));
    }
    out = std::move(array);
  }
  return true;
}

// Hands what stands outside of strings to visit(char), until that says false.
template <class Visit>
void ForEachMark(std::string_view text, Visit&& visit) {
  bool in_string = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string && c == '\\') {
      ++i;
    } else if (c == '"') {
      in_string = !in_string;
    } else if (!in_string && !visit(c)) {
      return;
    }
  }
}

bool IsTooDeep(std::string_view text) {
  int depth = 0;
  ForEachMark(text, [&](char c) {
    if (c == '[' || c == '{') ++depth;
    if (c == ']' || c == '}') --depth;
    return depth <= kMaxDepth;
  });
  return depth > kMaxDepth;
}

std::string PlaceIn(std::string_view text, size_t byte) {
  const std::string_view before = text.substr(0, std::min(byte, text.size()));
  const size_t line_start = before.rfind('\n') + 1;  // 0 in the first line
  return fmt::format("line {}, byte {}", 1 + std::ranges::count(before, '\n'),
                     before.size() - line_start);
}

std::unexpected<Error> Refuse(std::string sentence) {
  return Fail(ErrorCode::kInvalidArgument, std::move(sentence));
}

}  // namespace

json ToJson(const amqp::Table& table) {
  json object = json::object();
  for (const amqp::TableEntry& entry : table) object[entry.name] = ToJson(entry.value);
  return object;
}

std::optional<amqp::Table> ToTable(const json& object) {
  amqp::Table table;
  if (!AddEntries(object, 0, table)) return std::nullopt;
  return table;
}

size_t CountJsonValues(std::string_view text) {
  size_t count = 1;
  ForEachMark(text, [&](char c) {
    count += c == ',' || c == ':' || c == '[' || c == '{';
    return true;
  });
  return count;
}

Result<json> ParseJson(std::string_view text) {
  if (IsTooDeep(text))
    return Refuse(fmt::format("JSON with more than {} levels is not taken", kMaxDepth));
  try {
    return json::parse(text);
  } catch (const json::parse_error& e) {
    // Its own text repeats what it has read last, which may be a password.
    return Refuse(fmt::format("not JSON from {} on", PlaceIn(text, e.byte)));
  } catch (const json::exception& e) {
    return Refuse(fmt::format("not JSON (error {} of its reader)", e.id));
  }
}

}  // namespace landfall::server
