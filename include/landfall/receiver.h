#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "landfall/connection.h"

namespace landfall {

namespace client {
class DeliveryState;
}

enum class AckStatus {
  kLanded,   // on stable storage: the message will never be delivered again
  kUnknown,  // the connection was lost first, or the broker cannot say (any broker other than
             // Landfall): the message may come again
};

// Called once, on the Receiver's connection thread: keep it short. What it throws goes to on_error.
using AckCallback = std::function<void(AckStatus)>;

// One message as it was delivered, and the means to settle it. Settle it once, from any thread, in
// the callback or later: keep the Delivery until then. One that is destroyed without having been
// settled (also by an exception) has failed, as with SendNack().
//
// Settling returns false, and does nothing, if the delivery is settled already, or if the
// connection it came on is gone: the broker has taken it back then and delivers it again.
// Acknowledging such a delivery is still worth it: the Receiver remembers it and lets the repeat
// pass (see ReceiverOptions::remember_settled).
//
// A Delivery may outlive its Receiver. Thread: one at a time.
class Delivery {
 public:
  explicit Delivery(std::unique_ptr<client::DeliveryState> state);  // by the Receiver
  Delivery(Delivery&&) noexcept;
  Delivery& operator=(Delivery&&) noexcept;
  ~Delivery();

  // Views live as long as the Delivery.
  std::string_view body() const;
  // Moves the body out; body() is empty from then on.
  std::string TakeBody();
  std::string_view routing_key() const;
  std::string_view exchange() const;
  // Empty if the message has none.
  std::string_view message_id() const;
  std::string_view content_type() const;
  std::string_view content_encoding() const;
  std::string_view correlation_id() const;
  std::string_view reply_to() const;
  std::string_view type() const;
  std::string_view app_id() const;
  std::optional<uint8_t> priority() const;
  std::optional<std::chrono::system_clock::time_point> timestamp() const;
  // Values that a HeaderValue cannot hold (tables, arrays) are left out.
  const Headers& headers() const;

  // It may have been delivered before: to this program, or to another one.
  bool redelivered() const;
  // How many deliveries have failed before this one. 0 if the queue does not count them.
  uint32_t delivery_count() const;
  // The number the sender gave it, 0 if none.
  uint64_t sequence() const;

  // The work is done; the broker forgets the message. With a callback: also says when that itself
  // is on stable storage (unless SendAck returns false).
  bool SendAck(AckCallback callback = {});
  // The work failed; deliver it again, `delay` from now (without one: as the queue's retry settings
  // say, by default at once). A broker other than Landfall delivers it again at once.
  bool SendNack(std::optional<std::chrono::milliseconds> delay = {});
  // No work was done and nothing has failed: for whoever takes it next, at once and in its old
  // place. It does not count towards the queue's delivery limit. A broker other than Landfall takes
  // it for a SendNack().
  bool GiveBack();
  // The work can never succeed: the broker dead-letters the message, or drops it if its queue has
  // no dead-letter exchange.
  bool Reject();
  // Still at work: the broker waits `lease` from now before it delivers the message to another.
  // False, without effect, at a broker other than Landfall.
  bool Renew(std::chrono::milliseconds lease);

  bool settled() const;

 private:
  std::unique_ptr<client::DeliveryState> state_;
};

// Called for each message, on one of the Receiver's callback threads. May take as long as the work
// takes. What it throws is caught and goes to on_error.
using RecvCallback = std::function<void(Delivery)>;

struct ReceiverOptions {
  // As SenderOptions::brokers.
  std::vector<std::string> brokers{};
  std::string queue{};

  // How many messages the broker may have out here unsettled. 1 to 65535.
  uint32_t prefetch = 256;
  // Threads that run the callback. With 1, callbacks come one after another in the order of
  // delivery.
  uint32_t concurrency = 1;
  // How many of the latest acknowledged messages are remembered: one that comes again because its
  // ack was lost is acknowledged again without a callback. Needs messages that say which one they
  // are, as those of a landfall::Sender do: the headers x-producer, x-producer-epoch and
  // x-producer-sequence. 0 turns it off.
  size_t remember_settled = 10'000;
  // A message without these headers is known by its message id. Only for a queue all of whose
  // senders never use an id for two messages: of two with the same id the second may be
  // acknowledged without a callback, and is lost.
  bool message_ids_are_unique = false;

  // The broker counts a message as settled when it has sent it. Fast, and loses what is on its way
  // when anything fails; SendAck and the like return false.
  bool auto_ack = false;
  // Be the queue's only consumer, or none.
  bool exclusive = false;
  // Also given to the broker with the consumer: for example {"x-priority", 10}.
  Headers consumer_arguments{};
  // Stop reading from the broker while messages of this size wait for a callback thread.
  size_t max_buffered_bytes = 64u << 20;

  // Declared before consuming; its name may be left out if it is `queue`.
  std::optional<QueueDeclaration> declare{};

  // As in SenderOptions.
  RetryTimes reconnect{
      .first = std::chrono::milliseconds(100), .cap = std::chrono::seconds(5), .jitter = 0.2};
  std::chrono::milliseconds connect_timeout{5'000};
  std::chrono::seconds heartbeat{10};
  std::string connection_name{};
  TlsOptions tls{};

  ErrorHandler on_error{};
};

// Receives the messages of one queue. Reconnects by itself, and waits for a queue that is not there
// yet.
//
// Thread-safe: every method may be called from any thread.
class Receiver {
 public:
  // Returns at once and connects in the background; a callback may run before it returns. Throws
  // std::invalid_argument if the options cannot be meant.
  Receiver(ReceiverOptions options, RecvCallback callback);
  // As Stop(5 s), then waits for callbacks that are still running, however long that takes.
  ~Receiver();
  Receiver(const Receiver&) = delete;
  Receiver& operator=(const Receiver&) = delete;

  // Stops cleanly: takes no more messages, gives back those that no callback has seen (as
  // Delivery::GiveBack does, so it is no failure), waits for the others to be settled, makes sure
  // that the broker has got the acks, and disconnects. False if `timeout` ran out first: what is
  // not settled by then will be delivered again. Called from a callback it begins this, without
  // waiting, and returns false.
  bool Stop(std::chrono::milliseconds timeout);

  // True while the broker delivers to it.
  bool consuming() const;
  // Repeats that were acknowledged without a callback.
  uint64_t repeats_dropped() const;

 private:
  class State;
  std::unique_ptr<State> state_;
};

}  // namespace landfall
