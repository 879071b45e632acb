#pragma once

#include <sys/epoll.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "apps/perf_tally.h"
#include "base/error.h"

namespace landfall::apps {

class PerfConnection;

// One connection of a run, driven by its loop. Everything is called on the loop's thread with the
// loop locked.
class PerfEndpoint {
 public:
  virtual ~PerfEndpoint() = default;

  virtual PerfConnection& connection() = 0;
  // The socket has something to read.
  virtual Result<void> Read() = 0;
  // After all that could be read has been: write what is due.
  virtual Result<void> Write() = 0;
  // When Write wants to be called next although nothing happens: a time of PerfNow, 0 for at once,
  // kPerfNever.
  virtual uint64_t NextWrite() const = 0;
  // After the loop has ended: send what is still owed to the broker and say goodbye.
  virtual void Close() = 0;
};

// A thread that waits for its endpoints' sockets and clocks, and what it counts.
class PerfLoop {
 public:
  PerfLoop();
  // Stops.
  ~PerfLoop();

  // Before Start.
  void Add(std::unique_ptr<PerfEndpoint> endpoint);
  void Start();
  // Waits for the thread to end.
  void Stop();
  // After Stop.
  void CloseConnections();

  // Keeps the thread from working, so that others can look at the tally, the error and the
  // endpoints. The thread lets them go first, however busy it is.
  std::unique_lock<std::mutex> Lock();
  PerfTally& tally() { return tally_; }
  // Why the thread ended before it was told to.
  const std::optional<Error>& error() const { return error_; }

 private:
  struct Entry {
    std::unique_ptr<PerfEndpoint> endpoint;
    bool wants_write = false;  // as registered with epoll
    bool unread = false;  // more than the last Read took is there, of which epoll knows nothing
  };

  void Run();
  Result<void> WriteAll();
  // Waits for at most `nanoseconds`; returns how many events there are.
  int Wait(uint64_t nanoseconds);

  std::mutex mutex_;               // held by the thread while it works
  std::atomic<int> visitors_ = 0;  // wait for the mutex
  PerfTally tally_;
  std::optional<Error> error_;
  std::vector<Entry> entries_;
  std::vector<epoll_event> events_;
  int epoll_;
  int wake_;
  bool precise_wait_ = true;
  std::atomic<bool> stop_ = false;
  std::thread thread_;
};

}  // namespace landfall::apps
