#pragma once

#include <cstdint>
#include <functional>
#include <queue>
#include <stdexcept>
#include <string>
#include <vector>

#include "base/rng.h"
#include "base/time.h"

namespace landfall::sim {

// The broker broke a promise. Ends the history.
class Violation : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// Time, chance and what happens next, all from one seed: the same seed gives the same history.
class World {
 public:
  World(uint64_t seed, bool tracing) : rng_(seed), tracing_(tracing) {}
  World(const World&) = delete;
  World& operator=(const World&) = delete;

  Time now() const { return now_; }
  Rng& rng() { return rng_; }

  // Any duration up to `most`.
  Duration Any(Duration most) {
    return Duration(static_cast<int64_t>(rng_.Below(static_cast<uint64_t>(most.count()) + 1)));
  }
  // Two events of the same moment happen in the order in which they were asked for.
  void At(Time time, std::function<void()> event);
  void After(Duration delay, std::function<void()> event) { At(now_ + delay, std::move(event)); }
  // Lets the next event happen. False when there is none.
  bool Step();
  uint64_t steps() const { return steps_; }

  // A number that grows with every call: orders what the model remembers.
  uint64_t Mark() { return ++mark_; }

  // Mixed into the digest, by which two runs of a seed are compared.
  void Note(uint64_t value);
  uint64_t digest() const { return digest_; }

  template <class F>
  void Trace(F text) {
    if (tracing_) Print(text());
  }

 private:
  struct Event {
    Time time;
    uint64_t number = 0;
    std::function<void()> happen;
    bool operator>(const Event& o) const {
      return time != o.time ? time > o.time : number > o.number;
    }
  };

  void Print(const std::string& text) const;

  Rng rng_;
  const bool tracing_;
  Time now_{std::chrono::seconds(1'700'000'000)};
  std::vector<Event> events_;  // a heap
  uint64_t events_asked_ = 0;
  uint64_t steps_ = 0;
  uint64_t mark_ = 0;
  uint64_t digest_ = 0;
};

}  // namespace landfall::sim
