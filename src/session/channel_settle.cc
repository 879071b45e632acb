// What a channel's client says about its deliveries.
#include <string>
#include <utility>

#include "session/channel.h"

namespace landfall::session {

using amqp::ReplyCode;
using broker::Settlement;

namespace {

std::unexpected<Exception> UnknownTag(uint64_t tag) {
  return Refuse(ReplyCode::kPreconditionFailed, "unknown delivery tag " + std::to_string(tag));
}

}  // namespace

// True if it is a settlement of its own and not part of the one before.
bool Channel::SettleOne(const Delivery& delivery, Settlement kind, Duration delay,
                        uint64_t notify_token) {
  // The place in the budget of a stale one was given back when its lease ran out, and its message
  // is somebody else's: only an ack can still count.
  if (delivery.granted && !delivery.stale) consumers_.Release();
  if (delivery.stale && kind != Settlement::kAck) return false;
  return context_.shards.Settle(delivery.shard,
                                broker::SettleCommand{.kind = kind,
                                                      .channel = id_,
                                                      .consumer = delivery.consumer,
                                                      .attempt = delivery.attempt,
                                                      .queue = delivery.queue,
                                                      .first = delivery.sequence,
                                                      .last = delivery.sequence,
                                                      .delay = delay,
                                                      .notify_token = notify_token});
}

Verdict Channel::Settle(uint64_t tag, bool multiple, Settlement kind) {
  const auto settle = [&](const Delivery& delivery) { SettleOne(delivery, kind); };
  const auto found = multiple ? tags_.TakeUpTo(tag, settle) : tags_.Take(tag, settle);
  if (found == DeliveryTags::Found::kUnknown) return UnknownTag(tag);
  ShareOutGrants();
  return {};
}

Verdict Channel::On(const amqp::BasicAck& m) {
  return Settle(m.delivery_tag, m.multiple, Settlement::kAck);
}

Verdict Channel::On(const amqp::BasicNack& m) {
  return Settle(m.delivery_tag, m.multiple, m.requeue ? Settlement::kReturn : Settlement::kReject);
}

Verdict Channel::On(const amqp::BasicReject& m) {
  return Settle(m.delivery_tag, false, m.requeue ? Settlement::kRequeue : Settlement::kReject);
}

Verdict Channel::Recover(bool requeue) {
  if (!requeue) return Refuse(ReplyCode::kNotImplemented, "requeue=false");
  return Settle(0, true, Settlement::kReturn);
}

Verdict Channel::On(const amqp::BasicRecover& m) {
  if (Verdict verdict = Recover(m.requeue); !verdict) return verdict;
  context_.Send(id_, amqp::BasicRecoverOk{});
  return {};
}

Verdict Channel::On(const amqp::BasicRecoverAsync& m) { return Recover(m.requeue); }

Verdict Channel::On(const amqp::LandfallAck& m) {
  // Acks that come together share a token, or each would be a settlement of its own.
  const broker::SettleCommand* held = context_.shards.held();
  const bool joins = held != nullptr && held->channel == id_ && held->notify_token != 0;
  const uint64_t token = joins ? held->notify_token : ++context_.last_token;
  uint32_t settlements = 0;
  const auto settle = [&](const Delivery& delivery) {
    if (SettleOne(delivery, Settlement::kAck, Duration{-1}, token)) ++settlements;
  };
  const auto found =
      m.multiple ? tags_.TakeUpTo(m.delivery_tag, settle) : tags_.Take(m.delivery_tag, settle);
  if (found == DeliveryTags::Found::kUnknown) return UnknownTag(m.delivery_tag);
  ShareOutGrants();
  if (settlements == 0 && !joins) {
    // Nothing was left to settle.
    context_.Send(id_,
                  amqp::LandfallAckLanded{.delivery_tag = m.delivery_tag, .multiple = m.multiple});
    return {};
  }
  LandingAcks& landing = landing_acks_[token];
  landing.settlements += settlements;
  landing.acks.emplace_back(m.delivery_tag, m.multiple);
  return {};
}

Verdict Channel::OnOutcome(broker::AckLanded& landed) {
  const auto it = landing_acks_.find(landed.token);
  if (it == landing_acks_.end() || --it->second.settlements > 0) return {};
  for (const auto& [tag, multiple] : it->second.acks) {
    context_.Send(id_, amqp::LandfallAckLanded{.delivery_tag = tag, .multiple = multiple});
  }
  landing_acks_.erase(it);
  return {};
}

Verdict Channel::On(const amqp::LandfallNack& m) {
  const Duration delay = std::chrono::milliseconds(m.delay_ms);
  const auto found = tags_.Take(m.delivery_tag, [&](const Delivery& delivery) {
    SettleOne(delivery, Settlement::kReturn, delay);
  });
  if (found == DeliveryTags::Found::kUnknown) return UnknownTag(m.delivery_tag);
  ShareOutGrants();
  return {};
}

Verdict Channel::On(const amqp::LandfallRenew& m) {
  if (m.delivery_tag == 0 || m.delivery_tag > tags_.last()) return UnknownTag(m.delivery_tag);
  const Delivery* delivery = tags_.Find(m.delivery_tag);
  // A renewal may cross the ack of another thread, or come too late.
  if (delivery == nullptr || delivery->stale) return {};
  context_.ToShard(delivery->shard,
                   broker::RenewCommand{delivery->queue, delivery->sequence, delivery->attempt,
                                        std::chrono::milliseconds(m.lease_ms)});
  return {};
}

Verdict Channel::On(const amqp::LandfallRelease& m) {
  return Settle(m.delivery_tag, m.multiple, Settlement::kRelease);
}

Verdict Channel::OnOutcome(broker::LeaseExpired& expired) {
  const auto before = tags_.Expire(expired.queue, expired.sequence, expired.attempt);
  if (before && before->granted) {
    consumers_.Release();
    ShareOutGrants();
  }
  return {};
}

}  // namespace landfall::session
