#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <thread>

namespace landfall::server {

// Looks at the resident memory of the process four times a second and says when it goes above a
// limit and when there is room again (a tenth below the limit, so that it does not flap).
//
// On a thread of its own: while memory is short it asks the allocator to give back what is free,
// or a broker that has been drained would keep its publishers blocked for the pages of messages
// that are gone. That may take as long as workers need for thousands of messages.
class MemoryWatch {
 public:
  // `limit` in bytes. `on_change` is called from the watch's thread.
  MemoryWatch(uint64_t limit, std::function<void(bool low)> on_change);
  // on_change is not called after the return.
  ~MemoryWatch();
  MemoryWatch(const MemoryWatch&) = delete;
  MemoryWatch& operator=(const MemoryWatch&) = delete;

 private:
  void Run();

  const uint64_t limit_;
  const std::function<void(bool)> on_change_;
  std::mutex mutex_;
  std::condition_variable wake_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace landfall::server
