#pragma once

#include <algorithm>
#include <boost/container/small_vector.hpp>

#include "base/flat_map.h"

namespace landfall::broker {

// Remembers what has been met on the way through a graph: a handful almost always, which a scan of
// a few words finds without allocation; a hash set when somebody builds a large graph on purpose.
template <class T>
class SeenSet {
 public:
  // False if it was there already.
  bool Insert(T item) {
    if (items_.size() < kScanned) {
      if (std::find(items_.begin(), items_.end(), item) != items_.end()) return false;
    } else {
      if (index_.empty()) index_.insert(items_.begin(), items_.end());
      if (!index_.insert(item).second) return false;
    }
    items_.push_back(item);
    return true;
  }

  // In the order of insertion.
  size_t size() const { return items_.size(); }
  T operator[](size_t i) const { return items_[i]; }

 private:
  static constexpr size_t kScanned = 32;

  boost::container::small_vector<T, 8> items_;
  FlatSet<T> index_;
};

}  // namespace landfall::broker
