#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "base/error.h"
#include "base/interval_set.h"
#include "base/time.h"
#include "broker/message.h"
#include "broker/shard_record.h"
#include "broker/types.h"
#include "storage/store.h"

// A piece of a queue as it is at one moment, for whoever looks into it without taking anything.
namespace landfall::broker {

struct SeenMessage {
  enum class State : uint8_t { kReady, kUnacked, kDelayed };
  Sequence sequence = 0;
  State state = State::kReady;
  MessageRef message;
  Time born{};            // when it came; Time{}: not known
  Time due{};             // kDelayed: when it may be delivered again; Time{}: not known
  uint32_t attempts = 0;  // deliveries so far, as far as they are counted
  uint32_t failures = 0;
  bool redelivered = false;
};

// A block of a backlog file some messages of which are nowhere else.
struct RestingBlock {
  uint64_t file = 0;
  storage::BlockPlace place;
  Sequence first = 0;
  Sequence last = 0;
  IntervalSet settled;
  std::map<Sequence, BacklogChangeRecord> changes;
};

struct QueuePage {
  std::vector<SeenMessage> messages;  // of those in memory, in order
  std::optional<RestingBlock> block;
  Sequence after = 0;
  Sequence upto = 0;  // it has all that is behind `after` up to here
  Sequence end = 0;   // the last message that there was
  bool more() const { return upto < end; }
};

// Adds what the page's block has that is not in memory. kCorrupt: `block` is not what was written.
Result<void> AddResting(QueuePage& page, ByteView block);

}  // namespace landfall::broker
