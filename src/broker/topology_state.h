#pragma once

#include <deque>
#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/flat_map.h"
#include "base/rng.h"
#include "broker/refusal.h"
#include "broker/topology.h"
#include "broker/working_topology.h"

// Private to topology*.cc: what a Topology keeps, and what it does with each request.
namespace landfall::broker {

inline constexpr std::string_view kDefaultVhost = "/";
inline constexpr std::string_view kReservedPrefix = "amq.";

// A channel of a session: its requests are answered in order.
using ChannelKey = std::pair<SessionId, ChannelId>;
inline ChannelKey KeyOf(const TopologyRequest& request) {
  return {request.session, request.channel};
}

// A queue that has been sealed, or is about to be, until its shard says what is in it.
struct Deletion {
  uint64_t token = 0;
  bool if_unused = false;
  bool if_empty = false;
  std::optional<ChannelKey> asked_by;  // not set: it deletes itself
  // What happened meanwhile and matters if the deletion is refused.
  bool owner_gone = false;
  bool became_unused = false;
  // Requests that depend on whether the queue will be there.
  std::deque<TopologyRequest> waiting;
};

// What is done and not yet told, with the changes that must be seen before.
struct Changes {
  std::vector<TopologyReply> replies;
  std::vector<std::pair<ShardId, Command>> to_shards;  // about queues that the snapshot changes
};

// Changes on their way: journaled, then published.
struct Stage : Changes {
  SnapshotRef snapshot;
  uint64_t shard_seq = 0;
  bool durable = false;
};

struct Topology::State {
  State(TopologyOptions o, TopologyPorts& p)
      : options(o), ports(p), rng(o.seed), working(o.shards), installed(o.workers, 0) {
    // Always there, whatever is recovered, so nobody journals it.
    working.CreateVhost(std::string(kDefaultVhost));
  }

  // Requests. Each of these answers, or makes its channel wait.
  void Accept(TopologyRequest request);
  void Run(TopologyRequest request);
  std::optional<Refusal> Do(const TopologyRequest& request, const DeclareExchange& r);
  std::optional<Refusal> Do(const TopologyRequest& request, const DeleteExchange& r);
  std::optional<Refusal> Do(const TopologyRequest& request, const Bind& r);
  std::optional<Refusal> CreateExchange(const TopologyRequest& request, const DeclareExchange& r);
  void DoDeclareQueue(TopologyRequest request);
  void DoDeleteQueue(TopologyRequest request);
  void DoCreateVhost(const TopologyRequest& request);
  std::optional<Refusal> Do(const DeleteVhost& r);
  void GiveUpDeletion(QueueId id);
  std::optional<Refusal> Do(const TopologyRequest& request, const PauseQueue& r);
  std::optional<Refusal> Do(const TopologyRequest& request, const SetPolicy& r);
  std::optional<Refusal> Do(const TopologyRequest& request, const ClearPolicy& r);
  void Configure(const std::vector<QueueInfoRef>& queues);
  void TellWhenVisible(const QueueInfo& queue, CommandBody body);
  void EndSession(SessionId session);
  void DeleteIfUnused(QueueId id);

  std::expected<QueueInfoRef, Refusal> CreateQueue(const TopologyRequest& request,
                                                   const DeclareQueue& r);
  QueueInfoRef AddQueue(SessionId session, QueueInfo queue);
  std::string MakeUpQueueName(std::string_view vhost);
  WorkingTopology::Sources RemoveExchange(const std::string& vhost, const std::string& name);
  void Unbound(const std::string& vhost, WorkingTopology::Sources sources);

  void Seal(const QueueInfo& queue, Deletion deletion);
  void RemoveQueue(const QueueInfoRef& queue);
  void DropQueue(const QueueInfo& queue);
  void ToShard(const QueueInfo& queue, CommandBody body);

  // Makes the later requests of a channel wait, and lets them go on.
  void Suspend(const ChannelKey& key) { suspended.try_emplace(key); }
  std::deque<TopologyRequest> TakeSuspended(const ChannelKey& key);
  void Resume(const ChannelKey& key);

  // Answers are put behind every change accepted so far.
  void Answer(TopologyReply reply);
  void Answer(const ChannelKey& key, const std::optional<Refusal>& refusal);
  bool HasPending() const { return working.changed() || !records.empty(); }
  void Publish();

  const TopologyOptions options;
  TopologyPorts& ports;
  Rng rng;
  WorkingTopology working;

  ByteBuffer records;  // accepted, not yet journaled
  Changes pending;     // same
  std::optional<Stage> journaling;
  std::optional<Stage> installing;
  std::vector<uint64_t> installed;  // version, per worker
  SnapshotRef newest;               // made last; what a checkpoint writes
  SnapshotRef published;
  QueueId newest_ids_reserved = 1;
  QueueId journaled_ids_reserved = 1;
  uint64_t shard_seq = 0;
  uint64_t last_token = 0;
  bool started = false;

  FlatMap<QueueId, Deletion> deletions;
  FlatMap<ChannelKey, std::deque<TopologyRequest>> suspended;
  FlatMap<SessionId, std::vector<QueueId>> exclusive_queues;
};

}  // namespace landfall::broker
