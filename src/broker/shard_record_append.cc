// How each record is written.
#include "broker/shard_record.h"
#include "broker/shard_record_fields.h"

namespace landfall::broker {

namespace {

struct Appender {
  ByteBuffer& out;

  void operator()(const BatchTimeRecord& r) const {
    AppendType(out, ShardRecordType::kBatchTime);
    AppendTime(out, r.time);
  }
  void operator()(const EnqueueRecord& r) const {
    AppendEnqueue(out, r.identity ? &*r.identity : nullptr, r.transfer ? &*r.transfer : nullptr,
                  r.positions.data(), r.positions.size(), *r.message);
  }
  void operator()(const SettledRecord& r) const {
    AppendType(out, ShardRecordType::kSettled);
    AppendVarint(out, r.queue);
    out.push_back(static_cast<char>(r.reason));
    AppendRanges(out, r.ranges);
  }
  void operator()(const FailedRecord& r) const {
    AppendType(out, ShardRecordType::kFailed);
    AppendPosition(out, r.position);
    AppendVarint(out, r.failures);
    AppendTime(out, r.due);
  }
  void operator()(const DeliveredRecord& r) const {
    AppendType(out, ShardRecordType::kDelivered);
    AppendPosition(out, r.position);
  }
  void operator()(const MoveRecord& r) const {
    AppendType(out, r.by_hand ? ShardRecordType::kMoveByHand : ShardRecordType::kMove);
    AppendPosition(out, r.from);
    AppendVarint(out, r.positions.size());
    for (const auto& p : r.positions) AppendPosition(out, p);
    AppendVarint(out, r.outbox.size());
    for (const auto& o : r.outbox) AppendOutboxItem(out, o);
    AppendMessage(out, *r.message);
  }
  void operator()(const TransferSettledRecord& r) const {
    AppendType(out, ShardRecordType::kTransferSettled);
    AppendVarint(out, r.destination);
    AppendVarint(out, r.transfer_seq);
  }
  void operator()(const ProducerForgottenRecord& r) const {
    AppendType(out, ShardRecordType::kProducerForgotten);
    AppendVarint(out, r.queue);
    AppendSized(out, r.producer);
  }
  void operator()(const QueueStateRecord& r) const {
    AppendType(out, ShardRecordType::kQueueState);
    AppendVarint(out, r.queue);
    AppendVarint(out, r.last);
    AppendVarint(out, r.delivered_upto);
  }
  void operator()(const ProducerStateRecord& r) const {
    AppendType(out, ShardRecordType::kProducerState);
    AppendVarint(out, r.queue);
    AppendSized(out, r.producer);
    AppendVarint(out, r.epoch);
    AppendVarint(out, r.floor);
    AppendTime(out, r.last_used);
    AppendRanges(out, r.taken);
  }
  void operator()(const MessageStateRecord& r) const {
    AppendType(out, ShardRecordType::kMessageState);
    AppendPosition(out, r.position);
    AppendVarint(out, r.failures);
    out.push_back(static_cast<char>(r.redelivered));
    AppendTime(out, r.due);
    AppendMessage(out, *r.message);
  }
  void operator()(const OutboxStateRecord& r) const {
    AppendType(out, ShardRecordType::kOutboxState);
    AppendOutboxItem(out, r.item);
    AppendMessage(out, *r.message);
  }
  void operator()(const OutboxNextRecord& r) const {
    AppendType(out, ShardRecordType::kOutboxNext);
    AppendVarint(out, r.destination);
    AppendVarint(out, r.next);
  }
  void operator()(const AppliedStateRecord& r) const {
    AppendType(out, ShardRecordType::kAppliedState);
    AppendVarint(out, r.source);
    AppendVarint(out, r.floor);
    AppendRanges(out, r.applied);
  }
  void operator()(const MessageExpiryRecord& r) const {
    AppendType(out, ShardRecordType::kMessageExpiry);
    AppendPosition(out, r.position);
    AppendTime(out, r.expiry);
  }
  // A number that is one more than the time to live, or 0.
  void operator()(const QueueTtlRecord& r) const {
    AppendType(out, ShardRecordType::kQueueTtl);
    AppendVarint(out, r.queue);
    AppendTime(out, r.now);
    AppendVarint(out, r.ttl ? static_cast<uint64_t>(r.ttl->count()) + 1 : 0);
  }
  void operator()(const QueuedMessageRecord& r) const {
    AppendType(out, ShardRecordType::kQueuedMessage);
    AppendPosition(out, r.position);
    AppendVarint(out, r.failures);
    out.push_back(r.redelivered ? 1 : 0);
    AppendTime(out, r.due);
    AppendTime(out, r.born);
    AppendMessage(out, *r.message);
  }
  void operator()(const BacklogBlockRecord& r) const {
    AppendType(out, ShardRecordType::kBacklogBlock);
    for (const uint64_t number :
         {r.queue, r.file, r.offset, uint64_t{r.length}, r.first, r.last - r.first,
          uint64_t{r.written}, uint64_t{r.alive}, r.footprint, r.body_bytes}) {
      AppendVarint(out, number);
    }
    AppendTime(out, r.born);
    AppendTime(out, r.own_expiry);
    AppendRanges(out, r.settled);
  }
  void operator()(const BacklogChangeRecord& r) const {
    AppendType(out, ShardRecordType::kBacklogChange);
    AppendPosition(out, r.position);
    AppendVarint(out, r.failures);
    out.push_back(r.redelivered ? 1 : 0);
    AppendTime(out, r.due);
  }
  void operator()(const StoryRecord& r) const {
    AppendType(out, ShardRecordType::kStory);
    AppendStory(out, r);
  }
  void operator()(const StoryBlock& r) const {
    AppendType(out, ShardRecordType::kStoryBlock);
    AppendVarint(out, r.file);
    AppendVarint(out, r.place.offset);
    AppendVarint(out, r.place.length);
    AppendTime(out, r.first);
    AppendTime(out, r.last);
  }
  void operator()(const OpenStoriesRecord& r) const {
    AppendType(out, ShardRecordType::kOpenStories);
    AppendVarint(out, r.queue);
    AppendVarint(out, r.stories.size());
    for (const OpenStory& open : r.stories) {
      AppendVarint(out, open.sequence);
      AppendVarint(out, open.story);
    }
  }
  void operator()(const QueueLedgerRecord& r) const {
    AppendType(out, ShardRecordType::kQueueLedger);
    AppendVarint(out, r.queue);
    AppendVarint(out, r.ledger.accepted);
    AppendVarint(out, r.ledger.left.size());
    for (const uint64_t messages : r.ledger.left) AppendVarint(out, messages);
  }
};

}  // namespace

void AppendEnqueue(ByteBuffer& out, const Identity* identity, const TransferId* transfer,
                   const QueuePosition* positions, size_t count, const Message& message) {
  AppendType(out, ShardRecordType::kEnqueue);
  out.push_back(static_cast<char>((identity ? kHasIdentity : 0) | (transfer ? kHasTransfer : 0)));
  if (identity) {
    AppendSized(out, identity->producer);
    AppendVarint(out, identity->epoch);
    AppendVarint(out, identity->sequence);
    AppendVarint(out, identity->lowest_unsettled);
  }
  if (transfer) {
    AppendVarint(out, transfer->source);
    AppendVarint(out, transfer->transfer_seq);
    AppendVarint(out, transfer->lowest_unsettled);
  }
  AppendVarint(out, count);
  for (size_t i = 0; i < count; ++i) AppendPosition(out, positions[i]);
  AppendMessage(out, message);
}

void AppendRecord(ByteBuffer& out, const Record& record) { std::visit(Appender{out}, record); }

}  // namespace landfall::broker
