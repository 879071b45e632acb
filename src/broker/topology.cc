#include "broker/topology.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "base/assert.h"
#include "broker/topology_record.h"
#include "broker/topology_state.h"

namespace landfall::broker {

using amqp::ReplyCode;

Topology::Topology(TopologyOptions options, TopologyPorts& ports)
    : state_(std::make_unique<State>(options, ports)) {}
Topology::~Topology() = default;

// ---------------------------------------------------------------------------------------- requests

void Topology::OnRequest(TopologyRequest request) { state_->Accept(std::move(request)); }

void Topology::State::Accept(TopologyRequest request) {
  LANDFALL_ASSERT(started);
  if (std::holds_alternative<SessionEnded>(request.body)) return EndSession(request.session);
  if (const auto* unused = std::get_if<QueueUnused>(&request.body)) {
    return DeleteIfUnused(unused->queue);
  }
  if (auto it = suspended.find(KeyOf(request)); it != suspended.end()) {
    it->second.push_back(std::move(request));
    return;
  }
  Run(std::move(request));
}

void Topology::State::Run(TopologyRequest request) {
  if (std::holds_alternative<CreateVhost>(request.body)) return DoCreateVhost(request);
  const ChannelKey key = KeyOf(request);
  if (const auto* remove = std::get_if<DeleteVhost>(&request.body)) return Answer(key, Do(*remove));
  if (!working.HasVhost(request.vhost)) {
    return Answer(key, Refuse(ReplyCode::kNotAllowed, "vhost '" + request.vhost + "' not found"));
  }
  if (std::holds_alternative<DeclareQueue>(request.body)) return DoDeclareQueue(std::move(request));
  if (std::holds_alternative<DeleteQueue>(request.body)) return DoDeleteQueue(std::move(request));
  if (const auto* declare = std::get_if<DeclareExchange>(&request.body)) {
    Answer(key, Do(request, *declare));
  } else if (const auto* remove = std::get_if<DeleteExchange>(&request.body)) {
    Answer(key, Do(request, *remove));
  } else if (const auto* bind = std::get_if<Bind>(&request.body)) {
    Answer(key, Do(request, *bind));
  } else if (const auto* pause = std::get_if<PauseQueue>(&request.body)) {
    Answer(key, Do(request, *pause));
  } else if (const auto* set = std::get_if<SetPolicy>(&request.body)) {
    Answer(key, Do(request, *set));
  } else if (const auto* clear = std::get_if<ClearPolicy>(&request.body)) {
    Answer(key, Do(request, *clear));
  }
}

void Topology::State::DoCreateVhost(const TopologyRequest& request) {
  const std::string& name = std::get<CreateVhost>(request.body).name;
  if (name.empty() || name.size() > amqp::kMaxShortString) {
    return Answer(KeyOf(request),
                  Refuse(ReplyCode::kPreconditionFailed, "the name of a vhost has 1 to 255 bytes"));
  }
  if (!working.HasVhost(name)) {
    working.CreateVhost(name);
    AppendVhostCreated(records, name);
  }
  Answer(KeyOf(request), std::nullopt);
}

std::optional<Refusal> Topology::State::Do(const DeleteVhost& r) {
  if (!working.HasVhost(r.name))
    return Refuse(ReplyCode::kNotFound, "vhost '" + r.name + "' not found");
  if (r.name == kDefaultVhost) {
    return Refuse(ReplyCode::kPreconditionFailed,
                  "vhost '/' is always there: delete what is in it");
  }
  for (const QueueInfoRef& queue : working.QueuesOf(r.name)) {
    GiveUpDeletion(queue->id);
    DropQueue(*queue);
  }
  working.RemoveVhost(r.name);
  AppendVhostDeleted(records, r.name);
  return std::nullopt;
}

// Its queue goes, whatever its shard says. Who has asked for it, or waits for it, is about to be
// disconnected.
void Topology::State::GiveUpDeletion(QueueId id) {
  auto it = deletions.find(id);
  if (it == deletions.end()) return;
  const Deletion deletion = std::move(it->second);
  deletions.erase(it);
  if (deletion.asked_by) {
    suspended.erase(*deletion.asked_by);
    Answer(*deletion.asked_by, std::nullopt);
  }
  for (const TopologyRequest& request : deletion.waiting) {
    suspended.erase(KeyOf(request));
    Answer(KeyOf(request),
           Refuse(ReplyCode::kNotAllowed, "vhost '" + request.vhost + "' not found"));
  }
}

std::optional<Refusal> Topology::State::Do(const TopologyRequest& request, const PauseQueue& r) {
  const QueueInfoRef queue = working.FindQueue(request.vhost, r.name);
  if (queue == nullptr) return NoQueue(request.vhost, r.name);
  if (auto locked = CheckExclusiveAccess(*queue, request.session)) return locked;
  if (queue->paused == r.paused) return std::nullopt;
  if (queue->journaled()) AppendQueuePaused(records, queue->id, r.paused);
  Configure({working.SetPaused(queue->id, r.paused)});
  return std::nullopt;
}

std::optional<Refusal> Topology::State::Do(const TopologyRequest& request, const SetPolicy& r) {
  auto policy = CheckPolicy(r.policy);
  if (!policy) return Refuse(ReplyCode::kPreconditionFailed, policy.error());
  const Policy* current = working.FindPolicy(request.vhost, r.policy.name, r.policy.by_operator);
  if (current != nullptr && SamePolicy(*current, **policy)) return std::nullopt;
  if (current == nullptr &&
      working.CountPolicies(request.vhost, r.policy.by_operator) >= kMaxPolicies) {
    return Refuse(ReplyCode::kPreconditionFailed, "vhost '" + request.vhost + "' has " +
                                                      std::to_string(kMaxPolicies) +
                                                      " policies, and no more fit in");
  }
  AppendPolicySet(records, request.vhost, **policy);
  Configure(working.SetPolicy(request.vhost, *policy));
  return std::nullopt;
}

std::optional<Refusal> Topology::State::Do(const TopologyRequest& request, const ClearPolicy& r) {
  if (working.FindPolicy(request.vhost, r.name, r.by_operator) == nullptr) {
    return Refuse(ReplyCode::kNotFound,
                  "no policy '" + r.name + "' in vhost '" + request.vhost + "'");
  }
  AppendPolicyCleared(records, request.vhost, r.name, r.by_operator);
  Configure(working.ClearPolicy(request.vhost, r.name, r.by_operator));
  return std::nullopt;
}

// Their shards look the new configuration up in the snapshot that shows it.
void Topology::State::Configure(const std::vector<QueueInfoRef>& queues) {
  for (const QueueInfoRef& queue : queues) {
    TellWhenVisible(*queue, ConfigureQueueCommand{.queue = queue->id});
  }
}

// Together with the snapshot that shows what has been changed just now.
void Topology::State::TellWhenVisible(const QueueInfo& queue, CommandBody body) {
  Command command;
  command.topology_version = working.next_version();
  command.body = std::move(body);
  pending.to_shards.emplace_back(queue.shard, std::move(command));
}

// ---------------------------------------------------------------------------- the way of a change

void Topology::State::Answer(const ChannelKey& key, const std::optional<Refusal>& refusal) {
  TopologyReply reply;
  reply.session = key.first;
  reply.channel = key.second;
  if (refusal) {
    reply.error = refusal->code;
    reply.text = refusal->text;
  }
  Answer(std::move(reply));
}

void Topology::State::Answer(TopologyReply reply) {
  if (HasPending()) {
    pending.replies.push_back(std::move(reply));
  } else if (journaling) {
    journaling->replies.push_back(std::move(reply));
  } else if (installing) {
    installing->replies.push_back(std::move(reply));
  } else {
    ports.Reply(std::move(reply));
  }
}

// One batch at a time is with the journal and one snapshot with the workers; what is accepted
// meanwhile goes together in the next, so that a flood of changes makes few of either.
void Topology::Flush() {
  State& s = *state_;
  if (!s.started || s.journaling || !s.HasPending()) return;
  Stage stage;
  static_cast<Changes&>(stage) = std::exchange(s.pending, {});
  stage.snapshot = s.working.Freeze();
  s.newest = stage.snapshot;
  s.newest_ids_reserved = s.working.ids_reserved();
  storage::Batch batch;
  if (s.records.empty()) {
    stage.durable = true;
  } else {
    stage.shard_seq = ++s.shard_seq;
    batch.shard = storage::kTopologyShard;
    batch.shard_seq = s.shard_seq;
    batch.entries.push_back(kTopologyFormat);
    batch.entries += std::exchange(s.records, {});
  }
  const bool journal = !stage.durable;
  s.journaling = std::move(stage);
  if (journal) {
    s.ports.AppendTopology(std::move(batch));
  } else {
    s.Publish();
  }
}

void Topology::OnDurable(uint64_t shard_seq) {
  State& s = *state_;
  if (!s.journaling || shard_seq < s.journaling->shard_seq) return;
  s.journaling->durable = true;
  s.Publish();
}

void Topology::State::Publish() {
  if (installing || !journaling || !journaling->durable) return;
  installing = std::move(journaling);
  journaling.reset();
  published = installing->snapshot;
  for (auto& [shard, command] : std::exchange(installing->to_shards, {})) {
    ports.ToShard(shard, std::move(command));
  }
  ports.Install(published);
}

void Topology::OnInstalled(WorkerId worker, uint64_t version) {
  State& s = *state_;
  LANDFALL_ASSERT(worker < s.installed.size());
  s.installed[worker] = std::max(s.installed[worker], version);
  if (!s.installing) return;
  const uint64_t everywhere = *std::min_element(s.installed.begin(), s.installed.end());
  if (everywhere < s.installing->snapshot->version) return;
  std::vector<TopologyReply> replies = std::move(s.installing->replies);
  s.installing.reset();
  for (TopologyReply& reply : replies) s.ports.Reply(std::move(reply));
  s.Publish();
}

// ---------------------------------------------------------------------------------------- recovery

Result<void> Topology::RecoverCheckpoint(uint64_t shard_seq, ByteView bytes) {
  State& s = *state_;
  LANDFALL_ASSERT(!s.started);
  uint64_t records = 0;
  bool complete = false;
  auto visit = [&](TopologyRecord record) -> Result<void> {
    if (const auto* end = std::get_if<CheckpointEnd>(&record)) complete = end->records == records;
    ++records;
    return s.working.Apply(std::move(record));
  };
  if (Result<void> read = ReadTopologyRecords(bytes, visit); !read) return read;
  if (!complete) {
    return Fail(ErrorCode::kCorrupt, "the checkpoint of the topology is not complete");
  }
  s.shard_seq = shard_seq;
  return {};
}

Result<void> Topology::RecoverBatch(uint64_t shard_seq, ByteView entries) {
  State& s = *state_;
  LANDFALL_ASSERT(!s.started);
  if (shard_seq <= s.shard_seq) return {};  // the checkpoint has it
  auto visit = [&](TopologyRecord record) { return s.working.Apply(std::move(record)); };
  if (Result<void> read = ReadTopologyRecords(entries, visit); !read) return read;
  s.shard_seq = shard_seq;
  return {};
}

void Topology::Start(uint64_t last_shard_seq) {
  State& s = *state_;
  LANDFALL_ASSERT(!s.started && last_shard_seq >= s.shard_seq);
  s.started = true;
  s.shard_seq = last_shard_seq;
  s.journaled_ids_reserved = s.working.ids_reserved();
  // All of it is durable, or is made anew at every start.
  Stage stage;
  stage.snapshot = s.working.Freeze();
  stage.durable = true;
  s.newest = stage.snapshot;
  s.newest_ids_reserved = s.working.ids_reserved();
  s.journaling = std::move(stage);
  s.Publish();
}

SnapshotRef Topology::published() const { return state_->published; }

std::pair<uint64_t, storage::CheckpointSource> Topology::Checkpoint() const {
  auto source = [snapshot = state_->newest,
                 ids = state_->newest_ids_reserved](storage::CheckpointOutput& out) {
    return WriteTopologyCheckpoint(*snapshot, ids, out);
  };
  return {state_->shard_seq, std::move(source)};
}

uint64_t Topology::last_shard_seq() const { return state_->shard_seq; }

}  // namespace landfall::broker
