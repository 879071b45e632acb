#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/flat_map.h"
#include "broker/topology_record.h"
#include "broker/topology_snapshot.h"
#include "storage/store.h"

namespace landfall::broker {

// The topology with everything that has been accepted so far, journaled or not, and what its one
// writer needs besides: who is bound to whom, seen from both ends, so that taking something away
// costs as much as what goes with it and not a search. Decides nothing: callers have validated.
//
// Thread: the topology's.
class WorkingTopology {
 public:
  // Shards 1..shards take durable queues.
  explicit WorkingTopology(ShardId shards);

  bool HasVhost(std::string_view name) const { return vhosts_.contains(name); }
  // With its predeclared exchanges. Nothing happens if it is there.
  void CreateVhost(const std::string& name);

  // With all that is in it. It is there.
  void RemoveVhost(const std::string& name);
  // Those of a vhost that is there, in the order of their ids; those that hold back among them.
  std::vector<QueueInfoRef> QueuesOf(const std::string& vhost) const;
  // Of those that have a name in it.
  size_t CountQueues(std::string_view vhost) const;

  // nullptr if there is none (or no such vhost); valid until the next change.
  const Exchange* FindExchange(std::string_view vhost, std::string_view name) const;
  QueueInfoRef FindQueue(std::string_view vhost, std::string_view name) const;
  QueueInfoRef FindQueue(QueueId id) const;
  // The version of the first snapshot that shows the queue, which is there.
  uint64_t QueueVisibleSince(QueueId id) const;

  // Names of exchanges that have lost bindings.
  using Sources = std::vector<std::string>;

  // The vhost is there and the name (and the id) is free, the arguments of a queue are valid. What
  // follows from arguments and policies is worked out here. The exchange of a queue that holds back
  // is there.
  void AddExchange(const std::string& vhost, Exchange exchange);
  void AddQueue(QueueInfo queue);
  // What is removed is there; its bindings go in both directions.
  Sources RemoveExchange(const std::string& vhost, const std::string& name);
  Sources RemoveQueue(QueueId id);
  // Both ends are there. False, and nothing changes, if the binding is there already (or: is not).
  bool Bind(const std::string& vhost, Binding binding);
  bool Unbind(const std::string& vhost, const Binding& binding);

  // nullptr if there is none; valid until the next change.
  const Policy* FindPolicy(std::string_view vhost, std::string_view name, bool by_operator) const;
  size_t CountPolicies(std::string_view vhost, bool by_operator) const;
  // The policy has been checked, the vhost is there. Both give the queues whose configuration is
  // another one now; exchanges have changed by then. Clearing what is not there does nothing.
  std::vector<QueueInfoRef> SetPolicy(const std::string& vhost, const PolicyRef& policy);
  std::vector<QueueInfoRef> ClearPolicy(const std::string& vhost, std::string_view name,
                                        bool by_operator);

  // The queue is there and does not hold back. Gives it as it is now.
  QueueInfoRef SetPaused(QueueId id, bool paused);

  // An id that was never given out, also before a restart, provided that ids_reserved() is
  // journaled before the id is used anywhere.
  QueueId NextQueueId();
  QueueId ids_reserved() const { return ids_reserved_; }

  // The one of the durable shards with the fewest queues.
  ShardId LeastLoadedShard() const;

  // Whether there is something that the last snapshot does not show.
  bool changed() const { return !dirty_vhosts_.empty(); }
  // Makes the next version. Costs as much as what has changed.
  SnapshotRef Freeze();
  uint64_t next_version() const { return snapshot_.version + 1; }

  // Recovery. Errors: kCorrupt.
  Result<void> Apply(TopologyRecord record);

 private:
  struct ExchangeEntry {
    Exchange exchange;
    FlatSet<BindingRef> incoming;  // those it is the destination of
    bool dirty = false;
  };
  struct QueueEntry {
    QueueInfoRef info;
    FlatSet<BindingRef> incoming;
    uint64_t visible_since = 0;
  };
  struct VhostEntry {
    Vhost published;  // but for what is dirty
    StringMap<std::unique_ptr<ExchangeEntry>> exchanges;
    std::vector<std::string> dirty_exchanges;
    bool dirty = false;
  };

  VhostEntry& VhostOf(const std::string& name);
  static ExchangeEntry* FindEntry(VhostEntry& vhost, std::string_view name);
  FlatSet<BindingRef>& IncomingOf(VhostEntry& vhost, const Binding& binding);
  void Touch(VhostEntry& vhost);
  void Touch(VhostEntry& vhost, ExchangeEntry& exchange);
  // Takes the bindings that lead to something which goes away from their sources.
  Sources TakeFromSources(VhostEntry& vhost, const FlatSet<BindingRef>& incoming,
                          std::string_view except);

  Result<void> ApplyOne(const VhostCreated& record);
  Result<void> ApplyOne(const VhostDeleted& record);
  Result<void> ApplyOne(ExchangeDeclared& record);
  Result<void> ApplyOne(const ExchangeDeleted& record);
  Result<void> ApplyOne(QueueDeclared& record);
  Result<void> ApplyOne(const QueueDeleted& record);
  Result<void> ApplyOne(const QueuePaused& record);
  Result<void> ApplyOne(BindingChanged& record);
  Result<void> ApplyOne(const IdsReserved& record);
  Result<void> ApplyOne(const CheckpointEnd& record);
  Result<void> ApplyOne(PolicySet& record);
  Result<void> ApplyOne(const PolicyCleared& record);

  // A queue that is there looks like this from now on.
  void Replace(VhostEntry& vhost, const QueueInfoRef& queue);
  // Works out anew what follows from policies, where one of these (either may be null) applies.
  std::vector<QueueInfoRef> Reapply(VhostEntry& vhost, const Policy* before, const Policy* after);

  TopologySnapshot snapshot_;  // the last one made, with later changes to queues_by_id
  StringMap<std::unique_ptr<VhostEntry>> vhosts_;
  FlatMap<QueueId, std::unique_ptr<QueueEntry>> queues_;
  std::vector<std::string> dirty_vhosts_;
  std::vector<uint32_t> shard_loads_;
  QueueId next_id_ = 1;
  QueueId ids_reserved_ = 1;
};

// Writes the durable part of a snapshot. Thread: any, the snapshot does not change.
bool WriteTopologyCheckpoint(const TopologySnapshot& snapshot, QueueId ids_reserved,
                             storage::CheckpointOutput& out);

}  // namespace landfall::broker
