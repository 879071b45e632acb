#include "client/send_intake.h"

#include <algorithm>

namespace landfall::client {

size_t CostOf(const Submission& submission) {
  // The fixed part stands for the entry and its place in the lists.
  size_t cost = 256 + submission.body.size();
  if (submission.options) {
    cost += sizeof(MessageOptions);
    for (const auto& [name, value] : submission.options->headers) {
      cost += 96 + name.size();
      if (const auto* text = std::get_if<std::string>(&value)) cost += text->size();
    }
  }
  return cost;
}

SendIntake::Offered SendIntake::Offer(Submission& submission, bool may_wait, SendResult& refusal) {
  const size_t cost = CostOf(submission);
  std::unique_lock lock(mutex_);
  if (may_wait && limits_.overflow == OverflowPolicy::kWait) {
    ++waiting_;
    room_.wait(lock, [&] { return closed_ || Fits(cost, 1); });
    --waiting_;
  }
  if (closed_) {
    refusal.failure = closed_failure_;
    refusal.why = closed_why_;
    return Offered::kRefused;
  }
  if (!Fits(cost, limits_.overflow == OverflowPolicy::kWait && !may_wait ? 2 : 1)) {
    refusal.failure = SendFailure::kWindowFull;
    refusal.why = "the window is full: " + std::to_string(messages_) + " messages, " +
                  std::to_string(bytes_) + " bytes are not confirmed yet";
    return Offered::kRefused;
  }
  const bool first = brought_.empty();
  brought_.push_back(std::move(submission));
  ++messages_;
  bytes_ += cost;
  ++next_ordinal_;
  ++unfinished_;
  return first ? Offered::kTakenFirst : Offered::kTaken;
}

void SendIntake::TakeAll(std::vector<Submission>& out) {
  const std::lock_guard lock(mutex_);
  std::swap(out, brought_);
}

void SendIntake::Release(size_t messages, size_t bytes) {
  if (messages == 0) return;
  bool wake = false;
  {
    const std::lock_guard lock(mutex_);
    messages_ -= messages;
    bytes_ -= bytes;
    wake = waiting_ > 0;
  }
  if (wake) room_.notify_all();
}

void SendIntake::NoteDone(size_t messages, uint64_t below) {
  {
    const std::lock_guard lock(mutex_);
    unfinished_ -= messages;
    done_below_ = std::max(done_below_, below);
  }
  done_.notify_all();
}

void SendIntake::Close(SendFailure failure, std::string why) {
  {
    const std::lock_guard lock(mutex_);
    if (closed_) return;
    closed_ = true;
    closed_failure_ = failure;
    closed_why_ = std::move(why);
  }
  room_.notify_all();
}

bool SendIntake::WaitDone(std::chrono::steady_clock::time_point deadline) {
  std::unique_lock lock(mutex_);
  const uint64_t target = next_ordinal_;
  return done_.wait_until(lock, deadline, [&] { return done_below_ >= target; });
}

size_t SendIntake::unfinished() const {
  const std::lock_guard lock(mutex_);
  return unfinished_;
}

}  // namespace landfall::client
