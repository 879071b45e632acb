#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "base/flat_map.h"
#include "broker/types.h"

namespace landfall::session {

struct Consumer {
  broker::ConsumerId id = 0;
  std::string tag;
  broker::QueueId queue = 0;
  broker::ShardId shard = 0;
  bool no_ack = false;
  bool by_grant = false;
  bool asks = false;     // stands in line for grants
  uint32_t wanted = 0;   // grants it has asked for and not got
  uint32_t granted = 0;  // grants it has got and not used
};

// The consumers of one channel, and the prefetch budget that they share (basic.qos global).
//
// A place in the budget is taken when it is granted to a consumer's shard and comes back when the
// delivery it was used for is settled or its lease runs out, when the shard returns it unused, or
// when the consumer ends.
class Consumers {
 public:
  size_t size() const { return by_id_.size(); }
  // Null when there is none. Pointers stay until the consumer is removed.
  Consumer* Find(broker::ConsumerId id) {
    if (last_ != nullptr && last_->id == id) return last_;
    const auto it = by_id_.find(id);
    return it == by_id_.end() ? nullptr : last_ = it->second.get();
  }
  Consumer* Find(std::string_view tag);
  // Id and tag are new to this channel.
  Consumer& Add(Consumer consumer);
  void Remove(broker::ConsumerId id);
  template <class F>
  void ForEach(F f) {
    for (const auto& [id, consumer] : by_id_) f(*consumer);
  }
  template <class F>
  void ForEach(F f) const {
    for (const auto& [id, consumer] : by_id_) f(std::as_const(*consumer));
  }

  // 0: no limit.
  void SetBudget(uint32_t limit) { limit_ = limit; }
  bool has_budget() const { return limit_ != 0; }
  uint32_t budget() const { return limit_; }

  void Want(broker::ConsumerId id, uint32_t messages);
  void Return(broker::ConsumerId id, uint32_t grants);
  // A delivery has come that takes a place in the budget: one of the consumer's grants, or, when
  // it left its shard before the shard heard of the budget, a place more than there may be.
  void UseGrant(broker::ConsumerId id) {
    Consumer* consumer = Find(id);
    if (consumer != nullptr && consumer->granted > 0) {
      --consumer->granted;
    } else {
      ++used_;
    }
  }
  // A delivery from before there was a budget takes a place in it.
  void TakePlace() { ++used_; }
  // A delivery that had a place in the budget is settled.
  void Release() {
    if (used_ > 0) --used_;
  }
  // Shares out what is free: call after any change. Calls grant(const Consumer&, uint32_t).
  template <class F>
  void ShareOut(F grant) {
    while (!asking_.empty() && free() > 0) {
      Consumer* consumer = Find(asking_.front());
      if (consumer == nullptr || !consumer->asks) {
        asking_.pop_front();
        continue;
      }
      const auto each = static_cast<uint32_t>(free() / asking_.size());
      const uint32_t grants = std::min(consumer->wanted, std::max(each, 1u));
      asking_.pop_front();
      consumer->asks = false;
      consumer->wanted = 0;
      consumer->granted += grants;
      used_ += grants;
      grant(*consumer, grants);
    }
  }

 private:
  uint64_t free() const {
    if (limit_ == 0) return UINT32_MAX;
    return used_ < limit_ ? limit_ - used_ : 0;
  }

  FlatMap<broker::ConsumerId, std::unique_ptr<Consumer>> by_id_;
  StringMap<broker::ConsumerId> by_tag_;
  Consumer* last_ = nullptr;
  uint32_t limit_ = 0;
  uint64_t used_ = 0;
  std::deque<broker::ConsumerId> asking_;
};

}  // namespace landfall::session
