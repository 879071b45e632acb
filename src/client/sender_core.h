#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "amqp/methods_generated.h"
#include "base/rng.h"
#include "base/time.h"
#include "client/link.h"
#include "client/message_encoding.h"
#include "client/send_intake.h"
#include "landfall/sender.h"

namespace landfall::client {

struct SenderCoreOptions {
  std::string exchange;
  std::string routing_key;
  std::string producer;
  uint64_t epoch = 0;
  // The first number that the core gives to a message. It has to be above every number that an
  // earlier epoch of the same name has used.
  uint64_t first_sequence = 1;
  // Whether messages may bring numbers of their own.
  bool stable_producer = false;
  RetryTimes resend;
  uint32_t max_sends = 8;
  size_t max_messages = 10'000;
  std::optional<QueueDeclaration> declare;
  // Stop encoding when this much waits for the socket.
  size_t max_output_bytes = 512u << 10;
};

// A Sender without socket, thread and clock: messages, bytes and time in; bytes, commands for the
// socket and settled messages out.
//
// Every message is in one list, in the order of Submit, from Submit until it is settled. On each
// connection a cursor walks down the list and publishes; a message behind the cursor waits for its
// confirm. The timer of a message runs from Submit on, connection or not: each time it runs out the
// message is sent once more, if it was sent on this connection at all, and when it has run out
// max_sends times the message has failed. A settled message is taken out of the list, so whatever a
// broker says about it later finds nothing: that makes it exactly one result.
//
// Thread: one.
class SenderCore : private LinkEvents {
 public:
  SenderCore(SenderCoreOptions options, LinkOptions link, uint64_t seed, Time now);
  ~SenderCore() override;
  SenderCore(const SenderCore&) = delete;
  SenderCore& operator=(const SenderCore&) = delete;

  Link& link() { return link_; }
  const Link& link() const { return link_; }

  void Submit(Submission submission, Time now);
  // No lower sequence will be submitted any more (only for numbers of the messages' own).
  void SetLowestSequence(uint64_t sequence);
  // Publishes what there is room for. Call after every event.
  void Advance(Time now);
  void OnTick(Time now);
  Time NextDeadline() const;

  // What has been settled since the last call is moved to the end of `out`.
  void TakeSettled(std::vector<SettledSend>& out);
  // Every message submitted before the one of this number (from 0) is settled.
  uint64_t settled_below() const;
  size_t unsettled() const { return unsettled_; }

  // Settles all that is left.
  void FailAll(SendFailure failure, const std::string& why);
  // Not empty once a newer process uses the producer name: why nothing can be sent any more.
  const std::string& fenced() const { return fenced_; }
  // Problems of the connection since the last call.
  std::vector<Error> TakeProblems() { return std::exchange(problems_, {}); }

 private:
  static constexpr uint32_t kNone = UINT32_MAX;

  // A message in the list. Entries are reused; `generation` tells two uses apart.
  struct Entry {
    std::string body;
    std::unique_ptr<MessageOptions> options;
    SendCallback callback;
    uint64_t ordinal = 0;
    uint64_t sequence = 0;
    size_t cost = 0;
    Time due;                     // when its timer runs out
    Time first_published;         // on this connection
    uint32_t link_number = 0;     // of the connection it was last published on
    uint32_t published_here = 0;  // how often on that connection
    uint32_t attempts = 0;        // publishes on all connections
    uint32_t periods = 0;         // how often its timer has run out
    uint32_t generation = 0;
    uint32_t previous = kNone;
    uint32_t next = kNone;
    bool returned = false;
    std::string trouble;  // of the latest attempt: returned or refused, and why
  };
  // What a delivery tag of this connection stands for.
  struct TagRef {
    uint32_t entry = kNone;
    uint32_t generation = 0;
  };

  // LinkEvents
  void OnChannelOpen(Time now) override;
  void OnChannelClosed(const Error& why, Time now) override;
  void OnMethod(amqp::MethodId id, ByteView payload, Time now) override;
  void OnContent(amqp::MethodId id, ByteView method, ByteView properties, ByteBuffer body,
                 Time now) override;
  void OnBlocked(bool blocked, ByteView reason, Time now) override;
  void OnLinkLost(const Error& why, Time now) override;

  uint32_t Insert(Submission submission, uint64_t sequence, Time now);
  std::optional<std::string> Admit(const Submission& submission, uint64_t& sequence);
  void Publish(uint32_t index, Time now);
  void OnConfirm(uint64_t tag, bool multiple, amqp::ConfirmOutcome outcome);
  void OnNack(uint64_t tag, bool multiple);
  void OnReturn(ByteView method, ByteView properties);
  template <class Each>
  void ForTags(uint64_t tag, bool multiple, Each each);
  void OnConfirmed(uint32_t index, amqp::ConfirmOutcome outcome);
  void OnTimer(uint32_t index, Time now);
  void Settle(uint32_t index, SendStatus status, SendFailure failure, std::string why);
  void Fence();
  void ForgetChannel();
  uint64_t Lowest() const;
  bool MayPublish() const;
  bool PublishedHere(const Entry& entry) const {
    return entry.published_here > 0 && entry.link_number == link_number_;
  }

  const SenderCoreOptions options_;
  Rng rng_;
  PropertyEncoder encoder_;

  std::vector<Entry> entries_;
  std::vector<uint32_t> free_;
  uint32_t head_ = kNone;
  uint32_t tail_ = kNone;
  // The first message in the list that has not been published on this channel.
  uint32_t cursor_ = kNone;
  size_t unsettled_ = 0;
  uint64_t next_ordinal_ = 0;
  uint64_t next_sequence_;
  std::vector<SettledSend> settled_;

  // Numbers of the messages' own: the first message decides whether there are any.
  std::optional<bool> own_sequences_;
  std::set<uint64_t> own_in_flight_;
  uint64_t own_lowest_ = 1;

  bool channel_ready_ = false;  // confirms are on
  bool blocked_ = false;
  uint32_t link_number_ = 0;  // counts channels
  std::deque<TagRef> tags_;   // of the delivery tags from first_tag_ on
  uint64_t first_tag_ = 1;
  size_t open_tags_ = 0;
  // The broker closed the channel because of some message: those before this ordinal go out one by
  // one, so that the next time it is clear which.
  uint64_t careful_below_ = 0;
  Time scan_at_ = kNever;

  std::string fenced_;
  std::vector<Error> problems_;
  Link link_;  // last: it may call back
};

}  // namespace landfall::client
