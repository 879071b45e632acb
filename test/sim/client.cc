#include "sim/client.h"

#include <fmt/format.h>

namespace landfall::sim {

Client::Client(Surroundings& around, std::string name) : around_(around), name_(std::move(name)) {}

Client::~Client() {
  if (link_) link_->Cut(/*tell_peer=*/false);
}

void Client::Start() {
  After(around_.world.Any(reconnect_delay_), [this] { Connect(); });
}

void Client::Connect() {
  if (leaving_ || link_) return;
  link_ = around_.connect(*this, lingers_);
  if (!link_) {
    Start();
    return;
  }
  ++connection_;
  input_.clear();
  contents_.clear();
  open_ = false;
  closing_ = false;
  Write(amqp::kProtocolHeader);
}

void Client::Write(ByteView bytes) {
  if (link_) link_->Write(bytes);
}

void Client::StopReading(bool stop) {
  if (link_) link_->StopReading(stop);
}

void Client::Lost() {
  if (!link_) return;
  around_.world.Trace([&] { return name_ + " lost its connection"; });
  link_.reset();
  open_ = false;
  ++connection_;
  OnLost();
  if (!leaving_) {
    After(reconnect_delay_ + around_.world.Any(reconnect_delay_), [this] { Connect(); });
  }
}

void Client::CutLink() {
  if (!link_) return;
  around_.world.Trace([&] { return name_ + " cuts"; });
  link_->Cut(/*tell_peer=*/false);
  Lost();
}

void Client::ClosePolitely() {
  if (!open()) return CutLink();
  OnLeaving();
  Send(0, amqp::ConnectionClose{.reply_code = 200, .reply_text = "bye"});
  closing_ = true;
}

void Client::Leave(bool politely) {
  leaving_ = true;
  if (!link_) return;
  if (politely && open()) {
    ClosePolitely();
  } else {
    CutLink();
  }
}

void Client::After(Duration delay, std::function<void()> event) {
  around_.world.After(delay, [alive = std::weak_ptr<int>(alive_), event = std::move(event)] {
    if (!alive.expired()) event();
  });
}

void Client::AfterOnLink(Duration delay, std::function<void()> event) {
  After(delay, [this, connection = connection_, event = std::move(event)] {
    if (connection_ == connection && link_) event();
  });
}

void Client::OnBytes(ByteView bytes, Time made) {
  input_ += bytes;
  size_t used = 0;
  const uint64_t connection = connection_;
  while (connection_ == connection) {
    const amqp::FrameResult result = amqp::ParseFrame(ByteView(input_).substr(used), 0);
    if (result.status == amqp::FrameResult::Status::kNeedMore) break;
    if (result.status == amqp::FrameResult::Status::kError) {
      around_.model.Fail(name_ + " received a broken frame: " + result.text);
    }
    if (open_ && result.consumed > frame_max_) {
      around_.model.Fail(name_ + " received a frame above frame_max");
    }
    used += result.consumed;
    // The frame is borrowed from the input, which a handler may clear.
    const ByteBuffer payload(result.frame.payload);
    OnFrame({result.frame.type, result.frame.channel, payload}, made);
  }
  if (connection_ == connection) input_.erase(0, used);
}

void Client::OnFrame(const amqp::Frame& frame, Time made) {
  if (frame.type == amqp::FrameType::kHeartbeat) return;
  if (frame.type == amqp::FrameType::kMethod) {
    const amqp::MethodId id = amqp::PeekMethodId(frame.payload);
    if (frame.channel == 0) {
      OnConnectionMethod(id, frame.payload);
    } else if (amqp::MethodHasContent(id)) {
      contents_[frame.channel] = {.method = ByteBuffer(frame.payload)};
    } else if (!closing_) {
      around_.world.Trace(
          [&] { return fmt::format("{} < {} on {}", name_, amqp::MethodName(id), frame.channel); });
      OnMethod(frame.channel, id, frame.payload, made);
    }
    return;
  }
  const auto it = contents_.find(frame.channel);
  if (it == contents_.end()) around_.model.Fail(name_ + " received content without its method");
  Content& content = it->second;
  if (frame.type == amqp::FrameType::kHeader) {
    const auto header = amqp::DecodeContentHeader(frame.payload);
    if (!header) around_.model.Fail(name_ + " received a broken content header");
    content.properties = header->properties;
    content.size = header->body_size;
  } else {
    content.body += frame.payload;
  }
  if (content.body.size() < content.size) return;
  const Content whole = std::move(content);
  contents_.erase(it);
  if (closing_) return;
  around_.world.Trace([&] {
    return fmt::format("{} < {} on {}: {}", name_,
                       amqp::MethodName(amqp::PeekMethodId(whole.method)), frame.channel,
                       whole.body.substr(0, whole.body.find(';')));
  });
  OnContent(frame.channel, whole, made);
}

void Client::OnConnectionMethod(amqp::MethodId id, ByteView payload) {
  switch (id) {
    case amqp::ConnectionStart::kId: {
      extended_ = rng().Chance(0.6);
      const ByteBuffer properties =
          amqp::Table{{"capabilities", amqp::Table{{"consumer_cancel_notify", true},
                                                   {"connection.blocked", rng().Chance(0.5)},
                                                   {"authentication_failure_close", true},
                                                   {"landfall.extensions", extended_}}}}
              .Encode();
      Send(0, amqp::ConnectionStartOk{.client_properties = amqp::TableView(properties),
                                      .mechanism = "PLAIN",
                                      .response = ByteView("\0guest\0guest", 12),
                                      .locale = "en_US"});
      return;
    }
    case amqp::ConnectionTune::kId:
      frame_max_ = rng().Chance(0.5) ? 4096 : 131072;
      heartbeat_ = rng().Chance(0.3) ? 2 : 0;
      Send(0, amqp::ConnectionTuneOk{
                  .channel_max = 100, .frame_max = frame_max_, .heartbeat = heartbeat_});
      Send(0, amqp::ConnectionOpen{.virtual_host = "/"});
      if (heartbeat_ != 0) Heartbeat();
      return;
    case amqp::ConnectionOpenOk::kId:
      open_ = true;
      OnOpen();
      return;
    case amqp::ConnectionClose::kId: {
      const auto close = amqp::Decode<amqp::ConnectionClose>(payload);
      around_.model.Fail(
          fmt::format("{} was closed: {} {}", name_, close->reply_code, close->reply_text));
      return;
    }
    case amqp::ConnectionCloseOk::kId:
      CutLink();
      return;
    default:
      return;  // blocked, unblocked
  }
}

void Client::Heartbeat() {
  AfterOnLink(std::chrono::milliseconds(700), [this] {
    ByteBuffer frame;
    amqp::AppendHeartbeatFrame(frame);
    Write(frame);
    Heartbeat();
  });
}

// Only a queue or an exchange that is gone may close a channel here.
void Client::CheckClose(uint16_t code, ByteView text) {
  if (code != static_cast<uint16_t>(amqp::ReplyCode::kNotFound)) {
    around_.model.Fail(fmt::format("a channel of {} was closed: {} {}", name_, code, text));
  }
  around_.world.Trace([&] { return fmt::format("{}: {} {}", name_, code, text); });
}

}  // namespace landfall::sim
