#include "client/client_connection.h"

#include <algorithm>
#include <utility>

#include "amqp/properties.h"
#include "amqp/reply_code.h"
#include "amqp/table.h"
#include "base/assert.h"

namespace landfall::client {
namespace {

constexpr std::string_view kExtensions = "landfall.extensions";

ErrorCode CodeOf(uint16_t reply) {
  switch (static_cast<amqp::ReplyCode>(reply)) {
    case amqp::ReplyCode::kAccessRefused:
    case amqp::ReplyCode::kNotAllowed:
    case amqp::ReplyCode::kInvalidPath:
      return ErrorCode::kAccessRefused;
    case amqp::ReplyCode::kNotFound:
      return ErrorCode::kNotFound;
    case amqp::ReplyCode::kPreconditionFailed:
    case amqp::ReplyCode::kContentTooLarge:
    case amqp::ReplyCode::kResourceLocked:
    case amqp::ReplyCode::kNotImplemented:
      return ErrorCode::kInvalidArgument;
    case amqp::ReplyCode::kConnectionForced:
    case amqp::ReplyCode::kResourceError:
    case amqp::ReplyCode::kInternalError:
      return ErrorCode::kUnavailable;
    default:
      return ErrorCode::kProtocol;
  }
}

Error ErrorOf(std::string_view what, uint16_t code, ByteView text) {
  return {CodeOf(code), "the broker closed the " + std::string(what) + ": " + std::to_string(code) +
                            " " + std::string(text)};
}

amqp::Table ClientProperties(const std::string& name) {
  amqp::Table capabilities;
  for (const std::string_view each :
       {std::string_view("publisher_confirms"), std::string_view("basic.nack"),
        std::string_view("consumer_cancel_notify"), std::string_view("connection.blocked"),
        std::string_view("authentication_failure_close"), kExtensions}) {
    capabilities.Append(each, true);
  }
  amqp::Table properties;
  properties.Append("product", "Landfall client");
  properties.Append("platform", "C++");
  if (!name.empty()) properties.Append("connection_name", name);
  properties.Append("capabilities", std::move(capabilities));
  return properties;
}

// The smaller of two limits of which 0 means none.
template <class T>
T Smaller(T a, T b) {
  if (a == 0) return b;
  if (b == 0) return a;
  return std::min(a, b);
}

}  // namespace

ClientConnection::ClientConnection(const ConnectionOptions& options, ConnectionEvents& events,
                                   Time now)
    : options_(options),
      events_(events),
      frame_max_(options.frame_max),
      last_received_(now),
      last_sent_(now),
      deadline_(now + options.handshake_timeout) {
  output_.append(amqp::kProtocolHeader);
}

size_t ClientConnection::OnBytes(ByteView input, Time now) {
  if (done()) return input.size();
  last_received_ = now;
  // A broker that speaks another protocol version answers with its header instead of a frame.
  if (state_ == State::kStart && input.starts_with("AMQP")) {
    Broke("it does not speak AMQP 0-9-1");
    return input.size();
  }
  size_t used = 0;
  while (!done() && used < input.size()) {
    const amqp::FrameResult frame = amqp::ParseFrame(input.substr(used), frame_max_);
    if (frame.status == amqp::FrameResult::Status::kNeedMore) break;
    if (frame.status == amqp::FrameResult::Status::kError) {
      Broke(frame.text);
      break;
    }
    OnFrame(frame.frame, now);
    used += frame.consumed;
  }
  return done() ? input.size() : used;
}

void ClientConnection::OnFrame(const amqp::Frame& frame, Time now) {
  switch (frame.type) {
    case amqp::FrameType::kHeartbeat:
      return;
    case amqp::FrameType::kMethod:
      if (frame.channel == 0) return OnConnectionMethod(frame.payload, now);
      break;
    case amqp::FrameType::kHeader:
    case amqp::FrameType::kBody:
      break;
  }
  if (state_ == State::kClosing) return;
  if (frame.channel != kChannel) return Broke("a frame on a channel that was never opened");
  if (frame.type == amqp::FrameType::kMethod) return OnChannelMethod(frame.payload, now);
  if (frame.type == amqp::FrameType::kHeader) return OnContentHeader(frame.payload, now);
  OnContentBody(frame.payload, now);
}

template <class M>
std::optional<M> ClientConnection::Read(ByteView payload) {
  Result<M> method = amqp::Decode<M>(payload);
  if (method) return *method;
  Broke(method.error().message);
  return std::nullopt;
}

void ClientConnection::OnConnectionMethod(ByteView payload, Time now) {
  switch (amqp::PeekMethodId(payload)) {
    case amqp::ConnectionStart::kId:
      if (state_ != State::kStart) break;
      if (const auto start = Read<amqp::ConnectionStart>(payload)) OnStart(*start);
      return;
    case amqp::ConnectionSecure::kId:
      return Broke(
          "it asks for a second authentication step, which neither PLAIN nor EXTERNAL has");
    case amqp::ConnectionTune::kId:
      if (state_ != State::kTune) break;
      if (const auto tune = Read<amqp::ConnectionTune>(payload)) OnTune(*tune);
      return;
    case amqp::ConnectionOpenOk::kId:
      if (state_ != State::kOpenOk) break;
      state_ = State::kOpen;
      return OpenChannel();
    case amqp::ConnectionBlocked::kId:
      if (const auto blocked = Read<amqp::ConnectionBlocked>(payload)) {
        events_.OnBlocked(true, blocked->reason, now);
      }
      return;
    case amqp::ConnectionUnblocked::kId:
      return events_.OnBlocked(false, {}, now);
    case amqp::ConnectionUpdateSecretOk::kId:
      return;
    case amqp::ConnectionClose::kId:
      if (const auto close = Read<amqp::ConnectionClose>(payload)) {
        amqp::AppendMethodFrame(output_, 0, amqp::ConnectionCloseOk{});
        if (state_ == State::kClosing) {
          state_ = State::kDone;
        } else {
          Abort(ErrorOf("connection", close->reply_code, close->reply_text));
        }
      }
      return;
    case amqp::ConnectionCloseOk::kId:
      if (state_ != State::kClosing) break;
      state_ = State::kDone;
      return;
    default:
      break;
  }
  if (state_ == State::kClosing) return;
  Broke("it sent " + std::string(amqp::MethodName(amqp::PeekMethodId(payload))) +
        " where that has no meaning");
}

void ClientConnection::OnStart(const amqp::ConnectionStart& start) {
  const bool external = options_.mechanism == SaslMechanism::kExternal;
  const std::string mechanism = external ? "EXTERNAL" : "PLAIN";
  const ByteView mechanisms = start.mechanisms;
  if ((" " + std::string(mechanisms) + " ").find(" " + mechanism + " ") == std::string::npos) {
    return Abort(
        {ErrorCode::kAccessRefused,
         "the broker does not offer SASL " + mechanism +
             (external ? " (it asks for no certificate, or takes no user from this one)" : "") +
             ", only: " + std::string(mechanisms)});
  }
  if (const auto capabilities = start.server_properties.Find("capabilities")) {
    if (const amqp::Table* table = capabilities->AsTable()) {
      extensions_ = table->GetBool(kExtensions).value_or(false);
    }
  }
  const ByteBuffer properties = ClientProperties(options_.name).Encode();
  std::string response;
  // With EXTERNAL the broker knows from the certificate who we are.
  if (!external) {
    response += '\0';
    response += options_.user;
    response += '\0';
    response += options_.password;
  }
  amqp::AppendMethodFrame(
      output_, 0,
      amqp::ConnectionStartOk{amqp::TableView(properties), mechanism, response, "en_US"});
  state_ = State::kTune;
}

void ClientConnection::OnTune(const amqp::ConnectionTune& tune) {
  frame_max_ = Smaller(tune.frame_max, options_.frame_max);
  if (frame_max_ != 0 && frame_max_ < amqp::kMinFrameMax) {
    return Broke("it offers a frame size below " + std::to_string(amqp::kMinFrameMax));
  }
  // 0 in ours means that the person turned heartbeats off.
  const uint16_t seconds =
      options_.heartbeat_seconds == 0 ? 0 : Smaller(tune.heartbeat, options_.heartbeat_seconds);
  heartbeat_ = std::chrono::seconds(seconds);
  amqp::AppendMethodFrame(output_, 0,
                          amqp::ConnectionTuneOk{tune.channel_max, frame_max_, seconds});
  amqp::AppendMethodFrame(output_, 0, amqp::ConnectionOpen{options_.vhost});
  state_ = State::kOpenOk;
}

void ClientConnection::OpenChannel() {
  LANDFALL_ASSERT(channel_ == Channel::kClosed);
  channel_ = Channel::kOpening;
  Send(amqp::ChannelOpen{});
}

void ClientConnection::OnChannelMethod(ByteView payload, Time now) {
  const amqp::MethodId id = amqp::PeekMethodId(payload);
  if (content_id_ != 0) return Broke("a method inside of a content");
  switch (id) {
    case amqp::ChannelOpenOk::kId:
      if (channel_ != Channel::kOpening) return Broke("channel.open-ok for no channel.open");
      channel_ = Channel::kOpen;
      deadline_ = kNever;
      return events_.OnChannelOpen(now);
    case amqp::ChannelClose::kId:
      if (const auto close = Read<amqp::ChannelClose>(payload)) {
        Send(amqp::ChannelCloseOk{});
        channel_ = Channel::kClosed;
        events_.OnChannelClosed(ErrorOf("channel", close->reply_code, close->reply_text), now);
      }
      return;
    case amqp::ChannelFlow::kId:
      if (const auto flow = Read<amqp::ChannelFlow>(payload)) {
        Send(amqp::ChannelFlowOk{flow->active});
        events_.OnBlocked(!flow->active, "channel.flow", now);
      }
      return;
    default:
      break;
  }
  if (!channel_open()) return Broke("a method on a channel that is not open");
  if (!amqp::IsKnownMethod(id) || !amqp::IsSentByServer(id)) {
    return Broke("a method that no server sends, " + std::to_string(id >> 16) + "." +
                 std::to_string(id & 0xffff));
  }
  if (!amqp::MethodHasContent(id)) return events_.OnMethod(id, payload, now);
  content_id_ = id;
  content_has_header_ = false;
  content_method_.assign(payload);
}

void ClientConnection::OnContentHeader(ByteView payload, Time now) {
  if (content_id_ == 0 || content_has_header_) return Broke("a content header without its method");
  const Result<amqp::ContentHeader> header = amqp::DecodeContentHeader(payload);
  if (!header) return Broke(header.error().message);
  if (header->body_size > options_.max_message_bytes) {
    return Broke("a message of " + std::to_string(header->body_size) +
                 " bytes, more than this client takes");
  }
  content_has_header_ = true;
  content_properties_.assign(header->properties);
  content_left_ = header->body_size;
  content_body_.clear();
  // No more than this on the broker's word alone.
  content_body_.reserve(std::min<uint64_t>(content_left_, 1u << 20));
  if (content_left_ == 0) FinishContent(now);
}

void ClientConnection::OnContentBody(ByteView payload, Time now) {
  if (content_id_ == 0 || !content_has_header_) return Broke("a content body without its header");
  if (payload.size() > content_left_) return Broke("a content body longer than it had said");
  content_body_.append(payload);
  content_left_ -= payload.size();
  if (content_left_ == 0) FinishContent(now);
}

void ClientConnection::FinishContent(Time now) {
  const amqp::MethodId id = std::exchange(content_id_, 0);
  content_has_header_ = false;
  events_.OnContent(id, content_method_, content_properties_, std::exchange(content_body_, {}),
                    now);
}

void ClientConnection::OnReadingPaused(bool paused, Time now) {
  paused_ = paused;
  last_received_ = now;
}

void ClientConnection::OnTick(Time now) {
  if (done()) return;
  if (now >= deadline_) {
    if (state_ == State::kClosing) {
      state_ = State::kDone;
      return;
    }
    return Abort({ErrorCode::kTimeout, "the broker did not answer the handshake in time"});
  }
  if (heartbeat_ == Duration::zero()) return;
  if (!paused_ && now - last_received_ >= 2 * heartbeat_) {
    return Abort({ErrorCode::kTimeout, "the broker has been silent for two heartbeats"});
  }
  if (output_.empty() && now - last_sent_ >= heartbeat_ / 2) {
    amqp::AppendHeartbeatFrame(output_);
    last_sent_ = now;
  }
}

Time ClientConnection::NextDeadline() const {
  if (done()) return kNever;
  Time next = deadline_;
  if (heartbeat_ != Duration::zero()) {
    // With output waiting for the socket there is nothing to add to it.
    if (output_.empty()) next = std::min(next, last_sent_ + heartbeat_ / 2);
    if (!paused_) next = std::min(next, last_received_ + 2 * heartbeat_);
  }
  return next;
}

void ClientConnection::Close(Time now) {
  if (done() || closing()) return;
  if (state_ != State::kOpen) {
    state_ = State::kDone;
    return;
  }
  amqp::AppendMethodFrame(output_, 0, amqp::ConnectionClose{200, "Goodbye", 0, 0});
  state_ = State::kClosing;
  deadline_ = now + options_.close_timeout;
}

void ClientConnection::Abort(Error why) {
  if (done()) return;
  state_ = State::kDone;
  error_ = std::move(why);
}

void ClientConnection::Broke(const std::string& how) {
  Abort({ErrorCode::kProtocol, "the broker broke the protocol: " + how});
}

}  // namespace landfall::client
