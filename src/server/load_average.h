#pragma once

#include "base/time.h"

namespace landfall::server {

// Which share of its time a thread has been at work lately: 0 is idle, 1 is busy.
//
// Each stretch of work counts together with the rest before it, weighted by its length against
// kMemory, so that a thousand short turns weigh as much as a long one. Thread: one.
class LoadAverage {
 public:
  void WorkBegins(Time now) {
    Add(0, now);
    last_ = now;
  }
  void WorkEnds(Time now) {
    Add(1, now);
    last_ = now;
  }
  // What has passed since counts as neither.
  void Forget(Time now) { last_ = now; }
  double share() const { return share_; }

 private:
  static constexpr Duration kMemory = std::chrono::milliseconds(2);

  void Add(double value, Time now) {
    const auto took = static_cast<double>((now - last_).count());
    const double weight = took / (took + static_cast<double>(kMemory.count()));
    share_ += (value - share_) * weight;
  }

  Time last_{};
  double share_ = 1;
};

}  // namespace landfall::server
