#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>

#include "base/assert.h"

namespace landfall {

// Values indexed by a dense, growing sequence of which a window is alive: append at the end, erase
// anywhere, find in constant time. Memory is given back block by block once all values of a block
// are erased, so one old value pins a block and not everything behind it.
//
// T is default-constructible and cheap to reset. Pointers to values stay valid until their erasure.
template <class T, size_t BlockSize = 256>
class SequenceWindow {
 public:
  // The first sequence that Append will give out.
  explicit SequenceWindow(uint64_t first = 1) : next_(first), base_(first / BlockSize) {}

  uint64_t next() const { return next_; }
  size_t size() const { return live_; }
  bool empty() const { return live_ == 0; }

  // Adds a value at next() and returns it.
  T& Append() { return InsertAt(next_); }

  // Adds a value at `sequence` >= next(); what is skipped counts as erased.
  T& InsertAt(uint64_t sequence) {
    LANDFALL_ASSERT(sequence >= next_);
    if (live_ == 0) Rebase(sequence);
    const size_t block = sequence / BlockSize - base_;
    while (blocks_.size() <= block) blocks_.emplace_back();
    if (!blocks_[block]) blocks_[block] = TakeBlock();
    // The block before this one can be free now that nothing more will be appended to it.
    if (sequence / BlockSize != (next_ - 1) / BlockSize) FreeIfDead((next_ - 1) / BlockSize);
    next_ = sequence + 1;
    Block& b = *blocks_[sequence / BlockSize - base_];
    b.used[sequence % BlockSize] = true;
    ++b.live;
    ++live_;
    return b.values[sequence % BlockSize];
  }

  // Puts a value back where one was erased.
  T& Restore(uint64_t sequence) {
    LANDFALL_ASSERT(sequence < next_);
    const uint64_t index = sequence / BlockSize;
    if (live_ == 0) Rebase(sequence);
    for (; base_ > index; --base_) blocks_.emplace_front();
    while (blocks_.size() <= index - base_) blocks_.emplace_back();
    auto& block = blocks_[index - base_];
    if (!block) block = TakeBlock();
    LANDFALL_ASSERT(!block->used[sequence % BlockSize]);
    block->used[sequence % BlockSize] = true;
    ++block->live;
    ++live_;
    return block->values[sequence % BlockSize];
  }

  // Everything below `sequence` counts as given out and erased.
  void SkipTo(uint64_t sequence) {
    if (sequence > next_) next_ = sequence;
  }

  // Null when erased or not given out yet.
  T* Find(uint64_t sequence) {
    const uint64_t index = sequence / BlockSize;
    if (index < base_ || index - base_ >= blocks_.size()) return nullptr;
    Block* b = blocks_[index - base_].get();
    if (!b || !b->used[sequence % BlockSize]) return nullptr;
    return &b->values[sequence % BlockSize];
  }
  const T* Find(uint64_t sequence) const {
    return const_cast<SequenceWindow*>(this)->Find(sequence);
  }

  // The value must be there.
  void Erase(uint64_t sequence) {
    const uint64_t index = sequence / BlockSize;
    Block& b = *blocks_[index - base_];
    LANDFALL_ASSERT(b.used[sequence % BlockSize]);
    b.used[sequence % BlockSize] = false;
    b.values[sequence % BlockSize] = T{};
    --live_;
    if (--b.live == 0 && index < (next_ - 1) / BlockSize) FreeIfDead(index);
  }

  // The first value at or after `sequence` and before `limit`; 0 when there is none. Skips erased
  // blocks as a whole.
  uint64_t FirstFrom(uint64_t sequence, uint64_t limit = UINT64_MAX) const {
    if (live_ == 0) return 0;
    limit = std::min(limit, next_);
    if (sequence < base_ * BlockSize) sequence = base_ * BlockSize;
    while (sequence < limit) {
      const size_t block = sequence / BlockSize - base_;
      if (block >= blocks_.size()) return 0;
      if (!blocks_[block] || blocks_[block]->live == 0) {
        sequence = (sequence / BlockSize + 1) * BlockSize;
        continue;
      }
      const size_t end = std::min<uint64_t>((sequence / BlockSize + 1) * BlockSize, limit);
      for (; sequence < end; ++sequence)
        if (blocks_[block]->used[sequence % BlockSize]) return sequence;
    }
    return 0;
  }

 private:
  struct Block {
    std::array<T, BlockSize> values{};
    std::array<bool, BlockSize> used{};
    size_t live = 0;
  };

  // With nothing alive the window may jump without a block for every sequence in between.
  void Rebase(uint64_t sequence) {
    while (!blocks_.empty()) {
      if (blocks_.back()) spare_ = std::move(blocks_.back());
      blocks_.pop_back();
    }
    base_ = sequence / BlockSize;
  }

  std::unique_ptr<Block> TakeBlock() {
    if (spare_) return std::move(spare_);
    return std::make_unique<Block>();
  }

  void FreeIfDead(uint64_t index) {
    if (index < base_ || index - base_ >= blocks_.size()) return;
    auto& b = blocks_[index - base_];
    if (!b || b->live != 0) return;
    spare_ = std::move(b);
    while (!blocks_.empty() && !blocks_.front()) {
      blocks_.pop_front();
      ++base_;
    }
  }

  uint64_t next_;
  uint64_t base_;  // number of the first block
  size_t live_ = 0;
  std::deque<std::unique_ptr<Block>> blocks_;
  std::unique_ptr<Block> spare_;
};

}  // namespace landfall
