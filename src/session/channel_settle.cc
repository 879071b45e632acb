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

// Calls taken(tag, delivery) for what the client settles.
template <class F>
Verdict Channel::TakeTags(uint64_t tag, bool multiple, F taken) {
  const auto found = multiple ? tags_.TakeUpTo(tag, taken) : tags_.Take(tag, taken);
  if (found == DeliveryTags::Found::kUnknown) return UnknownTag(tag);
  return {};
}

Verdict Channel::Settle(uint64_t tag, bool multiple, Settlement kind, Duration delay) {
  if (publishing_.transactional()) {
    return TakeTags(tag, multiple, [&](uint64_t taken, const Delivery& delivery) {
      held_settlements_.push_back({taken, delivery, kind, delay});
    });
  }
  Verdict verdict = TakeTags(
      tag, multiple, [&](uint64_t, const Delivery& delivery) { SettleOne(delivery, kind, delay); });
  ShareOutGrants();
  return verdict;
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
  // At once, also in a transaction: what has been settled in it is not among them.
  Verdict verdict = TakeTags(0, true, [&](uint64_t, const Delivery& delivery) {
    SettleOne(delivery, Settlement::kReturn);
  });
  ShareOutGrants();
  return verdict;
}

Verdict Channel::On(const amqp::BasicRecover& m) {
  if (Verdict verdict = Recover(m.requeue); !verdict) return verdict;
  if (touched_shards_.empty()) {
    context_.Send(id_, amqp::BasicRecoverOk{});
    return {};
  }
  // Whoever has the answer may count on it, on whatever connection; what is delivered before it has
  // been recovered, what is delivered after it has not.
  Await(Awaited::What::kRecovered, amqp::BasicRecover::kId);
  awaited_.shards = touched_shards_.size();
  for (const broker::ShardId shard : touched_shards_) {
    context_.ToShard(shard, broker::EchoCommand{id_});
  }
  return {};
}

Verdict Channel::OnOutcome(broker::Echo&) {
  if (awaited_.what != Awaited::What::kRecovered || --awaited_.shards > 0) return {};
  if (!Answered(Awaited::What::kRecovered)) return {};
  context_.Send(id_, amqp::BasicRecoverOk{});
  for (auto& outcome : std::exchange(behind_recover_ok_, {})) {
    Verdict verdict = std::visit([this](auto& o) { return OnOutcome(o); }, outcome);
    if (!verdict) return verdict;
  }
  return {};
}

Verdict Channel::On(const amqp::BasicRecoverAsync& m) { return Recover(m.requeue); }

Verdict Channel::On(const amqp::LandfallAck& m) {
  if (publishing_.transactional()) {
    return Refuse(ReplyCode::kPreconditionFailed,
                  "landfall.ack on a transactional channel: send basic.ack, tx.commit-ok says that "
                  "it has landed");
  }
  // Acks that come together share a token, or each would be a settlement of its own.
  const broker::SettleCommand* held = context_.shards.held();
  const bool joins = held != nullptr && held->channel == id_ && held->notify_token != 0;
  const uint64_t token = joins ? held->notify_token : ++context_.last_token;
  uint32_t settlements = 0;
  const auto settle = [&](uint64_t, const Delivery& delivery) {
    if (SettleOne(delivery, Settlement::kAck, Duration{-1}, token)) ++settlements;
  };
  if (Verdict verdict = TakeTags(m.delivery_tag, m.multiple, settle); !verdict) return verdict;
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
  if (OnCommitAckLanded(landed.token)) return {};
  const auto it = landing_acks_.find(landed.token);
  if (it == landing_acks_.end() || --it->second.settlements > 0) return {};
  for (const auto& [tag, multiple] : it->second.acks) {
    context_.Send(id_, amqp::LandfallAckLanded{.delivery_tag = tag, .multiple = multiple});
  }
  landing_acks_.erase(it);
  return {};
}

Verdict Channel::On(const amqp::LandfallNack& m) {
  return Settle(m.delivery_tag, false, Settlement::kReturn, std::chrono::milliseconds(m.delay_ms));
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
  auto before = tags_.Expire(expired.queue, expired.sequence, expired.attempt);
  if (!before) before = ExpireHeld(expired);
  if (before && before->granted) {
    consumers_.Release();
    ShareOutGrants();
  }
  return {};
}

}  // namespace landfall::session
