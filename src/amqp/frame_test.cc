#include "amqp/frame.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "amqp/method.h"
#include "amqp/properties.h"

namespace landfall::amqp {
namespace {

using namespace std::literals;
using Status = FrameResult::Status;

TEST(ProtocolHeader, IsRecognisedByteByByte) {
  for (size_t n = 0; n < kProtocolHeader.size(); ++n) {
    EXPECT_EQ(ParseProtocolHeader(kProtocolHeader.substr(0, n)), HeaderStatus::kNeedMore);
  }
  EXPECT_EQ(ParseProtocolHeader(kProtocolHeader), HeaderStatus::kOk);
  EXPECT_EQ(ParseProtocolHeader("AMQP\0\0\x09\x01 and more"sv), HeaderStatus::kOk);
  EXPECT_EQ(ParseProtocolHeader(kProtocolHeader09.substr(0, 5)), HeaderStatus::kNeedMore);
  EXPECT_EQ(ParseProtocolHeader(kProtocolHeader09), HeaderStatus::kOk);
}

TEST(ProtocolHeader, IsRefusedAtTheFirstOtherByte) {
  EXPECT_EQ(ParseProtocolHeader("G"), HeaderStatus::kMismatch);
  EXPECT_EQ(ParseProtocolHeader("GET / HTTP/1.1"), HeaderStatus::kMismatch);
  EXPECT_EQ(ParseProtocolHeader("AMQP\1\1\x08"), HeaderStatus::kMismatch);  // 0-8
  EXPECT_EQ(ParseProtocolHeader("AMQP\1\1\x09"), HeaderStatus::kMismatch);
  EXPECT_EQ(ParseProtocolHeader("AMQP\0\1\0\0"sv), HeaderStatus::kMismatch);  // 1.0
  EXPECT_EQ(ParseProtocolHeader("AMQP\0\0\x09\0"sv), HeaderStatus::kMismatch);
}

TEST(Frame, IsTakenOffTheInput) {
  const ByteView input = "\1\0\5\0\0\0\4\0\x3c\0\x0a\xce\x8\0\0"sv;
  const FrameResult result = ParseFrame(input, kMinFrameMax);
  ASSERT_EQ(result.status, Status::kFrame);
  EXPECT_EQ(result.frame.type, FrameType::kMethod);
  EXPECT_EQ(result.frame.channel, 5);
  EXPECT_EQ(result.frame.payload, "\0\x3c\0\x0a"sv);
  EXPECT_EQ(result.consumed, 12u);
  const FrameResult rest = ParseFrame(input.substr(result.consumed), kMinFrameMax);
  EXPECT_EQ(rest.status, Status::kNeedMore);
}

TEST(Frame, SaysHowMuchItWaitsForAtEveryTruncation) {
  ByteBuffer bytes;
  AppendFrame(bytes, FrameType::kBody, 1, "hello");
  for (size_t n = 0; n < bytes.size(); ++n) {
    const FrameResult result = ParseFrame(ByteBuffer(bytes.data(), n), kMinFrameMax);
    ASSERT_EQ(result.status, Status::kNeedMore) << n;
    EXPECT_EQ(result.need, n < kFrameHeaderSize ? kFrameHeaderSize : bytes.size());
  }
  EXPECT_EQ(ParseFrame(bytes, kMinFrameMax).status, Status::kFrame);
}

TEST(Frame, IsRefusedAtItsFirstByteWhenTheTypeDoesNotExist) {
  for (const char type : {0, 4, 5, 7, 9, 65}) {
    const FrameResult result = ParseFrame({&type, 1}, kMinFrameMax);
    ASSERT_EQ(result.status, Status::kError) << int{type};
    EXPECT_EQ(result.reply, ReplyCode::kFrameError);
    EXPECT_EQ(result.text, "frame type " + std::to_string(type) + " does not exist");
  }
  const FrameResult whole = ParseFrame("\4\0\1\0\0\0\0\xce"sv, kMinFrameMax);
  EXPECT_EQ(whole.status, Status::kError);
  EXPECT_EQ(whole.text,
            "frame of type 4 on channel 1 with 0 bytes of payload: this type does not exist");
}

TEST(Frame, IsRefusedByItsHeaderWhenItIsAboveFrameMax) {
  // Of the payload alone, although frame_max counts the 8 bytes of framing too.
  EXPECT_EQ(ParseFrame("\3\0\1\0\0\x10\0"sv, 4096).status, Status::kNeedMore);
  const FrameResult result = ParseFrame("\3\0\1\0\0\x10\1"sv, 4096);
  ASSERT_EQ(result.status, Status::kError);
  EXPECT_EQ(result.reply, ReplyCode::kFrameError);
  EXPECT_EQ(result.text,
            "frame of type 3 on channel 1 with 4097 bytes of payload is above frame_max 4096");
  EXPECT_EQ(ParseFrame("\3\0\1\xff\xff\xff\xff"sv, 4096).status, Status::kError);
}

TEST(Frame, HasNoLimitWhenFrameMaxIsZero) {
  const FrameResult result = ParseFrame("\3\0\1\xff\xff\xff\xff"sv, 0);
  ASSERT_EQ(result.status, Status::kNeedMore);
  EXPECT_EQ(result.need, 0xffffffffu + kFrameOverhead);
}

TEST(Frame, IsRefusedWithoutItsEndOctet) {
  const FrameResult result = ParseFrame("\3\0\1\0\0\0\1x\xcf"sv, kMinFrameMax);
  ASSERT_EQ(result.status, Status::kError);
  EXPECT_EQ(result.reply, ReplyCode::kFrameError);
  EXPECT_EQ(result.text,
            "frame of type 3 on channel 1 with 1 bytes of payload does not end in 0xCE");
}

TEST(Frame, HeartbeatIsEightBytes) {
  ByteBuffer out;
  AppendHeartbeatFrame(out);
  EXPECT_EQ(out, "\x8\0\0\0\0\0\0\xce"s);
  EXPECT_EQ(ParseFrame(out, kMinFrameMax).frame.type, FrameType::kHeartbeat);
}

TEST(Frame, ContentHeaderHasTheBytesOfTheSpecification) {
  ByteBuffer out;
  AppendContentHeaderFrame(out, 1, kClassBasic, 5, "\x10\0\2"sv);
  EXPECT_EQ(out, "\2\0\1\0\0\0\x0f\0\x3c\0\0\0\0\0\0\0\0\0\5\x10\0\2\xce"s);
}

// The payloads of all frames in `bytes`, which must be of one type.
std::vector<ByteView> Payloads(ByteView bytes, uint32_t frame_max) {
  std::vector<ByteView> payloads;
  while (!bytes.empty()) {
    const FrameResult result = ParseFrame(bytes, frame_max);
    EXPECT_EQ(result.status, Status::kFrame);
    if (result.status != Status::kFrame) break;
    payloads.push_back(result.frame.payload);
    bytes.remove_prefix(result.consumed);
  }
  return payloads;
}

TEST(Frame, BodyIsSplitByFrameMax) {
  const size_t room = kMinFrameMax - kFrameOverhead;
  for (const auto& [size, frames] : std::vector<std::pair<size_t, size_t>>{
           {0, 0}, {1, 1}, {room, 1}, {room + 1, 2}, {2 * room, 2}, {2 * room + 1, 3}}) {
    const std::string body(size, 'b');
    ByteBuffer out;
    AppendBodyFrames(out, 3, body, kMinFrameMax);
    const auto payloads = Payloads(out, kMinFrameMax);
    EXPECT_EQ(payloads.size(), frames) << size;
    std::string joined;
    for (const ByteView payload : payloads) joined += payload;
    EXPECT_EQ(joined, body);
  }
  ByteBuffer unlimited;
  AppendBodyFrames(unlimited, 3, std::string(100000, 'b'), 0);
  EXPECT_EQ(Payloads(unlimited, 0).size(), 1u);
}

TEST(Frame, DeliveryIsTheSameBytesAsItsPartsOneByOne) {
  ByteBuffer properties;
  AppendProperties(properties, Properties{.headers = Table{{"k", "v"}}, .delivery_mode = 2});
  for (const size_t size : {size_t{0}, size_t{5}, size_t{4088}, size_t{4089}, size_t{20000}}) {
    const std::string body(size, 'b');
    ByteBuffer fused = "kept";
    const BasicDeliver deliver{.consumer_tag = "ctag",
                               .delivery_tag = 42,
                               .redelivered = true,
                               .exchange = "exchange",
                               .routing_key = "key"};
    AppendDelivery(fused, 7, deliver, properties, body, kMinFrameMax);
    ByteBuffer parts = "kept";
    AppendMethodFrame(parts, 7, deliver);
    AppendContent(parts, 7, properties, body, kMinFrameMax);
    EXPECT_EQ(fused, parts) << size;
  }
}

TEST(Frame, PublishIsTheSameBytesAsItsPartsOneByOne) {
  ByteBuffer fused;
  AppendPublish(fused, 7, "", "queue", true, "\0\0"sv, "body", kMinFrameMax);
  ByteBuffer parts;
  AppendMethodFrame(parts, 7, BasicPublish{.routing_key = "queue", .mandatory = true});
  AppendContent(parts, 7, "\0\0"sv, "body", kMinFrameMax);
  EXPECT_EQ(fused, parts);
}

TEST(Frame, DeliveryHasTheBytesOfTheSpecification) {
  ByteBuffer out;
  AppendDelivery(out, 1, {.consumer_tag = "c", .delivery_tag = 2, .routing_key = "q"}, "\0\0"sv,
                 "hi", kMinFrameMax);
  EXPECT_EQ(out,
            "\1\0\1\0\0\0\x12\0\x3c\0\x3c\1c\0\0\0\0\0\0\0\2\0\0\1q\xce"
            "\2\0\1\0\0\0\x0e\0\x3c\0\0\0\0\0\0\0\0\0\2\0\0\xce"
            "\3\0\1\0\0\0\2hi\xce"s);
}

}  // namespace
}  // namespace landfall::amqp
