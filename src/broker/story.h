#pragma once

#include <boost/smart_ptr/intrusive_ptr.hpp>
#include <boost/smart_ptr/intrusive_ref_counter.hpp>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/time.h"
#include "base/wire.h"
#include "broker/message.h"
#include "broker/types.h"

// What becomes of a message that is traced, told as it happens: the answer to "where is my
// message?". A queue whose configuration says so traces a share of what comes to it.
namespace landfall::broker {

// Ties together what is told of one message in all queues that it comes to. 0: it is not traced.
using StoryId = uint64_t;

// Who publishes or consumes, by the names that people know. Immutable and shared between threads.
class Origin : public boost::intrusive_ref_counter<Origin, boost::thread_safe_counter> {
 public:
  Origin(std::string user_name, std::string connection_name, std::string consumer_tag = "")
      : user(std::move(user_name)),
        connection(std::move(connection_name)),
        consumer(std::move(consumer_tag)) {}

  const std::string user;
  const std::string connection;
  const std::string consumer;  // "" for publishers and for basic.get
};
using OriginRef = boost::intrusive_ptr<const Origin>;

// Numbers stand in the journal (docs/format.md); new ones are added at the end.
enum class StoryEvent : uint8_t {
  kReceived = 1,       // from a publisher
  kArrived = 2,        // from another queue
  kRepeat = 3,         // published, but the queue has taken it before
  kRefused = 4,        // published, but the queue was full
  kLanded = 5,         // on stable storage, and visible to consumers
  kDelivered = 6,      // to a consumer
  kReturned = 7,       // given back on purpose: comes again, perhaps after `until`
  kRequeued = 8,       // refused, but to be delivered again: the same
  kLeaseExpired = 9,   // not acknowledged in time: the same
  kConsumerGone = 10,  // the consumer's channel or connection has ended: the same
  kReleased = 11,      // given back unseen: comes again
  kRejection = 12,     // refused for good
  // After these nothing more is told of it in this queue.
  kAcked = 13,         // or delivered to a consumer that need not acknowledge
  kDeadLettered = 14,  // moved to where the dead-letter exchange routes
  kMoved = 15,         // by an operator
  kDropped = 16,       // with nowhere to go
  kPurged = 17,
  kQueueDeleted = 18,
  kLost = 19,  // was not there after a restart: transient, or damaged
};
// "received", "dead_lettered" …; "" for a number that is none of them.
std::string_view NameOf(StoryEvent event);
inline bool EndsStory(StoryEvent event) { return event >= StoryEvent::kAcked; }

// One thing that has happened to a message in a queue. Record 21 of the journal.
struct StoryRecord {
  StoryId story = 0;
  QueueId queue = 0;
  Sequence sequence = 0;  // 0: it has not come to be in the queue
  StoryEvent event = StoryEvent::kReceived;
  Time time{};
  uint32_t attempt = 0;  // of a delivery
  uint64_t batch = 0;    // shard_seq of the batch with which it landed ...
  uint64_t lsn = 0;      // ... and up to where the journal was on stable storage then
  Time until{};          // rests until then; Time{}: does not rest
  std::string user;
  std::string connection;
  std::string consumer;
  std::string exchange;  // where it was published, or is moved to
  std::string routing_key;
  std::string detail;  // for people: why, by which binding, to which queues
  // Of kReceived, kArrived, kRepeat and kRefused alone.
  std::string vhost;
  std::string queue_name;
  ByteBuffer properties;  // as on the wire; without headers where these are large
  uint64_t body_bytes = 0;

  bool operator==(const StoryRecord&) const = default;
};

void AppendStory(ByteBuffer& out, const StoryRecord& r);
// The reader has failed if it is not one.
StoryRecord ReadStory(ByteReader& in);
std::string Describe(const StoryRecord& r);

// A message's properties as a story keeps them: those that are large, or all where there is not
// much room, without headers but `traceparent`.
ByteBuffer StoryProperties(const Message& message, bool much_room);

// In [0, 1), the same for one message wherever it comes: traced are those below a queue's rate. By
// its message-id if it has one, so that all copies of it and all that is sent again is traced or is
// not; otherwise by `chance`.
double StoryDraw(const Message& message, StoryId chance);

}  // namespace landfall::broker
