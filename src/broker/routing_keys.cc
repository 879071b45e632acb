#include "broker/routing_keys.h"

#include <fmt/format.h>

#include <optional>
#include <string_view>
#include <utility>

#include "amqp/properties.h"
#include "broker/refusal.h"

namespace landfall::broker {
namespace {

constexpr std::string_view kCc = "CC";
constexpr std::string_view kBcc = "BCC";

void AppendStrings(const amqp::Array& array, std::vector<std::string>& keys) {
  for (const amqp::Value& value : array) {
    if (const auto key = value.AsString()) keys.emplace_back(*key);
  }
}

}  // namespace

Result<RoutingKeys> RoutingKeys::Read(ByteView own, amqp::TableView headers) {
  RoutingKeys keys(own);
  for (const std::string_view name : {kCc, kBcc}) {
    if (!headers.Contains(name)) continue;
    const std::optional<amqp::Value> value = headers.Find(name);
    if (!value) continue;
    if (value->AsArray() == nullptr) {
      return Fail(ErrorCode::kInvalidArgument,
                  fmt::format("invalid message: {{unacceptable_type_in_header,\"{}\",{}}}", name,
                              FieldTypeName(*value)));
    }
    AppendStrings(*value->AsArray(), keys.more_);
  }
  return keys;
}

std::vector<std::string> CcOf(const amqp::Table& headers) {
  std::vector<std::string> keys;
  const amqp::Value* value = headers.Find(kCc);
  if (value != nullptr && value->AsArray() != nullptr) AppendStrings(*value->AsArray(), keys);
  return keys;
}

void EraseExtraKeys(amqp::Table& headers) {
  headers.Erase(kCc);
  headers.Erase(kBcc);
}

ByteView WithoutBcc(ByteView properties, ByteBuffer& buffer) {
  // Every delivery comes by here, and nearly none has the header: look for its name before
  // anything is decoded.
  constexpr auto kHeadersBit = static_cast<uint8_t>(amqp::kHasHeaders >> 8);
  if (properties.empty() || (static_cast<uint8_t>(properties.front()) & kHeadersBit) == 0 ||
      properties.find("\3BCC") == ByteView::npos) {
    return properties;
  }
  const auto view = amqp::DecodeProperties(properties);
  if (!view || !view->headers.Contains(kBcc)) return properties;
  auto owned = amqp::Properties::From(*view);
  if (!owned) return properties;
  owned->headers->Erase(kBcc);
  buffer.clear();
  amqp::AppendProperties(buffer, *owned);
  return buffer;
}

}  // namespace landfall::broker
