#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>

#include "broker/types.h"

namespace landfall::session {

// What a delivery tag stands for: one attempt at one message.
struct Delivery {
  broker::QueueId queue = 0;
  broker::Sequence sequence = 0;
  uint32_t attempt = 0;
  broker::ConsumerId consumer = 0;  // 0: basic.get
  broker::ShardId shard = 0;
  bool granted = false;  // takes a place in the channel's prefetch budget
  bool stale = false;    // its lease ran out
};

// The delivery tags of one channel, dense from 1, and which of them the client still owes an
// answer.
//
// Tags lie in blocks that are freed when all of theirs are settled, so memory follows what is
// unsettled, however far apart it lies. Stale tags are remembered so that a late ack can still
// count, but only the newest kMaxStale of them; an ack of an older one is ignored.
class DeliveryTags {
 public:
  static constexpr size_t kMaxStale = 4096;

  enum class Found {
    kHeld,       // and taken
    kForgotten,  // it was stale and too old to be remembered: nothing to do
    kUnknown,    // never given out, or settled before: the client's mistake
  };

  uint64_t last() const { return last_; }
  size_t size() const { return size_; }

  uint64_t Add(const Delivery& delivery) {
    const uint64_t tag = ++last_;
    // New tags are the highest: their block is the last one or comes behind it.
    if (blocks_.empty() || blocks_.rbegin()->first != BlockOf(tag)) AddBlock(BlockOf(tag));
    Put(*blocks_.rbegin()->second, tag, delivery);
    return tag;
  }
  // The tag of a delivery that is settled already (no_ack).
  uint64_t Skip() { return ++last_; }

  // Null when the tag is not held.
  const Delivery* Find(uint64_t tag) const;
  // Takes one tag and calls taken(tag, const Delivery&).
  template <class F>
  Found Take(uint64_t tag, F taken) {
    const auto it = blocks_.find(BlockOf(tag));
    const uint64_t bit = BitOf(tag);
    if (it == blocks_.end() || (it->second->held & bit) == 0) return Missing(tag);
    TakeFrom(*it->second, tag, taken);
    if (it->second->held == 0) Free(it);
    return Found::kHeld;
  }
  // Takes all tags up to this one, in order; 0 stands for the last. The tag itself must be held,
  // otherwise nothing is taken.
  template <class F>
  Found TakeUpTo(uint64_t tag, F taken) {
    if (tag == 0) {
      tag = last_;
    } else if (Find(tag) == nullptr) {
      const Found missing = Missing(tag);
      if (missing != Found::kForgotten) return missing;
    }
    while (!blocks_.empty()) {
      const auto it = blocks_.begin();
      const uint64_t base = it->first * kBlock;
      if (base > tag) break;
      Block& block = *it->second;
      while (block.held != 0) {
        const uint64_t next = base + static_cast<uint64_t>(std::countr_zero(block.held));
        if (next > tag) return Found::kHeld;
        TakeFrom(block, next, taken);
      }
      Free(it);
    }
    return Found::kHeld;
  }

  // Holds one again that was taken: its settlement has been called off.
  void PutBack(uint64_t tag, const Delivery& delivery);

  // Every held one, in order. It may be changed, but not made stale.
  template <class F>
  void ForEach(F f) {
    for (auto& [number, block] : blocks_) {
      for (uint64_t held = block->held; held != 0; held &= held - 1) {
        f(block->deliveries[static_cast<size_t>(std::countr_zero(held))]);
      }
    }
  }

  // Marks a delivery as stale; the result is what it was before, or nothing if it is not held.
  std::optional<Delivery> Expire(broker::QueueId queue, broker::Sequence sequence,
                                 uint32_t attempt);

 private:
  static constexpr uint64_t kBlock = 64;
  struct Block {
    uint64_t held = 0;  // bit per tag
    std::array<Delivery, kBlock> deliveries;
  };
  using Blocks = std::map<uint64_t, std::unique_ptr<Block>>;

  static uint64_t BlockOf(uint64_t tag) { return tag / kBlock; }
  static uint64_t BitOf(uint64_t tag) { return uint64_t{1} << (tag % kBlock); }

  Found Missing(uint64_t tag) const {
    return tag <= forgotten_ && tag != 0 ? Found::kForgotten : Found::kUnknown;
  }
  template <class F>
  void TakeFrom(Block& block, uint64_t tag, F& taken) {
    block.held &= ~BitOf(tag);
    --size_;
    const Delivery& delivery = block.deliveries[tag % kBlock];
    if (delivery.stale) --stale_;
    taken(tag, delivery);
  }
  void Put(Block& block, uint64_t tag, const Delivery& delivery) {
    block.held |= BitOf(tag);
    block.deliveries[tag % kBlock] = delivery;
    ++size_;
  }
  void AddBlock(uint64_t number);
  void Free(Blocks::iterator block);
  void NoteStale(uint64_t tag);
  void ForgetOldestStale();

  uint64_t last_ = 0;
  size_t size_ = 0;
  Blocks blocks_;
  std::unique_ptr<Block> spare_;  // so that a steady flow does not allocate
  // Where the next lease is likely to run out: they do so in about the order of delivery.
  uint64_t expire_hint_ = 0;
  size_t stale_ = 0;
  std::deque<uint64_t> stale_order_;  // may name tags that have been settled meanwhile
  uint64_t forgotten_ = 0;            // the highest stale tag that was forgotten
};

}  // namespace landfall::session
