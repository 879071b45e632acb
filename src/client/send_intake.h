#pragma once

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "landfall/message.h"
#include "landfall/sender.h"

namespace landfall::client {

// A message on its way from SendMsg to the Sender's thread.
struct Submission {
  std::string body;
  std::unique_ptr<MessageOptions> options;  // nullptr: none
  SendCallback callback;
};

// What a message counts for in the window's bytes: about what it takes in memory.
size_t CostOf(const Submission& submission);

// A message that is done, with what its callback is to be told.
struct SettledSend {
  SendCallback callback;
  SendResult result;
  size_t cost = 0;
};

// The door of a Sender: threads bring messages, the Sender's own thread takes them away in batches,
// and what is unsettled between the two is bounded.
//
// Thread-safe.
class SendIntake {
 public:
  struct Limits {
    size_t messages = 0;
    size_t bytes = 0;
    OverflowPolicy overflow = OverflowPolicy::kWait;
  };
  enum class Offered {
    kTaken,
    kTakenFirst,  // and there was nothing before it: wake the thread that takes
    kRefused,     // `submission` is untouched; `refusal` says why
  };

  explicit SendIntake(const Limits& limits) : limits_(limits) {}

  // Waits for room if the policy says so and `may_wait`. Who may not wait gets up to twice the
  // bound.
  Offered Offer(Submission& submission, bool may_wait, SendResult& refusal);

  // Replaces the (empty) vector by all that was brought, in order.
  void TakeAll(std::vector<Submission>& out);

  // These are settled: there is room again. Before their callbacks, which may want the room.
  void Release(size_t messages, size_t bytes);
  // Their callbacks have run, and those of everything below `ordinal` (messages are counted from 0
  // in the order they were taken).
  void NoteDone(size_t messages, uint64_t below);

  // Refuses from now on, and wakes those who wait. The first reason stays.
  void Close(SendFailure failure, std::string why);

  // Waits until everything taken before has had its callback.
  bool WaitDone(std::chrono::steady_clock::time_point deadline);

  // Taken, and no callback yet.
  size_t unfinished() const;

 private:
  bool Fits(size_t cost, size_t times) const {
    return messages_ == 0 ||
           (messages_ < limits_.messages * times && bytes_ + cost <= limits_.bytes * times);
  }

  const Limits limits_;
  mutable std::mutex mutex_;
  std::condition_variable room_;
  std::condition_variable done_;
  size_t waiting_ = 0;
  std::vector<Submission> brought_;
  size_t messages_ = 0;  // not yet released
  size_t bytes_ = 0;
  uint64_t next_ordinal_ = 0;
  uint64_t done_below_ = 0;
  size_t unfinished_ = 0;
  bool closed_ = false;
  SendFailure closed_failure_ = SendFailure::kNone;
  std::string closed_why_;
};

}  // namespace landfall::client
