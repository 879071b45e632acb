#include "client/receiver_core.h"

#include <algorithm>

#include "amqp/method.h"
#include "amqp/properties.h"
#include "base/assert.h"
#include "client/message_encoding.h"

namespace landfall::client {
namespace {

constexpr std::string_view kConsumerTag = "landfall";

uint32_t Milliseconds(std::chrono::milliseconds duration) {
  return static_cast<uint32_t>(std::clamp<int64_t>(duration.count(), 0, UINT32_MAX));
}

}  // namespace

ReceiverCore::ReceiverCore(ReceiverCoreOptions options, LinkOptions link, SettledMemory& memory,
                           uint64_t seed, Time now)
    : options_(std::move(options)),
      memory_(memory),
      rng_(seed),
      link_(std::move(link), *this, rng_.Next(), now) {}

ReceiverCore::~ReceiverCore() = default;

// --- Consuming ---------------------------------------------------------------------------------

void ReceiverCore::OnChannelOpen(Time) {
  if (cancelled_) return;
  ClientConnection& connection = *link_.connection();
  if (options_.declare) {
    const ByteBuffer arguments = ToTable(options_.declare->arguments).Encode();
    connection.Send(amqp::QueueDeclare{.queue = options_.declare->queue,
                                       .durable = options_.declare->durable,
                                       .arguments = amqp::TableView(arguments)});
  }
  if (!options_.auto_ack) connection.Send(amqp::BasicQos{.prefetch_count = options_.prefetch});
  const ByteBuffer arguments = ToTable(options_.consumer_arguments).Encode();
  connection.Send(amqp::BasicConsume{.queue = options_.queue,
                                     .consumer_tag = kConsumerTag,
                                     .no_ack = options_.auto_ack,
                                     .exclusive = options_.exclusive,
                                     .arguments = amqp::TableView(arguments)});
  consume_sent_ = true;
}

void ReceiverCore::OnMethod(amqp::MethodId id, ByteView payload, Time) {
  switch (id) {
    case amqp::BasicConsumeOk::kId:
      consuming_ = !cancelling_;
      return link_.NoteProgress();
    case amqp::BasicCancel::kId:
      consuming_ = false;
      if (cancelling_) {
        cancelled_ = true;
        return;
      }
      return link_.Drop({ErrorCode::kNotFound, "the broker cancelled the consumer of queue '" +
                                                   options_.queue + "': it was deleted or moved"});
    case amqp::BasicCancelOk::kId:
      cancelled_ = true;
      return;
    case amqp::LandfallAckLanded::kId:
      if (const auto landed = amqp::Decode<amqp::LandfallAckLanded>(payload)) {
        OnAckLanded(landed->delivery_tag, landed->multiple);
      }
      return;
    default:
      return;
  }
}

void ReceiverCore::OnContent(amqp::MethodId id, ByteView method, ByteView properties,
                             ByteBuffer body, Time) {
  if (id != amqp::BasicDeliver::kId) return;
  const auto deliver = amqp::Decode<amqp::BasicDeliver>(method);
  if (!deliver) return link_.Drop(deliver.error());
  if (!options_.auto_ack) {
    if (deliver->delivery_tag != first_tag_ + tags_.size()) {
      return link_.Drop({ErrorCode::kProtocol, "the broker broke the protocol: delivery tag " +
                                                   std::to_string(deliver->delivery_tag) +
                                                   " out of order"});
    }
    tags_.push_back(TagState::kOut);
    BoundTags();
    if (cancelling_) {
      return Settle({.channel = channel_,
                     .tag = deliver->delivery_tag,
                     .kind = Settlement::Kind::kGiveBack,
                     .duration = {},
                     .callback = {}});
    }
    if (deliver->redelivered) {
      const auto decoded = amqp::DecodeProperties(properties);
      const auto identity = decoded ? memory_.IdentityOf(*decoded) : std::nullopt;
      if (identity && memory_.Contains(*identity)) {
        ++repeats_dropped_;
        return Settle({.channel = channel_,
                       .tag = deliver->delivery_tag,
                       .kind = Settlement::Kind::kAck,
                       .duration = {},
                       .callback = {}});
      }
    }
  }
  arrived_.push_back({channel_, deliver->delivery_tag, deliver->redelivered,
                      std::string(deliver->exchange), std::string(deliver->routing_key),
                      ByteBuffer(properties), std::move(body)});
}

void ReceiverCore::OnChannelClosed(const Error& why, Time) { link_.Drop(why); }

void ReceiverCore::OnLinkLost(const Error& why, Time) {
  problems_.push_back(why);
  ForgetChannel();
}

// What was out is the broker's again: it will be delivered anew.
void ReceiverCore::ForgetChannel() {
  ++channel_;
  consume_sent_ = false;
  consuming_ = false;
  if (cancelling_) cancelled_ = true;
  tags_.clear();
  first_tag_ = 1;
  stragglers_.clear();
  acked_.clear();
  GiveUpNotices();
}

void ReceiverCore::Cancel() {
  if (cancelling_) return;
  cancelling_ = true;
  consuming_ = false;
  ClientConnection* connection = link_.ready();
  if (connection != nullptr && consume_sent_) {
    connection->Send(amqp::BasicCancel{.consumer_tag = kConsumerTag});
  } else {
    cancelled_ = true;
  }
}

// --- Settling ----------------------------------------------------------------------------------

ReceiverCore::TagState* ReceiverCore::Find(uint64_t tag) {
  if (tag < first_tag_ || tag >= first_tag_ + tags_.size()) return nullptr;
  return &tags_[tag - first_tag_];
}

void ReceiverCore::Settle(Settlement settlement) {
  const bool is_ack = settlement.kind == Settlement::Kind::kAck;
  TagState* state = Find(settlement.tag);
  const bool straggler = stragglers_.contains(settlement.tag);
  const bool out = straggler || (state != nullptr && *state == TagState::kOut);
  if (settlement.channel != channel_ || !out) {
    if (settlement.callback) told_.push_back({std::move(settlement.callback)});
    return;
  }
  if (!is_ack) {
    if (settlement.kind != Settlement::Kind::kRenew) Finish(settlement.tag);
    return WriteSettlement(settlement);
  }
  if (straggler) {
    stragglers_.erase(settlement.tag);
  } else {
    *state = TagState::kAcked;
  }
  acked_.push_back(settlement.tag);
  if (settlement.callback) callbacks_.emplace_back(settlement.tag, std::move(settlement.callback));
}

void ReceiverCore::Finish(uint64_t tag) {
  if (TagState* state = Find(tag)) *state = TagState::kDone;
  stragglers_.erase(tag);
}

void ReceiverCore::WriteSettlement(const Settlement& settlement) {
  ClientConnection* connection = link_.ready();
  if (connection == nullptr) return;
  const bool extensions = connection->extensions();
  switch (settlement.kind) {
    case Settlement::Kind::kAck:
      return;
    case Settlement::Kind::kNack:
      if (settlement.duration && extensions) {
        return connection->Send(
            amqp::LandfallNack{settlement.tag, Milliseconds(*settlement.duration)});
      }
      return connection->Send(amqp::BasicReject{settlement.tag, /*requeue=*/true});
    case Settlement::Kind::kGiveBack:
      if (extensions) {
        return connection->Send(amqp::LandfallRelease{settlement.tag, /*multiple=*/false});
      }
      return connection->Send(amqp::BasicNack{settlement.tag, /*multiple=*/false,
                                              /*requeue=*/true});
    case Settlement::Kind::kReject:
      return connection->Send(amqp::BasicReject{settlement.tag, /*requeue=*/false});
    case Settlement::Kind::kRenew:
      if (!extensions || !settlement.duration) return;
      return connection->Send(
          amqp::LandfallRenew{settlement.tag, Milliseconds(*settlement.duration)});
  }
}

void ReceiverCore::Advance() {
  if (acked_.empty()) return;
  if (link_.ready() == nullptr) return;
  std::sort(callbacks_.begin(), callbacks_.end(),
            [](const auto& a, const auto& b) { return a.first < b.first; });
  // Stragglers first: an ack of a whole run would settle them a second time.
  std::erase_if(acked_, [this](uint64_t tag) {
    if (tag >= first_tag_) return false;
    WriteAck(tag, false, TakeCallbacks(tag, tag));
    return true;
  });
  WriteFrontRun();
  for (const uint64_t tag : acked_) {
    *Find(tag) = TagState::kDone;
    WriteAck(tag, false, TakeCallbacks(tag, tag));
  }
  acked_.clear();
  callbacks_.clear();
}

// Everything up to the first delivery that is still out, with one ack.
void ReceiverCore::WriteFrontRun() {
  uint64_t last = 0;
  uint32_t count = 0;
  size_t taken = 0;
  for (; taken < tags_.size() && tags_[taken] != TagState::kOut; ++taken) {
    if (tags_[taken] != TagState::kAcked) continue;
    // With a straggler out an ack of several would settle it too.
    if (!stragglers_.empty()) break;
    last = first_tag_ + taken;
    ++count;
  }
  if (count > 0) {
    std::erase_if(acked_, [last](uint64_t tag) { return tag <= last; });
    WriteAck(last, count > 1, TakeCallbacks(first_tag_, last));
  }
  first_tag_ += taken;
  tags_.erase(tags_.begin(), tags_.begin() + static_cast<std::ptrdiff_t>(taken));
}

std::vector<AckCallback> ReceiverCore::TakeCallbacks(uint64_t first, uint64_t last) {
  std::vector<AckCallback> taken;
  auto it = std::lower_bound(callbacks_.begin(), callbacks_.end(), first,
                             [](const auto& each, uint64_t tag) { return each.first < tag; });
  for (; it != callbacks_.end() && it->first <= last; ++it) taken.push_back(std::move(it->second));
  return taken;
}

void ReceiverCore::WriteAck(uint64_t tag, bool multiple, std::vector<AckCallback> callbacks) {
  ClientConnection& connection = *link_.ready();
  if (callbacks.empty() || !connection.extensions()) {
    connection.Send(amqp::BasicAck{tag, multiple});
    for (AckCallback& each : callbacks) told_.push_back({std::move(each)});
    return;
  }
  connection.Send(amqp::LandfallAck{tag, multiple});
  notices_.push_back({tag, multiple, std::move(callbacks)});
}

void ReceiverCore::OnAckLanded(uint64_t tag, bool multiple) {
  const auto it = std::find_if(notices_.begin(), notices_.end(), [&](const Awaited& each) {
    return each.tag == tag && each.multiple == multiple;
  });
  if (it == notices_.end()) return;
  for (AckCallback& each : it->callbacks) told_.push_back({std::move(each), AckStatus::kLanded});
  notices_.erase(it);
}

void ReceiverCore::GiveUpNotices() {
  for (Awaited& each : notices_) {
    for (AckCallback& callback : each.callbacks) told_.push_back({std::move(callback)});
  }
  notices_.clear();
  for (auto& [tag, callback] : callbacks_) {
    if (callback) told_.push_back({std::move(callback)});
  }
  callbacks_.clear();
}

// Deliveries that stay out while very many later ones are settled leave the ring.
void ReceiverCore::BoundTags() {
  while (tags_.size() > options_.max_tags) {
    // A tag whose ack is not written yet keeps the ring a little longer.
    if (tags_.front() == TagState::kAcked) return;
    if (tags_.front() == TagState::kOut) stragglers_.insert(first_tag_);
    tags_.pop_front();
    ++first_tag_;
  }
}

}  // namespace landfall::client
