#pragma once

#include <cstring>
#include <vector>

#include "broker/shard_record.h"

// Private to shard_record_*.cc: the numbers of the records, and how the fields that several of them
// have are written and read.
namespace landfall::broker {

enum class ShardRecordType : uint8_t {
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
inline constexpr uint8_t kHasIdentity = 1;
inline constexpr uint8_t kHasTransfer = 2;
// Bits of a message's flags byte.
inline constexpr uint8_t kPersistent = 1;

inline void AppendType(ByteBuffer& out, ShardRecordType type) {
  out.push_back(static_cast<char>(type));
}

inline void AppendTime(ByteBuffer& out, Time t) {
  AppendVarint(out, static_cast<uint64_t>(t.time_since_epoch().count()));
}
inline Time ReadTime(ByteReader& in) { return Time(Duration(static_cast<int64_t>(in.Varint()))); }

inline void AppendPosition(ByteBuffer& out, const QueuePosition& p) {
  AppendVarint(out, p.queue);
  AppendVarint(out, p.sequence);
}
inline QueuePosition ReadPosition(ByteReader& in) {
  QueuePosition p;
  p.queue = in.Varint();
  p.sequence = in.Varint();
  return p;
}

inline bool ReadFlag(ByteReader& in) {
  const ByteView byte = in.Take(1);
  return !byte.empty() && byte[0] != 0;
}

// A count that is followed by at least one byte for each: more than what is left is broken input,
// and must not become an allocation.
inline size_t ReadCount(ByteReader& in) {
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
inline void AppendMessage(ByteBuffer& out, const Message& m) {
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
inline MessageRef ReadMessage(ByteReader& in) {
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
inline void AppendRanges(ByteBuffer& out, const std::vector<IntervalSet::Range>& ranges) {
  AppendVarint(out, ranges.size());
  uint64_t previous = 0;
  for (const auto& r : ranges) {
    AppendVarint(out, r.first - previous);
    AppendVarint(out, r.last - r.first);
    previous = r.last;
  }
}
inline std::vector<IntervalSet::Range> ReadRanges(ByteReader& in) {
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

inline void AppendOutboxItem(ByteBuffer& out, const OutboxItem& o) {
  AppendVarint(out, o.destination);
  AppendVarint(out, o.transfer_seq);
  AppendVarint(out, o.queues.size());
  for (QueueId q : o.queues) AppendVarint(out, q);
}
inline OutboxItem ReadOutboxItem(ByteReader& in) {
  OutboxItem o;
  o.destination = static_cast<ShardId>(in.Varint());
  o.transfer_seq = in.Varint();
  o.queues = ReadMany<QueueId>(in, [](ByteReader& r) { return r.Varint(); });
  return o;
}

}  // namespace landfall::broker
