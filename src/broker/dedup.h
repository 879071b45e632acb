#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "base/bytes.h"
#include "base/flat_map.h"
#include "base/interval_set.h"
#include "base/time.h"
#include "broker/command.h"

// Which messages of which producers a queue has taken already.
namespace landfall::broker {

// What a queue knows of one producer. Below `floor` everything is a repeat (the producer has said
// that it is settled); from there on `taken` and `passing` decide, so that a gap filled late is
// accepted. They outlive the messages: a resend may come long after the ack.
struct ProducerWindow {
  uint64_t epoch = 0;
  uint64_t floor = 1;
  IntervalSet taken;
  // Taken as well, but as messages that do not survive a restart. Nor may this: a resend would be
  // called a repeat of a message that is gone.
  IntervalSet passing;
  Time last_used{};
};

enum class DedupVerdict { kNew, kRepeat, kFenced };

class DedupTable {
 public:
  // A producer's resends stay within its own window, which is one or two ranges; a peer that makes
  // more loses the memory of its oldest (a repeat may then be taken twice, never a message lost).
  static constexpr size_t kMaxRanges = 1024;
  static constexpr size_t kMaxProducers = 10'000;

  // Decides without changing anything.
  DedupVerdict Check(const Identity& identity) const;
  // Remembers that the message was taken. A newer epoch keeps what was taken and fences the older
  // processes of that name. `survives`: the message is journaled in this queue.
  void Take(const Identity& identity, bool survives, Time now);
  // A repeat from a newer epoch fences as well. Returns what is known of the producer now if that
  // has changed, else null.
  const ProducerWindow* Fence(const Identity& identity);

  // The producer to forget so that there is room for another one; empty while there is room.
  std::string ToEvict() const;
  // One that has not been used since `before`; empty when there is none.
  std::string IdleSince(Time before) const;
  void Forget(std::string_view producer);

  size_t size() const { return producers_.size(); }
  const StringMap<ProducerWindow>& producers() const { return producers_; }
  // Recovery.
  void Restore(std::string producer, ProducerWindow window);

 private:
  StringMap<ProducerWindow> producers_;
};

}  // namespace landfall::broker
