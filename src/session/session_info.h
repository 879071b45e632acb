#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/time.h"
#include "broker/types.h"

// A session as it is at one moment, for whoever looks at the broker from outside. Plain values.
namespace landfall::session {

struct ConsumerInfo {
  broker::ConsumerId id = 0;
  std::string tag;
  broker::QueueId queue = 0;
  bool no_ack = false;
};

struct ChannelInfo {
  broker::ChannelId number = 0;
  uint32_t prefetch = 0;         // of consumers to come
  uint32_t global_prefetch = 0;  // shared by the channel's consumers; 0: none
  bool confirms = false;
  bool transactional = false;
  uint64_t unacked = 0;
  uint64_t unconfirmed = 0;
  std::vector<ConsumerInfo> consumers;
};

struct SessionInfo {
  broker::SessionId id = 0;
  std::string user;   // "" before the login
  std::string vhost;  // "" before connection.open
  // "starting", "running", "blocking" (it would be blocked if it published), "blocked" (it
  // publishes and is not read from because of an alarm), "flow" (not read from: backpressure),
  // "closing".
  std::string_view state;
  std::string mechanism;
  uint16_t channel_max = 0;
  uint32_t frame_max = 0;
  uint16_t heartbeat_seconds = 0;
  Time connected_at{};
  uint64_t bytes_received = 0;
  uint64_t bytes_sent = 0;
  // As the client sent them, an encoded table; empty if there were more of them than are kept.
  ByteBuffer client_properties;
  std::vector<ChannelInfo> channels;
};

}  // namespace landfall::session
