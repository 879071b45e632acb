#include "apps/perf_producer.h"

#include <algorithm>
#include <utility>

#include "amqp/method.h"

namespace landfall::apps {

Result<std::unique_ptr<PerfProducer>> PerfProducer::Make(std::unique_ptr<PerfConnection> connection,
                                                         Settings settings, PerfTally& tally) {
  if (settings.window != 0) {
    auto ok = connection->Call<amqp::ConfirmSelectOk>(amqp::ConfirmSelect{});
    if (!ok) return std::unexpected(ok.error());
  }
  return std::unique_ptr<PerfProducer>(
      new PerfProducer(std::move(connection), std::move(settings), tally));
}

PerfProducer::PerfProducer(std::unique_ptr<PerfConnection> connection, Settings settings,
                           PerfTally& tally)
    : connection_(std::move(connection)),
      settings_(std::move(settings)),
      tally_(tally),
      confirms_(settings_.window),
      packed_first_(PackPerfMessageId(settings_.first)) {
  size_t largest = 0;
  for (const std::string& key : settings_.routing_keys) {
    templates_.emplace_back(PerfConnection::kChannel, settings_.exchange, key, settings_.mandatory,
                            settings_.persistent, settings_.size, connection_->frame_max());
    largest = std::max(largest, templates_.back().size());
  }
  connection_->GrowOutput(largest);
}

void PerfProducer::SetTimes(uint64_t start, uint64_t end) {
  start_ = start;
  end_ = end;
}

Result<void> PerfProducer::Read() {
  auto received = connection_->Receive();
  if (!received) return std::unexpected(received.error());
  if (*received == 0) return {};
  const uint64_t now = PerfNow();
  Result<void> ok;
  auto taken = ScanPerfFrames(connection_->input(), connection_->frame_max(),
                              [&](amqp::FrameType type, ByteView payload) {
                                if (type == amqp::FrameType::kMethod) {
                                  ok = OnMethod(payload, now);
                                } else if (type == amqp::FrameType::kBody && returning_) {
                                  OnReturnedBody(payload);
                                }
                                return ok.has_value();
                              });
  if (!taken) return std::unexpected(taken.error());
  connection_->Consume(*taken);
  return ok;
}

Result<void> PerfProducer::OnMethod(ByteView payload, uint64_t now) {
  switch (amqp::PeekMethodId(payload)) {
    case amqp::BasicAck::kId: {
      const auto ack = amqp::Decode<amqp::BasicAck>(payload);
      if (!ack) return std::unexpected(ack.error());
      return OnConfirm(ack->delivery_tag, ack->multiple, false, now);
    }
    case amqp::BasicNack::kId: {
      const auto nack = amqp::Decode<amqp::BasicNack>(payload);
      if (!nack) return std::unexpected(nack.error());
      return OnConfirm(nack->delivery_tag, nack->multiple, true, now);
    }
    case amqp::BasicReturn::kId:
      ++tally_.counts.returned;
      returning_ = true;
      return {};
    case amqp::BasicQosOk::kId:  // what Finish asked for
      finished_ = true;
      tally_.last_publish = now;
      return {};
    case amqp::ConnectionClose::kId:
    case amqp::ChannelClose::kId:
      return std::unexpected(PerfConnection::ClosedByBroker(payload));
    default:
      return {};
  }
}

Result<void> PerfProducer::OnConfirm(uint64_t tag, bool multiple, bool nack, uint64_t now) {
  const auto settled =
      confirms_.Settle(tag, multiple, [&](uint64_t first, uint64_t count, uint64_t sent_at) {
        if (!nack) {
          tally_.confirm_latency.Record(now - std::min(now, sent_at), count);
          return;
        }
        for (uint64_t i = 0; i < count; ++i) unexpected_.insert(first + i - 1);
      });
  if (!settled) {
    return Fail(ErrorCode::kProtocol, "the broker confirmed message " + std::to_string(tag) +
                                          " of a producer, which is not in flight");
  }
  (nack ? tally_.counts.nacked : tally_.counts.confirmed) += *settled;
  tally_.last_confirm = now;
  return {};
}

void PerfProducer::OnReturnedBody(ByteView payload) {
  returning_ = false;
  if (payload.size() < kPerfIdentitySize) return;
  const PerfMessageId id = UnpackPerfMessageId(LoadBig<uint64_t>(payload.data() + kPerfStampSize));
  unexpected_.insert(id.sequence);
}

Result<void> PerfProducer::Write() {
  if (finished_) return {};
  const uint64_t now = PerfNow();
  // Before the socket is asked: a broker that has stopped reading must not hold up the end.
  if (!stopped_ && (now >= end_ || published_ >= settings_.messages)) {
    stopped_ = true;
    if (settings_.window == 0) Finish();
  }
  if (connection_->pending()) {
    if (auto ok = connection_->Flush(); !ok || connection_->pending()) return ok;
  }
  if (!stopped_) {
    if (const uint64_t count = Allowed(now); count != 0) Publish(count, now);
    if (auto ok = connection_->Flush(); !ok) return ok;
  }
  if (stopped_ && settings_.window != 0 && confirms_.in_flight() == 0) finished_ = true;
  return {};
}

uint64_t PerfProducer::DueByRate(uint64_t now) const {
  if (settings_.rate == 0) return kPerfNever;
  const double seconds = static_cast<double>(now - std::min(now, start_)) / kPerfSecond;
  // The first message is due at once.
  const auto due = static_cast<uint64_t>(seconds * settings_.rate) + 1;
  return due - std::min(due, published_);
}

uint64_t PerfProducer::Allowed(uint64_t now) const {
  uint64_t count = settings_.messages - published_;
  if (settings_.window != 0) {
    count = std::min(
        count, settings_.window - std::min<uint64_t>(settings_.window, confirms_.in_flight()));
  }
  return std::min(count, DueByRate(now));
}

void PerfProducer::Publish(uint64_t count, uint64_t now) {
  char* const begin = connection_->Reserve();
  const char* const end = begin + connection_->room();
  char* p = begin;
  uint64_t written = 0;
  while (written < count) {
    const PerfPublishTemplate& message = templates_[next_template_];
    if (static_cast<size_t>(end - p) < message.size()) break;
    p = message.Write(p, now, packed_first_ + published_ + written);
    if (settings_.window != 0) confirms_.Sent(now);
    if (++next_template_ == templates_.size()) next_template_ = 0;
    ++written;
  }
  connection_->Commit(static_cast<size_t>(p - begin));
  published_ += written;
  tally_.counts.published += written;
  tally_.last_publish = now;
}

// Without confirms, the answer to a method that follows the last message says that the broker has
// read them all.
void PerfProducer::Finish() { connection_->Send(amqp::BasicQos{}); }

uint64_t PerfProducer::NextWrite() const {
  if (finished_) return kPerfNever;
  if (stopped_) return kPerfNever;
  const uint64_t now = PerfNow();
  if (now >= end_ || published_ >= settings_.messages) return 0;
  if (settings_.window != 0 && confirms_.in_flight() >= settings_.window) return end_;
  if (DueByRate(now) != 0) return 0;
  const double due = static_cast<double>(published_) / settings_.rate * kPerfSecond;
  return std::min(end_, start_ + static_cast<uint64_t>(due) + 1);
}

void PerfProducer::Close() {
  // A broker that has not taken this by now will not take a goodbye either, and would be waited for
  // once for each connection.
  if (!connection_->pending()) connection_->Close();
}

void PerfProducer::GiveUpUnconfirmed() {
  confirms_.ForEachInFlight([&](uint64_t tag) { unexpected_.insert(tag - 1); });
}

}  // namespace landfall::apps
