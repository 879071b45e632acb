#pragma once

#include <cstdint>
#include <string>

#include "base/cow_map.h"
#include "broker/types.h"

namespace landfall::broker {

struct QueueTarget {
  QueueId id = 0;
  ShardId shard = 0;
  bool durable = false;  // QueueInfo::journaled()

  bool operator==(const QueueTarget&) const = default;
};

struct Binding;

// Where one routing key or pattern leads: each queue and exchange once, with the number of bindings
// that lead there (they differ in what does not matter for routing). One queue, the usual case, is
// kept in place. A value: copies are cheap and independent, as those of CowMap.
class Destinations {
 public:
  void Add(const Binding& binding);
  void Remove(const Binding& binding);

  bool empty() const { return first_count_ == 0 && exchanges_.empty(); }
  bool leads_to_exchanges() const { return !exchanges_.empty(); }
  size_t queues() const { return (first_count_ != 0 ? 1 : 0) + more_.size(); }

  // visit(const QueueTarget&), visit(const std::string& exchange)
  template <class Visit>
  void ForEachQueue(Visit&& visit) const {
    if (first_count_ == 0) return;
    visit(first_);
    if (!more_.empty()) {
      more_.ForEach([&](QueueId, const Counted& counted) { visit(counted.target); });
    }
  }
  template <class Visit>
  void ForEachExchange(Visit&& visit) const {
    if (exchanges_.empty()) return;
    exchanges_.ForEach([&](const std::string& name, uint32_t) { visit(name); });
  }

 private:
  struct Counted {
    QueueTarget target;
    uint32_t count = 0;
  };

  QueueTarget first_;
  uint32_t first_count_ = 0;  // 0: leads to no queue, and more_ is empty
  CowMap<QueueId, Counted> more_;
  CowMap<std::string, uint32_t> exchanges_;
};

}  // namespace landfall::broker
