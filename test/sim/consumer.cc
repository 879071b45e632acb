#include "sim/consumer.h"

#include <fmt/format.h>

#include <algorithm>

namespace landfall::sim {
namespace {

constexpr uint16_t kChannel = 1;

}  // namespace

Consumer::Consumer(Surroundings& around, std::string name, ConsumerOptions options)
    : Client(around, std::move(name)), options_(std::move(options)) {}

void Consumer::OnOpen() { OpenChannel(); }

void Consumer::OpenChannel() {
  ++incarnation_;
  holder_ = model().NewHolder();
  risks_ = 0;
  channel_closing_ = false;
  recovering_ = kNever;
  held_.clear();
  landing_.clear();
  subscribed_.clear();
  cancelled_.clear();
  get_.reset();
  Send(kChannel, amqp::ChannelOpen{});
  if (options_.prefetch > 0) {
    Send(kChannel,
         amqp::BasicQos{.prefetch_count = options_.prefetch, .global = options_.global_prefetch});
  }
  if (options_.gets) {
    Get();
    return;
  }
  subscribed_.resize(options_.queues.size());
  for (size_t i = 0; i < options_.queues.size(); ++i) Subscribe(i);
}

// What is under way may close the channel: the queue may be gone.
void Consumer::Risk() {
  ++risks_;
  holder_->risky_since = std::min(holder_->risky_since, around_.world.now());
}

void Consumer::RiskOver() {
  if (risks_ > 0 && --risks_ == 0) holder_->risky_since = kNever;
}

// The broker closed the channel before we hear of it, and has not seen what we sent since.
void Consumer::LetGoByBroker() {
  holder_->unlanded_acks.clear();
  holder_->released = std::min(holder_->released, holder_->risky_since);
}

void Consumer::Subscribe(size_t which) {
  Subscribed& s = subscribed_[which];
  s.spec = options_.queues[which];
  if (s.subscription) cancelled_.push_back(std::move(s.subscription));
  s.subscription = std::make_unique<Subscription>();
  s.subscription->queue = s.spec->name;
  s.subscription->asked = around_.world.Mark();
  s.subscription->no_ack = options_.no_ack;
  s.subscription->holder = holder_;
  s.active = false;
  s.cancelling = false;
  Risk();
  Send(kChannel, amqp::BasicConsume{.queue = s.spec->name,
                                    .consumer_tag = fmt::format("{}", which),
                                    .no_ack = options_.no_ack});
}

void Consumer::Get() {
  AfterOnLink(around_.world.Any(options_.think), [this, incarnation = incarnation_] {
    if (incarnation != incarnation_ || !open()) return;
    if (get_ || held_.size() >= 20) return Get();
    get_from_ = options_.queues[rng().Below(options_.queues.size())];
    get_ = std::make_unique<Subscription>();
    get_->queue = get_from_->name;
    get_->asked = around_.world.Mark();
    get_->no_ack = options_.no_ack;
    get_->holder = holder_;
    Risk();
    Send(kChannel, amqp::BasicGet{.queue = get_from_->name, .no_ack = options_.no_ack});
    Get();
  });
}

void Consumer::OnMethod(uint16_t, amqp::MethodId id, ByteView payload, Time) {
  if (channel_closing_) {
    // The broker may have had a reason of its own at the same time.
    if (id == amqp::ChannelClose::kId) {
      LetGoByBroker();
      Send(kChannel, amqp::ChannelCloseOk{});
    }
    if (id == amqp::ChannelCloseOk::kId) OpenChannel();
    return;
  }
  switch (id) {
    case amqp::BasicConsumeOk::kId: {
      const auto ok = *amqp::Decode<amqp::BasicConsumeOk>(payload);
      subscribed_[std::stoul(std::string(ok.consumer_tag))].active = true;
      RiskOver();
      return;
    }
    case amqp::BasicCancelOk::kId: {
      const auto ok = *amqp::Decode<amqp::BasicCancelOk>(payload);
      const size_t which = std::stoul(std::string(ok.consumer_tag));
      subscribed_[which].active = false;
      AfterOnLink(around_.world.Any(std::chrono::milliseconds(20)),
                  [this, which, incarnation = incarnation_] {
                    if (incarnation == incarnation_ && open()) Subscribe(which);
                  });
      return;
    }
    case amqp::BasicCancel::kId: {  // the queue is gone; perhaps another one comes
      const auto cancel = *amqp::Decode<amqp::BasicCancel>(payload);
      const size_t which = std::stoul(std::string(cancel.consumer_tag));
      if (subscribed_[which].cancelling) return;
      subscribed_[which].active = false;
      AfterOnLink(std::chrono::milliseconds(20) + around_.world.Any(std::chrono::milliseconds(50)),
                  [this, which, incarnation = incarnation_] {
                    if (incarnation == incarnation_ && open()) Subscribe(which);
                  });
      return;
    }
    case amqp::BasicRecoverOk::kId:
      recovering_ = kNever;
      RiskOver();
      return;
    case amqp::BasicGetEmpty::kId:
      get_.reset();
      RiskOver();
      return;
    case amqp::LandfallAckLanded::kId: {
      const auto landed = *amqp::Decode<amqp::LandfallAckLanded>(payload);
      const auto it = landing_.find(landed.delivery_tag);
      if (it == landing_.end()) {
        return model().Fail(name() + " was told of the landing of an ack that it does not know");
      }
      for (const Delivery& d : it->second) model().OnAckLanded(d);
      landing_.erase(it);
      return;
    }
    case amqp::ChannelClose::kId: {
      const auto close = *amqp::Decode<amqp::ChannelClose>(payload);
      CheckClose(close.reply_code, close.reply_text);
      if (risks_ == 0) model().Fail(name() + " asked for nothing that can close a channel");
      LetGoByBroker();
      held_.clear();
      landing_.clear();
      ++incarnation_;
      Send(kChannel, amqp::ChannelCloseOk{});
      AfterOnLink(around_.world.Any(std::chrono::milliseconds(50)), [this] {
        if (open()) OpenChannel();
      });
      return;
    }
    default:
      return;
  }
}

void Consumer::OnContent(uint16_t, const Content& content, Time made) {
  if (channel_closing_) return;
  if (const auto deliver = amqp::Decode<amqp::BasicDeliver>(content.method)) {
    const size_t which = std::stoul(std::string(deliver->consumer_tag));
    around_.world.Trace([&] {
      return fmt::format("{} gets tag {} of {}{}", name(), deliver->delivery_tag,
                         options_.queues[which]->name, deliver->redelivered ? " again" : "");
    });
    Subscribed& s = subscribed_[which];
    const Delivery delivery =
        model().OnDelivered(*s.subscription, deliver->redelivered, content.properties, content.body,
                            made, options_.drains);
    Take(deliver->delivery_tag, {delivery, s.spec, s.subscription.get()});
    return;
  }
  const auto got = amqp::Decode<amqp::BasicGetOk>(content.method);
  if (!got || !get_) return model().Fail(name() + " got content that it did not ask for");
  const Delivery delivery =
      model().OnDelivered(*get_, got->redelivered, content.properties, content.body, made, false);
  get_.reset();
  RiskOver();
  Take(got->delivery_tag, {delivery, get_from_, nullptr});
}

void Consumer::Take(uint64_t tag, Held held) {
  if (options_.no_ack) return;
  if (held_.contains(tag)) return model().Fail(name() + " got a delivery tag twice");
  if (recovering_ != kNever) {
    // On its way before the broker gave everything back.
    model().OnGivenBack(held.delivery, std::nullopt, recovering_);
    return;
  }
  held_[tag] = held;
  CheckPrefetch(held);
  if (!options_.drains && around_.stormy && rng().Chance(options_.trouble)) return MakeTrouble();
  AfterOnLink(around_.world.Any(options_.think), [this, tag, incarnation = incarnation_] {
    if (incarnation == incarnation_ && held_.contains(tag) && open()) Decide(tag);
  });
}

void Consumer::CheckPrefetch(const Held& held) const {
  if (options_.prefetch == 0 || held.subscription == nullptr) return;
  size_t count = 0;
  for (const auto& [tag, other] : held_) {
    // Where leases run out the broker may rightly have thought that one was free.
    if (other.spec->lease) return;
    if (other.subscription == nullptr) continue;
    count += options_.global_prefetch || other.subscription == held.subscription;
  }
  if (count > options_.prefetch) {
    around_.model.Fail(fmt::format("{} holds {} deliveries with a prefetch of {}", name(), count,
                                   options_.prefetch));
  }
}

template <class F>
bool Consumer::Settle(uint64_t tag, F f) {
  const bool multiple = rng().Chance(options_.multiple);
  around_.world.Trace(
      [&] { return fmt::format("{} settles {}{}", name(), multiple ? "up to " : "", tag); });
  auto it = multiple ? held_.begin() : held_.find(tag);
  const auto end = held_.upper_bound(tag);
  while (it != end) {
    f(it->second);
    it = held_.erase(it);
  }
  return multiple;
}

void Consumer::Decide(uint64_t tag) {
  const double chance = rng().Unit();
  if (options_.drains) return Ack(tag);
  double upto = options_.give_back;
  if (chance < upto) return GiveBack(tag);
  upto += options_.reject;
  if (chance < upto) return Reject(tag);
  upto += options_.stall;
  if (chance < upto && around_.stormy) {
    const QueueSpec& spec = *held_.at(tag).spec;
    if (spec.lease && extended_ && rng().Chance(0.5)) {
      const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(*spec.lease);
      Send(kChannel, amqp::LandfallRenew{.delivery_tag = tag,
                                         .lease_ms = static_cast<uint32_t>(2 * ms.count())});
      AfterOnLink(*spec.lease, [this, tag, incarnation = incarnation_] {
        if (incarnation == incarnation_ && held_.contains(tag) && open()) Ack(tag);
      });
      return;
    }
    // Long enough for any lease; some come to themselves, the others keep it to the end.
    if (rng().Chance(0.7)) {
      AfterOnLink(std::chrono::milliseconds(100) + around_.world.Any(std::chrono::seconds(1)),
                  [this, tag, incarnation = incarnation_] {
                    if (incarnation == incarnation_ && held_.contains(tag) && open()) Decide(tag);
                  });
    }
    return;
  }
  Ack(tag);
}

void Consumer::Ack(uint64_t tag) {
  std::vector<Delivery> acked;
  const bool multiple = Settle(tag, [&](const Held& held) {
    model().OnAckSent(held.delivery, *holder_);
    acked.push_back(held.delivery);
  });
  if (extended_ && rng().Chance(0.3)) {
    Send(kChannel, amqp::LandfallAck{.delivery_tag = tag, .multiple = multiple});
    landing_[tag] = std::move(acked);
  } else {
    Send(kChannel, amqp::BasicAck{.delivery_tag = tag, .multiple = multiple});
  }
}

void Consumer::GiveBack(uint64_t tag) {
  around_.world.Trace([&] { return fmt::format("{} gives back {}", name(), tag); });
  if (extended_ && rng().Chance(0.3)) {
    const auto ms = static_cast<uint32_t>(rng().Below(200));
    model().OnGivenBack(held_.at(tag).delivery, std::chrono::milliseconds(ms));
    held_.erase(tag);
    Send(kChannel, amqp::LandfallNack{.delivery_tag = tag, .delay_ms = ms});
    return;
  }
  if (extended_ && rng().Chance(0.2)) {
    const bool multiple = Settle(tag, [&](const Held& held) { model().OnReleased(held.delivery); });
    Send(kChannel, amqp::LandfallRelease{.delivery_tag = tag, .multiple = multiple});
    return;
  }
  if (rng().Chance(0.3)) {
    model().OnGivenBack(held_.at(tag).delivery, std::nullopt);
    held_.erase(tag);
    Send(kChannel, amqp::BasicReject{.delivery_tag = tag, .requeue = true});
    return;
  }
  const bool multiple =
      Settle(tag, [&](const Held& held) { model().OnGivenBack(held.delivery, std::nullopt); });
  Send(kChannel, amqp::BasicNack{.delivery_tag = tag, .multiple = multiple, .requeue = true});
}

void Consumer::Reject(uint64_t tag) {
  const bool multiple = Settle(tag, [&](const Held& held) { model().OnRejectSent(held.delivery); });
  if (!multiple && rng().Chance(0.5)) {
    Send(kChannel, amqp::BasicReject{.delivery_tag = tag, .requeue = false});
  } else {
    Send(kChannel, amqp::BasicNack{.delivery_tag = tag, .multiple = multiple, .requeue = false});
  }
}

void Consumer::MakeTrouble() {
  switch (rng().Below(7)) {
    case 0:
    case 1:
      return CutLink();
    case 2:
      return ClosePolitely();
    case 3:
      // Closes the channel and opens it again.
      ReleaseAll();
      ++incarnation_;
      channel_closing_ = true;
      Send(kChannel, amqp::ChannelClose{.reply_code = 200, .reply_text = "again"});
      return;
    case 4:
      for (size_t i = 0; i < subscribed_.size(); ++i) {
        if (!subscribed_[i].active || subscribed_[i].cancelling) continue;
        subscribed_[i].cancelling = true;
        Send(kChannel, amqp::BasicCancel{.consumer_tag = fmt::format("{}", i)});
        return;
      }
      return;
    case 5:
      if (recovering_ != kNever) return;
      for (auto& [tag, held] : held_) model().OnGivenBack(held.delivery, std::nullopt);
      held_.clear();
      recovering_ = around_.world.now();
      Risk();
      Send(kChannel, amqp::BasicRecover{.requeue = true});
      return;
    case 6:
      // Reads nothing for a while.
      StopReading(true);
      AfterOnLink(around_.world.Any(std::chrono::milliseconds(500)),
                  [this] { StopReading(false); });
      return;
  }
}

void Consumer::OnLost() {
  ReleaseAll();
  if (holder_) holder_->unlanded_acks.clear();
  landing_.clear();
  ++incarnation_;
}

void Consumer::ReleaseAll() {
  if (holder_) holder_->released = std::min(holder_->released, around_.world.now());
  held_.clear();
}

}  // namespace landfall::sim
