#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <mutex>
#include <vector>

#include "client/receiver_core.h"
#include "client/settled_memory.h"

namespace landfall::client {

// The way back from the threads that work on deliveries to the Receiver's own thread. Shared by the
// Receiver and its Deliveries, which may outlive it.
//
// Thread-safe.
class SettleIntake {
 public:
  // `wake` makes the Receiver's thread call TakeAll soon. Called under a lock: it must not call
  // back. Never called after Close.
  SettleIntake(size_t remember_settled, MessageIds ids, std::function<void()> wake)
      : memory_(remember_settled, ids), wake_(std::move(wake)) {}

  SettledMemory& memory() { return memory_; }

  // False if the delivery's channel is gone or the Receiver has stopped; `settlement` is untouched
  // then.
  bool Settle(Settlement& settlement);
  // Replaces the (empty) vector by all that was brought, in order.
  void TakeAll(std::vector<Settlement>& out);
  void Close();

  // What the Receiver's thread lets the others know.
  void SetChannel(uint64_t channel, bool extensions);
  bool IsCurrent(uint64_t channel) const { return channel_.load() == channel; }
  bool extensions() const { return extensions_.load(); }

  // Deliveries in the hands of the person and not settled.
  void NoteHandedOut() { handed_out_.fetch_add(1); }
  void NoteReturned();
  size_t handed_out() const { return handed_out_.load(); }
  // Tell the Receiver's thread when the last one comes back.
  void WatchReturns() { watch_returns_ = true; }

 private:
  SettledMemory memory_;
  std::mutex mutex_;
  std::function<void()> wake_;  // empty after Close
  std::vector<Settlement> brought_;
  std::atomic<uint64_t> channel_{0};
  std::atomic<bool> extensions_{false};
  std::atomic<size_t> handed_out_{0};
  std::atomic<bool> watch_returns_{false};
};

}  // namespace landfall::client
