#include "session/consumers.h"

#include <algorithm>
#include <utility>

namespace landfall::session {

Consumer* Consumers::Find(std::string_view tag) {
  const auto it = by_tag_.find(tag);
  return it == by_tag_.end() ? nullptr : Find(it->second);
}

Consumer& Consumers::Add(Consumer consumer) {
  by_tag_.emplace(consumer.tag, consumer.id);
  auto& slot = by_id_[consumer.id];
  slot = std::make_unique<Consumer>(std::move(consumer));
  return *slot;
}

void Consumers::Remove(broker::ConsumerId id) {
  const auto it = by_id_.find(id);
  if (it == by_id_.end()) return;
  // Grants that are still under way to the shard come back addressed to nobody.
  used_ -= std::min<uint64_t>(used_, it->second->granted);
  if (last_ == it->second.get()) last_ = nullptr;
  by_tag_.erase(it->second->tag);
  by_id_.erase(it);
  std::erase(asking_, id);
}

void Consumers::Want(broker::ConsumerId id, uint32_t messages) {
  Consumer* consumer = Find(id);
  if (consumer == nullptr || !consumer->by_grant) return;
  consumer->wanted = std::max(messages, 1u);
  if (consumer->asks) return;
  consumer->asks = true;
  asking_.push_back(id);
}

void Consumers::Return(broker::ConsumerId id, uint32_t grants) {
  Consumer* consumer = Find(id);
  if (consumer == nullptr) return;
  grants = std::min(grants, consumer->granted);
  consumer->granted -= grants;
  used_ -= std::min<uint64_t>(used_, grants);
}

}  // namespace landfall::session
