#include "session/delivery_tags.h"

#include <algorithm>
#include <utility>

namespace landfall::session {

void DeliveryTags::AddBlock(uint64_t number) {
  auto block = spare_ ? std::move(spare_) : std::make_unique<Block>();
  block->held = 0;
  blocks_.emplace_hint(blocks_.end(), number, std::move(block));
}

void DeliveryTags::PutBack(uint64_t tag, const Delivery& delivery) {
  auto& block = blocks_[BlockOf(tag)];
  if (!block) block = std::make_unique<Block>();
  Put(*block, tag, delivery);
  if (delivery.stale) NoteStale(tag);
}

const Delivery* DeliveryTags::Find(uint64_t tag) const {
  const auto it = blocks_.find(BlockOf(tag));
  if (it == blocks_.end() || (it->second->held & BitOf(tag)) == 0) return nullptr;
  return &it->second->deliveries[tag % kBlock];
}

std::optional<Delivery> DeliveryTags::Expire(broker::QueueId queue, broker::Sequence sequence,
                                             uint32_t attempt) {
  if (blocks_.empty()) return std::nullopt;
  // Once around, from the hint on.
  auto it = blocks_.lower_bound(expire_hint_);
  for (size_t n = blocks_.size(); n > 0; --n, ++it) {
    if (it == blocks_.end()) it = blocks_.begin();
    Block& block = *it->second;
    for (uint64_t held = block.held; held != 0; held &= held - 1) {
      const auto place = static_cast<size_t>(std::countr_zero(held));
      Delivery& delivery = block.deliveries[place];
      if (delivery.sequence != sequence || delivery.queue != queue || delivery.attempt != attempt ||
          delivery.stale) {
        continue;
      }
      const Delivery before = delivery;
      expire_hint_ = it->first;
      delivery.stale = true;
      NoteStale(it->first * kBlock + place);
      return before;
    }
  }
  return std::nullopt;
}

void DeliveryTags::NoteStale(uint64_t tag) {
  ++stale_;
  stale_order_.push_back(tag);
  if (stale_ > kMaxStale) ForgetOldestStale();
  if (stale_order_.size() > 2 * kMaxStale) {
    std::erase_if(stale_order_, [this](uint64_t old) {
      const Delivery* d = Find(old);
      return d == nullptr || !d->stale;
    });
  }
}

void DeliveryTags::ForgetOldestStale() {
  while (!stale_order_.empty()) {
    const uint64_t tag = stale_order_.front();
    stale_order_.pop_front();
    if (Take(tag, [](uint64_t, const Delivery&) {}) == Found::kHeld) {
      forgotten_ = std::max(forgotten_, tag);
      return;
    }
  }
}

void DeliveryTags::Free(Blocks::iterator block) {
  if (!spare_) spare_ = std::move(block->second);
  blocks_.erase(block);
}

}  // namespace landfall::session
