#pragma once

#include <cstdint>

#include "storage/store.h"

namespace landfall::broker {

using storage::ShardId;

// Queues are numbers: ids are never reused, only the topology knows names.
using QueueId = uint64_t;
// A message's place in its queue: dense, from 1, never reused. A requeue keeps it, so position is
// restored by itself.
using Sequence = uint64_t;
// A connection, unique for the life of the process. The low kWorkerBits name the worker it lives
// on.
using SessionId = uint64_t;
using ChannelId = uint16_t;
// Names a consumer inside its session; a basic.get holds messages as consumer 0 of its channel.
using ConsumerId = uint32_t;
using WorkerId = uint16_t;

inline constexpr int kWorkerBits = 10;
inline constexpr WorkerId kMaxWorkers = 1 << kWorkerBits;
constexpr WorkerId WorkerOf(SessionId session) { return session & (kMaxWorkers - 1); }

// Shard ids: 0 is the topology's stream, 1..kDefaultShards hold durable queues and are journaled,
// and each worker has one unjournaled shard for its exclusive and transient queues.
inline constexpr ShardId kDefaultShards = 64;
inline constexpr ShardId kFirstTransientShard = 0x8000;
constexpr ShardId TransientShardOf(WorkerId worker) {
  return static_cast<ShardId>(kFirstTransientShard + worker);
}
constexpr bool IsTransientShard(ShardId shard) { return shard >= kFirstTransientShard; }

}  // namespace landfall::broker
