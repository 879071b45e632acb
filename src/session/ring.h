#pragma once

#include <cstddef>
#include <memory>
#include <utility>

#include "base/assert.h"

namespace landfall::session {

// A queue in one growing array whose size is a power of two: no allocation per element, and access
// by place. Gives a large array back when it runs empty, so that a burst is not paid for forever.
template <class T>
class Ring {
 public:
  bool empty() const { return size_ == 0; }
  size_t size() const { return size_; }

  T& operator[](size_t i) { return slots_[(head_ + i) & (capacity_ - 1)]; }
  T& front() { return slots_[head_]; }
  T& back() { return (*this)[size_ - 1]; }

  void push_back(T value) {
    if (size_ == capacity_) Grow();
    slots_[(head_ + size_) & (capacity_ - 1)] = std::move(value);
    ++size_;
  }

  void pop_front() {
    LANDFALL_ASSERT(size_ > 0);
    slots_[head_] = T();
    head_ = (head_ + 1) & (capacity_ - 1);
    if (--size_ == 0 && capacity_ > kKept) Release();
  }

 private:
  static constexpr size_t kFirst = 16;
  static constexpr size_t kKept = 4096;

  void Release() {
    slots_.reset();
    capacity_ = head_ = 0;
  }

  void Grow() {
    const size_t capacity = capacity_ == 0 ? kFirst : capacity_ * 2;
    auto slots = std::make_unique<T[]>(capacity);
    for (size_t i = 0; i < size_; ++i) slots[i] = std::move((*this)[i]);
    slots_ = std::move(slots);
    capacity_ = capacity;
    head_ = 0;
  }

  std::unique_ptr<T[]> slots_;
  size_t capacity_ = 0;
  size_t head_ = 0;
  size_t size_ = 0;
};

}  // namespace landfall::session
