#include "apps/perf_loop.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <ctime>

#include "apps/perf_connection.h"
#include "base/assert.h"

namespace landfall::apps {
namespace {

constexpr size_t kMaxEvents = 256;
constexpr uint64_t kWakeEvent = ~uint64_t{0};
// However little happens, the loop looks up so often.
constexpr uint64_t kMaxWait = kPerfSecond / 10;

}  // namespace

PerfLoop::PerfLoop()
    : events_(kMaxEvents), epoll_(epoll_create1(EPOLL_CLOEXEC)), wake_(eventfd(0, EFD_CLOEXEC)) {
  LANDFALL_ASSERT(epoll_ >= 0 && wake_ >= 0);
  epoll_event event{.events = EPOLLIN, .data = {.u64 = kWakeEvent}};
  LANDFALL_ASSERT(epoll_ctl(epoll_, EPOLL_CTL_ADD, wake_, &event) == 0);
}

PerfLoop::~PerfLoop() {
  Stop();
  close(epoll_);
  close(wake_);
}

void PerfLoop::Add(std::unique_ptr<PerfEndpoint> endpoint) {
  epoll_event event{.events = EPOLLIN, .data = {.u64 = entries_.size()}};
  LANDFALL_ASSERT(epoll_ctl(epoll_, EPOLL_CTL_ADD, endpoint->connection().fd(), &event) == 0);
  entries_.push_back({.endpoint = std::move(endpoint)});
}

void PerfLoop::Start() { thread_ = std::thread(&PerfLoop::Run, this); }

void PerfLoop::Stop() {
  if (!thread_.joinable()) return;
  stop_.store(true);
  eventfd_write(wake_, 1);
  thread_.join();
}

std::unique_lock<std::mutex> PerfLoop::Lock() {
  visitors_.fetch_add(1);
  std::unique_lock lock(mutex_);
  visitors_.fetch_sub(1);
  return lock;
}

void PerfLoop::CloseConnections() {
  for (Entry& entry : entries_) entry.endpoint->Close();
}

void PerfLoop::Run() {
  int ready = 0;
  while (!stop_.load(std::memory_order_relaxed)) {
    uint64_t next = kPerfNever;
    while (visitors_.load(std::memory_order_relaxed) != 0) std::this_thread::yield();
    {
      const std::lock_guard lock(mutex_);
      Result<void> ok;
      for (int i = 0; i < ready && ok; ++i) {
        const epoll_event& event = events_[static_cast<size_t>(i)];
        if (event.data.u64 == kWakeEvent) continue;
        if ((event.events & ~uint32_t{EPOLLOUT}) == 0) continue;
        ok = entries_[event.data.u64].endpoint->Read();
      }
      for (size_t i = 0; i < entries_.size() && ok; ++i) {
        if (entries_[i].unread) ok = entries_[i].endpoint->Read();
      }
      if (ok) ok = WriteAll();
      if (!ok) {
        error_ = ok.error();
        return;
      }
      for (Entry& entry : entries_) {
        entry.unread = entry.endpoint->connection().has_pending_input();
        if (entry.unread) next = 0;
        // Whoever waits for the socket does not wait for the clock.
        if (!entry.wants_write) next = std::min(next, entry.endpoint->NextWrite());
      }
    }
    uint64_t wait = kMaxWait;
    if (next != kPerfNever) {
      const uint64_t now = next == 0 ? 0 : PerfNow();
      wait = next <= now ? 0 : std::min(next - now, kMaxWait);
    }
    ready = Wait(wait);
  }
}

Result<void> PerfLoop::WriteAll() {
  for (size_t i = 0; i < entries_.size(); ++i) {
    Entry& entry = entries_[i];
    if (auto ok = entry.endpoint->Write(); !ok) return ok;
    PerfConnection& connection = entry.endpoint->connection();
    if (connection.pending() == entry.wants_write) continue;
    entry.wants_write = connection.pending();
    epoll_event event{.events = EPOLLIN | (entry.wants_write ? uint32_t{EPOLLOUT} : 0),
                      .data = {.u64 = i}};
    LANDFALL_ASSERT(epoll_ctl(epoll_, EPOLL_CTL_MOD, connection.fd(), &event) == 0);
  }
  return {};
}

int PerfLoop::Wait(uint64_t nanoseconds) {
  int n = -1;
  if (precise_wait_) {
    const timespec timeout{.tv_sec = static_cast<time_t>(nanoseconds / kPerfSecond),
                           .tv_nsec = static_cast<long>(nanoseconds % kPerfSecond)};
    n = epoll_pwait2(epoll_, events_.data(), kMaxEvents, &timeout, nullptr);
    // Kernels before 5.11 do not have it.
    if (n < 0 && errno == ENOSYS) precise_wait_ = false;
  }
  if (!precise_wait_) {
    const uint64_t milliseconds = (nanoseconds + 999'999) / 1'000'000;
    n = epoll_wait(epoll_, events_.data(), kMaxEvents, static_cast<int>(milliseconds));
  }
  return std::max(n, 0);  // a signal is no event
}

}  // namespace landfall::apps
