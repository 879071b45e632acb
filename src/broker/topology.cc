#include "broker/topology.h"

#include <algorithm>
#include <deque>
#include <optional>
#include <utility>

#include "base/assert.h"
#include "base/flat_map.h"
#include "base/rng.h"
#include "broker/consistent_hash.h"
#include "broker/delayed_exchange.h"
#include "broker/refusal.h"
#include "broker/topology_record.h"
#include "broker/working_topology.h"

namespace landfall::broker {
namespace {

using amqp::ReplyCode;

constexpr std::string_view kDefaultVhost = "/";
constexpr std::string_view kReservedPrefix = "amq.";

// A channel of a session: its requests are answered in order.
using ChannelKey = std::pair<SessionId, ChannelId>;
ChannelKey KeyOf(const TopologyRequest& request) { return {request.session, request.channel}; }

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

Refusal DefaultExchangeRefusal() {
  return Refuse(ReplyCode::kAccessRefused, "operation not permitted on the default exchange");
}

Refusal ReservedName(std::string_view kind, std::string_view name) {
  return Refuse(ReplyCode::kAccessRefused, std::string(kind) + " name '" + std::string(name) +
                                               "' contains reserved prefix 'amq.*'");
}

}  // namespace

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

std::optional<Refusal> Topology::State::Do(const TopologyRequest& request,
                                           const DeclareExchange& r) {
  if (!r.passive && !ParseExchangeType(r.type)) {
    return Refuse(ReplyCode::kCommandInvalid, "unknown exchange type '" + r.type + "'");
  }
  if (r.name.empty()) return DefaultExchangeRefusal();
  const Exchange* current = working.FindExchange(request.vhost, r.name);
  if (r.passive) {
    if (current == nullptr) return NoExchange(request.vhost, r.name);
    return std::nullopt;
  }
  if (current != nullptr) return CheckEquivalent(request.vhost, *current, r);
  return CreateExchange(request, r);
}

std::optional<Refusal> Topology::State::CreateExchange(const TopologyRequest& request,
                                                       const DeclareExchange& r) {
  if (r.name.starts_with(kReservedPrefix)) return ReservedName("exchange", r.name);
  const amqp::Value* alternate = r.arguments.Find("alternate-exchange");
  if (alternate != nullptr && !alternate->AsString()) {
    return Refuse(ReplyCode::kPreconditionFailed, "invalid arg 'alternate-exchange' for " +
                                                      ExchangeText(request.vhost, r.name) +
                                                      ": must be a string");
  }
  Exchange exchange;
  exchange.name = r.name;
  exchange.type = *ParseExchangeType(r.type);
  if (exchange.type == ExchangeType::kDelayed) {
    if (auto invalid = CheckDelayedExchange(r.arguments)) {
      return Refuse(ReplyCode::kPreconditionFailed, *invalid);
    }
    exchange.delayed_type = *DelayedTypeOf(r.arguments);
  }
  if (exchange.routing() == ExchangeType::kConsistentHash) {
    if (auto invalid = CheckHashExchange(r.arguments)) {
      return Refuse(ReplyCode::kPreconditionFailed, *invalid);
    }
  }
  exchange.durable = r.durable;
  exchange.auto_delete = r.auto_delete;
  exchange.internal = r.internal;
  exchange.arguments = r.arguments;
  if (exchange.durable) AppendExchangeDeclared(records, request.vhost, exchange);
  QueueInfo delay_queue;
  delay_queue.vhost = request.vhost;
  delay_queue.name = exchange.name;
  delay_queue.durable = exchange.durable;
  delay_queue.holds_back = exchange.type == ExchangeType::kDelayed;
  working.AddExchange(request.vhost, std::move(exchange));
  if (delay_queue.holds_back) AddQueue(request.session, std::move(delay_queue));
  return std::nullopt;
}

std::optional<Refusal> Topology::State::Do(const TopologyRequest& request,
                                           const DeleteExchange& r) {
  if (r.name.empty()) return DefaultExchangeRefusal();
  if (r.name.starts_with(kReservedPrefix)) {
    return Refuse(ReplyCode::kAccessRefused,
                  "deletion of system " + ExchangeText(request.vhost, r.name) + " not allowed");
  }
  const Exchange* exchange = working.FindExchange(request.vhost, r.name);
  if (exchange == nullptr) return std::nullopt;
  if (r.if_unused && !exchange->bindings().empty()) {
    return Refuse(ReplyCode::kPreconditionFailed, ExchangeText(request.vhost, r.name) + " in use");
  }
  Unbound(request.vhost, RemoveExchange(request.vhost, r.name));
  return std::nullopt;
}

// What a delayed exchange holds back goes with it.
WorkingTopology::Sources Topology::State::RemoveExchange(const std::string& vhost,
                                                         const std::string& name) {
  const Exchange* exchange = working.FindExchange(vhost, name);
  const QueueId delay_queue = exchange->delay_queue.id;
  if (exchange->durable) AppendExchangeDeleted(records, vhost, name);
  WorkingTopology::Sources sources = working.RemoveExchange(vhost, name);
  if (delay_queue != 0) RemoveQueue(working.FindQueue(delay_queue));
  return sources;
}

// Exchanges have lost bindings: those that live no longer than their bindings may go, and so on.
void Topology::State::Unbound(const std::string& vhost, WorkingTopology::Sources sources) {
  while (!sources.empty()) {
    const std::string name = std::move(sources.back());
    sources.pop_back();
    const Exchange* exchange = working.FindExchange(vhost, name);
    if (exchange == nullptr || !exchange->auto_delete || !exchange->bindings().empty()) continue;
    for (std::string& more : RemoveExchange(vhost, name)) {
      sources.push_back(std::move(more));
    }
  }
}

std::optional<Refusal> Topology::State::Do(const TopologyRequest& request, const Bind& r) {
  if (r.source.empty() || (r.to_exchange && r.destination.empty())) {
    return DefaultExchangeRefusal();
  }
  const std::string& vhost = request.vhost;
  const Exchange* source = working.FindExchange(vhost, r.source);
  const Exchange* to_exchange = nullptr;
  QueueInfoRef to_queue;
  if (r.to_exchange) {
    to_exchange = working.FindExchange(vhost, r.destination);
  } else {
    to_queue = working.FindQueue(vhost, r.destination);
  }
  if (source == nullptr || (to_exchange == nullptr && to_queue == nullptr)) {
    if (r.unbind) return std::nullopt;  // what is not there is not bound
    if (source == nullptr) return NoExchange(vhost, r.source);
    return r.to_exchange ? NoExchange(vhost, r.destination) : NoQueue(vhost, r.destination);
  }
  if (to_queue != nullptr) {
    if (auto locked = CheckExclusiveAccess(*to_queue, request.session)) return locked;
  }
  Binding binding;
  binding.source = r.source;
  binding.to_exchange = r.to_exchange;
  if (r.to_exchange) {
    binding.destination = r.destination;
  } else {
    binding.queue = to_queue->target();
  }
  binding.routing_key = r.routing_key;
  binding.arguments = r.arguments;
  binding.durable =
      source->durable && (r.to_exchange ? to_exchange->durable : to_queue->journaled());
  if (!r.unbind && source->routing() == ExchangeType::kHeaders) {
    if (auto invalid = CheckHeadersBinding(r.arguments)) {
      return Refuse(ReplyCode::kPreconditionFailed, *invalid);
    }
  }
  if (!r.unbind && source->routing() == ExchangeType::kConsistentHash) {
    if (auto invalid = CheckHashBinding(r.routing_key)) {
      return Refuse(ReplyCode::kPreconditionFailed, *invalid);
    }
  }
  const bool changed = r.unbind ? working.Unbind(vhost, binding) : working.Bind(vhost, binding);
  if (!changed) return std::nullopt;
  if (binding.durable) AppendBindingChanged(records, vhost, binding, !r.unbind);
  if (r.unbind) Unbound(vhost, {r.source});
  return std::nullopt;
}

// ------------------------------------------------------------------------------------------ queues

void Topology::State::DoDeclareQueue(TopologyRequest request) {
  const auto& r = std::get<DeclareQueue>(request.body);
  const ChannelKey key = KeyOf(request);
  if (!r.passive && r.name.starts_with(kReservedPrefix)) {
    return Answer(key, ReservedName("queue", r.name));
  }
  const QueueInfoRef current = r.name.empty() ? nullptr : working.FindQueue(request.vhost, r.name);
  if (current != nullptr) {
    if (auto it = deletions.find(current->id); it != deletions.end()) {
      Suspend(key);
      it->second.waiting.push_back(std::move(request));
      return;
    }
    if (auto refusal = r.passive ? CheckExclusiveAccess(*current, request.session)
                                 : CheckEquivalent(*current, r, request.session)) {
      return Answer(key, refusal);
    }
    return Answer({.session = key.first,
                   .channel = key.second,
                   .error = std::nullopt,
                   .text = "",
                   .queue = current});
  }
  if (r.passive) return Answer(key, NoQueue(request.vhost, r.name));
  std::expected<QueueInfoRef, Refusal> created = CreateQueue(request, r);
  if (!created) return Answer(key, created.error());
  Answer({.session = key.first,
          .channel = key.second,
          .error = std::nullopt,
          .text = "",
          .queue = *std::move(created)});
}

std::expected<QueueInfoRef, Refusal> Topology::State::CreateQueue(const TopologyRequest& request,
                                                                  const DeclareQueue& r) {
  if (auto config = ParseQueueConfig(r.arguments); !config) {
    return std::unexpected(
        Refuse(ReplyCode::kPreconditionFailed, "invalid arg '" + config.error().name + "' for " +
                                                   QueueText(request.vhost, r.name) + ": " +
                                                   config.error().reason));
  }
  QueueInfo queue;
  queue.vhost = request.vhost;
  queue.name = r.name.empty() ? MakeUpQueueName(request.vhost) : r.name;
  queue.durable = r.durable;
  queue.exclusive = r.exclusive;
  queue.auto_delete = r.auto_delete;
  queue.owner = r.exclusive ? request.session : 0;
  queue.arguments = r.arguments;
  QueueInfoRef added = AddQueue(request.session, std::move(queue));
  if (added->config.expires) TellWhenVisible(*added, TouchQueueCommand{added->id});
  return added;
}

// Gives it its id and its place.
QueueInfoRef Topology::State::AddQueue(SessionId session, QueueInfo queue) {
  queue.id = working.NextQueueId();
  queue.shard =
      queue.journaled() ? working.LeastLoadedShard() : TransientShardOf(WorkerOf(session));
  // Also for a queue that is not journaled itself: its id may get into the journal of another.
  if (working.ids_reserved() != journaled_ids_reserved) {
    journaled_ids_reserved = working.ids_reserved();
    AppendIdsReserved(records, journaled_ids_reserved);
  }
  if (queue.journaled()) AppendQueueDeclared(records, queue);
  if (queue.exclusive) exclusive_queues[queue.owner].push_back(queue.id);
  const QueueId id = queue.id;
  working.AddQueue(std::move(queue));
  return working.FindQueue(id);
}

std::string Topology::State::MakeUpQueueName(std::string_view vhost) {
  constexpr std::string_view kLetters =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  static_assert(kLetters.size() == 64);
  while (true) {
    std::string name = "amq.gen-";
    for (int i = 0; i < 22; ++i) name += kLetters[rng.Below(kLetters.size())];
    // A durable one may have been made with the same seed before a restart.
    if (working.FindQueue(vhost, name) == nullptr) return name;
  }
}

void Topology::State::DoDeleteQueue(TopologyRequest request) {
  const auto& r = std::get<DeleteQueue>(request.body);
  const ChannelKey key = KeyOf(request);
  const QueueInfoRef queue = working.FindQueue(request.vhost, r.name);
  if (queue == nullptr) return Answer(key, std::nullopt);
  if (auto locked = CheckExclusiveAccess(*queue, request.session)) return Answer(key, locked);
  Suspend(key);
  if (auto it = deletions.find(queue->id); it != deletions.end()) {
    it->second.waiting.push_back(std::move(request));
    return;
  }
  Deletion deletion;
  deletion.if_unused = r.if_unused;
  deletion.if_empty = r.if_empty;
  deletion.asked_by = key;
  Seal(*queue, std::move(deletion));
}

void Topology::State::DeleteIfUnused(QueueId id) {
  const QueueInfoRef queue = working.FindQueue(id);
  if (queue == nullptr || (!queue->auto_delete && !queue->config.expires)) return;
  if (auto it = deletions.find(id); it != deletions.end()) {
    it->second.became_unused = true;
    return;
  }
  Deletion deletion;
  deletion.if_unused = true;
  Seal(*queue, std::move(deletion));
}

void Topology::State::EndSession(SessionId session) {
  // Nobody waits for the answers any more, and an exclusive queue declared now would never go.
  auto of_session = [&](const TopologyRequest& request) { return request.session == session; };
  for (auto& [id, deletion] : deletions) std::erase_if(deletion.waiting, of_session);
  erase_if(suspended, [&](const auto& entry) { return entry.first.first == session; });
  auto it = exclusive_queues.find(session);
  if (it == exclusive_queues.end()) return;
  const std::vector<QueueId> owned = std::move(it->second);
  exclusive_queues.erase(it);
  for (const QueueId id : owned) {
    if (auto deletion = deletions.find(id); deletion != deletions.end()) {
      deletion->second.owner_gone = true;
      continue;
    }
    RemoveQueue(working.FindQueue(id));
  }
}

void Topology::State::Seal(const QueueInfo& queue, Deletion deletion) {
  deletion.token = ++last_token;
  ToShard(queue, SealQueueCommand{.queue = queue.id,
                                  .if_unused = deletion.if_unused,
                                  .if_empty = deletion.if_empty,
                                  .token = deletion.token});
  deletions.emplace(queue.id, std::move(deletion));
}

void Topology::OnSealed(const Sealed& sealed) {
  State& s = *state_;
  auto it = s.deletions.find(sealed.queue);
  if (it == s.deletions.end() || it->second.token != sealed.token) return;
  Deletion deletion = std::move(it->second);
  s.deletions.erase(it);
  const QueueInfoRef queue = s.working.FindQueue(sealed.queue);
  LANDFALL_ASSERT(queue != nullptr);

  std::optional<Refusal> refusal;
  const std::string name = QueueText(queue->vhost, queue->name);
  if (deletion.if_unused && !sealed.unused) {
    refusal = Refuse(ReplyCode::kPreconditionFailed, name + " in use");
  } else if (deletion.if_empty && !sealed.empty) {
    refusal = Refuse(ReplyCode::kPreconditionFailed, name + " not empty");
  }
  const bool stays = refusal && !deletion.owner_gone;
  if (stays) {
    s.ToShard(*queue, UnsealQueueCommand{.queue = queue->id});
  } else {
    s.RemoveQueue(queue);
  }
  if (deletion.asked_by && refusal) {
    s.Answer(*deletion.asked_by, refusal);
  } else if (deletion.asked_by) {
    s.Answer({.session = deletion.asked_by->first,
              .channel = deletion.asked_by->second,
              .error = std::nullopt,
              .text = "",
              .queue = nullptr,
              .messages = sealed.messages});
  }
  if (deletion.asked_by) s.Resume(*deletion.asked_by);
  if (stays && deletion.became_unused) s.DeleteIfUnused(queue->id);
  for (TopologyRequest& request : deletion.waiting) {
    const ChannelKey key = KeyOf(request);
    std::deque<TopologyRequest> behind = s.TakeSuspended(key);
    s.Run(std::move(request));
    for (TopologyRequest& next : behind) s.Accept(std::move(next));
  }
}

void Topology::State::RemoveQueue(const QueueInfoRef& queue) {
  DropQueue(*queue);
  if (queue->journaled()) AppendQueueDeleted(records, queue->id);
  Unbound(queue->vhost, working.RemoveQueue(queue->id));
}

// Its shard forgets it, as soon as the snapshot does not show it any more.
void Topology::State::DropQueue(const QueueInfo& queue) {
  Command drop;
  drop.topology_version = working.QueueVisibleSince(queue.id);
  drop.body = DropQueueCommand{.queue = queue.id};
  pending.to_shards.emplace_back(queue.shard, std::move(drop));
  if (auto it = exclusive_queues.find(queue.owner); it != exclusive_queues.end()) {
    std::erase(it->second, queue.id);
    if (it->second.empty()) exclusive_queues.erase(it);
  }
}

void Topology::State::ToShard(const QueueInfo& queue, CommandBody body) {
  Command command;
  // A shard that has not heard of the queue yet waits for the snapshot that shows it.
  command.topology_version = working.QueueVisibleSince(queue.id);
  command.body = std::move(body);
  ports.ToShard(queue.shard, std::move(command));
}

std::deque<TopologyRequest> Topology::State::TakeSuspended(const ChannelKey& key) {
  std::deque<TopologyRequest> behind;
  if (auto it = suspended.find(key); it != suspended.end()) {
    behind = std::move(it->second);
    suspended.erase(it);
  }
  return behind;
}

void Topology::State::Resume(const ChannelKey& key) {
  for (TopologyRequest& next : TakeSuspended(key)) Accept(std::move(next));
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
