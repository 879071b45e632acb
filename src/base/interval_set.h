#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace landfall {

// A set of numbers kept as sorted ranges: small where numbers come mostly in order, which is how
// sequences come.
class IntervalSet {
 public:
  struct Range {
    uint64_t first = 0;
    uint64_t last = 0;  // inclusive
    bool operator==(const Range&) const = default;
  };

  bool empty() const { return ranges_.empty(); }
  const std::vector<Range>& ranges() const { return ranges_; }
  void clear() { ranges_.clear(); }

  bool Contains(uint64_t n) const {
    const auto it = After(n);
    return it != ranges_.begin() && std::prev(it)->last >= n;
  }

  void Add(uint64_t n) { Add(n, n); }

  void Add(uint64_t first, uint64_t last) {
    if (!ranges_.empty() && first > ranges_.back().last) {  // at the end, the usual case
      if (first == ranges_.back().last + 1) {
        ranges_.back().last = last;
      } else {
        ranges_.push_back({first, last});
      }
      return;
    }
    // The ranges that touch or overlap [first, last] become one with it.
    auto begin = std::lower_bound(ranges_.begin(), ranges_.end(), first,
                                  [](const Range& r, uint64_t n) { return r.last + 1 < n; });
    auto end = begin;
    while (end != ranges_.end() && end->first <= last + 1) {
      first = std::min(first, end->first);
      last = std::max(last, end->last);
      ++end;
    }
    if (begin == end) {
      ranges_.insert(begin, {first, last});
    } else {
      *begin = {first, last};
      ranges_.erase(begin + 1, end);
    }
  }

  // Removes everything below n.
  void EraseBelow(uint64_t n) {
    auto it = ranges_.begin();
    while (it != ranges_.end() && it->last < n) ++it;
    ranges_.erase(ranges_.begin(), it);
    if (!ranges_.empty()) ranges_.front().first = std::max(ranges_.front().first, n);
  }

  void EraseFirstRange() { ranges_.erase(ranges_.begin()); }

  bool operator==(const IntervalSet&) const = default;

 private:
  std::vector<Range>::const_iterator After(uint64_t n) const {
    return std::upper_bound(ranges_.begin(), ranges_.end(), n,
                            [](uint64_t v, const Range& r) { return v < r.first; });
  }

  std::vector<Range> ranges_;
};

}  // namespace landfall
