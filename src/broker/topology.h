#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/error.h"
#include "base/time.h"
#include "broker/command.h"
#include "broker/outcome.h"
#include "broker/topology_request.h"
#include "broker/topology_snapshot.h"
#include "storage/store.h"

namespace landfall::broker {

// What the topology may do to the world around it. Implemented by the worker that hosts it. Every
// call is a message put aside for later: none of them calls back into the topology.
class TopologyPorts {
 public:
  virtual ~TopologyPorts() = default;
  // Stream 0 of the journal. Answered by Topology::OnDurable.
  virtual void AppendTopology(storage::Batch batch) = 0;
  // To every worker, this one included. Each answers with Topology::OnInstalled.
  virtual void Install(SnapshotRef snapshot) = 0;
  virtual void Reply(TopologyReply reply) = 0;
  // A command to a shard on behalf of nobody's session (seal, unseal, drop).
  virtual void ToShard(ShardId shard, Command&& command) = 0;
};

struct TopologyOptions {
  WorkerId workers = 1;
  ShardId shards = kDefaultShards;
  uint64_t seed = 0;  // for the names it makes up
};

// The one writer of vhosts, exchanges, bindings and the queue directory. Pure: requests,
// completions and time in; journal records, snapshots and answers out.
//
// A change goes: validated against the working state (which holds everything accepted so far) →
// applied to it → journaled → durable → published as a snapshot → installed on every worker →
// answered. Changes that arrive while one is under way are coalesced into the next record and
// snapshot. Exclusive and transient objects take the same way without the record. A deletion of a
// queue first seals it in its shard, so that if-empty and if-unused decide on a state that holds.
//
// Thread: the worker that hosts it (worker 0).
class Topology {
 public:
  Topology(TopologyOptions options, TopologyPorts& ports);
  ~Topology();

  // Recovery, before anything else. Bytes are what EncodeCheckpoint or AppendTopology gave.
  Result<void> RecoverCheckpoint(uint64_t shard_seq, ByteView bytes);
  Result<void> RecoverBatch(uint64_t shard_seq, ByteView entries);
  // After recovery: makes sure that the vhost "/" and the predeclared exchanges exist, and
  // publishes the first snapshot. `last_shard_seq` is where the stream goes on.
  void Start(uint64_t last_shard_seq);

  void OnRequest(TopologyRequest request);
  void OnSealed(const Sealed& sealed);
  void OnDurable(uint64_t shard_seq);
  void OnInstalled(WorkerId worker, uint64_t version);
  // Journals and publishes what has accumulated; called at the end of each turn of its worker.
  void Flush();

  // The newest snapshot that every reader may rely on (durable), for a worker that starts.
  SnapshotRef published() const;
  // The durable part of the working state as a value that may be written on another thread, with
  // the shard_seq that it covers. Call only when Flush has been called since the last change.
  std::pair<uint64_t, storage::CheckpointSource> Checkpoint() const;
  uint64_t last_shard_seq() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace landfall::broker
