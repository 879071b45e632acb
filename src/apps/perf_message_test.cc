#include "apps/perf_message.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "amqp/frame.h"
#include "amqp/method.h"
#include "amqp/properties.h"

namespace landfall::apps {
namespace {

constexpr uint32_t kFrameMax = 131072;

struct Parsed {
  amqp::BasicPublish publish;
  uint64_t body_size = 0;
  amqp::PropertiesView properties;
  std::string body;
  size_t body_frames = 0;
};

// What another party reads from the bytes; the views are of `bytes`.
Parsed Parse(const std::string& bytes, uint32_t frame_max) {
  Parsed parsed;
  ByteView rest = bytes;
  while (!rest.empty()) {
    const amqp::FrameResult r = amqp::ParseFrame(rest, frame_max);
    EXPECT_EQ(r.status, amqp::FrameResult::Status::kFrame);
    if (r.status != amqp::FrameResult::Status::kFrame) break;
    EXPECT_EQ(r.frame.channel, 1);
    if (r.frame.type == amqp::FrameType::kMethod) {
      parsed.publish = amqp::Decode<amqp::BasicPublish>(r.frame.payload).value();
    } else if (r.frame.type == amqp::FrameType::kHeader) {
      const auto header = amqp::DecodeContentHeader(r.frame.payload).value();
      parsed.body_size = header.body_size;
      parsed.properties = amqp::DecodeProperties(header.properties).value();
    } else {
      parsed.body += r.frame.payload;
      ++parsed.body_frames;
    }
    rest.remove_prefix(r.consumed);
  }
  return parsed;
}

std::string Write(const PerfPublishTemplate& t, uint64_t sent_at, uint64_t id) {
  std::string bytes(t.size(), '\0');
  EXPECT_EQ(t.Write(bytes.data(), sent_at, id), bytes.data() + bytes.size());
  return bytes;
}

TEST(PerfPublishTemplate, IsAPublishThatOthersRead) {
  const PerfPublishTemplate t(1, "", "perf-0", true, true, 16, kFrameMax);
  const std::string bytes = Write(t, 0x0102030405060708, 0x1112131415161718);
  const Parsed p = Parse(bytes, kFrameMax);
  EXPECT_EQ(p.publish.exchange, "");
  EXPECT_EQ(p.publish.routing_key, "perf-0");
  EXPECT_TRUE(p.publish.mandatory);
  EXPECT_TRUE(p.properties.IsPersistent());
  EXPECT_EQ(p.body_size, 16u);
  EXPECT_EQ(LoadBig<uint64_t>(p.body.data()), 0x0102030405060708u);
  EXPECT_EQ(LoadBig<uint64_t>(p.body.data() + 8), 0x1112131415161718u);
}

TEST(PerfPublishTemplate, ChangesNothingButStampAndIdentity) {
  const PerfPublishTemplate t(1, "", "q", false, false, 40, kFrameMax);
  const Parsed a = Parse(Write(t, 1, 2), kFrameMax);
  const std::string again = Write(t, 3, 4);
  const Parsed b = Parse(again, kFrameMax);
  EXPECT_EQ(a.body.substr(16), b.body.substr(16));
  EXPECT_NE(a.body.substr(0, 16), b.body.substr(0, 16));
  EXPECT_FALSE(b.properties.IsPersistent());
  EXPECT_FALSE(b.publish.mandatory);
}

TEST(PerfPublishTemplate, LeavesOutWhatABodyHasNoRoomFor) {
  for (const size_t size : {0, 1, 7, 8, 15}) {
    const PerfPublishTemplate t(1, "", "q", false, true, size, kFrameMax);
    const std::string bytes = Write(t, ~uint64_t{0}, ~uint64_t{0});
    const Parsed p = Parse(bytes, kFrameMax);
    EXPECT_EQ(p.body_size, size);
    ASSERT_EQ(p.body.size(), size);
    EXPECT_EQ(p.body_frames, size == 0 ? 0u : 1u);
    const size_t stamped = size >= 8 ? 8 : 0;
    EXPECT_EQ(p.body, std::string(stamped, '\xff') + std::string(size - stamped, 'x'));
  }
}

TEST(PerfPublishTemplate, SplitsABodyAtTheFrameLimit) {
  const PerfPublishTemplate t(1, "", "q", false, true, 10000, amqp::kMinFrameMax);
  const std::string bytes = Write(t, 5, 6);
  const Parsed p = Parse(bytes, amqp::kMinFrameMax);
  EXPECT_EQ(p.body_frames, 3u);
  ASSERT_EQ(p.body.size(), 10000u);
  EXPECT_EQ(LoadBig<uint64_t>(p.body.data()), 5u);
  EXPECT_EQ(LoadBig<uint64_t>(p.body.data() + 8), 6u);
}

TEST(PerfMessageId, ComesBackAsItWas) {
  const PerfMessageId ids[] = {
      {.run = 0, .producer = 0, .sequence = 0},
      {.run = 0xffff, .producer = kPerfMaxProducers - 1, .sequence = kPerfMaxSequence},
      {.run = 0x1234, .producer = 7, .sequence = 123456789},
  };
  for (const PerfMessageId& id : ids) EXPECT_EQ(UnpackPerfMessageId(PackPerfMessageId(id)), id);
}

}  // namespace
}  // namespace landfall::apps
