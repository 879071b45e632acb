#include "broker/shard_record.h"

#include <fmt/format.h>

#include <cstring>

#include "base/assert.h"

namespace landfall::broker {
namespace {

enum class Type : uint8_t {
  kBatchTime = 1,
  kEnqueue = 2,
  kSettled = 3,
  kFailed = 4,
  kDelivered = 5,
  kMove = 6,
  kTransferSettled = 7,
  kProducerForgotten = 8,
  kQueueState = 9,
  kProducerState = 10,
  kMessageState = 11,
  kOutboxState = 12,
  kOutboxNext = 13,
  kAppliedState = 14,
  kMessageExpiry = 15,
  kQueueTtl = 16,
  kQueuedMessage = 17,
  kBacklogBlock = 18,
  kBacklogChange = 19,
  kQueueLedger = 20,
  kStory = 21,
  kStoryBlock = 22,
  kOpenStories = 23,
  kMoveByHand = 24,
};

// Bits of an enqueue's flags byte.
constexpr uint8_t kHasIdentity = 1;
constexpr uint8_t kHasTransfer = 2;
// Bits of a message's flags byte.
constexpr uint8_t kPersistent = 1;

void AppendType(ByteBuffer& out, Type type) { out.push_back(static_cast<char>(type)); }

void AppendTime(ByteBuffer& out, Time t) {
  AppendVarint(out, static_cast<uint64_t>(t.time_since_epoch().count()));
}
Time ReadTime(ByteReader& in) { return Time(Duration(static_cast<int64_t>(in.Varint()))); }

void AppendPosition(ByteBuffer& out, const QueuePosition& p) {
  AppendVarint(out, p.queue);
  AppendVarint(out, p.sequence);
}
QueuePosition ReadPosition(ByteReader& in) {
  QueuePosition p;
  p.queue = in.Varint();
  p.sequence = in.Varint();
  return p;
}

bool ReadFlag(ByteReader& in) {
  const ByteView byte = in.Take(1);
  return !byte.empty() && byte[0] != 0;
}

// A count that is followed by at least one byte for each: more than what is left is broken input,
// and must not become an allocation.
size_t ReadCount(ByteReader& in) {
  const uint64_t n = in.Varint();
  if (n <= in.remaining()) return n;
  in.Fail();
  return 0;
}

template <class T, class F>
std::vector<T> ReadMany(ByteReader& in, F read) {
  std::vector<T> v(ReadCount(in));
  for (T& item : v) item = read(in);
  return v;
}

// In one go: half of what is journaled are these.
void AppendMessage(ByteBuffer& out, const Message& m) {
  const ByteView parts[] = {m.exchange(), m.routing_key(), m.properties(), m.body()};
  size_t most = 1;
  for (const ByteView part : parts) most += kMaxVarint + part.size();
  const size_t before = out.size();
  out.resize_and_overwrite(before + most, [&](char* begin, size_t) {
    char* p = begin + before;
    *p++ = static_cast<char>(m.persistent() ? kPersistent : 0);
    for (const ByteView part : parts) {
      p = WriteVarint(p, part.size());
      if (!part.empty()) std::memcpy(p, part.data(), part.size());
      p += part.size();
    }
    return static_cast<size_t>(p - begin);
  });
}
MessageRef ReadMessage(ByteReader& in) {
  const ByteView flags = in.Take(1);
  const ByteView exchange = in.Sized();
  const ByteView routing_key = in.Sized();
  const ByteView properties = in.Sized();
  const ByteView body = in.Sized();
  if (in.failed() || exchange.size() > 255 || routing_key.size() > 255) {
    in.Fail();
    return nullptr;
  }
  return Message::Make(exchange, routing_key, properties, body,
                       (static_cast<uint8_t>(flags[0]) & kPersistent) != 0);
}

// First and last as distances, so that ranges near each other take a byte or two.
void AppendRanges(ByteBuffer& out, const std::vector<IntervalSet::Range>& ranges) {
  AppendVarint(out, ranges.size());
  uint64_t previous = 0;
  for (const auto& r : ranges) {
    AppendVarint(out, r.first - previous);
    AppendVarint(out, r.last - r.first);
    previous = r.last;
  }
}
std::vector<IntervalSet::Range> ReadRanges(ByteReader& in) {
  uint64_t previous = 0;
  return ReadMany<IntervalSet::Range>(in, [&previous](ByteReader& r) {
    IntervalSet::Range range;
    range.first = previous + r.Varint();
    range.last = range.first + r.Varint();
    if (range.first < previous || range.last < range.first) r.Fail();
    previous = range.last;
    return range;
  });
}

void AppendOutboxItem(ByteBuffer& out, const OutboxItem& o) {
  AppendVarint(out, o.destination);
  AppendVarint(out, o.transfer_seq);
  AppendVarint(out, o.queues.size());
  for (QueueId q : o.queues) AppendVarint(out, q);
}
OutboxItem ReadOutboxItem(ByteReader& in) {
  OutboxItem o;
  o.destination = static_cast<ShardId>(in.Varint());
  o.transfer_seq = in.Varint();
  o.queues = ReadMany<QueueId>(in, [](ByteReader& r) { return r.Varint(); });
  return o;
}

struct Appender {
  ByteBuffer& out;

  void operator()(const BatchTimeRecord& r) const {
    AppendType(out, Type::kBatchTime);
    AppendTime(out, r.time);
  }
  void operator()(const EnqueueRecord& r) const {
    AppendEnqueue(out, r.identity ? &*r.identity : nullptr, r.transfer ? &*r.transfer : nullptr,
                  r.positions.data(), r.positions.size(), *r.message);
  }
  void operator()(const SettledRecord& r) const {
    AppendType(out, Type::kSettled);
    AppendVarint(out, r.queue);
    out.push_back(static_cast<char>(r.reason));
    AppendRanges(out, r.ranges);
  }
  void operator()(const FailedRecord& r) const {
    AppendType(out, Type::kFailed);
    AppendPosition(out, r.position);
    AppendVarint(out, r.failures);
    AppendTime(out, r.due);
  }
  void operator()(const DeliveredRecord& r) const {
    AppendType(out, Type::kDelivered);
    AppendPosition(out, r.position);
  }
  void operator()(const MoveRecord& r) const {
    AppendType(out, r.by_hand ? Type::kMoveByHand : Type::kMove);
    AppendPosition(out, r.from);
    AppendVarint(out, r.positions.size());
    for (const auto& p : r.positions) AppendPosition(out, p);
    AppendVarint(out, r.outbox.size());
    for (const auto& o : r.outbox) AppendOutboxItem(out, o);
    AppendMessage(out, *r.message);
  }
  void operator()(const TransferSettledRecord& r) const {
    AppendType(out, Type::kTransferSettled);
    AppendVarint(out, r.destination);
    AppendVarint(out, r.transfer_seq);
  }
  void operator()(const ProducerForgottenRecord& r) const {
    AppendType(out, Type::kProducerForgotten);
    AppendVarint(out, r.queue);
    AppendSized(out, r.producer);
  }
  void operator()(const QueueStateRecord& r) const {
    AppendType(out, Type::kQueueState);
    AppendVarint(out, r.queue);
    AppendVarint(out, r.last);
    AppendVarint(out, r.delivered_upto);
  }
  void operator()(const ProducerStateRecord& r) const {
    AppendType(out, Type::kProducerState);
    AppendVarint(out, r.queue);
    AppendSized(out, r.producer);
    AppendVarint(out, r.epoch);
    AppendVarint(out, r.floor);
    AppendTime(out, r.last_used);
    AppendRanges(out, r.taken);
  }
  void operator()(const MessageStateRecord& r) const {
    AppendType(out, Type::kMessageState);
    AppendPosition(out, r.position);
    AppendVarint(out, r.failures);
    out.push_back(static_cast<char>(r.redelivered));
    AppendTime(out, r.due);
    AppendMessage(out, *r.message);
  }
  void operator()(const OutboxStateRecord& r) const {
    AppendType(out, Type::kOutboxState);
    AppendOutboxItem(out, r.item);
    AppendMessage(out, *r.message);
  }
  void operator()(const OutboxNextRecord& r) const {
    AppendType(out, Type::kOutboxNext);
    AppendVarint(out, r.destination);
    AppendVarint(out, r.next);
  }
  void operator()(const AppliedStateRecord& r) const {
    AppendType(out, Type::kAppliedState);
    AppendVarint(out, r.source);
    AppendVarint(out, r.floor);
    AppendRanges(out, r.applied);
  }
  void operator()(const MessageExpiryRecord& r) const {
    AppendType(out, Type::kMessageExpiry);
    AppendPosition(out, r.position);
    AppendTime(out, r.expiry);
  }
  // A number that is one more than the time to live, or 0.
  void operator()(const QueueTtlRecord& r) const {
    AppendType(out, Type::kQueueTtl);
    AppendVarint(out, r.queue);
    AppendTime(out, r.now);
    AppendVarint(out, r.ttl ? static_cast<uint64_t>(r.ttl->count()) + 1 : 0);
  }
  void operator()(const QueuedMessageRecord& r) const {
    AppendType(out, Type::kQueuedMessage);
    AppendPosition(out, r.position);
    AppendVarint(out, r.failures);
    out.push_back(r.redelivered ? 1 : 0);
    AppendTime(out, r.due);
    AppendTime(out, r.born);
    AppendMessage(out, *r.message);
  }
  void operator()(const BacklogBlockRecord& r) const {
    AppendType(out, Type::kBacklogBlock);
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
    AppendType(out, Type::kBacklogChange);
    AppendPosition(out, r.position);
    AppendVarint(out, r.failures);
    out.push_back(r.redelivered ? 1 : 0);
    AppendTime(out, r.due);
  }
  void operator()(const StoryRecord& r) const {
    AppendType(out, Type::kStory);
    AppendStory(out, r);
  }
  void operator()(const StoryBlock& r) const {
    AppendType(out, Type::kStoryBlock);
    AppendVarint(out, r.file);
    AppendVarint(out, r.place.offset);
    AppendVarint(out, r.place.length);
    AppendTime(out, r.first);
    AppendTime(out, r.last);
  }
  void operator()(const OpenStoriesRecord& r) const {
    AppendType(out, Type::kOpenStories);
    AppendVarint(out, r.queue);
    AppendVarint(out, r.stories.size());
    for (const OpenStory& open : r.stories) {
      AppendVarint(out, open.sequence);
      AppendVarint(out, open.story);
    }
  }
  void operator()(const QueueLedgerRecord& r) const {
    AppendType(out, Type::kQueueLedger);
    AppendVarint(out, r.queue);
    AppendVarint(out, r.ledger.accepted);
    AppendVarint(out, r.ledger.left.size());
    for (const uint64_t messages : r.ledger.left) AppendVarint(out, messages);
  }
};

Record ReadFields(Type type, ByteReader& in) {
  switch (type) {
    case Type::kBatchTime:
      return BatchTimeRecord{ReadTime(in)};
    case Type::kEnqueue: {
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
    case Type::kSettled: {
      SettledRecord r;
      r.queue = in.Varint();
      const ByteView reason = in.Take(1);
      if (!reason.empty()) r.reason = static_cast<LeaveReason>(reason[0]);
      if (r.reason > LeaveReason::kMaxLength) in.Fail();
      r.ranges = ReadRanges(in);
      return r;
    }
    case Type::kFailed: {
      FailedRecord r;
      r.position = ReadPosition(in);
      r.failures = static_cast<uint32_t>(in.Varint());
      r.due = ReadTime(in);
      return r;
    }
    case Type::kDelivered:
      return DeliveredRecord{ReadPosition(in)};
    case Type::kMove:
    case Type::kMoveByHand: {
      MoveRecord r;
      r.by_hand = type == Type::kMoveByHand;
      r.from = ReadPosition(in);
      r.positions = ReadMany<QueuePosition>(in, ReadPosition);
      r.outbox = ReadMany<OutboxItem>(in, ReadOutboxItem);
      r.message = ReadMessage(in);
      return r;
    }
    case Type::kTransferSettled: {
      TransferSettledRecord r;
      r.destination = static_cast<ShardId>(in.Varint());
      r.transfer_seq = in.Varint();
      return r;
    }
    case Type::kProducerForgotten: {
      ProducerForgottenRecord r;
      r.queue = in.Varint();
      r.producer = in.Sized();
      return r;
    }
    case Type::kQueueState: {
      QueueStateRecord r;
      r.queue = in.Varint();
      r.last = in.Varint();
      r.delivered_upto = in.Varint();
      return r;
    }
    case Type::kProducerState: {
      ProducerStateRecord r;
      r.queue = in.Varint();
      r.producer = in.Sized();
      r.epoch = in.Varint();
      r.floor = in.Varint();
      r.last_used = ReadTime(in);
      r.taken = ReadRanges(in);
      return r;
    }
    case Type::kMessageState: {
      MessageStateRecord r;
      r.position = ReadPosition(in);
      r.failures = static_cast<uint32_t>(in.Varint());
      r.redelivered = ReadFlag(in);
      r.due = ReadTime(in);
      r.message = ReadMessage(in);
      return r;
    }
    case Type::kOutboxState: {
      OutboxStateRecord r;
      r.item = ReadOutboxItem(in);
      r.message = ReadMessage(in);
      return r;
    }
    case Type::kOutboxNext: {
      OutboxNextRecord r;
      r.destination = static_cast<ShardId>(in.Varint());
      r.next = in.Varint();
      return r;
    }
    case Type::kMessageExpiry: {
      MessageExpiryRecord r;
      r.position = ReadPosition(in);
      r.expiry = ReadTime(in);
      return r;
    }
    case Type::kQueueTtl: {
      QueueTtlRecord r;
      r.queue = in.Varint();
      r.now = ReadTime(in);
      if (const uint64_t ttl = in.Varint()) r.ttl = Duration(static_cast<int64_t>(ttl - 1));
      return r;
    }
    case Type::kQueuedMessage: {
      QueuedMessageRecord r;
      r.position = ReadPosition(in);
      r.failures = static_cast<uint32_t>(in.Varint());
      r.redelivered = ReadFlag(in);
      r.due = ReadTime(in);
      r.born = ReadTime(in);
      r.message = ReadMessage(in);
      return r;
    }
    case Type::kBacklogBlock: {
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
    case Type::kBacklogChange: {
      BacklogChangeRecord r;
      r.position = ReadPosition(in);
      r.failures = static_cast<uint32_t>(in.Varint());
      r.redelivered = ReadFlag(in);
      r.due = ReadTime(in);
      return r;
    }
    case Type::kQueueLedger: {
      QueueLedgerRecord r;
      r.queue = in.Varint();
      r.ledger.accepted = in.Varint();
      const uint64_t reasons = in.Varint();
      if (reasons > r.ledger.left.size()) in.Fail();
      for (uint64_t i = 0; i < reasons && !in.failed(); ++i) r.ledger.left[i] = in.Varint();
      return r;
    }
    case Type::kStory:
      return ReadStory(in);
    case Type::kStoryBlock: {
      StoryBlock r;
      r.file = in.Varint();
      r.place.offset = in.Varint();
      r.place.length = static_cast<uint32_t>(in.Varint());
      r.first = ReadTime(in);
      r.last = ReadTime(in);
      return r;
    }
    case Type::kOpenStories: {
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
    case Type::kAppliedState: {
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

void AppendEnqueue(ByteBuffer& out, const Identity* identity, const TransferId* transfer,
                   const QueuePosition* positions, size_t count, const Message& message) {
  AppendType(out, Type::kEnqueue);
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

Result<Record> ReadRecord(ByteReader& in) {
  const ByteView type = in.Take(1);
  if (type.empty()) return Fail(ErrorCode::kCorrupt, "a record was expected at the end of a batch");
  Record record = ReadFields(static_cast<Type>(type[0]), in);
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

namespace {

std::string Text(const QueuePosition& p) {
  return fmt::format("queue {} #{}", p.queue, p.sequence);
}
std::string Text(const MessageRef& m) {
  return fmt::format("exchange '{}' key '{}' {} bytes{}", m->exchange(), m->routing_key(),
                     m->body().size(), m->persistent() ? "" : " transient");
}
std::string Text(const std::vector<IntervalSet::Range>& ranges) {
  std::string s;
  for (const auto& r : ranges) s += fmt::format(" {}-{}", r.first, r.last);
  return s;
}
std::string Text(const OutboxItem& o) {
  return fmt::format("shard {} transfer {} ({} queues)", o.destination, o.transfer_seq,
                     o.queues.size());
}
template <class T>
std::string Text(const std::vector<T>& items) {
  std::string s;
  for (const auto& i : items) s += (s.empty() ? "" : ", ") + Text(i);
  return s;
}
int64_t Micros(Time t) { return t.time_since_epoch().count(); }

struct Describer {
  std::string operator()(const BatchTimeRecord& r) const {
    return fmt::format("time {}", Micros(r.time));
  }
  std::string operator()(const EnqueueRecord& r) const {
    std::string s = fmt::format("enqueue {}: {}", Text(r.positions), Text(r.message));
    if (r.identity)
      s += fmt::format(" producer '{}' epoch {} sequence {}", r.identity->producer,
                       r.identity->epoch, r.identity->sequence);
    if (r.transfer)
      s += fmt::format(" from shard {} transfer {}", r.transfer->source, r.transfer->transfer_seq);
    return s;
  }
  std::string operator()(const SettledRecord& r) const {
    return fmt::format("{} queue {}{}", NameOf(r.reason), r.queue, Text(r.ranges));
  }
  std::string operator()(const FailedRecord& r) const {
    return fmt::format("failed {}: {} times, due {}", Text(r.position), r.failures, Micros(r.due));
  }
  std::string operator()(const DeliveredRecord& r) const {
    return fmt::format("delivered up to {}", Text(r.position));
  }
  std::string operator()(const MoveRecord& r) const {
    return fmt::format("moved {}{} to [{}] outbox [{}]: {}", r.by_hand ? "by hand " : "",
                       Text(r.from), Text(r.positions), Text(r.outbox), Text(r.message));
  }
  std::string operator()(const TransferSettledRecord& r) const {
    return fmt::format("transfer {} to shard {} arrived", r.transfer_seq, r.destination);
  }
  std::string operator()(const ProducerForgottenRecord& r) const {
    return fmt::format("queue {} forgets producer '{}'", r.queue, r.producer);
  }
  std::string operator()(const QueueStateRecord& r) const {
    return fmt::format("queue {}: last {} delivered up to {}", r.queue, r.last, r.delivered_upto);
  }
  std::string operator()(const ProducerStateRecord& r) const {
    return fmt::format("queue {}: producer '{}' epoch {} floor {} taken{}", r.queue, r.producer,
                       r.epoch, r.floor, Text(r.taken));
  }
  std::string operator()(const MessageStateRecord& r) const {
    return fmt::format("{}: {} failures, due {}: {}", Text(r.position), r.failures, Micros(r.due),
                       Text(r.message));
  }
  std::string operator()(const OutboxStateRecord& r) const {
    return fmt::format("outbox {}: {}", Text(r.item), Text(r.message));
  }
  std::string operator()(const OutboxNextRecord& r) const {
    return fmt::format("outbox to shard {} goes on at {}", r.destination, r.next);
  }
  std::string operator()(const MessageExpiryRecord& r) const {
    return fmt::format("{}: expires {}", Text(r.position), Micros(r.expiry));
  }
  std::string operator()(const QueueTtlRecord& r) const {
    return fmt::format("queue {} had a time to live of {} us at {}", r.queue,
                       r.ttl ? r.ttl->count() : -1, Micros(r.now));
  }
  std::string operator()(const QueuedMessageRecord& r) const {
    return fmt::format("{}: {} failures, due {}, came {}: {}", Text(r.position), r.failures,
                       Micros(r.due), Micros(r.born), Text(r.message));
  }
  std::string operator()(const BacklogBlockRecord& r) const {
    return fmt::format(
        "queue {} #{}-{}: {} of {} messages in backlog file {} at {}, {} bytes; gone:{}", r.queue,
        r.first, r.last, r.alive, r.written, r.file, r.offset, r.length, Text(r.settled));
  }
  std::string operator()(const BacklogChangeRecord& r) const {
    return fmt::format("{}: {} failures, due {}", Text(r.position), r.failures, Micros(r.due));
  }
  std::string operator()(const QueueLedgerRecord& r) const {
    return fmt::format("queue {}: {}", r.queue, Describe(r.ledger));
  }
  std::string operator()(const StoryRecord& r) const { return broker::Describe(r); }
  std::string operator()(const StoryBlock& r) const {
    return fmt::format("stories from {} to {} in backlog file {} at {}, {} bytes", Micros(r.first),
                       Micros(r.last), r.file, r.place.offset, r.place.length);
  }
  std::string operator()(const OpenStoriesRecord& r) const {
    return fmt::format("queue {}: {} messages are traced", r.queue, r.stories.size());
  }
  std::string operator()(const AppliedStateRecord& r) const {
    return fmt::format("applied from shard {}: below {} and{}", r.source, r.floor, Text(r.applied));
  }
};

}  // namespace

std::string Describe(const Record& record) { return std::visit(Describer{}, record); }

}  // namespace landfall::broker
