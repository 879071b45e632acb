#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

namespace landfall::apps {

// Counts durations in buckets that widen with the value: each power of two is cut into 128 buckets,
// so a percentile is off by less than 1 % whatever its size, and recording costs a few
// instructions. Values are nanoseconds; from 2^42 (73 minutes) on they share the last bucket.
//
// Thread: one.
class PerfHistogram {
 public:
  PerfHistogram() : counts_(kBuckets) {}

  void Record(uint64_t ns, uint64_t count = 1) {
    counts_[BucketOf(ns)] += count;
    count_ += count;
    sum_ += static_cast<double>(ns) * static_cast<double>(count);
    min_ = std::min(min_, ns);
    max_ = std::max(max_, ns);
  }

  void Add(const PerfHistogram& other) {
    if (other.count_ == 0) return;
    for (size_t i = 0; i < kBuckets; ++i) counts_[i] += other.counts_[i];
    count_ += other.count_;
    sum_ += other.sum_;
    min_ = std::min(min_, other.min_);
    max_ = std::max(max_, other.max_);
  }

  void Clear() {
    if (count_ != 0) *this = PerfHistogram();
  }

  uint64_t count() const { return count_; }
  uint64_t min() const { return count_ == 0 ? 0 : min_; }
  uint64_t max() const { return max_; }
  double mean() const { return count_ == 0 ? 0 : sum_ / static_cast<double>(count_); }

  // The smallest value that `percent` of all recorded ones do not exceed, within a bucket's width;
  // 0 when nothing was recorded. 100 gives the exact maximum.
  uint64_t Percentile(double percent) const {
    if (count_ == 0) return 0;
    const double exact = std::ceil(percent / 100 * static_cast<double>(count_));
    const uint64_t rank = std::clamp<uint64_t>(static_cast<uint64_t>(exact), 1, count_);
    if (rank == count_) return max_;
    uint64_t seen = 0;
    for (size_t i = 0; i < kBuckets; ++i) {
      seen += counts_[i];
      if (seen >= rank) return std::clamp(MiddleOf(i), min_, max_);
    }
    return max_;
  }

 private:
  static constexpr int kSubBits = 7;
  static constexpr uint64_t kSub = uint64_t{1} << kSubBits;
  static constexpr int kMaxBits = 42;
  // The values below 2^7 have a bucket each; then 128 for each power of two.
  static constexpr size_t kBuckets = (kMaxBits - kSubBits + 1) * kSub;

  static size_t BucketOf(uint64_t ns) {
    if (ns < kSub) return ns;
    const int shift = std::bit_width(ns) - 1 - kSubBits;  // what is left has kSubBits + 1 bits
    if (shift >= kMaxBits - kSubBits) return kBuckets - 1;
    return static_cast<size_t>(shift) * kSub + (ns >> shift);
  }

  static uint64_t MiddleOf(size_t bucket) {
    if (bucket < kSub) return bucket;
    const size_t shift = bucket / kSub - 1;
    const uint64_t first = (kSub + bucket % kSub) << shift;
    return first + ((uint64_t{1} << shift) >> 1);
  }

  std::vector<uint64_t> counts_;
  uint64_t count_ = 0;
  uint64_t min_ = std::numeric_limits<uint64_t>::max();
  uint64_t max_ = 0;
  double sum_ = 0;
};

}  // namespace landfall::apps
