#pragma once

#include <algorithm>
#include <atomic>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace landfall {

// What a SharedHistogram held at one moment. The difference of two says what came in between.
struct HistogramSnapshot {
  std::vector<uint64_t> counts;  // of each bucket
  std::vector<uint64_t>
      bounds;        // the largest value of each; the last bucket has none, and no entry
  uint64_t sum = 0;  // of all values

  uint64_t count() const {
    uint64_t all = 0;
    for (const uint64_t each : counts) all += each;
    return all;
  }
  // Of those not above `bound`, which is one of `bounds` or between two of them (then less).
  uint64_t CountUpTo(uint64_t bound) const {
    uint64_t all = 0;
    for (size_t i = 0; i < bounds.size() && bounds[i] <= bound; ++i) all += counts[i];
    return all;
  }
  // The bound that `percent` of the values do not exceed, at most a quarter too high; beyond the
  // last bound, that. 0 when there are no values.
  uint64_t Percentile(double percent) const {
    const uint64_t all = count();
    if (all == 0) return 0;
    const double exact = std::ceil(percent / 100 * static_cast<double>(all));
    const uint64_t rank = std::clamp<uint64_t>(static_cast<uint64_t>(exact), 1, all);
    uint64_t seen = 0;
    for (size_t i = 0; i < bounds.size(); ++i) {
      seen += counts[i];
      if (seen >= rank) return bounds[i];
    }
    return bounds.back();
  }
  HistogramSnapshot Since(const HistogramSnapshot& before) const {
    HistogramSnapshot difference = *this;
    difference.sum -= before.sum;
    for (size_t i = 0; i < counts.size(); ++i) difference.counts[i] -= before.counts[i];
    return difference;
  }
};

// Counts values for others to look at while it goes on: up to 2^first_bits in one bucket, then four
// buckets to each power of two, then one for all above 2^last_bits. Adding costs a few
// instructions and no lock.
//
// Thread: Add from one at a time, Snapshot from any; a snapshot may have one value in its counts
// and not yet in its sum.
class SharedHistogram {
 public:
  // first_bits of at least 2, or 0 for one bucket to each power of two.
  SharedHistogram(int first_bits, int last_bits)
      : first_bits_(first_bits), last_bits_(last_bits), counts_(BucketOfLarge() + 1) {}

  void Add(uint64_t value) {
    Bump(counts_[BucketOf(value)], 1);
    Bump(sum_, value);
  }

  HistogramSnapshot Snapshot() const {
    HistogramSnapshot now;
    for (const auto& count : counts_) now.counts.push_back(count.load(std::memory_order_relaxed));
    now.sum = sum_.load(std::memory_order_relaxed);
    now.bounds.reserve(BucketOfLarge());
    now.bounds.push_back(uint64_t{1} << first_bits_);
    for (int bits = first_bits_; bits < last_bits_; ++bits) {
      for (uint64_t quarter = 1; quarter <= Parts(); ++quarter)
        now.bounds.push_back((uint64_t{1} << bits) + (quarter << bits) / Parts());
    }
    return now;
  }

 private:
  // Of one writer: no other addition can come between.
  static void Bump(std::atomic<uint64_t>& at, uint64_t by) {
    at.store(at.load(std::memory_order_relaxed) + by, std::memory_order_relaxed);
  }
  uint64_t Parts() const { return first_bits_ == 0 ? 1 : 4; }
  size_t BucketOfLarge() const {
    return 1 + static_cast<size_t>(last_bits_ - first_bits_) * Parts();
  }
  size_t BucketOf(uint64_t value) const {
    if (value <= uint64_t{1} << first_bits_) return 0;
    if (value > uint64_t{1} << last_bits_) return BucketOfLarge();
    const uint64_t below = value - 1;  // so that a bound belongs to what is up to it
    const int bits = std::bit_width(below) - 1;
    const uint64_t part = (below - (uint64_t{1} << bits)) * Parts() >> bits;
    return 1 + static_cast<size_t>(bits - first_bits_) * Parts() + part;
  }

  const int first_bits_;
  const int last_bits_;
  std::vector<std::atomic<uint64_t>> counts_;
  std::atomic<uint64_t> sum_ = 0;
};

}  // namespace landfall
