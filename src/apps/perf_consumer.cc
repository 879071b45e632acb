#include "apps/perf_consumer.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "amqp/method.h"
#include "amqp/properties.h"

namespace landfall::apps {
namespace {

// How long deliveries may wait for enough others to be acked with.
constexpr uint64_t kAckWithin = kPerfSecond / 100;

}  // namespace

Result<std::unique_ptr<PerfConsumer>> PerfConsumer::Make(std::unique_ptr<PerfConnection> connection,
                                                         Settings settings, PerfTally& tally,
                                                         std::vector<PerfArrivals>& arrivals) {
  if (settings.prefetch != 0 && !settings.auto_ack) {
    auto ok =
        connection->Call<amqp::BasicQosOk>(amqp::BasicQos{.prefetch_count = settings.prefetch});
    if (!ok) return std::unexpected(ok.error());
  }
  // Without answers, as deliveries may come between them; a refusal closes the channel.
  for (const std::string& queue : settings.queues) {
    connection->Send(
        amqp::BasicConsume{.queue = queue, .no_ack = settings.auto_ack, .no_wait = true});
  }
  return std::unique_ptr<PerfConsumer>(
      new PerfConsumer(std::move(connection), std::move(settings), tally, arrivals));
}

PerfConsumer::PerfConsumer(std::unique_ptr<PerfConnection> connection, Settings settings,
                           PerfTally& tally, std::vector<PerfArrivals>& arrivals)
    : connection_(std::move(connection)),
      settings_(std::move(settings)),
      tally_(tally),
      arrivals_(arrivals) {
  amqp::AppendMethodFrame(ack_, PerfConnection::kChannel, amqp::BasicAck{.multiple = true});
  ack_tag_at_ = amqp::kFrameHeaderSize + 4;  // after the method's id
}

Result<void> PerfConsumer::Read() {
  auto received = connection_->Receive();
  if (!received) return std::unexpected(received.error());
  if (*received == 0) return {};
  return Scan(PerfNow());
}

Result<void> PerfConsumer::Scan(uint64_t now) {
  Result<void> ok;
  auto taken = ScanPerfFrames(connection_->input(), connection_->frame_max(),
                              [&](amqp::FrameType type, ByteView payload) {
                                switch (type) {
                                  case amqp::FrameType::kBody:
                                    OnBody(payload, now);
                                    return true;
                                  case amqp::FrameType::kHeader:
                                    OnHeader(payload, now);
                                    return true;
                                  case amqp::FrameType::kMethod:
                                    if (amqp::PeekMethodId(payload) == amqp::BasicDeliver::kId) {
                                      OnDeliver(payload);
                                      return true;
                                    }
                                    ok = OnMethod(payload);
                                    return ok.has_value();
                                  default:
                                    return true;
                                }
                              });
  RecordRun(now);
  if (!taken) return std::unexpected(taken.error());
  connection_->Consume(*taken);
  return ok;
}

Result<void> PerfConsumer::OnMethod(ByteView payload) {
  switch (amqp::PeekMethodId(payload)) {
    case amqp::ConnectionClose::kId:
    case amqp::ChannelClose::kId:
      return std::unexpected(PerfConnection::ClosedByBroker(payload));
    case amqp::BasicCancel::kId:
      return Fail(ErrorCode::kNotFound,
                  "the broker cancelled a consumer; was its queue deleted meanwhile?");
    default:
      return {};
  }
}

// Id, consumer tag, delivery tag, redelivered; what follows is not needed.
void PerfConsumer::OnDeliver(ByteView payload) {
  ByteReader reader(payload.substr(4));
  reader.Take(reader.Big<uint8_t>());
  tag_ = reader.Big<uint64_t>();
  tally_.counts.redelivered += reader.Big<uint8_t>() & 1;
}

void PerfConsumer::OnHeader(ByteView payload, uint64_t now) {
  ByteReader reader(payload);
  reader.Take(4);  // class, weight
  body_left_ = reader.Big<uint64_t>();
  head_size_ = 0;
  if (body_left_ == 0) OnMessage(now);
}

void PerfConsumer::OnBody(ByteView payload, uint64_t now) {
  const size_t n = std::min(payload.size(), sizeof head_ - head_size_);
  std::memcpy(head_ + head_size_, payload.data(), n);
  head_size_ += n;
  body_left_ -= std::min<uint64_t>(body_left_, payload.size());
  if (body_left_ == 0) OnMessage(now);
}

void PerfConsumer::OnMessage(uint64_t now) {
  ++tally_.counts.delivered;
  complete_tag_ = tag_;
  tally_.last_delivery = now;
  bool ours = false;
  if (head_size_ >= kPerfIdentitySize) {
    const PerfMessageId id = UnpackPerfMessageId(LoadBig<uint64_t>(head_ + kPerfStampSize));
    ours = id.run == settings_.run && id.producer < arrivals_.size();
    if (ours && !arrivals_[id.producer].Add(id.sequence)) ++tally_.counts.duplicated;
    if (!ours) ++tally_.counts.foreign;
  }
  if (head_size_ >= kPerfStampSize) {
    const auto sent_at = LoadBig<uint64_t>(head_);
    // Of a message without identity, the time alone says whether it is of this run.
    if (settings_.measure_all || ours || sent_at >= settings_.started_at) {
      if (sent_at != run_sent_at_) {
        RecordRun(now);
        run_sent_at_ = sent_at;
      }
      ++run_count_;
    }
  }
  if (settings_.auto_ack) return;
  if (unacked_++ == 0) unacked_since_ = now;
  if (unacked_ >= settings_.ack_every) Ack();
}

void PerfConsumer::RecordRun(uint64_t now) {
  if (run_count_ == 0) return;
  tally_.end_to_end_latency.Record(now - std::min(now, run_sent_at_), run_count_);
  run_count_ = 0;
}

void PerfConsumer::Ack() {
  // "Multiple" with the tag of the only unacked message acks that one.
  StoreBig<uint64_t>(ack_.data() + ack_tag_at_, complete_tag_);
  connection_->Append(ack_);
  tally_.counts.acked += unacked_;
  unacked_ = 0;
}

Result<void> PerfConsumer::Write() {
  if (unacked_ != 0 && PerfNow() - unacked_since_ >= kAckWithin) Ack();
  return connection_->Flush();
}

uint64_t PerfConsumer::NextWrite() const {
  return unacked_ == 0 ? kPerfNever : unacked_since_ + kAckWithin;
}

void PerfConsumer::Close() {
  if (unacked_ != 0) Ack();
  connection_->Close();
}

}  // namespace landfall::apps
