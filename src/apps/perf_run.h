#pragma once

#include <functional>
#include <memory>
#include <string>
#include <type_traits>
#include <vector>

#include "apps/perf_connection.h"
#include "apps/perf_consumer.h"
#include "apps/perf_loop.h"
#include "apps/perf_options.h"
#include "apps/perf_producer.h"
#include "apps/perf_report.h"
#include "apps/perf_tracking.h"

namespace landfall::apps {

// One run of `landfall perf`: sets up, publishes and consumes, waits until everything has come, and
// checks that it has.
//
// Thread: one.
class PerfRun {
 public:
  // `show` is given each line for people, without its line end, while the run goes on.
  PerfRun(PerfPlan plan, std::function<void(const std::string&)> show);

  // What the run has found out; its errors are in it.
  PerfResult Run();

  // Ends the set-up, or stops publishing, at the first call and ends all waiting at the second. May
  // be called from a signal handler.
  static void Interrupt();

 private:
  Result<std::unique_ptr<PerfConnection>> Connect();
  Result<void> SetUp();
  Result<void> DeclareQueues();
  Result<void> OpenIdleConnections();
  Result<void> OpenConsumers();
  Result<void> OpenProducers();
  // The queues that producer or consumer `index` of `count` works on.
  std::vector<std::string> QueuesOf(uint32_t index, uint32_t count) const;

  void Go();
  void ShowProgress(uint64_t now);
  // Waits until `done` (called with all loops locked), an interrupt that counts or `deadline`.
  // False if the run must end at once: a loop failed or the person insists.
  bool WaitUntil(const std::function<bool()>& done, uint64_t deadline, int interrupts);
  // With all loops locked:
  bool Failed() const;
  bool AllFinished() const;
  bool AllArrived() const;
  uint64_t CountLost() const;
  uint64_t Published() const;
  uint64_t Unconfirmed() const;
  uint64_t Delivered() const;

  void TakeInterval(uint64_t now);
  void Conclude(uint64_t end);
  void CheckOutcome();
  void CleanUp();
  bool DeleteQueues();
  template <class Work>
  std::invoke_result_t<Work> Locked(Work&& work);

  PerfPlan plan_;
  std::function<void(const std::string&)> show_;
  PerfResult result_;
  bool identified_;  // bodies have room for an identity
  uint16_t run_ = 0;
  uint64_t start_ = 0;
  uint64_t interval_start_ = 0;
  PerfCounts shown_;        // up to the last interval
  int last_interrupt_ = 1;  // the one that ends the waiting for a broker
  size_t declared_ = 0;     // queues at the front of the plan that may be there

  std::unique_ptr<PerfConnection> control_;
  std::vector<std::unique_ptr<PerfConnection>> idle_;
  std::vector<PerfArrivals> arrivals_;  // by producer
  std::vector<std::unique_ptr<PerfLoop>> loops_;
  std::vector<PerfProducer*> producers_;  // owned by their loop
};

}  // namespace landfall::apps
