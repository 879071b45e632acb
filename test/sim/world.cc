#include "sim/world.h"

#include <algorithm>
#include <cstdio>

#include "base/assert.h"

namespace landfall::sim {

void World::At(Time time, std::function<void()> event) {
  events_.push_back({std::max(time, now_), ++events_asked_, std::move(event)});
  std::push_heap(events_.begin(), events_.end(), std::greater<>{});
}

bool World::Step() {
  if (events_.empty()) return false;
  std::pop_heap(events_.begin(), events_.end(), std::greater<>{});
  const Event event = std::move(events_.back());
  events_.pop_back();
  LANDFALL_ASSERT(event.time >= now_);
  now_ = event.time;
  ++steps_;
  event.happen();
  return true;
}

void World::Note(uint64_t value) {
  Rng mix(digest_ ^ value ^ static_cast<uint64_t>(now_.time_since_epoch().count()));
  digest_ = mix.Next();
}

void World::Print(const std::string& text) const {
  const int64_t us = now_.time_since_epoch().count() % 1'000'000'000;
  std::printf("%6lld.%06lld %s\n", static_cast<long long>(us / 1'000'000),
              static_cast<long long>(us % 1'000'000), text.c_str());
}

}  // namespace landfall::sim
