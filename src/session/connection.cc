#include "session/connection.h"

#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <variant>

namespace landfall::session {

using amqp::ReplyCode;

size_t Session::Connection::OnBytes(ByteView input, Time now) {
  if (!wants_input() || input.empty()) return 0;
  Turn turn(*this, now);
  last_received_ = now;
  if (deaf_) return input.size();
  const size_t used = TakeFrames(input);
  received_ += used;
  return used;
}

size_t Session::Connection::TakeFrames(ByteView input) {
  size_t used = 0;
  if (phase_ == Phase::kProtocolHeader) {
    used = OnProtocolHeader(input);
    if (used == 0) return 0;
  }
  while (wants_input() && !deaf_) {
    const amqp::FrameResult result = amqp::ParseFrame(input.substr(used), frame_limit_);
    if (result.status == amqp::FrameResult::Status::kNeedMore) break;
    if (result.status == amqp::FrameResult::Status::kError) {
      OnFrameError(result);
      return input.size();
    }
    used += result.consumed;
    OnFrame(result.frame);
    NoteUnlanded();
  }
  return used;
}

void Session::Connection::OnFrame(const amqp::Frame& frame) {
  if (phase_ == Phase::kRunning && frame.channel != 0) [[likely]] {
    OnChannelFrame(frame);
    return;
  }
  if (frame.channel == 0) {
    Judge(0, OnConnectionFrame(frame));
    return;
  }
  if (phase_ == Phase::kCloseSent || phase_ == Phase::kCloseAnswered) return;
  Judge(0, Refuse(ReplyCode::kCommandInvalid, "frame on channel " + std::to_string(frame.channel) +
                                                  " before the connection is open"));
}

Verdict Session::Connection::OnConnectionFrame(const amqp::Frame& frame) {
  switch (frame.type) {
    case amqp::FrameType::kHeartbeat:
      return {};
    case amqp::FrameType::kMethod: {
      Verdict verdict = OnConnectionMethod(frame.payload);
      if (!verdict && verdict.error().method == 0) {
        verdict.error().method = amqp::PeekMethodId(frame.payload);
      }
      return verdict;
    }
    case amqp::FrameType::kHeader:
    case amqp::FrameType::kBody:
      break;
  }
  if (phase_ == Phase::kCloseSent || phase_ == Phase::kCloseAnswered) return {};
  return Refuse(ReplyCode::kUnexpectedFrame, "content frame on channel 0");
}

Verdict Session::Connection::OnConnectionMethod(ByteView payload) {
  const amqp::MethodId id = amqp::PeekMethodId(payload);
  if (phase_ == Phase::kCloseSent) {
    // The peer's close may have crossed ours.
    if (id == amqp::ConnectionClose::kId) context_.Send(0, amqp::ConnectionCloseOk{});
    if (id == amqp::ConnectionClose::kId || id == amqp::ConnectionCloseOk::kId) CloseSocket("");
    return {};
  }
  if (phase_ == Phase::kCloseAnswered) {
    if (id == amqp::ConnectionClose::kId) context_.Send(0, amqp::ConnectionCloseOk{});
    return {};
  }
  if (id == amqp::ConnectionClose::kId) return OnCloseReceived(payload);
  if (phase_ != Phase::kRunning) return OnHandshake(id, payload);
  if (id == amqp::ConnectionUpdateSecret::kId) {
    // Who the peer is was decided when it came; a password that has changed since concerns only
    // those who come later. Clients that renew tokens rely on the answer.
    if (!amqp::Decode<amqp::ConnectionUpdateSecret>(payload)) {
      return Refuse(ReplyCode::kSyntaxError, "malformed connection.update-secret");
    }
    context_.Send(0, amqp::ConnectionUpdateSecretOk{});
    return {};
  }
  if (!amqp::IsKnownMethod(id)) {
    return Refuse(ReplyCode::kCommandInvalid, "unknown method: class " + std::to_string(id >> 16) +
                                                  ", method " + std::to_string(id & 0xffff));
  }
  return Refuse(ReplyCode::kCommandInvalid,
                "unexpected method '" + std::string(amqp::MethodName(id)) + "' on channel 0");
}

void Session::Connection::OnChannelFrame(const amqp::Frame& frame) {
  Slot* slot = FindSlot(frame.channel);
  if (slot == nullptr) [[unlikely]] {
    Judge(frame.channel, OnUnopenedChannel(frame));
    return;
  }
  if (slot->channel->busy() || !slot->backlog.empty()) {
    Keep(*slot, frame);
    return;
  }
  Verdict verdict = slot->channel->OnFrame(frame);
  if (!verdict) {
    Judge(frame.channel, std::move(verdict));
  } else if (slot->channel->gone()) {
    slots_[frame.channel].reset();
  }
}

Verdict Session::Connection::OnUnopenedChannel(const amqp::Frame& frame) {
  const amqp::MethodId id =
      frame.type == amqp::FrameType::kMethod ? amqp::PeekMethodId(frame.payload) : 0;
  if (id == amqp::ChannelCloseOk::kId) return {};
  auto refused = Refuse(ReplyCode::kChannelError, "expected 'channel.open'");
  refused.error().method = id;
  if (id != amqp::ChannelOpen::kId) return refused;
  if (frame.channel > channel_max_) {
    refused.error().text = "CHANNEL_ERROR - channel number " + std::to_string(frame.channel) +
                           " is above the negotiated channel_max (" + std::to_string(channel_max_) +
                           ")";
    return refused;
  }
  if (!amqp::Decode<amqp::ChannelOpen>(frame.payload)) {
    refused = Refuse(ReplyCode::kSyntaxError, "malformed channel.open");
    refused.error().method = id;
    return refused;
  }
  const std::optional<uint32_t> limit =
      context_.account ? context_.account->max_channels : std::nullopt;
  auto seat = access::Seat::Take(user_usage_, &access::Usage::channels, limit);
  if (!seat) {
    refused =
        Refuse(ReplyCode::kNotAllowed, "number of channels opened for user '" + context_.user +
                                           "' has reached the maximum allowed user limit of (" +
                                           std::to_string(*limit) + ")");
    refused.error().method = id;
    return refused;
  }
  if (frame.channel >= slots_.size()) slots_.resize(frame.channel + size_t{1});
  if (!slots_[frame.channel]) slots_[frame.channel] = std::make_unique<Slot>();
  slots_[frame.channel]->channel =
      std::make_unique<Channel>(context_, frame.channel, ++incarnations_, std::move(*seat));
  return {};
}

void Session::Connection::Keep(Slot& slot, const amqp::Frame& frame) {
  const size_t before = slot.backlog.size();
  amqp::AppendFrame(slot.backlog, frame.type, frame.channel, frame.payload);
  suspended_bytes_ += slot.backlog.size() - before;
}

// Goes on with the frames that were kept while the channel was busy.
void Session::Connection::Resume(broker::ChannelId channel) {
  while (Slot* slot = FindSlot(channel)) {
    if (slot->channel && slot->channel->gone()) slot->channel.reset();
    if (slot->channel && slot->channel->busy()) return;
    if (slot->backlog_used == slot->backlog.size()) {
      slot->backlog = ByteBuffer();
      slot->backlog_used = 0;
      if (!slot->channel) slots_[channel].reset();
      break;
    }
    const amqp::FrameResult result =
        amqp::ParseFrame(ByteView(slot->backlog).substr(slot->backlog_used), 0);
    LANDFALL_ASSERT(result.status == amqp::FrameResult::Status::kFrame);
    slot->backlog_used += result.consumed;
    suspended_bytes_ -= result.consumed;
    Judge(channel,
          slot->channel ? slot->channel->OnFrame(result.frame) : OnUnopenedChannel(result.frame));
  }
  FinishDeferredEnd();
}

// Tells the peer of an exception, if it was one.
void Session::Connection::Judge(broker::ChannelId channel, Verdict verdict) {
  if (verdict || ending_) return;
  Channel* open = channel == 0 ? nullptr : FindChannel(channel);
  if (open == nullptr || amqp::IsHardError(verdict.error().code)) {
    Fail(verdict.error());
  } else {
    open->Fail(verdict.error());
  }
}

void Session::Connection::OnOutcome(broker::Outcome& outcome, Time now) {
  Turn turn(*this, now);
  std::visit(
      [this](auto& body) {
        using Body = std::decay_t<decltype(body)>;
        if constexpr (std::is_same_v<Body, broker::Published>) {
          context_.shards.OnPublished(body, [this](const Landing& landing) {
            if (Channel* channel = FindChannel(landing.channel)) channel->OnSettled(landing);
          });
          NoteUnlanded();
          FinishCommits();
        } else if constexpr (std::is_same_v<Body, broker::PublishFate>) {
          context_.shards.OnFate(body);
        } else {
          if constexpr (std::is_same_v<Body, broker::ChannelClosed>) {
            if (body.channel == 0) {
              if (shards_closing_ == 0) return;
              --shards_closing_;
              if (shards_closing_ == 0) FinishEnd();
              return;
            }
          }
          Channel* channel = FindChannel(body.channel);
          if (channel == nullptr) return;
          const bool was_busy = channel->busy();
          const broker::ChannelId id = body.channel;
          Judge(id, channel->OnOutcome(body));
          if (was_busy) Resume(id);
        }
      },
      outcome);
}

void Session::Connection::OnTopologyReply(broker::TopologyReply& reply, Time now) {
  Turn turn(*this, now);
  Channel* channel = FindChannel(reply.channel);
  if (channel == nullptr) return;
  const broker::ChannelId id = reply.channel;
  Judge(id, channel->OnTopologyReply(reply));
  Resume(id);
}

bool Session::Connection::OnDirectReply(const DirectReply& reply, Time now) {
  Turn turn(*this, now);
  if (ending_ || phase_ != Phase::kRunning) return false;
  // Nobody gives credit for replies, so a client that does not read them has to do without.
  if (unwritten() > context_.options.max_unlanded_bytes) return false;
  Channel* channel = FindChannel(reply.to.channel);
  return channel != nullptr && channel->OnDirectReply(reply);
}

void Session::Connection::OnReplySettled(const DirectReplySettled& settled, Time now) {
  Turn turn(*this, now);
  const broker::ChannelId id = settled.channel;
  Channel* channel = FindChannel(id);
  if (channel == nullptr || channel->incarnation() != settled.incarnation) return;
  if (settled.asked) {
    Judge(id, channel->OnReplyConsumerFound(settled.delivered));
    Resume(id);
    return;
  }
  Landing landing;
  landing.channel = id;
  landing.incarnation = settled.incarnation;
  landing.number = settled.number;
  if (!settled.delivered) landing.fate = broker::Fate::kGone;
  channel->OnSettled(landing);
  NoteUnlanded();
  FinishCommits();
}

void Session::Connection::FinishCommits() {
  for (const broker::ChannelId id : std::exchange(context_.landed_commits, {})) {
    Channel* channel = FindChannel(id);
    if (channel == nullptr) continue;
    Judge(id, channel->OnCommitLanded());
    Resume(id);
  }
}

void Session::Connection::FlushConfirms() {
  for (const broker::ChannelId id : context_.unflushed_confirms) {
    if (Channel* channel = FindChannel(id)) channel->FlushConfirms();
  }
  context_.unflushed_confirms.clear();
}

}  // namespace landfall::session
