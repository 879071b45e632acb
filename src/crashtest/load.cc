#include "crashtest/load.h"

#include <algorithm>
#include <chrono>
#include <deque>
#include <optional>
#include <unordered_set>
#include <utility>

#include "amqp/properties.h"
#include "crashtest/body.h"
#include "crashtest/link.h"

namespace landfall::crashtest {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;
using std::chrono::seconds;

// Deliveries kept unacked at most.
constexpr size_t kMostHeld = 500;
constexpr uint16_t kDrainPrefetch = 1000;
// Bytes written ahead of the socket; beyond it a producer rests.
constexpr size_t kMostUnsent = 1 << 20;
// Silence of the broker after which an empty queue is taken for empty.
constexpr milliseconds kQuiet{100};
// The same while messages are missing.
constexpr milliseconds kQuietWhileMissing{3000};
// Silence after which a queue that claims to hold messages is given up.
constexpr seconds kStuck{60};

class Producer {
 public:
  explicit Producer(const ProduceOptions& options) : options_(options), next_(options.first) {
    amqp::PropertiesView properties;
    properties.delivery_mode = amqp::kPersistent;
    properties.flags = amqp::kHasDeliveryMode;
    amqp::AppendProperties(properties_, properties);
  }

  void Run(const std::atomic<bool>& stopping) {
    Link link(options_.port);
    link.Call<amqp::ConfirmSelectOk>(amqp::ConfirmSelect{});
    const auto started = Clock::now();
    while (!stopping) {
      const std::chrono::duration<double> elapsed = Clock::now() - started;
      const auto due = static_cast<uint64_t>(elapsed.count() * options_.rate);
      while ((options_.rate == 0 || log_.published < due) && unsettled_ < options_.window &&
             link.unsent() < kMostUnsent) {
        Publish(link);
      }
      link.Work(milliseconds(2));
      while (const auto frame = link.Next()) Read(*frame);
    }
  }

  PublishLog& log() { return log_; }

 private:
  void Publish(Link& link) {
    amqp::AppendPublish(link.out(), Link::kChannel, "", options_.queue, false, properties_,
                        MakeBody(options_.producer, next_), link.frame_max());
    in_flight_.push_back(next_++);
    ++unsettled_;
    ++log_.published;
  }

  void Read(const amqp::Frame& frame) {
    if (frame.type != amqp::FrameType::kMethod) return;
    if (const auto ack = amqp::Decode<amqp::BasicAck>(frame.payload)) {
      Settle(ack->delivery_tag, ack->multiple, true);
    } else if (const auto nack = amqp::Decode<amqp::BasicNack>(frame.payload)) {
      Settle(nack->delivery_tag, nack->multiple, false);
    }
  }

  void Settle(uint64_t tag, bool multiple, bool landed) {
    for (uint64_t t = multiple ? first_tag_ : tag; t <= tag; ++t) {
      if (t < first_tag_ || t - first_tag_ >= in_flight_.size()) continue;
      const uint64_t number = std::exchange(in_flight_[t - first_tag_], 0);
      if (number == 0) continue;
      --unsettled_;
      if (landed) {
        log_.confirmed.push_back(number);
      } else {
        ++log_.refused;
      }
    }
    while (!in_flight_.empty() && in_flight_.front() == 0) {
      in_flight_.pop_front();
      ++first_tag_;
    }
  }

  const ProduceOptions& options_;
  ByteBuffer properties_;
  PublishLog log_;
  uint64_t next_;                   // number
  std::deque<uint64_t> in_flight_;  // numbers by delivery tag, 0 once settled
  uint64_t first_tag_ = 1;          // of in_flight_
  uint64_t unsettled_ = 0;          // in in_flight_
};

// Puts deliveries together.
class Consumer {
 public:
  struct Delivery {
    uint64_t tag = 0;
    Receipt receipt;
  };

  Consumer(const ConsumeOptions& options, uint16_t prefetch)
      : options_(options), link_(options.port) {
    link_.Call<amqp::BasicQosOk>(amqp::BasicQos{.prefetch_count = prefetch});
    link_.Write(amqp::BasicConsume{.queue = options.queue, .consumer_tag = "c"});
  }

  Link& link() { return link_; }

  // The next whole message that has arrived.
  std::optional<Delivery> Next() {
    while (const auto frame = link_.Next()) {
      if (frame->type == amqp::FrameType::kMethod) {
        Begin(frame->payload);
        continue;
      }
      if (!assembling_) continue;
      if (frame->type == amqp::FrameType::kHeader) {
        const auto header = amqp::DecodeContentHeader(frame->payload);
        body_size_ = header ? header->body_size : 0;
      } else if (frame->type == amqp::FrameType::kBody) {
        body_ += frame->payload;
      } else {
        continue;
      }
      if (body_.size() < body_size_) continue;
      assembling_ = false;
      const Identity identity = ReadBody(body_);
      if (identity.producer == options_.producer) delivery_.receipt.number = identity.number;
      return delivery_;
    }
    return std::nullopt;
  }

 private:
  void Begin(ByteView method) {
    if (amqp::PeekMethodId(method) == amqp::BasicCancel::kId) {
      throw LinkRefused("the broker cancelled the consumer", 0);
    }
    const auto deliver = amqp::Decode<amqp::BasicDeliver>(method);
    if (!deliver) return;
    delivery_ = {.tag = deliver->delivery_tag, .receipt = {.redelivered = deliver->redelivered}};
    body_.clear();
    assembling_ = true;
  }

  const ConsumeOptions& options_;
  Link link_;
  bool assembling_ = false;
  Delivery delivery_;
  uint64_t body_size_ = 0;
  std::string body_;
};

// The messages in the queue that nobody has.
uint32_t CountReady(Link& link, const std::string& queue) {
  return link.Call<amqp::QueueDeclareOk>(amqp::QueueDeclare{.queue = queue, .passive = true})
      .message_count;
}

}  // namespace

PublishLog Produce(const ProduceOptions& options, const std::atomic<bool>& stopping,
                   std::string& error) {
  Producer producer(options);
  try {
    producer.Run(stopping);
  } catch (const LinkLost&) {  // NOLINT(bugprone-empty-catch): the power is off
  } catch (const LinkRefused& refused) {
    error = refused.what();
  }
  return std::move(producer.log());
}

ConsumeLog Consume(const ConsumeOptions& options, const std::atomic<bool>& stopping,
                   std::string& error) {
  ConsumeLog log;
  try {
    Consumer consumer(options, 0);
    std::deque<Consumer::Delivery> held;
    const auto ack = [&](const Consumer::Delivery& delivery) {
      log.acked.push_back({.number = delivery.receipt.number, .at = Clock::now()});
      consumer.link().Write(amqp::BasicAck{.delivery_tag = delivery.tag});
    };
    while (!stopping) {
      consumer.link().Work(milliseconds(50));
      while (const auto delivery = consumer.Next()) {
        log.receipts.push_back(delivery->receipt);
        // Neighbours share a fate now and then, so that acks come in runs and with gaps.
        if (delivery->receipt.number / 3 % 2 == 0) {
          ack(*delivery);
        } else {
          held.push_back(*delivery);
        }
        if (held.size() > kMostHeld) {
          ack(held.front());
          held.pop_front();
        }
      }
    }
  } catch (const LinkLost&) {  // NOLINT(bugprone-empty-catch): the power is off
  } catch (const LinkRefused& refused) {
    error = refused.what();
  }
  return log;
}

void Drain(const ConsumeOptions& options, const std::vector<uint64_t>& due,
           const std::atomic<bool>& stopping, ConsumeLog& log) {
  std::unordered_set<uint64_t> missing(due.begin(), due.end());
  for (const Receipt& receipt : log.receipts) missing.erase(receipt.number);
  Link control(options.port);
  // Before there is a consumer, so that a queue that is not there is found first.
  CountReady(control, options.queue);
  Consumer consumer(options, kDrainPrefetch);
  auto heard = Clock::now();
  while (!stopping) {
    consumer.link().Work(milliseconds(20));
    while (const auto delivery = consumer.Next()) {
      heard = Clock::now();
      log.receipts.push_back(delivery->receipt);
      missing.erase(delivery->receipt.number);
      consumer.link().Write(amqp::BasicAck{.delivery_tag = delivery->tag});
    }
    const auto quiet = Clock::now() - heard;
    if (quiet < (missing.empty() ? kQuiet : kQuietWhileMissing)) continue;
    if (CountReady(control, options.queue) == 0) break;
    if (quiet > kStuck) throw LinkRefused("messages are there but not delivered", 0);
  }
  // Its answer says that the broker has read the acks.
  consumer.link().Close();
  control.Close();
}

}  // namespace landfall::crashtest
