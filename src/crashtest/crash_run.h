#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/rng.h"
#include "crashtest/book.h"
#include "crashtest/broker_process.h"
#include "crashtest/disk.h"

namespace landfall::crashtest {

class Link;

// The port of the network that isolation.h makes.
inline constexpr uint16_t kPort = 5672;

struct CrashOptions {
  // The broker, in the foreground; {data} and {port} in any word are replaced. It takes guest with
  // password guest on 127.0.0.1.
  std::vector<std::string> command;
  std::string log;  // where what the broker says goes; not on the disk whose power is cut
  DiskOptions disk;
  uint32_t cuts = 10;
  uint64_t seed = 1;
  uint32_t queues = 4;
  std::string queue_type;       // x-queue-type; empty: not given
  double rate = 2000;           // messages a second into each queue, 0: no limit
  uint32_t window = 500;        // unconfirmed messages of a producer
  double longest = 3;           // seconds under load before a cut
  double recovery_cuts = 0.2;   // share of the cuts that are followed by one during the recovery
  uint32_t start_seconds = 60;  // how long the broker may take until it can be logged in to
  // Help for brokers that promise no more than messages: sync the disk when the broker has started
  // on a new one, and when the queues have been declared.
  bool sync_start = false;
  bool sync_definitions = false;
  // Delete the queues after each cut and declare others.
  bool fresh_queues = false;
};

// One cut and what followed.
struct Cut {
  Verdict verdict;
  double loaded = 0;           // seconds of load before it
  uint32_t recovery_cuts = 0;  // further cuts while the broker was recovering
  double restart = 0;          // seconds from its start until it took a login
  uint32_t undeleted = 0;      // queues that are there though their deletion had been answered
  // What else went wrong, a sentence each; a broker that does not come back, for one.
  std::vector<std::string> notes;
};

// Cuts the power of a broker under load, again and again, and judges what is left.
//
// Thread: one, in a process that is isolated (isolation.h).
class CrashRun {
 public:
  // Ends early, in order, when `stopping` becomes true.
  CrashRun(const CrashOptions& options, const std::atomic<bool>& stopping);

  // Formats the disk, starts the broker and loads it; `on_cut` hears of each cut when it has been
  // judged. Error: the test could not be done, which says nothing about the broker unless it is
  // kUnavailable: then it did not start on an empty disk.
  Result<void> Run(const std::function<void(const Cut&)>& on_cut);

  // What the broker calls itself; empty before it has been logged in to.
  const std::string& product() const { return product_; }

 private:
  Result<void> Begin();
  // The broker on an empty disk.
  Result<void> StartAnew();
  Result<Cut> Round();
  // All queues under load until a moment that chance chooses; then the cut.
  Result<void> LoadAndCut(Cut& cut);
  Result<void> PowerOff();
  // False: the broker did not come back.
  Result<bool> Recover(Cut& cut);
  Result<double> StartBroker();
  // Lets `use` have a connection, again and again until it does not throw. False: it took too long.
  bool Insist(std::string_view what, Cut& cut, const std::function<void(Link&)>& use);
  void Declare(Cut& cut);
  // The next queues have other names.
  void Delete(Cut& cut);
  void CountUndeleted(Cut& cut);
  void Judge(Cut& cut);
  ConsumeLog DrainQueue(uint32_t queue, Cut& cut);
  std::string QueueName(uint32_t queue) const { return QueueName(queue, generation_); }
  static std::string QueueName(uint32_t queue, uint32_t generation);

  const CrashOptions& options_;
  const std::atomic<bool>& stopping_;
  Rng rng_;
  std::unique_ptr<Disk> disk_;
  std::unique_ptr<BrokerProcess> broker_;
  std::vector<QueueBook> books_;
  std::string product_;
  uint32_t generation_ = 0;  // of queues, if they are fresh after each cut
  bool deleted_ = false;     // those of the generation before are, and it was answered
  double usual_start_ = 1;   // seconds, of the last one
};

}  // namespace landfall::crashtest
