#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "sim/admin.h"
#include "sim/consumer.h"
#include "sim/model.h"
#include "sim/node.h"
#include "sim/publisher.h"
#include "sim/world.h"
#include "storage/fault_vfs.h"

namespace landfall::sim {

struct HistoryOptions {
  bool tracing = false;
  // Negative controls: a broker that must be found out.
  bool unsafe_no_sync = false;
  bool confirm_early = false;
};

// One life of a broker and its clients, from a seed: a storm of traffic, cut connections and
// crashes, then calm, in which everything that was promised must come true.
class History {
 public:
  History(uint64_t seed, const HistoryOptions& options);
  ~History();

  // Throws Violation.
  void Run();
  const Statistics& statistics() const { return statistics_; }
  uint64_t digest() const { return world_.digest(); }

 private:
  // What queues hold, to be compared before and after a restart.
  using Image = std::map<std::string, std::vector<std::string>>;

  void ChooseNode();
  void ChooseLayout();
  void ChooseDelays();
  void ChooseClients();
  void AddFixedBinding(ExchangeSlot& from, QueueSlot& to);

  void Boot();
  // The process ends; `power`: the machine as well.
  void Crash(bool power);
  void PlanTrouble();
  void MakeTrouble();
  void PlanPolicies();
  void PlanPauses();
  void ChangePause();
  void ResumeAll();
  void ChangePolicies();
  void BreakDisk();

  template <class F>
  void RunUntil(F condition, Duration at_most, const char* what);
  void StepOnce();
  bool ClientsLeft() const;
  void EveryoneLeaves();
  void RestartUnchanged();
  bool NothingHeldBack() const;
  void Drain();
  // Due times that come before `soon` do not count.
  Image TakeImage(Time soon);

  World world_;
  const HistoryOptions options_;
  Statistics statistics_;
  Model model_;
  storage::FaultVfs vfs_;
  NodeOptions node_options_;
  Layout layout_;
  Surroundings around_;
  std::unique_ptr<Node> node_;
  bool crash_wanted_ = false;
  bool crash_with_power_ = true;
  bool disk_broken_ = false;  // or is about to be
  Duration trouble_every_{0};
  uint64_t crashes_left_ = 0;
  std::unique_ptr<Admin> admin_;
  std::vector<std::unique_ptr<Publisher>> publishers_;
  std::vector<std::unique_ptr<Consumer>> consumers_;
};

}  // namespace landfall::sim
