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
#include "landfall/message.h"

namespace landfall {

enum class SendStatus {
  kLanded,     // on stable storage in every durable queue it was routed to
  kDuplicate,  // had landed before: an earlier attempt's confirm was lost; nothing was stored twice
  kAccepted,   // confirmed, but not known to be on stable storage: it went to no durable queue, or
               // the broker (any AMQP 0-9-1 broker other than Landfall) has no words to say so
  kReturned,   // no queue is bound for it: the broker gave it back and has kept nothing
  kFailed,     // not confirmed; see `failure` and `why`. It may have landed all the same.
};

// "landed", "duplicate", …
std::string_view SendStatusName(SendStatus status);

enum class SendFailure {
  kNone,
  kTimeout,     // max_sends attempts, and no confirm
  kWindowFull,  // OverflowPolicy::kRefuse: never sent
  kInvalid,     // the message cannot be sent as it is: a text too long, a sequence used twice …
  kRefused,     // the broker refuses this very message, and will again
  kFenced,      // a newer process uses the producer name; this Sender sends nothing any more
  kClosed,      // the Sender was closed first
};

struct SendResult {
  SendStatus status = SendStatus::kFailed;
  SendFailure failure = SendFailure::kNone;
  // For kReturned and kFailed: one sentence for a person.
  std::string why{};
  // The message's number under this producer: yours, or the one the Sender gave it. 0 if it was
  // refused before it got one.
  uint64_t sequence = 0;
  // How often it went to a broker.
  uint32_t attempts = 0;

  // A broker has it and answers for it as far as it can.
  bool ok() const {
    return status == SendStatus::kLanded || status == SendStatus::kDuplicate ||
           status == SendStatus::kAccepted;
  }
  // It is on stable storage.
  bool landed() const { return status == SendStatus::kLanded || status == SendStatus::kDuplicate; }
};

// Called exactly once for each SendMsg, on the Sender's thread, except as SendMsg says. Keep it
// short: while it runs, nothing is sent, confirmed or sent again. It may call SendMsg; it must not
// destroy the Sender. An exception it throws is caught and goes to on_error.
using SendCallback = std::function<void(const SendResult&)>;

enum class OverflowPolicy {
  kWait,    // SendMsg waits for room
  kRefuse,  // SendMsg returns false, after the callback has been told kWindowFull
};

struct SenderOptions {
  // "amqp://user:password@host:port/vhost", or "amqps://" with TLS (see TlsOptions), tried in this
  // order, over and over. What is left out is guest, guest, 5672 (with TLS 5671) and "/";
  // percent-encode what a URL cannot hold (the vhost "/" is "%2F").
  std::vector<std::string> brokers{};
  // Where messages go, unless one says otherwise. With the default exchange "" the routing key is
  // the name of the queue.
  std::string routing_key{};
  std::string exchange{};

  // Who sends, so that a repeat is recognised. Empty: a name that nobody else has, made anew for
  // each Sender; repeats of this Sender's messages are recognised for as long as it lives.
  //
  // A stable name of your own ("billing-1") means: at most one process at a time sends under it. A
  // newer one fences an older one: what the older one still sends is dropped by the broker, and it
  // is told kFenced. Together with MessageOptions::sequence a message that a new process sends
  // again is recognised too.
  std::string producer{};
  // Which of two processes with the same producer name is the newer one: the higher. Left out: the
  // wall clock in microseconds when the Sender is made.
  std::optional<uint64_t> epoch{};

  // Bounds on what is unconfirmed. A message above max_unconfirmed_bytes is let in when it is
  // alone.
  size_t max_unconfirmed_messages = 10'000;
  size_t max_unconfirmed_bytes = 64u << 20;
  OverflowPolicy overflow = OverflowPolicy::kWait;

  // A message that is not confirmed in time is sent again, with the same identity: after
  // resend.first, then twice as long, and so on. When the time has run out max_sends times it has
  // failed: with these values after about four minutes. Time without a connection counts. Resending
  // after a reconnect happens at once and is not counted.
  RetryTimes resend{.first = std::chrono::seconds(5), .cap = std::chrono::seconds(60)};
  uint32_t max_sends = 8;

  // Between rounds over the list of brokers that found none.
  RetryTimes reconnect{
      .first = std::chrono::milliseconds(100), .cap = std::chrono::seconds(5), .jitter = 0.2};
  // For the connection to be made, with TLS and all, and again for the broker to answer the
  // handshake of AMQP.
  std::chrono::milliseconds connect_timeout{5'000};
  // A peer that says nothing for two of these is gone. Whole seconds; 0 turns heartbeats off.
  std::chrono::seconds heartbeat{10};
  // Shown by the broker's tools next to this connection.
  std::string connection_name{};
  TlsOptions tls{};

  // Declared before the first message on each connection. Needs a name.
  std::optional<QueueDeclaration> declare{};

  ErrorHandler on_error{};
};

// Sends messages and says what became of each of them.
//
// A message handed to SendMsg lives in this process's memory, and nowhere else, until its callback
// says that it has landed. If the process dies first, it may be lost: a program that cannot send it
// again from somewhere (a database table, the request that caused it) has not sent it before the
// callback. examples/outbox.cc shows how to close this gap.
//
// Messages go out in the order of SendMsg, persistent and mandatory. A resend after a loss may put
// a message behind later ones.
//
// Thread-safe: every method may be called from any thread.
class Sender {
 public:
  // Returns at once and connects in the background. Throws std::invalid_argument if the options
  // cannot be meant (no broker, a URL that is none, a window of 0, …).
  explicit Sender(SenderOptions options);
  // As Close(0).
  ~Sender();
  Sender(const Sender&) = delete;
  Sender& operator=(const Sender&) = delete;

  // Takes the message; the callback (which may be empty) says later what became of it. The result
  // says whether the message was taken. If not (window full and kRefuse, Sender closed or fenced),
  // the callback has been called, on this thread, before SendMsg returns.
  //
  // On a full window with kWait it waits. Called from a SendCallback it never waits: it takes the
  // message beyond the bound, up to twice the bound, and refuses it there; and what it refuses it
  // reports after the running callback has returned. So a callback that sends again whatever the
  // failure never ends: kFenced and kClosed are final.
  bool SendMsg(Body body, SendCallback callback = {});
  bool SendMsg(Body body, MessageOptions options, SendCallback callback = {});

  // For a producer with its own sequences: promises that no message with a lower sequence will be
  // handed to SendMsg any more (say, the lowest that is left in the outbox). It lets the broker
  // forget the sequences below, which it otherwise keeps a bounded number of. Breaking the promise
  // loses the message: the broker takes it for a repeat. Never goes down. Throws
  // std::invalid_argument above 2^63-1, which no sequence can be: a -1 for "nothing is left" would
  // make the broker take everything for a repeat.
  void SetLowestSequence(uint64_t sequence);

  // Waits until everything handed to SendMsg before has had its callback. False if that took longer
  // than `timeout` (milliseconds::max(): however long it takes), and at once when called from a
  // callback.
  bool Flush(std::chrono::milliseconds timeout);

  // Takes no more messages, waits up to `timeout` for the callbacks of those it has, tells those
  // that are left kClosed, and disconnects. True if none was left. Called from a callback it begins
  // this with a timeout of 0 and returns false. A second call waits for the first.
  bool Close(std::chrono::milliseconds timeout);

  // The name and epoch that messages carry.
  const std::string& producer() const;
  uint64_t epoch() const;
  // Messages whose callback has not been called yet.
  size_t unconfirmed() const;

 private:
  class State;
  std::unique_ptr<State> state_;
};

}  // namespace landfall
