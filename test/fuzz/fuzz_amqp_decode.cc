// Any bytes, taken as a stream of frames, and as each thing that a frame may hold. What decodes
// must encode, and decode again to the same.
#include <cstddef>
#include <cstdint>
#include <string>
#include <type_traits>

#include "amqp/frame.h"
#include "amqp/method.h"
#include "amqp/properties.h"
#include "amqp/table.h"
#include "base/assert.h"

namespace landfall::amqp {
namespace {

// With the smallest frame_max a small input reaches the checks of it.
constexpr uint32_t kFrameMax = kMinFrameMax;

// Lookups are linear, so that looking up every name of a table is quadratic.
constexpr size_t kMaxLookups = 32;

void CheckTable(ByteView bytes) {
  const TableView view(bytes);
  const Result<Table> table = view.Decode();
  LANDFALL_ASSERT(table.has_value() == IsWellFormedTable(bytes));
  if (!table) {
    LANDFALL_ASSERT(table.error().code == ErrorCode::kProtocol);
    // Safe all the same.
    view.Find("x-delay");
    view.FindInteger("x-delivery-count");
    return;
  }
  const ByteBuffer encoded = table->Encode();
  // Only a boolean that is neither 0 nor 1 changes, and not its width.
  LANDFALL_ASSERT(encoded.size() == bytes.size());
  LANDFALL_ASSERT(DecodeTable(encoded) == *table);
  LANDFALL_ASSERT(Equivalent(*table, *table) || encoded.find_first_of("fd") != ByteBuffer::npos);
  size_t lookups = 0;
  for (const TableEntry& entry : *table) {
    if (++lookups > kMaxLookups) break;
    LANDFALL_ASSERT(view.Contains(entry.name));
    LANDFALL_ASSERT(view.FindInteger(entry.name) == table->GetInteger(entry.name));
    LANDFALL_ASSERT(view.FindString(entry.name) == table->GetString(entry.name));
    LANDFALL_ASSERT(view.FindBool(entry.name) == table->GetBool(entry.name));
    LANDFALL_ASSERT(view.Find(entry.name) == *table->Find(entry.name));
  }
}

void CheckProperties(ByteView bytes) {
  const Result<PropertiesView> view = DecodeProperties(bytes);
  if (!view) return;
  CheckTable(view->headers.bytes());
  ByteBuffer encoded;
  AppendProperties(encoded, *view);
  LANDFALL_ASSERT(encoded == bytes);

  const Result<Properties> owned = Properties::From(*view);
  LANDFALL_ASSERT(owned.has_value());
  ByteBuffer again;
  AppendProperties(again, *owned);
  const Result<PropertiesView> read = DecodeProperties(again);
  LANDFALL_ASSERT(read.has_value());
  LANDFALL_ASSERT(Properties::From(*read) == *owned);
}

template <class M>
void CheckMethod(ByteView payload) {
  Result<M> method = Decode<M>(payload);
  if (!method) {
    LANDFALL_ASSERT(method.error().code == ErrorCode::kProtocol);
    return;
  }
  const auto check_field = [](const auto& field) {
    if constexpr (std::is_same_v<std::decay_t<decltype(field)>, TableView>) {
      CheckTable(field.bytes());
    }
  };
  std::apply([&](const auto&... fields) { (check_field(fields), ...); }, method->Fields());
  ByteBuffer frame;
  AppendMethodFrame(frame, 1, *method);
  const FrameResult parsed = ParseFrame(frame, 0);
  LANDFALL_ASSERT(parsed.status == FrameResult::Status::kFrame);
  LANDFALL_ASSERT(parsed.consumed == frame.size());
  LANDFALL_ASSERT(Decode<M>(parsed.frame.payload) == *method);
}

void CheckMethodPayload(ByteView payload) {
  const MethodId id = PeekMethodId(payload);
  const bool known =
      VisitMethodType(id, [&]<class M>(std::type_identity<M>) { CheckMethod<M>(payload); });
  LANDFALL_ASSERT(known == IsKnownMethod(id));
}

void CheckContentHeader(ByteView payload) {
  const Result<ContentHeader> header = DecodeContentHeader(payload);
  if (!header) return;
  CheckProperties(header->properties);
  ByteBuffer frame;
  AppendContentHeaderFrame(frame, 1, header->class_id, header->body_size, header->properties);
  LANDFALL_ASSERT(ParseFrame(frame, 0).frame.payload == payload);
}

void CheckFrames(ByteView input) {
  while (!input.empty()) {
    const FrameResult result = ParseFrame(input, kFrameMax);
    if (result.status == FrameResult::Status::kNeedMore) {
      LANDFALL_ASSERT(result.need > input.size() && result.need <= kFrameMax + kFrameOverhead);
      return;
    }
    if (result.status == FrameResult::Status::kError) {
      LANDFALL_ASSERT(IsHardError(result.reply) && !result.text.empty());
      return;
    }
    LANDFALL_ASSERT(result.consumed == result.frame.payload.size() + kFrameOverhead);
    switch (result.frame.type) {
      case FrameType::kMethod:
        CheckMethodPayload(result.frame.payload);
        break;
      case FrameType::kHeader:
        CheckContentHeader(result.frame.payload);
        break;
      case FrameType::kBody:
      case FrameType::kHeartbeat:
        break;
    }
    ByteBuffer again;
    AppendFrame(again, result.frame.type, result.frame.channel, result.frame.payload);
    LANDFALL_ASSERT(again == input.substr(0, result.consumed));
    input.remove_prefix(result.consumed);
  }
}

// The input as a body, through the sender's splitting and the receiver's parsing.
void CheckDelivery(ByteView body) {
  ByteBuffer out;
  AppendDelivery(
      out, 1,
      {.consumer_tag = "tag", .delivery_tag = 1, .exchange = "exchange", .routing_key = "key"},
      ByteView("\0\0", 2), body, 64);
  ByteView rest = out;
  ByteBuffer joined;
  while (!rest.empty()) {
    const FrameResult result = ParseFrame(rest, 64);
    LANDFALL_ASSERT(result.status == FrameResult::Status::kFrame);
    if (result.frame.type == FrameType::kBody) joined += result.frame.payload;
    rest.remove_prefix(result.consumed);
  }
  LANDFALL_ASSERT(joined == body);
}

}  // namespace
}  // namespace landfall::amqp

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace landfall::amqp;
  const landfall::ByteView input(reinterpret_cast<const char*>(data), size);
  ParseProtocolHeader(input);
  CheckFrames(input);
  CheckMethodPayload(input);
  CheckContentHeader(input);
  CheckProperties(input);
  CheckTable(input);
  CheckDelivery(input);
  return 0;
}
