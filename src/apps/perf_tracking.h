#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <vector>

namespace landfall::apps {

// A producer's unconfirmed messages: when each was sent, until the broker confirms it. Tags are
// those of publisher confirms: 1 is the first message, and so on.
//
// Thread: one.
class PerfConfirms {
 public:
  // Room for `window` messages in flight at first; grows when late confirms of old messages make
  // the span wider than that.
  explicit PerfConfirms(size_t window) : sent_at_(std::bit_ceil(std::max<size_t>(window, 1) + 1)) {}

  uint64_t in_flight() const { return in_flight_; }
  uint64_t sent() const { return last_; }

  // The next message was sent at `now`, which is not 0.
  void Sent(uint64_t now) {
    if (last_ - floor_ == sent_at_.size()) [[unlikely]] {
      Grow();
    }
    ++last_;
    sent_at_[last_ & (sent_at_.size() - 1)] = now;
    ++in_flight_;
  }

  // The broker's answer to `tag`, or with `multiple` to all that were sent up to it (tag 0: all).
  // Calls on_run(first_tag, count, sent_at) for every run of messages that this settles and that
  // were sent at the same time. Returns how many were settled; nothing if the answer is to a
  // message that was not sent or has been answered already.
  template <class OnRun>
  std::optional<uint64_t> Settle(uint64_t tag, bool multiple, OnRun&& on_run) {
    if (multiple && tag == 0) tag = last_;
    if (tag > last_) return std::nullopt;
    if (!multiple) {
      if (tag <= floor_) return std::nullopt;
      uint64_t& at = sent_at_[tag & (sent_at_.size() - 1)];
      if (at == 0) return std::nullopt;
      on_run(tag, uint64_t{1}, at);
      at = 0;
      --in_flight_;
      if (tag == floor_ + 1) AdvanceFloor();
      return 1;
    }
    uint64_t settled = 0;
    uint64_t run_first = 0;
    uint64_t run_count = 0;
    uint64_t run_at = 0;
    const uint64_t mask = sent_at_.size() - 1;
    for (uint64_t t = floor_ + 1; t <= tag; ++t) {
      const uint64_t at = sent_at_[t & mask];
      sent_at_[t & mask] = 0;
      if (at == run_at) {  // also a row of messages that were settled before: at 0
        ++run_count;
        continue;
      }
      if (run_at != 0) {
        on_run(run_first, run_count, run_at);
        settled += run_count;
      }
      run_first = t;
      run_count = 1;
      run_at = at;
    }
    if (run_at != 0) {
      on_run(run_first, run_count, run_at);
      settled += run_count;
    }
    in_flight_ -= settled;
    floor_ = std::max(floor_, tag);
    AdvanceFloor();
    return settled;
  }

  // visit(tag) for every message that is still in flight.
  template <class Visit>
  void ForEachInFlight(Visit&& visit) const {
    for (uint64_t t = floor_ + 1; t <= last_; ++t) {
      if (sent_at_[t & (sent_at_.size() - 1)] != 0) visit(t);
    }
  }

 private:
  void AdvanceFloor() {
    const uint64_t mask = sent_at_.size() - 1;
    while (floor_ < last_ && sent_at_[(floor_ + 1) & mask] == 0) ++floor_;
  }

  void Grow() {
    std::vector<uint64_t> wider(sent_at_.size() * 2);
    for (uint64_t t = floor_ + 1; t <= last_; ++t) {
      wider[t & (wider.size() - 1)] = sent_at_[t & (sent_at_.size() - 1)];
    }
    sent_at_ = std::move(wider);
  }

  std::vector<uint64_t> sent_at_;  // by tag modulo its size, a power of two; 0: settled
  uint64_t floor_ = 0;             // everything up to here is settled
  uint64_t last_ = 0;
  uint64_t in_flight_ = 0;
};

// Which sequences of one producer have arrived. Memory follows how far they arrive out of order.
//
// Thread: one.
class PerfArrivals {
 public:
  // False if it has arrived before.
  bool Add(uint64_t sequence) {
    const uint64_t word = sequence / 64;
    if (word < base_) return false;
    while (word - base_ >= words_.size()) words_.push_back(0);
    uint64_t& bits = words_[word - base_];
    const uint64_t bit = uint64_t{1} << (sequence % 64);
    if (bits & bit) return false;
    bits |= bit;
    ++unique_;
    while (!words_.empty() && words_.front() == ~uint64_t{0}) {
      words_.pop_front();
      ++base_;
    }
    return true;
  }

  bool Has(uint64_t sequence) const {
    const uint64_t word = sequence / 64;
    if (word < base_) return true;
    if (word - base_ >= words_.size()) return false;
    return (words_[word - base_] >> (sequence % 64) & 1) != 0;
  }

  uint64_t unique() const { return unique_; }

  // visit(sequence) for every one below `end` that has not arrived.
  template <class Visit>
  void ForEachMissing(uint64_t end, Visit&& visit) const {
    for (uint64_t s = base_ * 64; s < end; ++s) {
      if (!Has(s)) visit(s);
    }
  }

 private:
  std::deque<uint64_t> words_;  // a bit for each sequence from base_ * 64 on
  uint64_t base_ = 0;
  uint64_t unique_ = 0;
};

}  // namespace landfall::apps
