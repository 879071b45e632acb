#include "consume.h"

#include <string>
#include <thread>

#include "amqp/properties.h"
#include "crashtest/body.h"
#include "crashtest/link.h"
#include "ledger.h"

namespace landfall::crash {

namespace {

using crashtest::Link;
using crashtest::LinkLost;
using std::chrono::milliseconds;

constexpr uint16_t kPrefetch = 300;

class Consumer {
 public:
  Consumer(const ConsumeOptions& options, const volatile std::sig_atomic_t& stopping)
      : options_(options), stopping_(stopping), book_(MapBook<QueueBook>(options.book)) {}

  void Run() {
    while (!stopping_) {
      try {
        Link link(options_.port);
        ++book_.connections;
        Serve(link);
      } catch (const LinkLost&) {
        std::this_thread::sleep_for(milliseconds(10));
      }
    }
  }

 private:
  void Serve(Link& link) {
    assembling_ = false;
    link.Call<amqp::BasicQosOk>(amqp::BasicQos{.prefetch_count = kPrefetch});
    link.Write(amqp::BasicConsume{.queue = options_.queue, .consumer_tag = "c"});
    while (!stopping_) {
      link.Work(milliseconds(50));
      while (const auto frame = link.Next()) Read(link, *frame);
    }
    link.Close();
  }

  void Read(Link& link, const amqp::Frame& frame) {
    if (frame.type == amqp::FrameType::kMethod) {
      const auto deliver = amqp::Decode<amqp::BasicDeliver>(frame.payload);
      if (!deliver) return;
      tag_ = deliver->delivery_tag;
      redelivered_ = deliver->redelivered;
      body_.clear();
      assembling_ = true;
      return;
    }
    if (!assembling_) return;
    if (frame.type == amqp::FrameType::kHeader) {
      const auto header = amqp::DecodeContentHeader(frame.payload);
      body_size_ = header ? header->body_size : 0;
    } else if (frame.type == amqp::FrameType::kBody) {
      body_ += frame.payload;
    } else {
      return;
    }
    if (body_.size() < body_size_) return;
    assembling_ = false;
    OnMessage(link);
  }

  void OnMessage(Link& link) {
    const crashtest::Identity identity = crashtest::ReadBody(body_);
    ++book_.deliveries;
    if (identity.number == 0 || identity.number >= kMaxMessages ||
        identity.producer >= kMaxProducers) {
      ++book_.unknown;
      link.Write(amqp::BasicAck{.delivery_tag = tag_});
      return;
    }
    const uint8_t before = book_.delivered[identity.producer][identity.number].fetch_add(1);
    if (before > 0 && !redelivered_) ++book_.unmarked;
    const auto one_of = [&](uint64_t every) { return every && identity.number % every == 0; };
    if (one_of(options_.reject_every)) {
      link.Write(amqp::BasicReject{.delivery_tag = tag_, .requeue = false});
    } else if (before == 0 && one_of(options_.return_every)) {
      link.Write(amqp::BasicNack{.delivery_tag = tag_, .multiple = false, .requeue = true});
    } else {
      link.Write(amqp::BasicAck{.delivery_tag = tag_});
    }
  }

  const ConsumeOptions& options_;
  const volatile std::sig_atomic_t& stopping_;
  QueueBook& book_;

  // The message that is being put together.
  bool assembling_ = false;
  uint64_t tag_ = 0;
  bool redelivered_ = false;
  uint64_t body_size_ = 0;
  std::string body_;
};

}  // namespace

void Consume(const ConsumeOptions& options, const volatile std::sig_atomic_t& stopping) {
  Consumer(options, stopping).Run();
}

}  // namespace landfall::crash
