#include "amqp/frame.h"

#include <algorithm>
#include <cstring>
#include <limits>

#include "amqp/field_codec.h"
#include "amqp/method.h"
#include "base/assert.h"

namespace landfall::amqp {
namespace {

constexpr size_t kContentHeaderPayloadFixed = 12;

size_t MaxPayload(uint32_t frame_max) {
  if (frame_max == 0) return std::numeric_limits<uint32_t>::max();
  LANDFALL_ASSERT(frame_max > kFrameOverhead);
  return frame_max - kFrameOverhead;
}

char* WriteFrameHeader(char* p, FrameType type, uint16_t channel, size_t size) {
  *p++ = static_cast<char>(type);
  p = field::Write<uint16_t>(p, channel);
  return field::Write<uint32_t>(p, static_cast<uint32_t>(size));
}

size_t BodyFramesSize(size_t body, size_t max_payload) {
  // Nearly every body fits one frame; this spares it the division.
  const size_t frames = body == 0             ? 0
                        : body <= max_payload ? 1
                                              : (body + max_payload - 1) / max_payload;
  return body + frames * kFrameOverhead;
}

char* WriteBodyFrames(char* p, uint16_t channel, ByteView body, size_t max_payload) {
  while (!body.empty()) {
    const ByteView part = body.substr(0, max_payload);
    p = WriteFrameHeader(p, FrameType::kBody, channel, part.size());
    p = field::WriteBytes(p, part);
    *p++ = kFrameEnd;
    body.remove_prefix(part.size());
  }
  return p;
}

size_t ContentHeaderFrameSize(ByteView properties) {
  return kFrameOverhead + kContentHeaderPayloadFixed + properties.size();
}

char* WriteContentHeaderFrame(char* p, uint16_t channel, uint16_t class_id, uint64_t body_size,
                              ByteView properties) {
  p = WriteFrameHeader(p, FrameType::kHeader, channel,
                       kContentHeaderPayloadFixed + properties.size());
  p = field::Write<uint16_t>(p, class_id);
  p = field::Write<uint16_t>(p, 0);  // weight, unused
  p = field::Write<uint64_t>(p, body_size);
  p = field::WriteBytes(p, properties);
  *p++ = kFrameEnd;
  return p;
}

// A method frame and its content with one growth of the buffer.
template <class M>
void AppendMethodAndContent(ByteBuffer& out, uint16_t channel, const M& method, ByteView properties,
                            ByteView body, uint32_t frame_max) {
  const size_t max_payload = MaxPayload(frame_max);
  const size_t method_size = 4 + FieldsSize(method);
  const size_t total = kFrameOverhead + method_size + ContentHeaderFrameSize(properties) +
                       BodyFramesSize(body.size(), max_payload);
  field::AppendWith(out, total, [&](char* p) {
    char* const end = p + total;
    p = WriteFrameHeader(p, FrameType::kMethod, channel, method_size);
    p = field::Write<uint32_t>(p, M::kId);
    p = WriteFields(p, method);
    *p++ = kFrameEnd;
    p = WriteContentHeaderFrame(p, channel, kClassBasic, body.size(), properties);
    p = WriteBodyFrames(p, channel, body, max_payload);
    LANDFALL_ASSERT(p == end);
  });
}

}  // namespace

HeaderStatus ParseProtocolHeader(ByteView input) {
  const ByteView seen = input.substr(0, kProtocolHeader.size());
  if (!kProtocolHeader.starts_with(seen) && !kProtocolHeader09.starts_with(seen)) {
    return HeaderStatus::kMismatch;
  }
  return seen.size() == kProtocolHeader.size() ? HeaderStatus::kOk : HeaderStatus::kNeedMore;
}

FrameResult FrameError(ByteView input, uint32_t frame_max) {
  FrameResult result;
  result.status = FrameResult::Status::kError;
  result.reply = ReplyCode::kFrameError;
  const std::string type = std::to_string(static_cast<uint8_t>(input[0]));
  if (input.size() < kFrameHeaderSize) {
    result.text = "frame type " + type + " does not exist";
    return result;
  }
  const uint16_t channel = LoadBig<uint16_t>(input.data() + 1);
  const uint64_t size = LoadBig<uint32_t>(input.data() + 3);
  const std::string frame = "frame of type " + type + " on channel " + std::to_string(channel) +
                            " with " + std::to_string(size) + " bytes of payload";
  if (type != "1" && type != "2" && type != "3" && type != "8") {
    result.text = frame + ": this type does not exist";
  } else if (frame_max != 0 && size > frame_max) {
    result.text = frame + " is above frame_max " + std::to_string(frame_max);
  } else {
    result.text = frame + " does not end in 0xCE";
  }
  return result;
}

void AppendFrame(ByteBuffer& out, FrameType type, uint16_t channel, ByteView payload) {
  LANDFALL_ASSERT(payload.size() <= std::numeric_limits<uint32_t>::max());
  field::AppendWith(out, kFrameOverhead + payload.size(), [&](char* p) {
    p = WriteFrameHeader(p, type, channel, payload.size());
    p = field::WriteBytes(p, payload);
    *p = kFrameEnd;
  });
}

void AppendHeartbeatFrame(ByteBuffer& out) { AppendFrame(out, FrameType::kHeartbeat, 0, {}); }

void AppendContentHeaderFrame(ByteBuffer& out, uint16_t channel, uint16_t class_id,
                              uint64_t body_size, ByteView encoded_properties) {
  field::AppendWith(out, ContentHeaderFrameSize(encoded_properties), [&](char* p) {
    WriteContentHeaderFrame(p, channel, class_id, body_size, encoded_properties);
  });
}

void AppendBodyFrames(ByteBuffer& out, uint16_t channel, ByteView body, uint32_t frame_max) {
  const size_t max_payload = MaxPayload(frame_max);
  field::AppendWith(out, BodyFramesSize(body.size(), max_payload),
                    [&](char* p) { WriteBodyFrames(p, channel, body, max_payload); });
}

void AppendContent(ByteBuffer& out, uint16_t channel, ByteView encoded_properties, ByteView body,
                   uint32_t frame_max) {
  AppendContentHeaderFrame(out, channel, kClassBasic, body.size(), encoded_properties);
  AppendBodyFrames(out, channel, body, frame_max);
}

void AppendDelivery(ByteBuffer& out, uint16_t channel, const BasicDeliver& deliver,
                    ByteView encoded_properties, ByteView body, uint32_t frame_max) {
  AppendMethodAndContent(out, channel, deliver, encoded_properties, body, frame_max);
}

void AppendPublish(ByteBuffer& out, uint16_t channel, ByteView exchange, ByteView routing_key,
                   bool mandatory, ByteView encoded_properties, ByteView body, uint32_t frame_max) {
  const BasicPublish publish{
      .exchange = exchange, .routing_key = routing_key, .mandatory = mandatory};
  AppendMethodAndContent(out, channel, publish, encoded_properties, body, frame_max);
}

}  // namespace landfall::amqp
