#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "amqp/reply_code.h"
#include "base/bytes.h"
#include "base/wire.h"

// Frames (AMQP 0-9-1 section 2.3.5):
//
//   offset  size  field
//   0       1     type      1 method, 2 content header, 3 content body, 8 heartbeat
//   1       2     channel
//   3       4     size      of the payload
//   7       size  payload
//   7+size  1     end       0xCE
namespace landfall::amqp {

enum class FrameType : uint8_t {
  kMethod = 1,
  kHeader = 2,
  kBody = 3,
  kHeartbeat = 8,
};

inline constexpr char kFrameEnd = '\xCE';
inline constexpr size_t kFrameHeaderSize = 7;
inline constexpr size_t kFrameOverhead = 8;  // header and end octet
// The smallest frame_max that may be negotiated, and what holds before it is.
inline constexpr uint32_t kMinFrameMax = 4096;
inline constexpr uint16_t kClassBasic = 60;

// What a client sends first, and what a server that speaks no other version answers before it
// closes.
inline constexpr ByteView kProtocolHeader{"AMQP\0\0\x09\x01", 8};
// That of 0-9, which is spoken in the same words: Perl's Net::AMQP announces itself so.
inline constexpr ByteView kProtocolHeader09{"AMQP\1\1\0\x09", 8};

enum class HeaderStatus { kNeedMore, kOk, kMismatch };

// Looks at what a client sent first. kMismatch as soon as it can be neither header: answer
// kProtocolHeader and close. kOk: drop its 8 bytes.
HeaderStatus ParseProtocolHeader(ByteView input);

struct BasicDeliver;

struct Frame {
  FrameType type = FrameType::kMethod;
  uint16_t channel = 0;
  ByteView payload;
};

struct FrameResult {
  enum class Status { kNeedMore, kFrame, kError };

  Status status = Status::kNeedMore;
  Frame frame;          // kFrame; borrowed from the input
  size_t consumed = 0;  // kFrame: how many bytes of the input the frame took
  size_t need = 0;      // kNeedMore: how many bytes the input must have before the next try
  ReplyCode reply{};    // kError: what to close the connection with
  std::string text;     // kError: a sentence for the peer and the log
};

// Builds the kError result: the input's first 7 bytes are a header that cannot be accepted, or its
// end octet is wrong.
FrameResult FrameError(ByteView input, uint32_t frame_max);

// Takes the first frame off the input. `frame_max` counts the whole frame, its 8 bytes of framing
// included; 0 means no limit. What we write keeps to that, but a payload of frame_max bytes is
// taken, as by RabbitMQ: there are clients that forget the framing. A type that does not exist, a
// payload above frame_max, and a wrong end octet are errors as soon as their byte is there, before
// more of the frame is waited for. The channel is not judged: that is the session's.
inline FrameResult ParseFrame(ByteView input, uint32_t frame_max) {
  // The only thing that is returned, so that it is built where the caller wants it: a copy would
  // wait for the small fields that have just been stored.
  FrameResult result;
  if (input.empty()) {
    result.need = kFrameHeaderSize;
    return result;
  }
  const auto type = static_cast<uint8_t>(input[0]);
  const bool known = (type >= 1 && type <= 3) || type == 8;
  if (!known) [[unlikely]] {
    result = FrameError(input, frame_max);
    return result;
  }
  if (input.size() < kFrameHeaderSize) {
    result.need = kFrameHeaderSize;
    return result;
  }
  const uint64_t size = LoadBig<uint32_t>(input.data() + 3);
  const uint64_t total = size + kFrameOverhead;
  if (frame_max != 0 && size > frame_max) [[unlikely]] {
    result = FrameError(input, frame_max);
    return result;
  }
  if (input.size() < total) {
    result.need = total;
    return result;
  }
  if (input[total - 1] != kFrameEnd) [[unlikely]] {
    result = FrameError(input, frame_max);
    return result;
  }
  result.status = FrameResult::Status::kFrame;
  result.frame.type = static_cast<FrameType>(type);
  result.frame.channel = LoadBig<uint16_t>(input.data() + 1);
  result.frame.payload = input.substr(kFrameHeaderSize, size);
  result.consumed = total;
  return result;
}

// A frame around a payload that is already encoded.
void AppendFrame(ByteBuffer& out, FrameType type, uint16_t channel, ByteView payload);

void AppendHeartbeatFrame(ByteBuffer& out);

// `encoded_properties` starts with the presence bits (AppendProperties writes it). It must fit the
// peer's frame_max: a content header cannot be split.
void AppendContentHeaderFrame(ByteBuffer& out, uint16_t channel, uint16_t class_id,
                              uint64_t body_size, ByteView encoded_properties);

// The body in as many frames as frame_max asks for; none for an empty body. `frame_max` is as in
// ParseFrame and, unless 0, above kFrameOverhead.
void AppendBodyFrames(ByteBuffer& out, uint16_t channel, ByteView body, uint32_t frame_max);

// Header and body frames of one message of class basic, to follow a basic.publish, basic.return or
// basic.get-ok.
void AppendContent(ByteBuffer& out, uint16_t channel, ByteView encoded_properties, ByteView body,
                   uint32_t frame_max);

// basic.deliver with header and body frames, in one go: the broker's hottest output. The same
// bytes as AppendMethodFrame(BasicDeliver) followed by AppendContent.
void AppendDelivery(ByteBuffer& out, uint16_t channel, const BasicDeliver& deliver,
                    ByteView encoded_properties, ByteView body, uint32_t frame_max);

// basic.publish with header and body frames, in one go: the client's hottest output.
void AppendPublish(ByteBuffer& out, uint16_t channel, ByteView exchange, ByteView routing_key,
                   bool mandatory, ByteView encoded_properties, ByteView body, uint32_t frame_max);

}  // namespace landfall::amqp
