#include "produce.h"

#include <algorithm>
#include <deque>
#include <set>
#include <string>
#include <thread>

#include "amqp/properties.h"
#include "crashtest/body.h"
#include "crashtest/link.h"
#include "ledger.h"

namespace landfall::crash {

namespace {

using Clock = std::chrono::steady_clock;
using crashtest::Link;
using crashtest::LinkLost;
using std::chrono::milliseconds;

constexpr size_t kWindow = 1000;

// Sends its messages in order, and again after every loss what had not been confirmed, as a process
// with an outbox table does.
class Producer {
 public:
  Producer(const ProduceOptions& options, const volatile std::sig_atomic_t& stopping)
      : options_(options),
        stopping_(stopping),
        book_(MapBook<ProducerBook>(options.book)),
        next_(book_.attempted + 1) {
    for (uint64_t number = 1; number < next_; ++number) {
      if (!book_.confirmed[number]) unconfirmed_.insert(number);
    }
  }

  void Run() {
    while (!Finished()) {
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
  bool Finished() const { return stopping_ && unconfirmed_.empty(); }

  void Serve(Link& link) {
    link.Call<amqp::ConfirmSelectOk>(amqp::ConfirmSelect{});
    in_flight_.clear();
    first_tag_ = 1;
    for (const uint64_t number : unconfirmed_) Publish(link, number);
    const auto started = Clock::now();
    uint64_t sent = 0;
    while (!Finished()) {
      const std::chrono::duration<double> elapsed = Clock::now() - started;
      const auto due = static_cast<uint64_t>(elapsed.count() * options_.rate);
      while (!stopping_ && sent < due && unconfirmed_.size() < kWindow &&
             next_ < kMaxMessages - 1) {
        unconfirmed_.insert(next_);
        book_.attempted = next_;
        Publish(link, next_++);
        ++sent;
      }
      link.Work(milliseconds(2));
      while (const auto frame = link.Next()) Read(link, *frame);
    }
    link.Close();
  }

  void Publish(Link& link, uint64_t number) {
    const uint64_t lowest = *unconfirmed_.begin();
    const amqp::Table headers{
        {"x-producer", options_.name},
        {"x-producer-epoch", int64_t{1}},
        {"x-producer-sequence", static_cast<int64_t>(number)},
        {"x-producer-lowest", static_cast<int64_t>(lowest)},
    };
    const ByteBuffer encoded_headers = headers.Encode();
    amqp::PropertiesView properties;
    properties.delivery_mode = amqp::kPersistent;
    properties.flags = amqp::kHasDeliveryMode;
    properties.SetHeaders(amqp::TableView(encoded_headers));
    ByteBuffer encoded;
    amqp::AppendProperties(encoded, properties);
    amqp::AppendPublish(link.out(), Link::kChannel, options_.exchange, "", true, encoded,
                        crashtest::MakeBody(options_.index, number), link.frame_max());
    in_flight_.push_back(number);
  }

  void Read(Link& link, const amqp::Frame& frame) {
    if (frame.type != amqp::FrameType::kMethod) return;
    if (const auto ack = amqp::Decode<amqp::BasicAck>(frame.payload)) {
      Settle(link, ack->delivery_tag, ack->multiple, true);
    } else if (const auto nack = amqp::Decode<amqp::BasicNack>(frame.payload)) {
      Settle(link, nack->delivery_tag, nack->multiple, false);
    } else if (amqp::PeekMethodId(frame.payload) == amqp::BasicReturn::kId) {
      ++book_.returned;
    }
  }

  void Settle(Link& link, uint64_t tag, bool multiple, bool landed) {
    for (uint64_t t = multiple ? first_tag_ : tag; t <= tag; ++t) {
      if (t < first_tag_ || t - first_tag_ >= in_flight_.size()) continue;
      const uint64_t number = std::exchange(in_flight_[t - first_tag_], 0);
      if (number == 0) continue;
      if (landed) {
        book_.confirmed[number] = 1;
        unconfirmed_.erase(number);
      } else {
        ++book_.nacked;
        Publish(link, number);
      }
    }
    while (!in_flight_.empty() && in_flight_.front() == 0) {
      in_flight_.pop_front();
      ++first_tag_;
    }
  }

  const ProduceOptions& options_;
  const volatile std::sig_atomic_t& stopping_;
  ProducerBook& book_;
  uint64_t next_;                   // number of the next new message
  std::set<uint64_t> unconfirmed_;  // numbers
  std::deque<uint64_t> in_flight_;  // numbers by delivery tag, 0 once settled
  uint64_t first_tag_ = 1;          // of in_flight_
};

}  // namespace

void Produce(const ProduceOptions& options, const volatile std::sig_atomic_t& stopping) {
  Producer(options, stopping).Run();
}

}  // namespace landfall::crash
