#pragma once

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include "client/receiver_core.h"

namespace landfall::client {

// Messages that wait for a callback thread.
//
// Thread-safe.
class WorkQueue {
 public:
  void Push(std::vector<ArrivedMessage> messages) {
    if (messages.empty()) return;
    const bool many = messages.size() > 1;
    {
      const std::lock_guard lock(mutex_);
      for (ArrivedMessage& each : messages) {
        bytes_.fetch_add(each.footprint(), std::memory_order_relaxed);
        waiting_.push_back(std::move(each));
      }
    }
    many ? ready_.notify_all() : ready_.notify_one();
  }

  // Waits for the next one; nothing after Close. The caller is at work until it calls Done.
  std::optional<ArrivedMessage> Pop() {
    std::unique_lock lock(mutex_);
    ready_.wait(lock, [this] { return closed_ || !waiting_.empty(); });
    if (closed_) return std::nullopt;
    ArrivedMessage message = std::move(waiting_.front());
    waiting_.pop_front();
    bytes_.fetch_sub(message.footprint(), std::memory_order_relaxed);
    ++at_work_;
    return message;
  }

  // True if that was the last one.
  bool Done() {
    const std::lock_guard lock(mutex_);
    return --at_work_ == 0 && waiting_.empty();
  }

  // Nothing waits, and nobody is at work.
  bool idle() const {
    const std::lock_guard lock(mutex_);
    return at_work_ == 0 && waiting_.empty();
  }

  std::deque<ArrivedMessage> TakeAll() {
    const std::lock_guard lock(mutex_);
    bytes_ = 0;
    return std::exchange(waiting_, {});
  }

  void Close() {
    {
      const std::lock_guard lock(mutex_);
      closed_ = true;
    }
    ready_.notify_all();
  }

  size_t bytes() const { return bytes_.load(std::memory_order_relaxed); }

 private:
  mutable std::mutex mutex_;
  std::condition_variable ready_;
  std::deque<ArrivedMessage> waiting_;
  std::atomic<size_t> bytes_{0};
  size_t at_work_ = 0;
  bool closed_ = false;
};

}  // namespace landfall::client
