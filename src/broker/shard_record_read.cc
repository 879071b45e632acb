// How each record is read: whatever the bytes are, the answer is a record or an error.
#include <fmt/format.h>

#include <utility>

#include "broker/shard_record.h"
#include "broker/shard_record_fields.h"

namespace landfall::broker {

namespace {

Record ReadFields(ShardRecordType type, ByteReader& in) {
  switch (type) {
    case ShardRecordType::kBatchTime:
      return BatchTimeRecord{ReadTime(in)};
    case ShardRecordType::kEnqueue: {
      EnqueueRecord r;
      const ByteView flag_byte = in.Take(1);
      const auto flags = flag_byte.empty() ? uint8_t{0} : static_cast<uint8_t>(flag_byte[0]);
      if (flags & kHasIdentity) {
        Identity i;
        i.producer = in.Sized();
        i.epoch = in.Varint();
        i.sequence = in.Varint();
        i.lowest_unsettled = in.Varint();
        r.identity = std::move(i);
      }
      if (flags & kHasTransfer) {
        TransferId t;
        t.source = static_cast<ShardId>(in.Varint());
        t.transfer_seq = in.Varint();
        t.lowest_unsettled = in.Varint();
        r.transfer = t;
      }
      r.positions = ReadMany<QueuePosition>(in, ReadPosition);
      r.message = ReadMessage(in);
      return r;
    }
    case ShardRecordType::kSettled: {
      SettledRecord r;
      r.queue = in.Varint();
      const ByteView reason = in.Take(1);
      if (!reason.empty()) r.reason = static_cast<LeaveReason>(reason[0]);
      if (r.reason > LeaveReason::kMaxLength) in.Fail();
      r.ranges = ReadRanges(in);
      return r;
    }
    case ShardRecordType::kFailed: {
      FailedRecord r;
      r.position = ReadPosition(in);
      r.failures = static_cast<uint32_t>(in.Varint());
      r.due = ReadTime(in);
      return r;
    }
    case ShardRecordType::kDelivered:
      return DeliveredRecord{ReadPosition(in)};
    case ShardRecordType::kMove:
    case ShardRecordType::kMoveByHand: {
      MoveRecord r;
      r.by_hand = type == ShardRecordType::kMoveByHand;
      r.from = ReadPosition(in);
      r.positions = ReadMany<QueuePosition>(in, ReadPosition);
      r.outbox = ReadMany<OutboxItem>(in, ReadOutboxItem);
      r.message = ReadMessage(in);
      return r;
    }
    case ShardRecordType::kTransferSettled: {
      TransferSettledRecord r;
      r.destination = static_cast<ShardId>(in.Varint());
      r.transfer_seq = in.Varint();
      return r;
    }
    case ShardRecordType::kProducerForgotten: {
      ProducerForgottenRecord r;
      r.queue = in.Varint();
      r.producer = in.Sized();
      return r;
    }
    case ShardRecordType::kQueueState: {
      QueueStateRecord r;
      r.queue = in.Varint();
      r.last = in.Varint();
      r.delivered_upto = in.Varint();
      return r;
    }
    case ShardRecordType::kProducerState: {
      ProducerStateRecord r;
      r.queue = in.Varint();
      r.producer = in.Sized();
      r.epoch = in.Varint();
      r.floor = in.Varint();
      r.last_used = ReadTime(in);
      r.taken = ReadRanges(in);
      return r;
    }
    case ShardRecordType::kMessageState: {
      MessageStateRecord r;
      r.position = ReadPosition(in);
      r.failures = static_cast<uint32_t>(in.Varint());
      r.redelivered = ReadFlag(in);
      r.due = ReadTime(in);
      r.message = ReadMessage(in);
      return r;
    }
    case ShardRecordType::kOutboxState: {
      OutboxStateRecord r;
      r.item = ReadOutboxItem(in);
      r.message = ReadMessage(in);
      return r;
    }
    case ShardRecordType::kOutboxNext: {
      OutboxNextRecord r;
      r.destination = static_cast<ShardId>(in.Varint());
      r.next = in.Varint();
      return r;
    }
    case ShardRecordType::kMessageExpiry: {
      MessageExpiryRecord r;
      r.position = ReadPosition(in);
      r.expiry = ReadTime(in);
      return r;
    }
    case ShardRecordType::kQueueTtl: {
      QueueTtlRecord r;
      r.queue = in.Varint();
      r.now = ReadTime(in);
      if (const uint64_t ttl = in.Varint()) r.ttl = Duration(static_cast<int64_t>(ttl - 1));
      return r;
    }
    case ShardRecordType::kQueuedMessage: {
      QueuedMessageRecord r;
      r.position = ReadPosition(in);
      r.failures = static_cast<uint32_t>(in.Varint());
      r.redelivered = ReadFlag(in);
      r.due = ReadTime(in);
      r.born = ReadTime(in);
      r.message = ReadMessage(in);
      return r;
    }
    case ShardRecordType::kBacklogBlock: {
      BacklogBlockRecord r;
      r.queue = in.Varint();
      r.file = in.Varint();
      r.offset = in.Varint();
      r.length = static_cast<uint32_t>(in.Varint());
      r.first = in.Varint();
      r.last = r.first + in.Varint();
      r.written = static_cast<uint32_t>(in.Varint());
      r.alive = static_cast<uint32_t>(in.Varint());
      r.footprint = in.Varint();
      r.body_bytes = in.Varint();
      r.born = ReadTime(in);
      r.own_expiry = ReadTime(in);
      r.settled = ReadRanges(in);
      if (r.first == 0 || r.last < r.first || r.alive > r.written) in.Fail();
      return r;
    }
    case ShardRecordType::kBacklogChange: {
      BacklogChangeRecord r;
      r.position = ReadPosition(in);
      r.failures = static_cast<uint32_t>(in.Varint());
      r.redelivered = ReadFlag(in);
      r.due = ReadTime(in);
      return r;
    }
    case ShardRecordType::kQueueLedger: {
      QueueLedgerRecord r;
      r.queue = in.Varint();
      r.ledger.accepted = in.Varint();
      const uint64_t reasons = in.Varint();
      if (reasons > r.ledger.left.size()) in.Fail();
      for (uint64_t i = 0; i < reasons && !in.failed(); ++i) r.ledger.left[i] = in.Varint();
      return r;
    }
    case ShardRecordType::kStory:
      return ReadStory(in);
    case ShardRecordType::kStoryBlock: {
      StoryBlock r;
      r.file = in.Varint();
      r.place.offset = in.Varint();
      r.place.length = static_cast<uint32_t>(in.Varint());
      r.first = ReadTime(in);
      r.last = ReadTime(in);
      return r;
    }
    case ShardRecordType::kOpenStories: {
      OpenStoriesRecord r;
      r.queue = in.Varint();
      r.stories = ReadMany<OpenStory>(in, [](ByteReader& from) {
        OpenStory open;
        open.sequence = from.Varint();
        open.story = from.Varint();
        return open;
      });
      return r;
    }
    case ShardRecordType::kAppliedState: {
      AppliedStateRecord r;
      r.source = static_cast<ShardId>(in.Varint());
      r.floor = in.Varint();
      r.applied = ReadRanges(in);
      return r;
    }
  }
  in.Fail();
  return BatchTimeRecord{};
}

}  // namespace

Result<Record> ReadRecord(ByteReader& in) {
  const ByteView type = in.Take(1);
  if (type.empty()) return Fail(ErrorCode::kCorrupt, "a record was expected at the end of a batch");
  Record record = ReadFields(static_cast<ShardRecordType>(type[0]), in);
  if (in.failed())
    return Fail(ErrorCode::kCorrupt, fmt::format("a record of type {} is broken or unknown",
                                                 static_cast<unsigned>(type[0])));
  return record;
}

Result<void> RecordStream::Add(ByteView piece, bool last, const Visit& visit) {
  unfinished_ += piece;
  ByteView bytes = unfinished_;
  while (!bytes.empty()) {
    ByteReader in(bytes);
    auto record = ReadRecord(in);
    if (!record) {
      if (last) return std::unexpected(record.error());
      break;  // the rest of it is in the next piece
    }
    const size_t length = bytes.size() - in.remaining();
    if (auto ok = visit(*record, bytes.substr(0, length)); !ok) return ok;
    bytes.remove_prefix(length);
  }
  unfinished_.erase(0, unfinished_.size() - bytes.size());
  if (last) unfinished_ = {};
  return {};
}

Result<std::vector<QueuedMessageRecord>> ReadBlockMessages(ByteView block) {
  std::vector<QueuedMessageRecord> messages;
  ByteReader in(block);
  while (!in.done()) {
    auto record = ReadRecord(in);
    if (!record) return std::unexpected(record.error());
    auto* message = std::get_if<QueuedMessageRecord>(&*record);
    if (message == nullptr) {
      return Fail(ErrorCode::kCorrupt, "a block has something in it that is not a message");
    }
    messages.push_back(std::move(*message));
  }
  return messages;
}

Result<std::vector<StoryRecord>> ReadStories(ByteView chunk) {
  std::vector<StoryRecord> stories;
  ByteReader in(chunk);
  while (!in.done()) {
    auto record = ReadRecord(in);
    if (!record) return std::unexpected(record.error());
    auto* story = std::get_if<StoryRecord>(&*record);
    if (story == nullptr) {
      return Fail(ErrorCode::kCorrupt, "stories have something in them that is none");
    }
    stories.push_back(std::move(*story));
  }
  return stories;
}

}  // namespace landfall::broker
