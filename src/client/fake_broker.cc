#include "client/fake_broker.h"

#include <algorithm>

#include "amqp/method.h"
#include "amqp/properties.h"
#include "amqp/table.h"

namespace landfall::client {

using amqp::ConfirmOutcome;

// --- FakeBroker --------------------------------------------------------------------------------

void FakeBroker::Put(std::string body, const amqp::Properties& properties) {
  FakeMessage message{.body = std::move(body), .arrival = next_arrival_++};
  amqp::AppendProperties(message.properties, properties);
  ready_.emplace(message.arrival, std::move(message));
  DeliverAll();
}

void FakeBroker::Land() {
  std::vector<Pending> landing = std::exchange(pending_, {});
  for (Pending& each : landing) LandOne(each);
  DeliverAll();
}

void FakeBroker::LandOne(Pending& pending) {
  const auto session = pending.session.lock();
  if (pending.is_ack) {
    for (const FakeMessage& each : pending.acked) acked.push_back(each.body);
    if (session && pending.notify) {
      session->Send(amqp::LandfallAckLanded{pending.tag, pending.multiple});
    }
    return;
  }
  ConfirmOutcome outcome = durable ? ConfirmOutcome::kLanded : ConfirmOutcome::kAccepted;
  bool store = true;
  if (dedup && pending.identity) {
    const auto& [producer, epoch, sequence] = *pending.identity;
    if (epoch < epochs_[producer]) {
      outcome = ConfirmOutcome::kFenced;
      store = false;
    } else {
      epochs_[producer] = epoch;
      if (!seen_[producer].insert(sequence).second) {
        outcome = ConfirmOutcome::kDuplicate;
        store = false;
        ++duplicates;
      }
    }
  }
  if (store) {
    landed.push_back(pending.message.body);
    pending.message.arrival = next_arrival_++;
    ready_.emplace(pending.message.arrival, std::move(pending.message));
  }
  if (session) session->Confirm(pending.tag, false, outcome);
}

void FakeBroker::Crash() {
  // An ack that had not landed never happened.
  for (Pending& each : std::exchange(pending_, {})) {
    for (FakeMessage& message : each.acked) Requeue(std::move(message));
  }
  for (const auto& each : sessions_) {
    if (const auto session = each.lock()) session->Disconnect();
  }
  sessions_.clear();
}

void FakeBroker::Requeue(FakeMessage message) {
  message.redelivered = true;
  const uint64_t arrival = message.arrival;
  ready_.emplace(arrival, std::move(message));
}

void FakeBroker::DeliverAll() {
  std::erase_if(sessions_, [](const auto& each) { return each.expired(); });
  for (const auto& each : sessions_) {
    if (const auto session = each.lock()) session->Deliver();
  }
}

// --- FakeSession -------------------------------------------------------------------------------

std::shared_ptr<FakeSession> FakeSession::Open(FakeBroker& broker) {
  std::shared_ptr<FakeSession> session(new FakeSession(broker));
  broker.sessions_.push_back(session);
  return session;
}

FakeSession::~FakeSession() { Disconnect(); }

void FakeSession::Disconnect() {
  closed_ = true;
  consumer_tag_.clear();
  for (auto& [tag, message] : std::exchange(unacked_, {})) broker_.Requeue(std::move(message));
}

template <class M>
void FakeSession::Send(const M& method, uint16_t channel) {
  if (!closed_) amqp::AppendMethodFrame(output_, channel, method);
}

void FakeSession::Receive(ByteView bytes) {
  deaf_ |= broker_.deaf;
  if (deaf_ || closed_) return;
  input_.append(bytes);
  size_t used = 0;
  if (!saw_header_) {
    if (amqp::ParseProtocolHeader(input_) != amqp::HeaderStatus::kOk) return;
    saw_header_ = true;
    used = amqp::kProtocolHeader.size();
    amqp::Table properties{
        {"capabilities", amqp::Table{{"landfall.extensions", broker_.extensions}}}};
    const ByteBuffer encoded = properties.Encode();
    Send(amqp::ConnectionStart{0, 9, amqp::TableView(encoded), broker_.mechanisms, "en_US"}, 0);
  }
  while (!closed_) {
    const auto result = amqp::ParseFrame(ByteView(input_).substr(used), 0);
    if (result.status != amqp::FrameResult::Status::kFrame) break;
    used += result.consumed;
    const amqp::Frame& frame = result.frame;
    switch (frame.type) {
      case amqp::FrameType::kHeartbeat:
        ++heartbeats_;
        break;
      case amqp::FrameType::kMethod:
        OnMethod(frame.channel, frame.payload);
        break;
      case amqp::FrameType::kHeader: {
        const auto header = amqp::DecodeContentHeader(frame.payload);
        header_ = {std::string(header->properties), header->body_size};
        body_.clear();
        break;
      }
      case amqp::FrameType::kBody:
        body_.append(frame.payload);
        break;
    }
    if (header_ && body_.size() == header_->second) {
      const std::string properties = std::exchange(header_, std::nullopt)->first;
      if (channel_open_) OnPublish(properties, std::exchange(body_, {}));
    }
  }
  input_.erase(0, used);
}

void FakeSession::OnMethod(uint16_t channel, ByteView payload) {
  switch (amqp::PeekMethodId(payload)) {
    case amqp::ConnectionStartOk::kId: {
      const auto ok = amqp::Decode<amqp::ConnectionStartOk>(payload);
      const auto capabilities = ok->client_properties.Find("capabilities");
      peer_extensions_ =
          capabilities && capabilities->AsTable()->GetBool("landfall.extensions").value_or(false);
      const bool known = ok->mechanism == "EXTERNAL"
                             ? ok->response.empty()
                             : ok->response.ends_with('\0' + broker_.password);
      if (!known) {
        return CloseConnection(403, "ACCESS_REFUSED");
      }
      return Send(amqp::ConnectionTune{2047, broker_.frame_max, broker_.heartbeat}, 0);
    }
    case amqp::ConnectionTuneOk::kId:
      return;
    case amqp::ConnectionOpen::kId:
      return Send(amqp::ConnectionOpenOk{}, 0);
    case amqp::ConnectionClose::kId:
      Send(amqp::ConnectionCloseOk{}, 0);
      return Disconnect();
    case amqp::ConnectionCloseOk::kId:
      return Disconnect();
    case amqp::ChannelOpen::kId:
      channel_open_ = true;
      publish_number_ = 0;
      return Send(amqp::ChannelOpenOk{}, channel);
    case amqp::ChannelCloseOk::kId:
      return;
    default:
      break;
  }
  if (!channel_open_) return;
  switch (amqp::PeekMethodId(payload)) {
    case amqp::ConfirmSelect::kId:
      confirms_ = true;
      return Send(amqp::ConfirmSelectOk{});
    case amqp::QueueDeclare::kId: {
      const auto declare = amqp::Decode<amqp::QueueDeclare>(payload);
      if (broker_.quarrels) return CloseChannel(406, "PRECONDITION_FAILED - inequivalent arg");
      broker_.queue_names.insert(std::string(declare->queue));
      return Send(amqp::QueueDeclareOk{declare->queue, 0, 0});
    }
    case amqp::BasicQos::kId:
      prefetch_ = amqp::Decode<amqp::BasicQos>(payload)->prefetch_count;
      return Send(amqp::BasicQosOk{});
    case amqp::BasicConsume::kId: {
      const auto consume = amqp::Decode<amqp::BasicConsume>(payload);
      if (!broker_.queue_names.contains(std::string(consume->queue))) {
        return CloseChannel(404, "NOT_FOUND - no queue '" + std::string(consume->queue) + "'");
      }
      consumer_tag_ = consume->consumer_tag;
      no_ack_ = consume->no_ack;
      Send(amqp::BasicConsumeOk{consumer_tag_});
      return Deliver();
    }
    case amqp::BasicCancel::kId:
      Send(amqp::BasicCancelOk{consumer_tag_});
      consumer_tag_.clear();
      return;
    case amqp::BasicPublish::kId: {
      const auto publish = amqp::Decode<amqp::BasicPublish>(payload);
      publish_ = {std::string(publish->exchange), std::string(publish->routing_key)};
      return;
    }
    case amqp::BasicAck::kId: {
      const auto ack = amqp::Decode<amqp::BasicAck>(payload);
      return OnAck(ack->delivery_tag, ack->multiple, false);
    }
    case amqp::LandfallAck::kId: {
      const auto ack = amqp::Decode<amqp::LandfallAck>(payload);
      return OnAck(ack->delivery_tag, ack->multiple, true);
    }
    case amqp::BasicNack::kId: {
      const auto nack = amqp::Decode<amqp::BasicNack>(payload);
      return GiveBack(nack->delivery_tag, nack->requeue ? Back::kFailed : Back::kRejected);
    }
    case amqp::BasicReject::kId: {
      const auto reject = amqp::Decode<amqp::BasicReject>(payload);
      return GiveBack(reject->delivery_tag, reject->requeue ? Back::kFailed : Back::kRejected);
    }
    case amqp::LandfallNack::kId: {
      const auto nack = amqp::Decode<amqp::LandfallNack>(payload);
      delays_.emplace_back(nack->delivery_tag, nack->delay_ms);
      return GiveBack(nack->delivery_tag, Back::kFailed);
    }
    case amqp::LandfallRelease::kId: {
      const auto release = amqp::Decode<amqp::LandfallRelease>(payload);
      return GiveBack(release->delivery_tag, Back::kUnseen);
    }
    case amqp::LandfallRenew::kId: {
      const auto renew = amqp::Decode<amqp::LandfallRenew>(payload);
      renewals_.emplace_back(renew->delivery_tag, renew->lease_ms);
      return;
    }
    default:
      return CloseConnection(503, "COMMAND_INVALID");
  }
}

void FakeSession::OnPublish(ByteView properties, std::string body) {
  ++broker_.publishes;
  broker_.published.push_back(body);
  const uint64_t tag = ++publish_number_;
  const auto [exchange, routing_key] = *publish_;
  if (!exchange.empty()) {
    return CloseChannel(404, "NOT_FOUND - no exchange '" + exchange + "'");
  }
  if (body.size() > broker_.max_message_bytes) {
    return CloseChannel(406, "PRECONDITION_FAILED - message size");
  }
  if (broker_.nack) return Send(amqp::BasicNack{tag, false, false});
  if (!broker_.queue_names.contains(routing_key)) {
    Send(amqp::BasicReturn{312, "NO_ROUTE", exchange, routing_key});
    amqp::AppendContent(output_, 1, properties, body, broker_.frame_max);
    return Confirm(tag, false, ConfirmOutcome::kAccepted);
  }
  FakeBroker::Pending pending;
  pending.session = weak_from_this();
  pending.tag = tag;
  pending.message.body = std::move(body);
  pending.message.properties = properties;
  pending.message.routing_key = routing_key;
  const auto decoded = amqp::DecodeProperties(properties);
  if (const auto producer = decoded->headers.FindString("x-producer")) {
    pending.identity = FakeBroker::Identity{
        std::string(*producer),
        static_cast<uint64_t>(*decoded->headers.FindInteger("x-producer-epoch")),
        static_cast<uint64_t>(*decoded->headers.FindInteger("x-producer-sequence"))};
  }
  broker_.pending_.push_back(std::move(pending));
  if (!broker_.hold_landing) broker_.Land();
}

void FakeSession::Confirm(uint64_t tag, bool multiple, ConfirmOutcome outcome) {
  if (!confirms_) return;
  if (broker_.extensions && peer_extensions_) {
    Send(amqp::LandfallConfirm{tag, multiple, outcome});
  } else {
    Send(amqp::BasicAck{tag, multiple});
  }
}

void FakeSession::OnAck(uint64_t tag, bool multiple, bool notify) {
  ++ack_frames_;
  if (!unacked_.contains(tag)) {
    return CloseChannel(406, "PRECONDITION_FAILED - unknown delivery tag");
  }
  FakeBroker::Pending pending;
  pending.session = weak_from_this();
  pending.tag = tag;
  pending.is_ack = true;
  pending.multiple = multiple;
  pending.notify = notify;
  const auto first = multiple ? unacked_.begin() : unacked_.find(tag);
  const auto end = std::next(unacked_.find(tag));
  for (auto it = first; it != end; ++it) pending.acked.push_back(std::move(it->second));
  unacked_.erase(first, end);
  broker_.pending_.push_back(std::move(pending));
  if (!broker_.hold_landing) broker_.Land();
  Deliver();
}

void FakeSession::GiveBack(uint64_t tag, Back how) {
  const auto it = unacked_.find(tag);
  if (it == unacked_.end()) {
    return CloseChannel(406, "PRECONDITION_FAILED - unknown delivery tag");
  }
  if (how != Back::kUnseen) broker_.failed.push_back(it->second.body);
  if (how != Back::kRejected) broker_.Requeue(std::move(it->second));
  unacked_.erase(it);
  broker_.DeliverAll();
}

void FakeSession::Deliver() {
  while (!consumer_tag_.empty() && !broker_.ready_.empty() &&
         (no_ack_ || prefetch_ == 0 || unacked_.size() < prefetch_)) {
    FakeMessage message = std::move(broker_.ready_.begin()->second);
    broker_.ready_.erase(broker_.ready_.begin());
    amqp::AppendDelivery(output_, 1,
                         {.consumer_tag = consumer_tag_,
                          .delivery_tag = next_delivery_,
                          .redelivered = message.redelivered,
                          .routing_key = message.routing_key},
                         message.properties, message.body, broker_.frame_max);
    if (!no_ack_) unacked_.emplace(next_delivery_, std::move(message));
    ++next_delivery_;
  }
}

void FakeSession::CloseConnection(uint16_t code, const std::string& text) {
  Send(amqp::ConnectionClose{code, text, 0, 0}, 0);
}

void FakeSession::CloseChannel(uint16_t code, const std::string& text) {
  Send(amqp::ChannelClose{code, text, 0, 0});
  channel_open_ = false;
  confirms_ = false;
  consumer_tag_.clear();
  next_delivery_ = 1;
  for (auto& [tag, message] : std::exchange(unacked_, {})) broker_.Requeue(std::move(message));
}

void FakeSession::CancelConsumer() {
  Send(amqp::BasicCancel{consumer_tag_, true});
  consumer_tag_.clear();
}

void FakeSession::SendBlocked(bool blocked) {
  if (blocked) {
    Send(amqp::ConnectionBlocked{"disk nearly full"}, 0);
  } else {
    Send(amqp::ConnectionUnblocked{}, 0);
  }
}

}  // namespace landfall::client
