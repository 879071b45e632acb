#include "session/confirms.h"

#include <utility>

#include "amqp/method.h"
#include "base/assert.h"

namespace landfall::session {

using amqp::ConfirmOutcome;
using broker::Fate;

namespace {

// Never on the wire: every client is told by basic.nack.
constexpr auto kRefusedOutcome = static_cast<ConfirmOutcome>(0xff);

}  // namespace

void Confirms::Select() {
  if (selected_) return;
  selected_ = true;
  tag_base_ = first_ + window_.size() - 1;
}

uint64_t Confirms::Begin(uint16_t shards, broker::MessageRef to_return) {
  Publish publish;
  publish.to_return = std::move(to_return);
  publish.shards_left = shards;
  window_.push_back(std::move(publish));
  return first_ + window_.size() - 1;
}

void Confirms::BeginUnroutable() {
  const uint64_t number = Begin(0, nullptr);
  Publish& publish = window_.back();
  publish.outcome = OutcomeOf(0);
  if (number == first_) {
    Advance();
  } else if (selected_) {
    early_.push_back(number);
  }
}

broker::MessageRef Confirms::Settle(uint64_t number, std::optional<Fate> fate, bool journaled) {
  LANDFALL_ASSERT(number >= first_ && number - first_ < window_.size());
  Publish& publish = window_[number - first_];
  LANDFALL_ASSERT(publish.shards_left > 0);
  if (!fate) {
    publish.seen |= journaled ? kLanded | kLandedDurably : kLanded;
  } else if (*fate == Fate::kDuplicate) {
    publish.seen |= journaled ? kRepeat | kRepeatDurable : kRepeat;
  } else if (*fate == Fate::kFenced) {
    publish.seen |= kFenced;
  } else if (*fate == Fate::kRefused) {
    publish.seen |= kRefused;
  }
  if (--publish.shards_left > 0) return nullptr;

  const uint8_t seen = publish.seen;
  publish.outcome = OutcomeOf(seen);
  refused_ |= publish.outcome == ConfirmOutcome::kFenced || publish.outcome == kRefusedOutcome;
  broker::MessageRef to_return = std::move(publish.to_return);
  if (number == first_) {
    Advance();
  } else if (selected_ && number > tag_base_) {
    early_.push_back(number);
  }
  // Not publish.seen: Advance may have taken it out of the window.
  if (seen != 0) return nullptr;
  return to_return;
}

ConfirmOutcome Confirms::OutcomeOf(uint8_t seen) const {
  if ((seen & kRefused) != 0) return kRefusedOutcome;
  if ((seen & kFenced) != 0) return ConfirmOutcome::kFenced;
  // For a plain client the others are all one ack, so that they share runs.
  if (!extended_) return ConfirmOutcome::kLanded;
  if ((seen & kLanded) != 0) {
    // A repeat in a durable queue landed there earlier: with one new queue it is all on disk.
    return (seen & (kLandedDurably | kRepeatDurable)) != 0 ? ConfirmOutcome::kLanded
                                                           : ConfirmOutcome::kAccepted;
  }
  return (seen & kRepeat) != 0 ? ConfirmOutcome::kDuplicate : ConfirmOutcome::kAccepted;
}

// Moves the settled front of the window into runs.
void Confirms::Advance() {
  while (!window_.empty() && window_.front().shards_left == 0) {
    const Publish& publish = window_.front();
    if (selected_ && first_ > tag_base_ && !publish.announced) {
      if (!runs_.empty() && runs_.back().outcome == publish.outcome) {
        runs_.back().upto = first_;
        ++runs_.back().count;
      } else {
        runs_.push_back(Run{first_, 1, publish.outcome});
      }
    }
    window_.pop_front();
    ++first_;
  }
}

void Confirms::Flush(ByteBuffer& out, broker::ChannelId channel) {
  for (const Run& run : runs_) Announce(out, channel, run.upto, run.count > 1, run.outcome);
  runs_.clear();
  for (const uint64_t number : early_) {
    if (number < first_) continue;  // went with a run
    Publish& publish = window_[number - first_];
    Announce(out, channel, number, false, publish.outcome);
    publish.announced = true;
  }
  early_.clear();
}

void Confirms::Announce(ByteBuffer& out, broker::ChannelId channel, uint64_t number, bool multiple,
                        ConfirmOutcome outcome) const {
  const uint64_t tag = number - tag_base_;
  if (extended_ && outcome != kRefusedOutcome) {
    amqp::AppendMethodFrame(
        out, channel,
        amqp::LandfallConfirm{.delivery_tag = tag, .multiple = multiple, .outcome = outcome});
  } else if (outcome == ConfirmOutcome::kFenced || outcome == kRefusedOutcome) {
    amqp::AppendMethodFrame(
        out, channel, amqp::BasicNack{.delivery_tag = tag, .multiple = multiple, .requeue = false});
  } else {
    amqp::AppendMethodFrame(out, channel,
                            amqp::BasicAck{.delivery_tag = tag, .multiple = multiple});
  }
}

}  // namespace landfall::session
