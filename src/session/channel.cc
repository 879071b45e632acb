#include "session/channel.h"

#include <algorithm>
#include <string>
#include <utility>

namespace landfall::session {

using amqp::ReplyCode;

Channel::Channel(ConnectionContext& context, broker::ChannelId id, uint32_t incarnation,
                 access::Seat seat)
    : context_(context), id_(id), seat_(std::move(seat)), publishing_(context, id, incarnation) {
  context_.Send(id_, amqp::ChannelOpenOk{});
}

Channel::~Channel() = default;

Verdict Channel::OnFrame(const amqp::Frame& frame) {
  switch (frame.type) {
    case amqp::FrameType::kMethod: {
      Verdict verdict = OnMethod(frame.payload);
      if (!verdict && verdict.error().method == 0) {
        verdict.error().method = amqp::PeekMethodId(frame.payload);
      }
      return verdict;
    }
    case amqp::FrameType::kHeader:
    case amqp::FrameType::kBody: {
      if (state_ != State::kOpen) return {};
      Verdict verdict = frame.type == amqp::FrameType::kHeader ? publishing_.OnHeader(frame.payload)
                                                               : publishing_.OnBody(frame.payload);
      if (!verdict && verdict.error().method == 0) verdict.error().method = amqp::BasicPublish::kId;
      return verdict;
    }
    case amqp::FrameType::kHeartbeat:
      break;
  }
  return Refuse(ReplyCode::kUnexpectedFrame, "heartbeat frame on channel " + std::to_string(id_));
}

Verdict Channel::OnMethod(ByteView payload) {
  const amqp::MethodId id = amqp::PeekMethodId(payload);
  if (state_ == State::kFailed) {
    // The client's close may have crossed ours; both ends the exchange.
    if (id == amqp::ChannelClose::kId) context_.Send(id_, amqp::ChannelCloseOk{});
    if (id == amqp::ChannelClose::kId || id == amqp::ChannelCloseOk::kId) {
      state_ = State::kDraining;
      FinishClosing();
    }
    return {};
  }
  if (publishing_.assembling()) return publishing_.ContentInterrupted();
  return Dispatch(id, payload);
}

template <class M>
Verdict Channel::Handle(ByteView payload) {
  const auto method = amqp::Decode<M>(payload);
  if (!method) return Refuse(ReplyCode::kSyntaxError, method.error().message);
  return On(*method);
}

Verdict Channel::Dispatch(amqp::MethodId id, ByteView payload) {
  switch (id) {
    case amqp::BasicPublish::kId:
      return Handle<amqp::BasicPublish>(payload);
    case amqp::BasicAck::kId:
      return Handle<amqp::BasicAck>(payload);
    case amqp::BasicNack::kId:
      return Handle<amqp::BasicNack>(payload);
    case amqp::BasicReject::kId:
      return Handle<amqp::BasicReject>(payload);
    case amqp::BasicGet::kId:
      return Handle<amqp::BasicGet>(payload);
    case amqp::BasicConsume::kId:
      return Handle<amqp::BasicConsume>(payload);
    case amqp::BasicCancel::kId:
      return Handle<amqp::BasicCancel>(payload);
    case amqp::BasicQos::kId:
      return Handle<amqp::BasicQos>(payload);
    case amqp::BasicRecover::kId:
      return Handle<amqp::BasicRecover>(payload);
    case amqp::BasicRecoverAsync::kId:
      return Handle<amqp::BasicRecoverAsync>(payload);
    case amqp::ExchangeDeclare::kId:
      return Handle<amqp::ExchangeDeclare>(payload);
    case amqp::ExchangeDelete::kId:
      return Handle<amqp::ExchangeDelete>(payload);
    case amqp::ExchangeBind::kId:
      return Handle<amqp::ExchangeBind>(payload);
    case amqp::ExchangeUnbind::kId:
      return Handle<amqp::ExchangeUnbind>(payload);
    case amqp::QueueDeclare::kId:
      return Handle<amqp::QueueDeclare>(payload);
    case amqp::QueueBind::kId:
      return Handle<amqp::QueueBind>(payload);
    case amqp::QueueUnbind::kId:
      return Handle<amqp::QueueUnbind>(payload);
    case amqp::QueuePurge::kId:
      return Handle<amqp::QueuePurge>(payload);
    case amqp::QueueDelete::kId:
      return Handle<amqp::QueueDelete>(payload);
    case amqp::ConfirmSelect::kId:
      return Handle<amqp::ConfirmSelect>(payload);
    case amqp::AccessRequest::kId:
      return Handle<amqp::AccessRequest>(payload);
    case amqp::ChannelFlow::kId:
      return Handle<amqp::ChannelFlow>(payload);
    case amqp::ChannelClose::kId:
      return Handle<amqp::ChannelClose>(payload);
    case amqp::ChannelFlowOk::kId:
    case amqp::ChannelCloseOk::kId:
    case amqp::BasicCancelOk::kId:  // some clients answer our basic.cancel
      return {};
    case amqp::ChannelOpen::kId:
      return Refuse(ReplyCode::kChannelError, "second 'channel.open' seen");
    case amqp::TxSelect::kId:
      return Handle<amqp::TxSelect>(payload);
    case amqp::TxCommit::kId:
      return Handle<amqp::TxCommit>(payload);
    case amqp::TxRollback::kId:
      return Handle<amqp::TxRollback>(payload);
    default:
      return DispatchLandfall(id, payload);
  }
}

Verdict Channel::DispatchLandfall(amqp::MethodId id, ByteView payload) {
  if (context_.peer.landfall_extensions) {
    switch (id) {
      case amqp::LandfallAck::kId:
        return Handle<amqp::LandfallAck>(payload);
      case amqp::LandfallNack::kId:
        return Handle<amqp::LandfallNack>(payload);
      case amqp::LandfallRenew::kId:
        return Handle<amqp::LandfallRenew>(payload);
      case amqp::LandfallRelease::kId:
        return Handle<amqp::LandfallRelease>(payload);
      default:
        break;
    }
  } else if (id >> 16 == amqp::LandfallAck::kId >> 16) {
    return Refuse(ReplyCode::kNotImplemented,
                  "the capability 'landfall.extensions' was not negotiated");
  }
  if (amqp::IsKnownMethod(id)) {
    return Refuse(ReplyCode::kCommandInvalid,
                  "unexpected method '" + std::string(amqp::MethodName(id)) + "'");
  }
  return Refuse(ReplyCode::kCommandInvalid, "unknown method: class " + std::to_string(id >> 16) +
                                                ", method " + std::to_string(id & 0xffff));
}

Verdict Channel::On(const amqp::ChannelFlow& m) {
  // Clients are held back by prefetch; to stop a channel altogether RabbitMQ refuses as well.
  if (!m.active) return Refuse(ReplyCode::kNotImplemented, "active=false");
  context_.Send(id_, amqp::ChannelFlowOk{.active = true});
  return {};
}

Verdict Channel::On(const amqp::ChannelClose&) {
  publishing_.FlushConfirms();
  state_ = State::kClosing;
  LetGo();
  FinishClosing();
  return {};
}

Verdict Channel::On(const amqp::AccessRequest&) {
  context_.Send(id_, amqp::AccessRequestOk{.ticket = 1});
  return {};
}

Verdict Channel::On(const amqp::ConfirmSelect& m) {
  if (publishing_.transactional()) {
    return Refuse(ReplyCode::kPreconditionFailed, "cannot switch from tx to confirm mode");
  }
  publishing_.SelectConfirms();
  if (!m.no_wait) context_.Send(id_, amqp::ConfirmSelectOk{});
  return {};
}

void Channel::Await(Awaited::What what, amqp::MethodId method, bool no_wait) {
  awaited_ = Awaited{};
  awaited_.what = what;
  awaited_.method = method;
  awaited_.no_wait = no_wait;
}

// True if that is what the channel was waiting for; it is not waiting any longer then.
bool Channel::Answered(Awaited::What what) {
  if (state_ != State::kOpen || awaited_.what != what) return false;
  awaited_.what = Awaited::What::kNothing;
  return true;
}

void Channel::TouchShard(broker::ShardId shard) {
  if (std::find(touched_shards_.begin(), touched_shards_.end(), shard) != touched_shards_.end()) {
    return;
  }
  touched_shards_.push_back(shard);
  context_.may_hold_deliveries = true;
  if (context_.leases_paused) context_.ToShard(shard, broker::PauseLeasesCommand{true});
}

// Gives back all that the shards hold for the channel. Acks that came before go first: they count.
void Channel::LetGo() {
  consumers_.ForEach([this](const Consumer& c) { context_.credit.Close(c.id); });
  consumers_ = Consumers();
  EndReplies();
  tags_ = DeliveryTags();
  landing_acks_.clear();
  held_settlements_.clear();
  behind_recover_ok_.clear();
  for (const broker::ShardId shard : touched_shards_) {
    context_.ToShard(shard, broker::CloseChannelCommand{id_});
  }
  shards_closing_ = touched_shards_.size();
}

void Channel::FinishClosing() {
  if (shards_closing_ > 0) return;
  if (state_ == State::kClosing) context_.Send(id_, amqp::ChannelCloseOk{});
  if (state_ == State::kClosing || state_ == State::kDraining) state_ = State::kGone;
}

void Channel::Fail(const Exception& exception) {
  publishing_.FlushConfirms();
  publishing_.Abandon();
  context_.Send(id_, amqp::ChannelClose{.reply_code = static_cast<uint16_t>(exception.code),
                                        .reply_text = exception.text,
                                        .class_id = static_cast<uint16_t>(exception.method >> 16),
                                        .method_id = static_cast<uint16_t>(exception.method)});
  state_ = State::kFailed;
  awaited_ = Awaited{};
  LetGo();
}

Verdict Channel::OnOutcome(broker::ChannelClosed&) {
  if (shards_closing_ > 0) --shards_closing_;
  FinishClosing();
  return {};
}

void Channel::OnSettled(const Landing& landing) {
  if (state_ == State::kOpen && landing.incarnation == publishing_.incarnation()) {
    publishing_.OnSettled(landing);
  }
}

}  // namespace landfall::session
