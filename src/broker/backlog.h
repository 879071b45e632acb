#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <utility>

#include "base/interval_set.h"
#include "base/time.h"
#include "broker/shard_record.h"
#include "broker/types.h"
#include "storage/store.h"

namespace landfall::broker {

// So many bytes of messages a block holds, the last one excepted.
inline constexpr size_t kBacklogBlockBytes = size_t{128} << 10;

// A piece of a queue in a backlog file: the journaled messages of a range of sequences as they were
// when a checkpoint wrote them.
struct BacklogBlock {
  uint64_t file = 0;
  storage::BlockPlace place;
  Sequence first = 0;
  Sequence last = 0;
  uint32_t written = 0;      // messages in it
  uint32_t alive = 0;        // of those, the ones that are not settled
  uint32_t resting = 0;      // of those, the ones that are nowhere else: not in memory
  uint64_t footprint = 0;    // of all messages in it
  uint64_t body_bytes = 0;   // the same
  Time born{};               // when the oldest came
  Time own_expiry = kNever;  // the first end by a message's own expiration
  // Of those that rest: bytes of bodies (after a restart an estimate, rather too little), when the
  // oldest came, and the first end by an expiration of its own.
  uint64_t resting_bytes = 0;
  Time resting_born = kNever;
  Time resting_expiry = kNever;
  IntervalSet settled;  // messages in it that are gone; what lies between its messages may be too
  bool loading = false;

  // Its bytes that messages take which are gone; an estimate while some are left.
  uint64_t dead_bytes() const {
    return written == 0 ? 0 : uint64_t{place.length} * (written - alive) / written;
  }
};

// As a checkpoint says it.
BacklogBlockRecord RecordOf(QueueId queue, const BacklogBlock& block);

// What tells a shard that it is time for a checkpoint.
struct BacklogDemand {
  // In memory, of messages that would no longer have to be there if they were in backlog files.
  uint64_t unstored_bytes = 0;
  // Of messages in blocks that are gone: they come back with the files.
  uint64_t dead_bytes = 0;
};

// What of a queue is in backlog files. Blocks follow each other in the order of their sequences, so
// that every journaled message up to upto() has its place in exactly one of them.
//
// Thread: its shard's.
class Backlog {
 public:
  // `demand` is kept; not owned.
  explicit Backlog(BacklogDemand& demand) : demand_(demand) {}

  // Behind all others, with nothing resting.
  BacklogBlock& Add(BacklogBlock block);
  // The block whose range has the sequence in it; null if there is none (any more).
  BacklogBlock* Find(Sequence sequence);
  // A message is gone; false if no block has it. A block without messages goes as well: the
  // reference must not be used again.
  bool Settle(Sequence sequence, bool was_resting);
  // So many messages of the block are gone, which its `settled` has. The same holds.
  void Die(BacklogBlock& block, uint32_t messages);
  // A checkpoint has written the block anew. Not if it has gone meanwhile.
  void Move(const BacklogBlockRecord& to);

  // So many of the block rest, which came at `born` or later and have their own ends at `expiry` or
  // later.
  void SetResting(BacklogBlock& block, uint32_t resting, Time born, Time expiry);
  void NoneRests(BacklogBlock& block) { SetResting(block, 0, kNever, kNever); }

  Sequence upto() const { return upto_; }
  void RestoreUpto(Sequence upto) { upto_ = std::max(upto_, upto); }
  uint64_t resting() const { return resting_; }
  bool empty() const { return blocks_.empty(); }
  // In order, by the last sequence of each.
  std::map<Sequence, BacklogBlock>& blocks() { return blocks_; }
  const std::map<Sequence, BacklogBlock>& blocks() const { return blocks_; }
  // The first of those in which something rests; null if there is none.
  BacklogBlock* FirstResting();
  // Of what rests, the block that could have something expired first, and when, in a queue with
  // this time to live.
  std::pair<BacklogBlock*, Time> FirstToExpire(std::optional<Duration> ttl);

 private:
  BacklogDemand& demand_;
  std::map<Sequence, BacklogBlock> blocks_;
  std::set<Sequence> resting_blocks_;                 // by their last sequence
  std::set<std::pair<Time, Sequence>> own_expiries_;  // of resting blocks that have one
  Sequence upto_ = 0;
  uint64_t resting_ = 0;
};

}  // namespace landfall::broker
