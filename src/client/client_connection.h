#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include "amqp/frame.h"
#include "amqp/method.h"
#include "amqp/methods_generated.h"
#include "base/bytes.h"
#include "base/error.h"
#include "base/time.h"
#include "client/url.h"

namespace landfall::client {

struct ConnectionOptions {
  std::string user = "guest";
  std::string password = "guest";
  SaslMechanism mechanism = SaslMechanism::kPlain;
  std::string vhost = "/";
  std::string name;  // shown by the broker's tools
  uint16_t heartbeat_seconds = 10;
  uint32_t frame_max = 131072;
  uint64_t max_message_bytes = 1ull << 30;  // a content header above this ends the connection
  Duration handshake_timeout = std::chrono::seconds(5);
  Duration close_timeout = std::chrono::seconds(1);
};

// What a connection tells whoever uses its channel. Calls come from inside OnBytes; they may write
// to the connection, and abort it, but not destroy it.
class ConnectionEvents {
 public:
  virtual ~ConnectionEvents() = default;
  // The channel is open: for the first time, or anew after OnChannelClosed and OpenChannel.
  virtual void OnChannelOpen(Time now) = 0;
  // The broker has closed the channel. What was on it is gone.
  virtual void OnChannelClosed(const Error& why, Time now) = 0;
  // A method of the channel. The payload is borrowed.
  virtual void OnMethod(amqp::MethodId id, ByteView payload, Time now) = 0;
  // A method with content, once all of it is there. `properties` are encoded, and borrowed like
  // `method`.
  virtual void OnContent(amqp::MethodId id, ByteView method, ByteView properties, ByteBuffer body,
                         Time now) = 0;
  // The broker asks not to be published to, or takes that back.
  virtual void OnBlocked(bool blocked, ByteView reason, Time now) = 0;
};

// The client's side of one AMQP connection with one channel: handshake, heartbeats, closing, and
// the assembly of contents. Pure: bytes and time in, bytes out. Lives as long as its socket; after
// done() a new connection needs a new object.
//
// Thread: one.
class ClientConnection {
 public:
  static constexpr uint16_t kChannel = 1;

  // `events` is not owned and outlives the connection.
  ClientConnection(const ConnectionOptions& options, ConnectionEvents& events, Time now);

  // Takes whole frames off the front of the input and returns how many bytes it used; the caller
  // offers the rest again, followed by what came after.
  size_t OnBytes(ByteView input, Time now);
  void OnTick(Time now);
  Time NextDeadline() const;
  // Reading is paused or goes on: silence counts against the broker only while we listen.
  void OnReadingPaused(bool paused, Time now);

  // To be written to the socket. The shell takes all of it (swap) and says so by OnOutputTaken.
  ByteBuffer& output() { return output_; }
  const ByteBuffer& output() const { return output_; }
  void OnOutputTaken(Time now) { last_sent_ = now; }

  // Opens the channel (again). Only after OnChannelClosed.
  void OpenChannel();
  template <class M>
  void Send(const M& method) {
    amqp::AppendMethodFrame(output_, kChannel, method);
  }

  // Says goodbye; done() once the broker has answered, which means that it has read everything sent
  // before, or after close_timeout.
  void Close(Time now);
  // Ends it here and now, as if the socket had failed.
  void Abort(Error why);

  bool done() const { return state_ == State::kDone; }
  // Once done(): why. nullptr after a Close.
  const Error* error() const { return error_ ? &*error_ : nullptr; }

  // Channel methods may be sent.
  bool channel_open() const { return state_ == State::kOpen && channel_ == Channel::kOpen; }
  bool closing() const { return state_ == State::kClosing; }
  // The broker understands the private methods of class landfall.
  bool extensions() const { return extensions_; }
  // Of whole frames; 0 means no limit.
  uint32_t frame_max() const { return frame_max_; }
  Time last_received() const { return last_received_; }

 private:
  enum class State { kStart, kTune, kOpenOk, kOpen, kClosing, kDone };
  enum class Channel { kClosed, kOpening, kOpen };

  void OnFrame(const amqp::Frame& frame, Time now);
  void OnConnectionMethod(ByteView payload, Time now);
  void OnChannelMethod(ByteView payload, Time now);
  void OnStart(const amqp::ConnectionStart& start);
  void OnTune(const amqp::ConnectionTune& tune);
  void OnContentHeader(ByteView payload, Time now);
  void OnContentBody(ByteView payload, Time now);
  void FinishContent(Time now);
  void Broke(const std::string& how);

  // Decodes or ends the connection.
  template <class M>
  std::optional<M> Read(ByteView payload);

  ConnectionOptions options_;
  ConnectionEvents& events_;
  State state_ = State::kStart;
  Channel channel_ = Channel::kClosed;
  ByteBuffer output_;
  std::optional<Error> error_;
  bool extensions_ = false;
  bool paused_ = false;
  uint32_t frame_max_ = 0;
  Duration heartbeat_{0};
  Time last_received_;
  Time last_sent_;
  Time deadline_;  // of the handshake, or of closing

  // The content being assembled: its method's id (0: none) and payload, then the header's parts.
  amqp::MethodId content_id_ = 0;
  bool content_has_header_ = false;
  ByteBuffer content_method_;
  ByteBuffer content_properties_;
  ByteBuffer content_body_;
  uint64_t content_left_ = 0;
};

}  // namespace landfall::client
