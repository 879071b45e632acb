#include "broker/dedup.h"

#include <algorithm>

namespace landfall::broker {

DedupVerdict DedupTable::Check(const Identity& identity) const {
  const auto it = producers_.find(identity.producer);
  if (it == producers_.end()) return DedupVerdict::kNew;
  const ProducerWindow& w = it->second;
  if (identity.epoch < w.epoch) return DedupVerdict::kFenced;
  if (identity.sequence < w.floor || w.taken.Contains(identity.sequence) ||
      w.passing.Contains(identity.sequence)) {
    return DedupVerdict::kRepeat;
  }
  return DedupVerdict::kNew;
}

void DedupTable::Take(const Identity& identity, bool survives, Time now) {
  ProducerWindow& w = producers_[identity.producer];
  w.epoch = std::max(w.epoch, identity.epoch);
  w.last_used = now;
  IntervalSet& set = survives ? w.taken : w.passing;
  set.Add(identity.sequence);
  if (identity.lowest_unsettled > w.floor) {
    w.floor = identity.lowest_unsettled;
    w.taken.EraseBelow(w.floor);
    w.passing.EraseBelow(w.floor);
  }
  if (set.ranges().size() > kMaxRanges) set.EraseFirstRange();
}

const ProducerWindow* DedupTable::Fence(const Identity& identity) {
  const auto it = producers_.find(identity.producer);
  if (it == producers_.end() || identity.epoch <= it->second.epoch) return nullptr;
  it->second.epoch = identity.epoch;
  return &it->second;
}

std::string DedupTable::ToEvict() const {
  if (producers_.size() < kMaxProducers) return {};
  return std::min_element(
             producers_.begin(), producers_.end(),
             [](const auto& a, const auto& b) { return a.second.last_used < b.second.last_used; })
      ->first;
}

std::string DedupTable::IdleSince(Time before) const {
  for (const auto& [name, window] : producers_)
    if (window.last_used < before) return name;
  return {};
}

void DedupTable::Forget(std::string_view producer) {
  const auto it = producers_.find(producer);
  if (it != producers_.end()) producers_.erase(it);
}

void DedupTable::Restore(std::string producer, ProducerWindow window) {
  producers_[std::move(producer)] = std::move(window);
}

}  // namespace landfall::broker
