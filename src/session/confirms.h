#pragma once

#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "amqp/methods_generated.h"
#include "base/bytes.h"
#include "broker/message.h"
#include "broker/outcome.h"
#include "broker/types.h"
#include "session/ring.h"

namespace landfall::session {

// The publishes of one channel from basic.publish until every shard they went to has answered, and
// what the publisher is told about them.
//
// Answers are collected and written by Flush: those at the front of the window in runs with
// `multiple` set, those that overtook an earlier publish (it waits for another shard) one by one.
// Nothing is confirmed before it is settled, and nothing settled waits longer than to the next
// Flush.
class Confirms {
 public:
  // `extended`: the peer understands landfall.confirm.
  explicit Confirms(bool extended) : extended_(extended) {}

  // Publishes from the next one on are confirmed, with tags from 1.
  void Select();
  bool selected() const { return selected_; }

  // A publish that goes to `shards` shards. `to_return` is kept until it is settled and is given
  // back by Settle if the message proves unroutable; null if it was not mandatory. Returns the
  // publish's number: dense from 1 whether confirms were selected or not.
  uint64_t Begin(uint16_t shards, broker::MessageRef to_return);
  // A publish that is settled at once because it goes nowhere.
  void BeginUnroutable();

  // One shard's answer; no fate means that it landed there, `journaled` that this outlives a
  // restart. The result is what must be returned to the publisher before its confirm; usually null.
  broker::MessageRef Settle(uint64_t number, std::optional<broker::Fate> fate, bool journaled);

  // Whether a publish has been refused since the last call.
  bool TakeRefused() { return std::exchange(refused_, false); }

  bool dirty() const { return !runs_.empty() || !early_.empty(); }
  void Flush(ByteBuffer& out, broker::ChannelId channel);

  size_t outstanding() const { return window_.size(); }

 private:
  enum Seen : uint8_t {
    kLanded = 1,
    kLandedDurably = 2,
    kRepeat = 4,
    kRepeatDurable = 8,
    kFenced = 16,
    kRefused = 32,
  };
  struct Publish {
    broker::MessageRef to_return;
    uint16_t shards_left = 0;
    uint8_t seen = 0;
    bool announced = false;  // told one by one already
    amqp::ConfirmOutcome outcome{};
  };
  // Settled publishes at the front of the window.
  struct Run {
    uint64_t upto = 0;
    uint64_t count = 0;
    amqp::ConfirmOutcome outcome{};
  };

  amqp::ConfirmOutcome OutcomeOf(uint8_t seen) const;
  void Advance();
  void Announce(ByteBuffer& out, broker::ChannelId channel, uint64_t number, bool multiple,
                amqp::ConfirmOutcome outcome) const;

  bool extended_;
  bool selected_ = false;
  bool refused_ = false;
  uint64_t tag_base_ = 0;  // the last publish before confirm.select
  uint64_t first_ = 1;     // number of window_.front()
  Ring<Publish> window_;
  std::vector<Run> runs_;
  std::vector<uint64_t> early_;
};

}  // namespace landfall::session
