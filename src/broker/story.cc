#include "broker/story.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "amqp/properties.h"
#include "base/siphash.h"

namespace landfall::broker {
namespace {

constexpr size_t kMaxText = 1024;
constexpr size_t kMaxProperties = size_t{8} << 10;
constexpr size_t kFewProperties = 256;
// W3C Trace Context: 55 bytes in its first version, later ones may have more.
constexpr std::string_view kTraceparent = "traceparent";
constexpr size_t kMaxTraceparent = 256;

constexpr std::array<std::string_view, 20> kNames = {
    "",         "received",      "arrived",       "repeat",
    "refused",  "landed",        "delivered",     "returned",
    "requeued", "lease_expired", "consumer_gone", "released",
    "rejected", "acked",         "dead_lettered", "moved",
    "dropped",  "purged",        "queue_deleted", "lost"};

void AppendText(ByteBuffer& out, std::string_view text) {
  AppendSized(out, text.substr(0, kMaxText));
}
void AppendTime(ByteBuffer& out, Time t) {
  AppendVarint(out, static_cast<uint64_t>(t.time_since_epoch().count()));
}
Time ReadTime(ByteReader& in) { return Time(Duration(static_cast<int64_t>(in.Varint()))); }

bool TellsWhere(StoryEvent event) { return event <= StoryEvent::kRefused; }

}  // namespace

std::string_view NameOf(StoryEvent event) {
  const auto index = static_cast<size_t>(event);
  return index < kNames.size() ? kNames[index] : "";
}

void AppendStory(ByteBuffer& out, const StoryRecord& r) {
  AppendVarint(out, r.story);
  AppendVarint(out, r.queue);
  AppendVarint(out, r.sequence);
  out.push_back(static_cast<char>(r.event));
  AppendTime(out, r.time);
  AppendVarint(out, r.attempt);
  AppendVarint(out, r.batch);
  AppendVarint(out, r.lsn);
  AppendTime(out, r.until);
  for (const std::string* text :
       {&r.user, &r.connection, &r.consumer, &r.exchange, &r.routing_key, &r.detail}) {
    AppendText(out, *text);
  }
  if (!TellsWhere(r.event)) return;
  AppendText(out, r.vhost);
  AppendText(out, r.queue_name);
  AppendSized(out, r.properties);
  AppendVarint(out, r.body_bytes);
}

StoryRecord ReadStory(ByteReader& in) {
  StoryRecord r;
  r.story = in.Varint();
  r.queue = in.Varint();
  r.sequence = in.Varint();
  const ByteView event = in.Take(1);
  if (!event.empty()) r.event = static_cast<StoryEvent>(event[0]);
  r.time = ReadTime(in);
  r.attempt = static_cast<uint32_t>(in.Varint());
  r.batch = in.Varint();
  r.lsn = in.Varint();
  r.until = ReadTime(in);
  for (std::string* text :
       {&r.user, &r.connection, &r.consumer, &r.exchange, &r.routing_key, &r.detail}) {
    *text = in.Sized();
  }
  if (!TellsWhere(r.event)) return r;
  r.vhost = in.Sized();
  r.queue_name = in.Sized();
  r.properties = in.Sized();
  r.body_bytes = in.Varint();
  return r;
}

std::string Describe(const StoryRecord& r) {
  return fmt::format("story {:016x} queue {} #{}: {} {}", r.story, r.queue, r.sequence,
                     NameOf(r.event), r.detail);
}

ByteBuffer StoryProperties(const Message& message, bool much_room) {
  const ByteView all = message.properties();
  if (all.size() <= (much_room ? kMaxProperties : kFewProperties)) return ByteBuffer(all);
  ByteBuffer few;
  const auto properties = amqp::DecodeProperties(all);
  if (!properties) return few;
  amqp::PropertiesView kept;
  kept.flags = properties->flags & (amqp::kHasMessageId | amqp::kHasCorrelationId);
  kept.message_id = properties->message_id;
  kept.correlation_id = properties->correlation_id;
  ByteBuffer headers;
  const auto parent = properties->headers.FindString(kTraceparent);
  if (parent && parent->size() <= kMaxTraceparent) {
    headers = amqp::Table{{std::string(kTraceparent), std::string(*parent)}}.Encode();
    kept.SetHeaders(amqp::TableView(headers));
  }
  amqp::AppendProperties(few, kept);
  return few;
}

double StoryDraw(const Message& message, StoryId chance) {
  const auto properties = amqp::DecodeProperties(message.properties());
  const uint64_t number = properties && properties->Has(amqp::kHasMessageId)
                              ? SipHash({}, properties->message_id)
                              : chance;
  return static_cast<double>(number >> 11) * 0x1.0p-53;
}

}  // namespace landfall::broker
