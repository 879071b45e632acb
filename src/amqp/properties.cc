#include "amqp/properties.h"

#include "amqp/field_codec.h"
#include "base/wire.h"

namespace landfall::amqp {
namespace {

// The two bits that class basic does not use: bit 1 names no property and bit 0 announces a second
// word of presence bits.
constexpr uint16_t kUnusedFlags = 0x0003;

size_t ShortStringSize(ByteView v) { return 1 + v.size(); }

size_t EncodedSize(const PropertiesView& p) {
  size_t n = 2;
  if (p.Has(kHasContentType)) n += ShortStringSize(p.content_type);
  if (p.Has(kHasContentEncoding)) n += ShortStringSize(p.content_encoding);
  if (p.Has(kHasHeaders)) n += 4 + p.headers.bytes().size();
  if (p.Has(kHasDeliveryMode)) n += 1;
  if (p.Has(kHasPriority)) n += 1;
  if (p.Has(kHasCorrelationId)) n += ShortStringSize(p.correlation_id);
  if (p.Has(kHasReplyTo)) n += ShortStringSize(p.reply_to);
  if (p.Has(kHasExpiration)) n += ShortStringSize(p.expiration);
  if (p.Has(kHasMessageId)) n += ShortStringSize(p.message_id);
  if (p.Has(kHasTimestamp)) n += 8;
  if (p.Has(kHasType)) n += ShortStringSize(p.type);
  if (p.Has(kHasUserId)) n += ShortStringSize(p.user_id);
  if (p.Has(kHasAppId)) n += ShortStringSize(p.app_id);
  if (p.Has(kHasClusterId)) n += ShortStringSize(p.cluster_id);
  return n;
}

std::optional<std::string> Owned(const PropertiesView& view, PropertyFlag flag, ByteView value) {
  if (!view.Has(flag)) return std::nullopt;
  return std::string(value);
}

}  // namespace

Result<PropertiesView> DecodeProperties(ByteView encoded) {
  ByteReader r(encoded);
  Result<PropertiesView> result{std::in_place};  // all that is returned: see ParseFrame
  PropertiesView& p = *result;
  p.flags = r.Big<uint16_t>();
  if (p.flags & kUnusedFlags) r.Fail();
  if (p.Has(kHasContentType)) p.content_type = field::ReadShortString(r);
  if (p.Has(kHasContentEncoding)) p.content_encoding = field::ReadShortString(r);
  if (p.Has(kHasHeaders)) p.headers = field::ReadTable(r);
  if (p.Has(kHasDeliveryMode)) p.delivery_mode = r.Big<uint8_t>();
  if (p.Has(kHasPriority)) p.priority = r.Big<uint8_t>();
  if (p.Has(kHasCorrelationId)) p.correlation_id = field::ReadShortString(r);
  if (p.Has(kHasReplyTo)) p.reply_to = field::ReadShortString(r);
  if (p.Has(kHasExpiration)) p.expiration = field::ReadShortString(r);
  if (p.Has(kHasMessageId)) p.message_id = field::ReadShortString(r);
  if (p.Has(kHasTimestamp)) p.timestamp = r.Big<uint64_t>();
  if (p.Has(kHasType)) p.type = field::ReadShortString(r);
  if (p.Has(kHasUserId)) p.user_id = field::ReadShortString(r);
  if (p.Has(kHasAppId)) p.app_id = field::ReadShortString(r);
  if (p.Has(kHasClusterId)) p.cluster_id = field::ReadShortString(r);
  if (r.failed() || !r.done()) [[unlikely]] {
    result = Fail(ErrorCode::kProtocol, "the content header's " + std::to_string(encoded.size()) +
                                            " bytes of properties are not well-formed");
  }
  return result;
}

void AppendProperties(ByteBuffer& out, const PropertiesView& p) {
  const size_t size = EncodedSize(p);
  field::AppendWith(out, size, [&](char* begin) {
    char* w = field::Write<uint16_t>(begin, p.flags & ~kUnusedFlags);
    if (p.Has(kHasContentType)) w = field::WriteShortString(w, p.content_type);
    if (p.Has(kHasContentEncoding)) w = field::WriteShortString(w, p.content_encoding);
    if (p.Has(kHasHeaders)) w = field::WriteTable(w, p.headers);
    if (p.Has(kHasDeliveryMode)) w = field::Write<uint8_t>(w, p.delivery_mode);
    if (p.Has(kHasPriority)) w = field::Write<uint8_t>(w, p.priority);
    if (p.Has(kHasCorrelationId)) w = field::WriteShortString(w, p.correlation_id);
    if (p.Has(kHasReplyTo)) w = field::WriteShortString(w, p.reply_to);
    if (p.Has(kHasExpiration)) w = field::WriteShortString(w, p.expiration);
    if (p.Has(kHasMessageId)) w = field::WriteShortString(w, p.message_id);
    if (p.Has(kHasTimestamp)) w = field::Write<uint64_t>(w, p.timestamp);
    if (p.Has(kHasType)) w = field::WriteShortString(w, p.type);
    if (p.Has(kHasUserId)) w = field::WriteShortString(w, p.user_id);
    if (p.Has(kHasAppId)) w = field::WriteShortString(w, p.app_id);
    if (p.Has(kHasClusterId)) w = field::WriteShortString(w, p.cluster_id);
    LANDFALL_ASSERT(w == begin + size);
  });
}

Result<Properties> Properties::From(const PropertiesView& view) {
  Properties p;
  if (view.Has(kHasHeaders)) {
    Result<Table> table = view.headers.Decode();
    if (!table) return std::unexpected(table.error());
    p.headers = *std::move(table);
  }
  p.content_type = Owned(view, kHasContentType, view.content_type);
  p.content_encoding = Owned(view, kHasContentEncoding, view.content_encoding);
  if (view.Has(kHasDeliveryMode)) p.delivery_mode = view.delivery_mode;
  if (view.Has(kHasPriority)) p.priority = view.priority;
  p.correlation_id = Owned(view, kHasCorrelationId, view.correlation_id);
  p.reply_to = Owned(view, kHasReplyTo, view.reply_to);
  p.expiration = Owned(view, kHasExpiration, view.expiration);
  p.message_id = Owned(view, kHasMessageId, view.message_id);
  if (view.Has(kHasTimestamp)) p.timestamp = view.timestamp;
  p.type = Owned(view, kHasType, view.type);
  p.user_id = Owned(view, kHasUserId, view.user_id);
  p.app_id = Owned(view, kHasAppId, view.app_id);
  p.cluster_id = Owned(view, kHasClusterId, view.cluster_id);
  return p;
}

PropertiesView Properties::View(ByteBuffer& headers_buffer) const {
  PropertiesView view;
  const auto set = [&view](PropertyFlag flag, auto& to, const auto& from) {
    if (!from) return;
    to = *from;
    view.flags |= flag;
  };
  if (headers) {
    headers_buffer = headers->Encode();
    view.SetHeaders(TableView(headers_buffer));
  }
  set(kHasContentType, view.content_type, content_type);
  set(kHasContentEncoding, view.content_encoding, content_encoding);
  set(kHasDeliveryMode, view.delivery_mode, delivery_mode);
  set(kHasPriority, view.priority, priority);
  set(kHasCorrelationId, view.correlation_id, correlation_id);
  set(kHasReplyTo, view.reply_to, reply_to);
  set(kHasExpiration, view.expiration, expiration);
  set(kHasMessageId, view.message_id, message_id);
  set(kHasTimestamp, view.timestamp, timestamp);
  set(kHasType, view.type, type);
  set(kHasUserId, view.user_id, user_id);
  set(kHasAppId, view.app_id, app_id);
  set(kHasClusterId, view.cluster_id, cluster_id);
  return view;
}

void AppendProperties(ByteBuffer& out, const Properties& properties) {
  ByteBuffer headers;
  AppendProperties(out, properties.View(headers));
}

Result<ContentHeader> DecodeContentHeader(ByteView payload) {
  ByteReader r(payload);
  ContentHeader header;
  header.class_id = r.Big<uint16_t>();
  if (r.Big<uint16_t>() != 0) r.Fail();  // weight
  header.body_size = r.Big<uint64_t>();
  header.properties = r.rest();
  if (r.failed() || header.properties.size() < 2) [[unlikely]] {
    return Fail(ErrorCode::kProtocol, "the content header frame's payload of " +
                                          std::to_string(payload.size()) +
                                          " bytes is not well-formed");
  }
  return header;
}

}  // namespace landfall::amqp
