#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/rng.h"
#include "base/time.h"
#include "client/link.h"
#include "client/settled_memory.h"
#include "landfall/receiver.h"

namespace landfall::client {

struct ReceiverCoreOptions {
  std::string queue;
  uint16_t prefetch = 256;
  bool auto_ack = false;
  bool exclusive = false;
  Headers consumer_arguments;
  std::optional<QueueDeclaration> declare;
  // Span of delivery tags that is kept track of in a ring; above the largest prefetch.
  size_t max_tags = 128u << 10;
};

// A message as it came. `channel` counts the channels this receiver has had: a delivery tag means
// something only on the one it came on.
struct ArrivedMessage {
  uint64_t channel = 0;
  uint64_t tag = 0;
  bool redelivered = false;
  std::string exchange;
  std::string routing_key;
  ByteBuffer properties;  // encoded
  ByteBuffer body;

  size_t footprint() const {
    return sizeof(*this) + exchange.size() + routing_key.size() + properties.size() + body.size();
  }
};

struct Settlement {
  enum class Kind {
    kAck,
    kNack,      // failed: the queue's retry settings decide when it comes again
    kGiveBack,  // nobody has worked on it: ready again at once, and no failure
    kReject,
    kRenew,
  };
  uint64_t channel = 0;
  uint64_t tag = 0;
  Kind kind = Kind::kAck;
  std::optional<std::chrono::milliseconds> duration;  // kNack: delay; kRenew: lease
  AckCallback callback;                               // kAck: when that has landed
};

struct AckNotice {
  AckCallback callback;
  AckStatus status = AckStatus::kUnknown;
};

// A Receiver without socket, threads and clock: bytes, settlements and time in; bytes, commands for
// the socket, and messages out.
//
// Acks are collected and written by Advance: where everything before it is settled too, one ack
// settles a whole run of deliveries.
//
// Thread: one, except that `memory` is shared with those who settle.
class ReceiverCore : private LinkEvents {
 public:
  // `memory` is not owned and outlives the core.
  ReceiverCore(ReceiverCoreOptions options, LinkOptions link, SettledMemory& memory, uint64_t seed,
               Time now);
  ~ReceiverCore() override;
  ReceiverCore(const ReceiverCore&) = delete;
  ReceiverCore& operator=(const ReceiverCore&) = delete;

  Link& link() { return link_; }
  const Link& link() const { return link_; }

  // Of an earlier channel, or of a settled delivery: ignored.
  void Settle(Settlement settlement);
  // Writes the acks collected. Call after every event.
  void Advance();
  void OnTick(Time now) { link_.OnTick(now); }
  Time NextDeadline() const { return link_.NextDeadline(); }

  // Stops consuming, for good. Messages that still come are given back.
  void Cancel();
  // After Cancel: the broker sends no more, and every ack that asked for it is known to have
  // landed.
  bool quiet() const { return cancelled_ && notices_.empty() && acked_.empty(); }
  // Those who wait to hear that their ack has landed are told kUnknown.
  void GiveUpNotices();

  std::vector<ArrivedMessage> TakeArrived() { return std::exchange(arrived_, {}); }
  std::vector<AckNotice> TakeNotices() { return std::exchange(told_, {}); }
  std::vector<Error> TakeProblems() { return std::exchange(problems_, {}); }

  // The channel that deliveries come on now; grows with every loss.
  uint64_t channel() const { return channel_; }
  bool consuming() const { return consuming_; }
  // The broker understands delays, leases and landed acks. False without a connection.
  bool extensions() { return link_.ready() != nullptr && link_.connection()->extensions(); }
  uint64_t repeats_dropped() const { return repeats_dropped_; }

 private:
  enum class TagState : uint8_t {
    kOut,    // not settled
    kAcked,  // the ack is not written yet
    kDone,
  };
  // A landfall.ack that was written and not answered. The answer repeats tag and multiple.
  struct Awaited {
    uint64_t tag = 0;
    bool multiple = false;
    std::vector<AckCallback> callbacks;
  };

  // LinkEvents
  void OnChannelOpen(Time now) override;
  void OnChannelClosed(const Error& why, Time now) override;
  void OnMethod(amqp::MethodId id, ByteView payload, Time now) override;
  void OnContent(amqp::MethodId id, ByteView method, ByteView properties, ByteBuffer body,
                 Time now) override;
  void OnBlocked(bool, ByteView, Time) override {}
  void OnLinkLost(const Error& why, Time now) override;

  TagState* Find(uint64_t tag);
  void Finish(uint64_t tag);
  void WriteSettlement(const Settlement& settlement);
  void WriteAck(uint64_t tag, bool multiple, std::vector<AckCallback> callbacks);
  void WriteFrontRun();
  std::vector<AckCallback> TakeCallbacks(uint64_t first, uint64_t last);
  void BoundTags();
  void OnAckLanded(uint64_t tag, bool multiple);
  void ForgetChannel();

  const ReceiverCoreOptions options_;
  SettledMemory& memory_;
  Rng rng_;

  uint64_t channel_ = 1;
  bool consume_sent_ = false;
  bool consuming_ = false;
  bool cancelling_ = false;
  bool cancelled_ = false;

  // The states of the tags from first_tag_ on; those before are settled, except the stragglers:
  // single deliveries that stay out for so long that the ring would grow without bound.
  std::deque<TagState> tags_;
  uint64_t first_tag_ = 1;
  std::set<uint64_t> stragglers_;
  std::vector<uint64_t> acked_;                              // kAcked, in the order of Settle
  std::vector<std::pair<uint64_t, AckCallback>> callbacks_;  // of those in acked_
  std::deque<Awaited> notices_;

  std::vector<ArrivedMessage> arrived_;
  std::vector<AckNotice> told_;
  std::vector<Error> problems_;
  uint64_t repeats_dropped_ = 0;
  Link link_;  // last: it may call back
};

}  // namespace landfall::client
