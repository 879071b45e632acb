#pragma once

#include <cstdint>
#include <deque>
#include <vector>

#include "base/flat_map.h"
#include "base/time.h"
#include "broker/command.h"
#include "broker/queue.h"
#include "broker/types.h"

namespace landfall::broker {

// A consumer, or a channel's basic.get on one queue (consumer 0): whoever may hold deliveries.
struct Holder {
  SessionId session = 0;
  QueueId queue = 0;
  ChannelId channel = 0;
  ConsumerId consumer = 0;
  bool subscribed = false;
  bool no_ack = false;
  bool exclusive = false;
  bool by_grant = false;
  bool waiting = false;       // stands in Queue::waiting_consumers
  bool grants_asked = false;  // and not yet answered
  int32_t priority = 0;
  uint32_t prefetch = 0;
  uint32_t unacked = 0;
  uint32_t grants = 0;
  int64_t credit_messages = 0;
  int64_t credit_bytes = 0;  // the last message may have overdrawn it
  OriginRef origin;          // for stories

  bool HasRoom() const {
    return subscribed && credit_messages > 0 && credit_bytes > 0 &&
           (no_ack || prefetch == 0 || unacked < prefetch);
  }
};

// The sessions that a shard knows, with their holders. An id names its holder until Free.
class Holders {
 public:
  struct Session {
    std::vector<HolderId> holders;
    // Publishes executed up to here, and whether the batch that is being built says so already.
    uint64_t published = 0;
    bool in_batch = false;
    // Its lease clocks rest since then; kNever when they run.
    Time paused_since = kNever;
    Duration paused_before{0};

    Duration PausedUntil(Time now) const {
      return paused_before + (paused_since == kNever ? Duration{0} : now - paused_since);
    }
  };

  // Creates it when it is new. The reference is valid until the session is forgotten.
  Session& SessionOf(SessionId id) {
    if (last_ && last_id_ == id) return *last_;
    auto& p = sessions_[id];
    if (!p) p = std::make_unique<Session>();
    last_id_ = id;
    last_ = p.get();
    return *last_;
  }
  Session* FindSession(SessionId id) {
    const auto it = sessions_.find(id);
    return it == sessions_.end() ? nullptr : it->second.get();
  }
  void ForgetSession(SessionId id) {
    if (last_id_ == id) last_ = nullptr;
    sessions_.erase(id);
  }

  Holder& operator[](HolderId id) { return slots_[id]; }
  const Holder& operator[](HolderId id) const { return slots_[id]; }

  HolderId Add(const Holder& holder) {
    HolderId id = kNobody;
    if (free_.empty()) {
      if (slots_.empty()) slots_.emplace_back();  // kNobody
      id = static_cast<HolderId>(slots_.size());
      slots_.emplace_back();
    } else {
      id = free_.back();
      free_.pop_back();
    }
    SessionOf(holder.session).holders.push_back(id);
    slots_[id] = holder;
    return id;
  }
  // It holds nothing and stands nowhere any more.
  void Free(HolderId id) {
    if (Session* s = FindSession(slots_[id].session)) std::erase(s->holders, id);
    slots_[id] = Holder{};
    free_.push_back(id);
  }

  // kNobody when there is none.
  HolderId FindConsumer(SessionId session, ConsumerId consumer) {
    Session* s = FindSession(session);
    if (!s) return kNobody;
    for (HolderId id : s->holders)
      if (slots_[id].consumer == consumer) return id;
    return kNobody;
  }
  HolderId FindGetter(SessionId session, ChannelId channel, QueueId queue) {
    Session* s = FindSession(session);
    if (!s) return kNobody;
    for (HolderId id : s->holders) {
      const Holder& h = slots_[id];
      if (h.consumer == 0 && h.channel == channel && h.queue == queue) return id;
    }
    return kNobody;
  }

 private:
  FlatMap<SessionId, std::unique_ptr<Session>> sessions_;
  std::deque<Holder> slots_;
  std::vector<HolderId> free_;
  SessionId last_id_ = 0;
  Session* last_ = nullptr;
};

}  // namespace landfall::broker
