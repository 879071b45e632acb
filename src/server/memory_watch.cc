#include "server/memory_watch.h"

#include <malloc.h>
#include <unistd.h>

#include <chrono>
#include <fstream>
#include <utility>

namespace landfall::server {
namespace {

constexpr auto kPeriod = std::chrono::milliseconds(250);
constexpr int kPeriodsBetweenTrims = 4;

uint64_t ResidentBytes() {
  std::ifstream statm("/proc/self/statm");
  uint64_t pages = 0;
  uint64_t resident = 0;
  statm >> pages >> resident;
  return resident * static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
}

}  // namespace

MemoryWatch::MemoryWatch(uint64_t limit, std::function<void(bool)> on_change)
    : limit_(limit), on_change_(std::move(on_change)), thread_([this] { Run(); }) {}

MemoryWatch::~MemoryWatch() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_one();
  thread_.join();
}

void MemoryWatch::Run() {
  bool low = false;
  int periods = 0;
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    lock.unlock();
    if (low && ++periods % kPeriodsBetweenTrims == 0) ::malloc_trim(0);
    const uint64_t resident = ResidentBytes();
    const bool now_low = resident > (low ? limit_ - limit_ / 10 : limit_);
    if (now_low != low) on_change_(now_low);
    low = now_low;
    lock.lock();
    wake_.wait_for(lock, kPeriod, [this] { return stopping_; });
  }
}

}  // namespace landfall::server
