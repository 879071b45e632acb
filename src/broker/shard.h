#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <queue>
#include <set>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/error.h"
#include "base/flat_map.h"
#include "base/rng.h"
#include "base/time.h"
#include "broker/command.h"
#include "broker/holders.h"
#include "broker/move_by_hand.h"
#include "broker/outcome.h"
#include "broker/queue.h"
#include "broker/queue_page.h"
#include "broker/queue_report.h"
#include "broker/shard_record.h"
#include "broker/story_log.h"
#include "broker/topology_snapshot.h"
#include "broker/types.h"
#include "storage/store.h"

namespace landfall::broker {

// What a shard may do to the world around it. Implemented by the worker that hosts it; every call
// puts a value aside for later, none calls back into the shard.
class ShardPorts {
 public:
  virtual ~ShardPorts() = default;
  virtual void ToSession(SessionId session, Outcome&& outcome) = 0;
  virtual void ToShard(ShardId shard, Command&& command) = 0;
  virtual void SealedToTopology(Sealed sealed) = 0;
  virtual void UnusedToTopology(QueueId queue) = 0;
  // Answered by Shard::OnDurable. Not called by an unjournaled shard.
  virtual void Append(storage::Batch batch) = 0;
  // As storage::Store; answered by Shard::OnBlockRead.
  virtual void ReadBlock(ShardId shard, uint64_t file, storage::BlockPlace place,
                         uint64_t token) = 0;
  virtual void DropBacklog(ShardId shard, uint64_t file) = 0;
  // Messages cannot be read back: they are lost, and somebody has to know.
  virtual void BacklogDamaged(QueueId queue, uint64_t messages, const Error& error) = 0;
  // What has come to a queue, what has left it and the number that are in it do not agree: at the
  // start because of damage, otherwise by a fault of ours. Said once per queue.
  virtual void LedgerUnbalanced(QueueId queue, const Ledger& ledger, uint64_t held) = 0;
  // The snapshot installed on this worker.
  virtual const TopologySnapshot& topology() const = 0;
};

// Totals since the start, for logs and metrics. How messages have left is in the ledger.
struct ShardStatistics {
  uint64_t published = 0;
  uint64_t repeats = 0;
  uint64_t delivered = 0;
  uint64_t redelivered = 0;
  uint64_t leases_expired = 0;
  uint64_t expired = 0;          // left because of their age, dead-lettered or not
  uint64_t over_length = 0;      // left because of a length limit, dead-lettered or not
  uint64_t refused = 0;          // publishes that a full queue did not take
  uint64_t unknown_records = 0;  // replayed for queues that had been deleted

  ShardStatistics& operator+=(const ShardStatistics& other);
};

struct ShardOptions {
  // Bytes of messages in memory, and nowhere in backlog files, from which on the shard wants a
  // checkpoint.
  uint64_t unstored_bytes = uint64_t{8} << 20;
  // Of each queue so many ready messages stay in memory when others go, ...
  size_t resident_messages = 4096;
  // ... and no more than so many bytes of them: of a queue that has consumers, and of all those
  // together that have none.
  uint64_t resident_bytes = uint64_t{1} << 20;
  // Bytes of backlog files whose messages are gone, from which on it wants one as well: they come
  // back with the files that it need not name.
  uint64_t dead_bytes = uint64_t{64} << 20;
  // So far ahead of a queue's next message blocks are read while somebody wants them.
  uint64_t read_ahead_bytes = uint64_t{1} << 20;
  StoryLimits stories;
};

// An actor: its queues, its stream of the journal, and one thread at a time that may touch it.
// Commands, completions and time in; outcomes, batches and timers out.
//
// A turn is: any number of Execute, OnDurable and OnTick, then Flush, which delivers what can be
// delivered and gives what must land to the store as one batch. What a batch makes true (messages
// visible, publishes settled, transfers sent) happens when it is durable, in order.
class Shard {
 public:
  // `seed` is for jitter. `ports` is not owned.
  Shard(ShardId id, uint64_t seed, ShardPorts& ports, ShardOptions options = {});
  ~Shard();
  Shard(const Shard&) = delete;
  Shard& operator=(const Shard&) = delete;

  ShardId id() const { return id_; }

  // Recovery, before anything else; the topology must be installed. Then Start, with the epoch of
  // the store (which only grows, unlike the clock) and the shard_seq
  // after which the stream goes on. A checkpoint comes in pieces that end anywhere.
  Result<void> RecoverCheckpoint(ByteView piece, bool last);
  Result<void> RecoverBatch(ByteView entries);
  void Start(uint64_t last_shard_seq, uint32_t epoch, Time now);

  void Execute(Command&& command, Time now);
  void OnDurable(uint64_t shard_seq, uint64_t lsn, Time now);
  void OnTick(Time now);
  void Flush(Time now);
  // When OnTick is next of use.
  Time NextDeadline() const;

  // All that must survive, as a value that may be written on another thread, and the shard_seq it
  // covers. Messages leave memory for backlog files with it. Call right after Flush, and not while
  // one is under way.
  std::pair<uint64_t, storage::CheckpointSource> Checkpoint();
  void OnCheckpointSaved(uint64_t shard_seq, Time now);
  void OnCheckpointFailed(Time now);
  bool checkpoint_under_way() const { return checkpoint_ != nullptr; }
  // One more could be saved: none is under way, something has happened since the last one, and the
  // disk had room then, or has had time to get some.
  bool can_checkpoint() const {
    return journaled_ && !checkpoint_ && shard_seq_ != checkpointed_seq_ &&
           now_ >= next_checkpoint_;
  }
  // For the sake of memory or of the disk, whatever the journal says.
  bool wants_checkpoint() const;
  // Others have more need of the memory that its messages take: it wants a checkpoint, if that can
  // let anything go.
  void ReleaseMemory() { release_memory_ = unstored_bytes() > 0; }
  // Bytes of messages in memory, and nowhere in backlog files, that could be there.
  uint64_t unstored_bytes() const { return demand_.unstored_bytes + stories_.releasable_bytes(); }
  void OnBlockRead(uint64_t token, Result<ByteBuffer> block, Time now);
  // Between recovery and Start: those that it names.
  std::vector<uint64_t> BacklogFiles() const;

  uint64_t last_shard_seq() const { return shard_seq_; }
  const ShardStatistics& statistics() const { return statistics_; }
  // Of all its queues, those that have been deleted among them.
  Ledger ledger() const;
  // Of those alone that have been deleted.
  const Ledger& deleted_ledger() const { return deleted_; }
  // Messages on their way to queues of other shards.
  uint64_t outbox_size() const;
  // Reports queues whose ledger does not balance. Walks over all of them.
  void CheckLedgers();
  // Messages held, and their bytes.
  uint64_t size() const;
  uint64_t bytes() const;
  // False while a batch has not landed, a block has not been read, or commands have left something
  // to flush.
  bool idle() const {
    return pending_.empty() && entries_.empty() && effects_.empty() && reads_.empty();
  }
  // For tests and statistics; null when the shard has not touched it.
  const Queue* FindQueue(QueueId id) const;
  // Nothing but zeros when the shard has not touched it. Takes the same time whatever is in it.
  QueueReport Report(QueueId id) const;
  // In the order in which they came, at most so many.
  std::vector<ConsumerReport> ReportConsumers(QueueId id, size_t at_most) const;
  // Of a queue, what comes after that sequence and has landed: at most so many messages, and
  // those of one block. Changes nothing.
  QueuePage Look(QueueId id, Sequence after, size_t at_most) const;
  // As a command, answered at once; a Flush must follow.
  MovedByHand Execute(const MoveByHand& move, Time now);
  // Batches up to here have landed.
  uint64_t landed_upto() const;
  // What it has to tell of messages that are or were traced.
  StoryView Stories() const { return stories_.View(id_); }

 private:
  // A question about a queue, or the end of a consumer, that waits until what was published before
  // it has landed: whoever publishes and then asks sees his own messages. Or a basic.get, until
  // there is one in memory.
  struct Deferred {
    QueueId queue = 0;
    Sequence upto = 0;
    bool for_block = false;
    ChannelId channel = 0;
    Command command;
  };
  // What comes true when a batch has landed.
  struct Effects {
    std::vector<QueuePosition> landed;                      // messages visible up to here
    std::vector<std::pair<SessionId, uint64_t>> published;  // publishes settled up to here
    std::vector<std::pair<ShardId, Command>> to_shards;     // transfers and their answers
    std::vector<std::pair<SessionId, AckLanded>> acks;
    void Append(Effects&& later);
    bool empty() const {
      return landed.empty() && published.empty() && to_shards.empty() && acks.empty();
    }
  };
  struct PendingBatch {
    uint64_t shard_seq = 0;
    bool urgent = false;
    Effects effects;
  };
  struct OutgoingTransfer {
    std::vector<QueueId> queues;
    MessageRef message;
    StoryId story = 0;
  };
  struct Outbox {
    uint64_t next = 1;
    std::map<uint64_t, OutgoingTransfer> unsettled;
    uint64_t lowest() const { return unsettled.empty() ? next : unsettled.begin()->first; }
  };
  struct Applied {
    uint64_t floor = 1;
    IntervalSet above;
  };
  // What a checkpoint under way has written into backlog files. Filled on the store's thread, read
  // when it has been saved.
  struct Written {
    bool complete = false;
    std::vector<std::pair<QueueId, BacklogBlock>> blocks;
    std::vector<BacklogBlockRecord> moved;  // out of files that were half dead
    std::vector<StoryBlock> stories;
    std::set<uint64_t> unreadable_files;  // of those, the ones that not everything has left
    uint64_t next_file = 0;
  };
  struct CheckpointUnderWay {
    uint64_t shard_seq = 0;
    uint64_t dead_bytes = 0;  // that it is to free
    std::shared_ptr<Written> written;
    // Files that were there and have nothing in them that is alive.
    std::vector<uint64_t> unnamed_files;
    std::set<uint64_t> half_dead_files;  // which it empties
  };
  struct Read {
    QueueId queue = 0;
    Sequence last = 0;  // of the block
    uint64_t file = 0;
  };

  // shard.cc
  void Arm(Queue& queue);
  void ExpireMessages(Queue& queue);
  void ExpireQueue(Queue& queue);
  void ForgetIdleProducers();

  // shard_publish.cc
  struct Takers;
  void On(SessionId session, PublishCommand& c);
  Takers FindTakers(const PublishCommand& c, bool in_unit);
  bool IsNew(Queue& queue, const PublishCommand& c, Takers& takers);
  void Enqueue(const PublishCommand& c, const Takers& takers);
  bool Refuses(const Queue& queue);

  // shard_queues.cc
  void On(SessionId session, SealQueueCommand& c);
  void On(SessionId session, UnsealQueueCommand& c);
  void On(SessionId session, DropQueueCommand& c);
  void On(SessionId session, PurgeCommand& c);
  void On(SessionId session, CountCommand& c);
  void On(SessionId session, EchoCommand& c);
  void On(SessionId session, TouchQueueCommand& c);
  void On(SessionId session, ConfigureQueueCommand& c);
  // Null when there is none.
  Queue* Find(QueueId id);
  Queue* FindOrCreate(QueueId id);
  Queue* FindOpen(QueueId id);

  // shard_batch.cc
  void TouchBatch(Queue& queue);
  void BuildBatch();
  void BoundBatch();
  void Apply(Effects& effects);
  void ApplyAfterLastUrgent(Effects effects);
  // True if the command has been put aside.
  template <class C>
  bool Defer(const Queue& queue, SessionId session, const C& c);
  void RunDeferred();
  void BringUpToDate(Queue& queue);

  // shard_report.cc
  void CheckLedger(const Queue& queue);

  // shard_backlog.cc
  void LoadBlocks(Queue& queue, bool wanted);
  void LoadForOne(Queue& queue);
  void LoadBlock(Queue& queue, BacklogBlock& block);
  void DropUnnamedFiles();

  // shard_checkpoint.cc
  std::set<uint64_t> HalfDeadFiles(const std::vector<BacklogBlockRecord>& blocks);
  void NoteFile(uint64_t file, storage::BlockPlace place);
  void PageOut();

  // shard_delivery.cc
  void On(SessionId session, ConsumeCommand& c);
  void On(SessionId session, CancelCommand& c);
  void On(SessionId session, GetCommand& c);
  void On(SessionId session, CreditCommand& c);
  void On(SessionId session, GrantCommand& c);
  void On(SessionId session, CloseChannelCommand& c);
  void On(SessionId session, PauseLeasesCommand& c);
  void WantDispatch(Queue& queue);
  void Activate(Queue& queue);
  void EnforceLength(Queue& queue);
  void Dispatch(Queue& queue);
  void Offer(HolderId id, Holder& holder);
  void ReturnUnusedGrants(Queue& queue);
  void Unsubscribe(Queue& queue, HolderId id, Holder& holder);
  void Release(HolderId id, Holder& holder);
  Entry& HandOut(Queue& queue, Sequence sequence, HolderId id, Holder& holder, bool no_ack);
  void FinishHandOut(Queue& queue, Sequence sequence, bool no_ack);

  // shard_settlement.cc
  void ReleaseHeldBack(Queue& queue);
  void On(SessionId session, SettleCommand& c);
  void On(SessionId session, RenewCommand& c);
  void Acknowledge(Queue& queue, Sequence sequence, Entry& entry);
  void TakeBack(Entry& entry);
  void DeliveryFailed(Queue& queue, Sequence sequence, Entry& entry, StoryEvent how,
                      Duration delay);
  void Return(Queue& queue, Sequence sequence, Time due);
  void ExpireLeases(Queue& queue);
  void DeadLetter(Queue& queue, Sequence sequence, Entry& entry, ByteView reason);
  bool MoveToDeadLetters(Queue& queue, Sequence sequence, const Message& message, bool journaled,
                         ByteView reason);
  enum class MoveCause : uint8_t { kByItself, kByHand };
  void Move(Queue& queue, Sequence sequence, const MessageRef& message, bool journaled,
            const QueueTargets& targets, StoryId story, MoveCause cause = MoveCause::kByItself);

  // shard_move.cc
  void MoveOne(Queue& queue, const Vhost& vhost, const MoveByHand& move, Sequence sequence,
               MovedByHand& result);

  // shard_stories.cc
  void Tell(StoryRecord&& record);
  // Something happens to a message that may be traced.
  void TellOf(Queue& queue, Sequence sequence, StoryEvent event, uint32_t attempt = 0,
              std::string_view detail = {}, Time until = {}) {
    if (queue.stories.empty()) return;
    TellMore(queue, sequence,
             {.event = event, .attempt = attempt, .until = until, .detail = std::string(detail)});
  }
  void TellMore(Queue& queue, Sequence sequence, StoryRecord&& record);
  StoryId StoryOf(const Queue& queue, Sequence sequence) const;
  // A message has come, or has tried to. `story` 0: a new one begins. `always`: whatever the
  // queue's rate is, if it has any.
  void TellArrival(Queue& queue, Sequence sequence, const Message& message, StoryId story,
                   StoryEvent event, const OriginRef& origin, bool always);
  void TellLanded(Queue& queue, Sequence after, Sequence upto);
  void TellDelivery(Queue& queue, Sequence sequence, const Entry& entry, const Holder& holder);
  void TellGone(Queue& queue, StoryEvent event, std::string_view detail = {});
  void TellEndOfAll(Queue& queue, StoryEvent event);
  std::string NamesOf(const QueueTargets& targets) const;

  // shard_transfer.cc
  void On(SessionId session, TransferCommand& c);
  void On(SessionId session, TransferSettledCommand& c);
  void SendTransfer(ShardId destination, uint64_t transfer_seq, const Outbox& outbox,
                    const OutgoingTransfer& transfer);

  // shard_recovery.cc
  void Replay(const EnqueueRecord& r);
  void Replay(const SettledRecord& r);
  void Replay(const FailedRecord& r);
  void Replay(const DeliveredRecord& r);
  void Replay(const MoveRecord& r);
  void Replay(const TransferSettledRecord& r);
  void Replay(const ProducerForgottenRecord& r);
  void Replay(const BatchTimeRecord& r);
  void Replay(const QueueStateRecord& r);
  void Replay(const ProducerStateRecord& r);
  void Replay(const MessageStateRecord& r);
  void Replay(const OutboxStateRecord& r);
  void Replay(const OutboxNextRecord& r);
  void Replay(const AppliedStateRecord& r);
  void Replay(const MessageExpiryRecord& r);
  void Replay(const QueueTtlRecord& r);
  void Replay(const QueuedMessageRecord& r);
  void Replay(const BacklogBlockRecord& r);
  void Replay(const BacklogChangeRecord& r);
  void Replay(const QueueLedgerRecord& r);
  void Replay(const StoryRecord& r);
  void Replay(const StoryBlock& r);
  void Replay(const OpenStoriesRecord& r);
  Queue* ReplayQueue(QueueId id);
  Ledger& ReplayLedger(QueueId id);
  void FinishLedgers();

  const ShardId id_;
  const bool journaled_;
  uint32_t epoch_ = 0;
  ShardPorts& ports_;
  Rng rng_;
  Time now_{};
  Time replay_time_{};
  RecordStream checkpoint_records_;
  Time next_producer_sweep_{};

  BacklogDemand demand_;
  StoryLog stories_;
  bool release_memory_ = false;
  FlatMap<QueueId, std::unique_ptr<Queue>> queues_;
  Queue* last_queue_ = nullptr;  // that was found: mostly the next one too
  // Dropped, but perhaps still in the snapshot: must not be made anew.
  FlatSet<QueueId> dropped_;
  Ledger deleted_;                          // of queues that have been deleted
  FlatMap<QueueId, Ledger> deleted_later_;  // during recovery: of those that are no more
  FlatSet<QueueId> unbalanced_;             // reported
  Holders holders_;
  FlatMap<ShardId, Outbox> outboxes_;
  FlatMap<ShardId, Applied> applied_;

  std::vector<QueueId> to_dispatch_;
  using Alarm = std::pair<Time, QueueId>;
  std::priority_queue<Alarm, std::vector<Alarm>, std::greater<>> alarms_;

  // The batch that is being built.
  uint64_t shard_seq_ = 0;
  ByteBuffer entries_;
  bool urgent_ = false;
  bool in_unit_ = false;  // the last publish was of a unit that goes on
  std::vector<QueueId> batch_queues_;
  Effects effects_;
  std::deque<PendingBatch> pending_;
  // Of the batch whose effects are applied, and up to where the journal is durable.
  uint64_t landing_seq_ = 0;
  uint64_t landing_lsn_ = 0;
  std::vector<Deferred> deferred_;
  bool running_deferred_ = false;

  const ShardOptions options_;
  std::unique_ptr<CheckpointUnderWay> checkpoint_;
  std::map<uint64_t, uint64_t> files_;  // backlog files that exist, and their bytes
  std::set<uint64_t> unnamed_files_;    // of those, the ones to drop as soon as nobody reads them
  uint64_t next_file_ = 1;
  bool no_room_ = false;           // the last checkpoint has failed
  uint64_t checkpointed_seq_ = 0;  // of the last checkpoint of this life: saved, or there already
  Time next_checkpoint_{};         // not before
  FlatMap<uint64_t, Read> reads_;
  uint64_t last_read_ = 0;

  ShardStatistics statistics_;
};

}  // namespace landfall::broker
