#include "admin/message_filter.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <nlohmann/json.hpp>

#include "amqp/properties.h"
#include "broker/dead_letter.h"
#include "server/table_json.h"

namespace landfall::admin {
namespace {

// In time that grows with the sum of both, which a search by string_view does not promise.
bool Has(ByteView bytes, std::string_view what) {
  return memmem(bytes.data(), bytes.size(), what.data(), what.size()) != nullptr;
}

// As people write it: a string without quotes, anything else as JSON has it.
std::string TextOf(const amqp::Value& value) {
  amqp::Table table;
  table.Append("value", value);
  const nlohmann::json json = server::ToJson(table)["value"];
  return json.is_string() ? json.get<std::string>()
                          : json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

bool HasHeader(const broker::Message& message, const MessageFilter& filter) {
  const auto properties = amqp::DecodeProperties(message.properties());
  if (!properties) return false;
  const auto value = properties->headers.Find(filter.header);
  return value && (filter.any_value || TextOf(*value) == filter.value);
}

}  // namespace

bool MessageFilter::Matches(const broker::Message& message) const {
  // Strings stand in encoded properties as they are.
  if (!search.empty() && !Has(message.body().substr(0, kSearchedBytes), search) &&
      !Has(message.properties(), search) && !Has(message.routing_key(), search) &&
      !Has(message.exchange(), search)) {
    return false;
  }
  if (!header.empty() && !HasHeader(message, *this)) return false;
  if (reason.empty() && origin_queue.empty()) return true;
  const auto death = broker::LastDeathOf(message);
  return death && (reason.empty() || death->reason == reason) &&
         (origin_queue.empty() || death->queue == origin_queue);
}

uint64_t MessageFilter::Searched(const broker::Message& message) const {
  if (empty()) return 0;
  return message.properties().size() +
         (search.empty() ? 0 : std::min(message.body().size(), kSearchedBytes));
}

Result<void> CheckFilter(const MessageFilter& filter) {
  const std::pair<const char*, const std::string&> texts[] = {
      {"search", filter.search},
      {"header", filter.header},
      {"the value of header", filter.value},
      {"reason", filter.reason},
      {"origin_queue", filter.origin_queue}};
  for (const auto& [name, text] : texts) {
    if (text.size() <= MessageFilter::kMaxText) continue;
    return Fail(ErrorCode::kInvalidArgument,
                fmt::format("{} must not be longer than {} bytes", name, MessageFilter::kMaxText));
  }
  return {};
}

Result<void> ReadHeaderCondition(std::string_view text, MessageFilter& filter) {
  const size_t colon = text.find(':');
  filter.header = text.substr(0, colon);
  filter.any_value = colon == std::string_view::npos;
  if (!filter.any_value) filter.value = text.substr(colon + 1);
  if (filter.header.empty())
    return Fail(ErrorCode::kInvalidArgument, "header must be NAME or NAME:VALUE");
  return {};
}

}  // namespace landfall::admin
