#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/bytes.h"
#include "base/error.h"
#include "base/interval_set.h"
#include "base/time.h"
#include "base/wire.h"
#include "broker/command.h"
#include "broker/ledger.h"
#include "broker/message.h"
#include "broker/story_log.h"
#include "broker/types.h"

// What a queue shard writes into its stream of the journal and into its checkpoints: a sequence of
// records, each a type byte and then the fields in the order of the structs below, integers as
// varints, times as microseconds since 1970 (0 = none), strings and bytes with a varint length.
// docs/format.md has the table. New types are added at the end; none changes its meaning.
namespace landfall::broker {

struct QueuePosition {
  QueueId queue = 0;
  Sequence sequence = 0;
  bool operator==(const QueuePosition&) const = default;
};

// Where one message came in the reliable transfer between two shards.
struct TransferId {
  ShardId source = 0;
  uint64_t transfer_seq = 0;
  uint64_t lowest_unsettled = 0;
};

// 1: when this batch was made; first in each batch.
struct BatchTimeRecord {
  Time time{};
};
// 2: a message entered these queues. From a producer with an identity, from a transfer, or neither.
struct EnqueueRecord {
  std::optional<Identity> identity;
  std::optional<TransferId> transfer;
  std::vector<QueuePosition> positions;
  MessageRef message;
};
// 3: these messages left the queue for good.
struct SettledRecord {
  QueueId queue = 0;
  LeaveReason reason = LeaveReason::kAcked;
  std::vector<IntervalSet::Range> ranges;
};
// 4: a delivery failed; the message is ready again at `due` (none: at once).
struct FailedRecord {
  QueuePosition position;
  uint32_t failures = 0;
  Time due{};
};
// 5: everything up to here may have been delivered. Lazy.
struct DeliveredRecord {
  QueuePosition position;
};
// 6: a message left its queue for these: queues of this shard, and an outbox to each other shard.
// 24: the same by an operator's will.
struct OutboxItem {
  ShardId destination = 0;
  uint64_t transfer_seq = 0;
  std::vector<QueueId> queues;
};
struct MoveRecord {
  QueuePosition from;
  std::vector<QueuePosition> positions;
  std::vector<OutboxItem> outbox;
  MessageRef message;  // as it arrives there (with x-death)
  bool by_hand = false;
};
// 7: the destination has it.
struct TransferSettledRecord {
  ShardId destination = 0;
  uint64_t transfer_seq = 0;
};
// 8: the repeats of this producer are recognised no longer.
struct ProducerForgottenRecord {
  QueueId queue = 0;
  std::string producer;
};

// The rest stands in checkpoints only, but for 10, which also says that a producer has a newer
// epoch.
// 9
struct QueueStateRecord {
  QueueId queue = 0;
  Sequence last = 0;
  Sequence delivered_upto = 0;
};
// 10
struct ProducerStateRecord {
  QueueId queue = 0;
  std::string producer;
  uint64_t epoch = 0;
  uint64_t floor = 0;
  Time last_used{};
  std::vector<IntervalSet::Range> taken;
};
// 11
struct MessageStateRecord {
  QueuePosition position;
  uint32_t failures = 0;
  bool redelivered = false;
  Time due{};
  MessageRef message;
};
// 12
struct OutboxStateRecord {
  OutboxItem item;
  MessageRef message;
};
// 13: the next transfer to that destination has this number.
struct OutboxNextRecord {
  ShardId destination = 0;
  uint64_t next = 0;
};
// 14
struct AppliedStateRecord {
  ShardId source = 0;
  uint64_t floor = 0;
  std::vector<IntervalSet::Range> applied;
};

// 15: somewhere behind the message's record, if the message does not live for ever.
struct MessageExpiryRecord {
  QueuePosition position;
  Time expiry{};
};

// 16: behind what a checkpoint has of a queue. The time to live by which those messages expire, so
// that a policy that was changed after it holds for them as well.
struct QueueTtlRecord {
  QueueId queue = 0;
  Time now{};  // when the checkpoint was taken
  std::optional<Duration> ttl;
};

// 17: takes the place of 11, which is read only. In checkpoints, and alone what the blocks of
// backlog files are made of.
struct QueuedMessageRecord {
  QueuePosition position;
  uint32_t failures = 0;
  bool redelivered = false;
  Time due{};
  Time born{};  // when it came
  MessageRef message;
};
// 18: a block of a backlog file has messages of this queue. In order, before the queue's state.
struct BacklogBlockRecord {
  QueueId queue = 0;
  uint64_t file = 0;
  uint64_t offset = 0;
  uint32_t length = 0;
  Sequence first = 0;
  Sequence last = 0;
  uint32_t written = 0;  // messages in it
  uint32_t alive = 0;
  uint64_t footprint = 0;
  uint64_t body_bytes = 0;
  Time born{};
  Time own_expiry{};                        // none: Time{}
  std::vector<IntervalSet::Range> settled;  // gone since
};
// 19: what has become of a message in a block since.
struct BacklogChangeRecord {
  QueuePosition position;
  uint32_t failures = 0;
  bool redelivered = false;
  Time due{};
};
// 20: what has come to a queue and left it up to the checkpoint, of messages that survive a
// restart. Queue 0: all queues of the shard that have been deleted.
struct QueueLedgerRecord {
  QueueId queue = 0;
  Ledger ledger;
};
// 21: StoryRecord, of story.h; the only one of which a story's blocks are made.
// 22: StoryBlock, of story_log.h, from the oldest on.
// 23: messages of a queue that are traced.
struct OpenStory {
  Sequence sequence = 0;
  StoryId story = 0;
  bool operator==(const OpenStory&) const = default;
};
struct OpenStoriesRecord {
  QueueId queue = 0;
  std::vector<OpenStory> stories;
};

using Record =
    std::variant<BatchTimeRecord, EnqueueRecord, SettledRecord, FailedRecord, DeliveredRecord,
                 MoveRecord, TransferSettledRecord, ProducerForgottenRecord, QueueStateRecord,
                 ProducerStateRecord, MessageStateRecord, OutboxStateRecord, OutboxNextRecord,
                 AppliedStateRecord, MessageExpiryRecord, QueueTtlRecord, QueuedMessageRecord,
                 BacklogBlockRecord, BacklogChangeRecord, QueueLedgerRecord, StoryRecord,
                 StoryBlock, OpenStoriesRecord>;

// The hot one is written without building a record. `positions` yields QueuePosition.
void AppendEnqueue(ByteBuffer& out, const Identity* identity, const TransferId* transfer,
                   const QueuePosition* positions, size_t count, const Message& message);
void AppendRecord(ByteBuffer& out, const Record& record);

// Reads the record at the front of `in`. Errors: kCorrupt, with what was wrong.
Result<Record> ReadRecord(ByteReader& in);

// Reads the records of a checkpoint, whose pieces end anywhere.
class RecordStream {
 public:
  // `bytes`: those of the record; only during the call. An error ends the reading.
  using Visit = std::function<Result<void>(Record& record, ByteView bytes)>;

  // `last`: the checkpoint is complete, so that what is left must be a record. Errors: kCorrupt,
  // and those of `visit`.
  Result<void> Add(ByteView piece, bool last, const Visit& visit);

 private:
  ByteBuffer unfinished_;
};

// What a block of a backlog file holds. Errors: kCorrupt.
Result<std::vector<StoryRecord>> ReadStories(ByteView chunk);
Result<std::vector<QueuedMessageRecord>> ReadBlockMessages(ByteView block);

// One line for people (landfall journal inspect).
std::string Describe(const Record& record);

}  // namespace landfall::broker
