#include "client/message_encoding.h"

#include <chrono>

#include "base/assert.h"
#include "base/wire.h"

namespace landfall::client {
namespace {

amqp::Value ToValue(const HeaderValue& value) {
  struct {
    amqp::Value operator()(std::monostate) const { return {}; }
    amqp::Value operator()(bool v) const { return v; }
    amqp::Value operator()(int64_t v) const { return v; }
    amqp::Value operator()(double v) const { return v; }
    amqp::Value operator()(const std::string& v) const { return v; }
  } const convert;
  return std::visit(convert, value);
}

std::optional<HeaderValue> FromValue(const amqp::Value& value) {
  if (value.IsVoid()) return HeaderValue();
  if (const auto v = value.AsBool()) return HeaderValue(*v);
  if (const auto v = value.AsInteger()) return HeaderValue(*v);
  if (const auto v = value.AsDouble()) return HeaderValue(*v);
  if (const auto v = value.AsBytes()) return HeaderValue(std::string(*v));
  if (const auto v = value.AsTimestamp()) return HeaderValue(static_cast<int64_t>(*v));
  return std::nullopt;
}

// Appends the 8 bytes of a number and says where they are.
size_t AppendNumberHeader(ByteBuffer& out, std::string_view name, uint64_t value) {
  AppendBig<uint8_t>(out, static_cast<uint8_t>(name.size()));
  out.append(name);
  out += 'l';
  const size_t at = out.size();
  AppendBig<uint64_t>(out, value);
  return at;
}

}  // namespace

amqp::Table ToTable(const Headers& headers) {
  amqp::Table table;
  for (const auto& [name, value] : headers) table.Append(name, ToValue(value));
  return table;
}

Headers ToHeaders(amqp::TableView table) {
  Headers headers;
  const Result<amqp::Table> decoded = table.Decode();
  if (!decoded) return headers;
  for (const amqp::TableEntry& entry : *decoded) {
    if (entry.name.starts_with(kProducerHeader)) continue;
    if (auto value = FromValue(entry.value)) headers.emplace(entry.name, std::move(*value));
  }
  return headers;
}

std::optional<std::string> WhatIsWrong(const MessageOptions& options) {
  const auto too_long = [](const std::string& text) { return text.size() > amqp::kMaxShortString; };
  if (options.routing_key && too_long(*options.routing_key)) {
    return "the routing key is above 255 bytes";
  }
  if (options.exchange && too_long(*options.exchange)) return "the exchange is above 255 bytes";
  for (const std::string* text :
       {&options.message_id, &options.content_type, &options.content_encoding,
        &options.correlation_id, &options.reply_to, &options.type, &options.app_id}) {
    if (too_long(*text)) {
      return "'" + text->substr(0, 32) + "…' is above 255 bytes, the most a property may have";
    }
  }
  for (const auto& [name, value] : options.headers) {
    if (too_long(name)) return "the header name '" + name.substr(0, 32) + "…' is above 255 bytes";
    if (name.starts_with(kProducerHeader)) {
      return "the header name '" + name + "' belongs to the client";
    }
  }
  if (options.expiration && options.expiration->count() < 0) return "the expiration is negative";
  if (options.sequence && (*options.sequence == 0 || *options.sequence > INT64_MAX)) {
    return "a sequence is a number from 1 to 2^63-1";
  }
  return std::nullopt;
}

PropertyEncoder::PropertyEncoder(std::string_view producer, uint64_t epoch) {
  AppendBig<uint8_t>(identity_, static_cast<uint8_t>(kProducerHeader.size()));
  identity_.append(kProducerHeader);
  identity_ += 'S';
  AppendBig<uint32_t>(identity_, static_cast<uint32_t>(producer.size()));
  identity_.append(producer);
  AppendNumberHeader(identity_, kEpochHeader, epoch);
  sequence_at_ = AppendNumberHeader(identity_, kSequenceHeader, 0);
  lowest_at_ = AppendNumberHeader(identity_, kLowestHeader, 0);

  amqp::PropertiesView plain;
  plain.SetHeaders(amqp::TableView(identity_));
  plain.delivery_mode = amqp::kPersistent;
  plain.flags |= amqp::kHasDeliveryMode;
  amqp::AppendProperties(plain_, plain);
  plain_identity_at_ = plain_.find(identity_);
  LANDFALL_ASSERT(plain_identity_at_ != ByteBuffer::npos);
}

void PropertyEncoder::SetNumbers(char* identity, uint64_t sequence, uint64_t lowest) const {
  StoreBig<uint64_t>(identity + sequence_at_, sequence);
  StoreBig<uint64_t>(identity + lowest_at_, lowest);
}

ByteView PropertyEncoder::Encode(const MessageOptions* options, uint64_t sequence,
                                 uint64_t lowest) {
  if (options == nullptr) {
    SetNumbers(plain_.data() + plain_identity_at_, sequence, lowest);
    return plain_;
  }
  SetNumbers(identity_.data(), sequence, lowest);
  table_ = options->headers.empty() ? ByteBuffer() : ToTable(options->headers).Encode();
  table_.append(identity_);

  amqp::PropertiesView p;
  p.SetHeaders(amqp::TableView(table_));
  p.delivery_mode = amqp::kPersistent;
  p.flags |= amqp::kHasDeliveryMode;
  const auto set = [&p](ByteView& property, const std::string& value, amqp::PropertyFlag flag) {
    if (value.empty()) return;
    property = value;
    p.flags |= flag;
  };
  set(p.content_type, options->content_type, amqp::kHasContentType);
  set(p.content_encoding, options->content_encoding, amqp::kHasContentEncoding);
  set(p.correlation_id, options->correlation_id, amqp::kHasCorrelationId);
  set(p.reply_to, options->reply_to, amqp::kHasReplyTo);
  set(p.message_id, options->message_id, amqp::kHasMessageId);
  set(p.type, options->type, amqp::kHasType);
  set(p.app_id, options->app_id, amqp::kHasAppId);
  std::string expiration;
  if (options->expiration) expiration = std::to_string(options->expiration->count());
  set(p.expiration, expiration, amqp::kHasExpiration);
  if (options->priority) {
    p.priority = *options->priority;
    p.flags |= amqp::kHasPriority;
  }
  if (options->timestamp) {
    const auto seconds =
        std::chrono::duration_cast<std::chrono::seconds>(options->timestamp->time_since_epoch());
    p.timestamp = static_cast<uint64_t>(seconds.count());
    p.flags |= amqp::kHasTimestamp;
  }
  encoded_.clear();
  amqp::AppendProperties(encoded_, p);
  return encoded_;
}

}  // namespace landfall::client
