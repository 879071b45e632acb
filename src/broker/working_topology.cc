#include "broker/working_topology.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/assert.h"
#include "broker/delayed_exchange.h"
#include "broker/effective_config.h"

namespace landfall::broker {
namespace {

// Ids are reserved in blocks, so that not every new queue writes a record for it.
constexpr QueueId kIdBlock = 4096;

struct Predeclared {
  const char* name;
  ExchangeType type;
};
constexpr Predeclared kPredeclared[] = {
    {"amq.direct", ExchangeType::kDirect}, {"amq.fanout", ExchangeType::kFanout},
    {"amq.topic", ExchangeType::kTopic},   {"amq.headers", ExchangeType::kHeaders},
    {"amq.match", ExchangeType::kHeaders},
};

PolicyMap& MapOf(Vhost& vhost, bool by_operator) {
  return by_operator ? vhost.operator_policies : vhost.policies;
}

QueueConfig ConfigOf(const Vhost& vhost, const QueueInfo& queue) {
  if (queue.holds_back) return {.holds_back = true};
  return EffectiveConfig(queue.arguments,
                         PolicyOfQueue(vhost.policies, queue.name, queue.arguments),
                         PolicyOfQueue(vhost.operator_policies, queue.name, queue.arguments));
}

std::string AlternateOf(const Vhost& vhost, const Exchange& exchange) {
  return EffectiveAlternate(exchange.arguments, PolicyOfExchange(vhost.policies, exchange.name));
}

// Every vhost has these by itself.
bool IsPredeclared(const Exchange& exchange) { return exchange.name.starts_with("amq."); }

std::unexpected<Error> NoSuchVhost(const std::string& vhost) {
  return Fail(
      ErrorCode::kCorrupt,
      fmt::format("the topology has a record about vhost '{}', which was never created", vhost));
}

}  // namespace

WorkingTopology::WorkingTopology(ShardId shards) : shard_loads_(shards, 0) {
  LANDFALL_ASSERT(shards > 0 && shards < kFirstTransientShard);
}

WorkingTopology::VhostEntry& WorkingTopology::VhostOf(const std::string& name) {
  auto it = vhosts_.find(name);
  LANDFALL_ASSERT(it != vhosts_.end());
  return *it->second;
}

WorkingTopology::ExchangeEntry* WorkingTopology::FindEntry(VhostEntry& vhost,
                                                           std::string_view name) {
  auto it = vhost.exchanges.find(name);
  return it == vhost.exchanges.end() ? nullptr : it->second.get();
}

void WorkingTopology::Touch(VhostEntry& vhost) {
  if (std::exchange(vhost.dirty, true)) return;
  dirty_vhosts_.push_back(vhost.published.name);
}

void WorkingTopology::Touch(VhostEntry& vhost, ExchangeEntry& exchange) {
  Touch(vhost);
  if (std::exchange(exchange.dirty, true)) return;
  vhost.dirty_exchanges.push_back(exchange.exchange.name);
}

void WorkingTopology::CreateVhost(const std::string& name) {
  if (HasVhost(name)) return;
  auto entry = std::make_unique<VhostEntry>();
  entry->published.name = name;
  entry->published.incarnation = snapshot_.vhosts_deleted;
  vhosts_.emplace(name, std::move(entry));
  Touch(VhostOf(name));
  for (const Predeclared& predeclared : kPredeclared) {
    Exchange exchange;
    exchange.name = predeclared.name;
    exchange.type = predeclared.type;
    exchange.durable = true;
    AddExchange(name, std::move(exchange));
  }
}

std::vector<QueueInfoRef> WorkingTopology::QueuesOf(const std::string& vhost) const {
  const VhostEntry& v = *vhosts_.find(vhost)->second;
  std::vector<QueueInfoRef> queues;
  v.published.queues.ForEach(
      [&](const std::string&, const QueueInfoRef& queue) { queues.push_back(queue); });
  for (const auto& [name, entry] : v.exchanges) {
    if (entry->exchange.delay_queue.id != 0)
      queues.push_back(FindQueue(entry->exchange.delay_queue.id));
  }
  std::ranges::sort(queues, {}, [](const QueueInfoRef& queue) { return queue->id; });
  return queues;
}

void WorkingTopology::RemoveVhost(const std::string& name) {
  for (const QueueInfoRef& queue : QueuesOf(name)) RemoveQueue(queue->id);
  Touch(VhostOf(name));
  vhosts_.erase(name);
  ++snapshot_.vhosts_deleted;
}

const Exchange* WorkingTopology::FindExchange(std::string_view vhost, std::string_view name) const {
  auto it = vhosts_.find(vhost);
  if (it == vhosts_.end()) return nullptr;
  const ExchangeEntry* entry = FindEntry(*it->second, name);
  return entry == nullptr ? nullptr : &entry->exchange;
}

QueueInfoRef WorkingTopology::FindQueue(std::string_view vhost, std::string_view name) const {
  auto it = vhosts_.find(vhost);
  if (it == vhosts_.end()) return nullptr;
  const QueueInfoRef* queue = it->second->published.queues.Find(name);
  return queue == nullptr ? nullptr : *queue;
}

QueueInfoRef WorkingTopology::FindQueue(QueueId id) const {
  auto it = queues_.find(id);
  return it == queues_.end() ? nullptr : it->second->info;
}

uint64_t WorkingTopology::QueueVisibleSince(QueueId id) const {
  auto it = queues_.find(id);
  LANDFALL_ASSERT(it != queues_.end());
  return it->second->visible_since;
}

void WorkingTopology::AddExchange(const std::string& vhost, Exchange exchange) {
  VhostEntry& v = VhostOf(vhost);
  auto entry = std::make_unique<ExchangeEntry>();
  entry->exchange = std::move(exchange);
  entry->exchange.alternate = AlternateOf(v.published, entry->exchange);
  const auto [it, added] = v.exchanges.emplace(entry->exchange.name, nullptr);
  LANDFALL_ASSERT(added);
  it->second = std::move(entry);
  Touch(v, *it->second);
}

void WorkingTopology::AddQueue(QueueInfo queue) {
  VhostEntry& v = VhostOf(queue.vhost);
  queue.config = ConfigOf(v.published, queue);
  auto entry = std::make_unique<QueueEntry>();
  entry->info = std::make_shared<const QueueInfo>(std::move(queue));
  entry->visible_since = next_version();
  const QueueInfoRef& info = entry->info;
  if (info->holds_back) {
    ExchangeEntry* exchange = FindEntry(v, info->name);
    LANDFALL_ASSERT(exchange != nullptr);
    exchange->exchange.delay_queue = info->target();
    Touch(v, *exchange);
  } else {
    const bool name_is_new = v.published.queues.Set(info->name, info);
    LANDFALL_ASSERT(name_is_new);
  }
  const bool id_is_new = snapshot_.queues_by_id.Set(info->id, info);
  LANDFALL_ASSERT(id_is_new);
  snapshot_.traced_queues += info->config.trace > 0;
  if (info->shard >= 1 && info->shard <= shard_loads_.size()) ++shard_loads_[info->shard - 1];
  queues_.emplace(info->id, std::move(entry));
  Touch(v);
}

WorkingTopology::Sources WorkingTopology::TakeFromSources(VhostEntry& vhost,
                                                          const FlatSet<BindingRef>& incoming,
                                                          std::string_view except) {
  Sources sources;
  for (const BindingRef& binding : incoming) {
    if (binding->source == except) continue;
    ExchangeEntry* source = FindEntry(vhost, binding->source);
    LANDFALL_ASSERT(source != nullptr);
    const bool removed = source->exchange.Remove(*binding);
    LANDFALL_ASSERT(removed);
    Touch(vhost, *source);
    sources.push_back(binding->source);
  }
  // A queue may have thousands of bindings, mostly from one exchange.
  std::sort(sources.begin(), sources.end());
  sources.erase(std::unique(sources.begin(), sources.end()), sources.end());
  return sources;
}

WorkingTopology::Sources WorkingTopology::RemoveExchange(const std::string& vhost,
                                                         const std::string& name) {
  VhostEntry& v = VhostOf(vhost);
  ExchangeEntry* entry = FindEntry(v, name);
  LANDFALL_ASSERT(entry != nullptr);
  entry->exchange.bindings().ForEach([&](const std::string&, const BindingRef& binding) {
    if (binding->to_exchange && binding->destination == name) return;
    IncomingOf(v, *binding).erase(binding);
  });
  Sources sources = TakeFromSources(v, entry->incoming, name);
  Touch(v, *entry);
  v.exchanges.erase(name);
  return sources;
}

WorkingTopology::Sources WorkingTopology::RemoveQueue(QueueId id) {
  auto it = queues_.find(id);
  LANDFALL_ASSERT(it != queues_.end());
  const QueueInfoRef info = it->second->info;
  VhostEntry& v = VhostOf(info->vhost);
  Sources sources = TakeFromSources(v, it->second->incoming, "");
  queues_.erase(it);
  if (!info->holds_back) v.published.queues.Erase(info->name);
  snapshot_.queues_by_id.Erase(id);
  snapshot_.traced_queues -= info->config.trace > 0;
  if (info->shard >= 1 && info->shard <= shard_loads_.size()) --shard_loads_[info->shard - 1];
  Touch(v);
  return sources;
}

FlatSet<BindingRef>& WorkingTopology::IncomingOf(VhostEntry& vhost, const Binding& binding) {
  if (binding.to_exchange) {
    ExchangeEntry* destination = FindEntry(vhost, binding.destination);
    LANDFALL_ASSERT(destination != nullptr);
    return destination->incoming;
  }
  auto it = queues_.find(binding.queue.id);
  LANDFALL_ASSERT(it != queues_.end());
  return it->second->incoming;
}

bool WorkingTopology::Bind(const std::string& vhost, Binding binding) {
  VhostEntry& v = VhostOf(vhost);
  ExchangeEntry* source = FindEntry(v, binding.source);
  LANDFALL_ASSERT(source != nullptr);
  const auto ref = std::make_shared<const Binding>(std::move(binding));
  if (!source->exchange.Add(ref)) return false;
  IncomingOf(v, *ref).insert(ref);
  Touch(v, *source);
  return true;
}

bool WorkingTopology::Unbind(const std::string& vhost, const Binding& binding) {
  VhostEntry& v = VhostOf(vhost);
  ExchangeEntry* source = FindEntry(v, binding.source);
  LANDFALL_ASSERT(source != nullptr);
  const BindingRef* found = source->exchange.bindings().Find(binding.Identity());
  if (found == nullptr) return false;
  const BindingRef ref = *found;
  source->exchange.Remove(*ref);
  IncomingOf(v, *ref).erase(ref);
  Touch(v, *source);
  return true;
}

const Policy* WorkingTopology::FindPolicy(std::string_view vhost, std::string_view name,
                                          bool by_operator) const {
  auto it = vhosts_.find(vhost);
  if (it == vhosts_.end()) return nullptr;
  const PolicyRef* policy = MapOf(it->second->published, by_operator).Find(name);
  return policy == nullptr ? nullptr : policy->get();
}

size_t WorkingTopology::CountQueues(std::string_view vhost) const {
  auto it = vhosts_.find(vhost);
  return it == vhosts_.end() ? 0 : it->second->published.queues.size();
}

size_t WorkingTopology::CountPolicies(std::string_view vhost, bool by_operator) const {
  auto it = vhosts_.find(vhost);
  return it == vhosts_.end() ? 0 : MapOf(it->second->published, by_operator).size();
}

std::vector<QueueInfoRef> WorkingTopology::SetPolicy(const std::string& vhost,
                                                     const PolicyRef& policy) {
  VhostEntry& v = VhostOf(vhost);
  PolicyMap& policies = MapOf(v.published, policy->by_operator);
  const PolicyRef* found = policies.Find(policy->name);
  const PolicyRef before = found == nullptr ? nullptr : *found;
  policies.Set(policy->name, policy);
  return Reapply(v, before.get(), policy.get());
}

std::vector<QueueInfoRef> WorkingTopology::ClearPolicy(const std::string& vhost,
                                                       std::string_view name, bool by_operator) {
  VhostEntry& v = VhostOf(vhost);
  PolicyMap& policies = MapOf(v.published, by_operator);
  const PolicyRef* found = policies.Find(name);
  if (found == nullptr) return {};
  const PolicyRef before = *found;
  policies.Erase(name);
  return Reapply(v, before.get(), nullptr);
}

std::vector<QueueInfoRef> WorkingTopology::Reapply(VhostEntry& vhost, const Policy* before,
                                                   const Policy* after) {
  Touch(vhost);
  for (auto& [name, entry] : vhost.exchanges) {
    std::string alternate = AlternateOf(vhost.published, entry->exchange);
    if (alternate == entry->exchange.alternate) continue;
    entry->exchange.alternate = std::move(alternate);
    Touch(vhost, *entry);
  }
  const auto concerns = [](const Policy* policy, const QueueInfo& queue) {
    return policy != nullptr && policy->AppliesToQueue(queue.name, queue.arguments);
  };
  std::vector<QueueInfoRef> changed;
  vhost.published.queues.ForEach([&](const std::string&, const QueueInfoRef& queue) {
    if (!concerns(before, *queue) && !concerns(after, *queue)) return;
    QueueConfig config = ConfigOf(vhost.published, *queue);
    if (config == queue->config) return;
    auto info = std::make_shared<QueueInfo>(*queue);
    info->config = std::move(config);
    changed.push_back(std::move(info));
  });
  for (const QueueInfoRef& queue : changed) Replace(vhost, queue);
  return changed;
}

void WorkingTopology::Replace(VhostEntry& vhost, const QueueInfoRef& queue) {
  vhost.published.queues.Set(queue->name, queue);
  snapshot_.queues_by_id.Set(queue->id, queue);
  QueueInfoRef& info = queues_.at(queue->id)->info;
  snapshot_.traced_queues += queue->config.trace > 0;
  snapshot_.traced_queues -= info->config.trace > 0;
  info = queue;
}

QueueInfoRef WorkingTopology::SetPaused(QueueId id, bool paused) {
  auto info = std::make_shared<QueueInfo>(*queues_.at(id)->info);
  info->paused = paused;
  VhostEntry& vhost = VhostOf(info->vhost);
  Touch(vhost);
  Replace(vhost, info);
  return info;
}

QueueId WorkingTopology::NextQueueId() {
  if (next_id_ == ids_reserved_) ids_reserved_ += kIdBlock;
  return next_id_++;
}

ShardId WorkingTopology::LeastLoadedShard() const {
  const auto least = std::min_element(shard_loads_.begin(), shard_loads_.end());
  return static_cast<ShardId>(least - shard_loads_.begin() + 1);
}

SnapshotRef WorkingTopology::Freeze() {
  for (const std::string& name : dirty_vhosts_) {
    const auto found = vhosts_.find(name);
    if (found == vhosts_.end()) {
      snapshot_.vhosts.Erase(name);
      continue;
    }
    VhostEntry& v = *found->second;
    for (const std::string& exchange : v.dirty_exchanges) {
      ExchangeEntry* entry = FindEntry(v, exchange);
      if (entry == nullptr) {
        v.published.exchanges.Erase(exchange);
        continue;
      }
      entry->dirty = false;
      v.published.exchanges.Set(exchange, std::make_shared<const Exchange>(entry->exchange));
    }
    v.dirty_exchanges.clear();
    v.dirty = false;
    snapshot_.vhosts.Set(name, std::make_shared<const Vhost>(v.published));
  }
  dirty_vhosts_.clear();
  ++snapshot_.version;
  return std::make_shared<const TopologySnapshot>(snapshot_);
}

Result<void> WorkingTopology::Apply(TopologyRecord record) {
  return std::visit([this](auto& r) { return ApplyOne(r); }, record);
}

Result<void> WorkingTopology::ApplyOne(const VhostCreated& record) {
  CreateVhost(record.vhost);
  return {};
}

Result<void> WorkingTopology::ApplyOne(const VhostDeleted& record) {
  if (HasVhost(record.vhost)) RemoveVhost(record.vhost);
  return {};
}

Result<void> WorkingTopology::ApplyOne(ExchangeDeclared& record) {
  if (!HasVhost(record.vhost)) return NoSuchVhost(record.vhost);
  if (FindExchange(record.vhost, record.name) != nullptr) return {};
  Exchange exchange;
  exchange.name = std::move(record.name);
  exchange.type = record.type;
  exchange.durable = record.durable;
  exchange.auto_delete = record.auto_delete;
  exchange.internal = record.internal;
  exchange.arguments = std::move(record.arguments);
  exchange.delayed_type = DelayedTypeOf(exchange.arguments).value_or(exchange.delayed_type);
  AddExchange(record.vhost, std::move(exchange));
  return {};
}

Result<void> WorkingTopology::ApplyOne(const ExchangeDeleted& record) {
  if (FindExchange(record.vhost, record.name) != nullptr) RemoveExchange(record.vhost, record.name);
  return {};
}

Result<void> WorkingTopology::ApplyOne(QueueDeclared& record) {
  if (!HasVhost(record.vhost)) return NoSuchVhost(record.vhost);
  next_id_ = std::max(next_id_, record.id + 1);
  ids_reserved_ = std::max(ids_reserved_, next_id_);
  if (queues_.contains(record.id)) return {};
  if (record.holds_back) {
    // It may have been deleted since.
    const Exchange* exchange = FindExchange(record.vhost, record.name);
    if (exchange == nullptr || exchange->type != ExchangeType::kDelayed) return {};
    if (exchange->delay_queue.id != 0) RemoveQueue(exchange->delay_queue.id);
  } else if (const QueueInfoRef same_name = FindQueue(record.vhost, record.name)) {
    RemoveQueue(same_name->id);
  }
  if (record.shard == 0 || record.shard > shard_loads_.size()) {
    return Fail(ErrorCode::kCorrupt,
                fmt::format("queue '{}' is on shard {}, and this broker has {}; start it with as "
                            "many shards as the data directory was made with",
                            record.name, record.shard, shard_loads_.size()));
  }
  if (auto config = ParseQueueConfig(record.arguments); !config) {
    return Fail(ErrorCode::kCorrupt,
                fmt::format("{} was declared with an argument '{}' that cannot be: {}", record.name,
                            config.error().name, config.error().reason));
  }
  QueueInfo queue;
  queue.id = record.id;
  queue.shard = record.shard;
  queue.vhost = std::move(record.vhost);
  queue.name = std::move(record.name);
  queue.durable = record.durable;
  queue.auto_delete = record.auto_delete;
  queue.holds_back = record.holds_back;
  queue.arguments = std::move(record.arguments);
  AddQueue(std::move(queue));
  return {};
}

Result<void> WorkingTopology::ApplyOne(const QueueDeleted& record) {
  if (queues_.contains(record.id)) RemoveQueue(record.id);
  return {};
}

Result<void> WorkingTopology::ApplyOne(const QueuePaused& record) {
  const QueueInfoRef queue = FindQueue(record.id);
  if (queue != nullptr && !queue->holds_back) SetPaused(record.id, record.paused);
  return {};
}

Result<void> WorkingTopology::ApplyOne(BindingChanged& record) {
  if (!HasVhost(record.vhost)) return NoSuchVhost(record.vhost);
  // An end that is not there any more has taken the binding with it.
  if (FindExchange(record.vhost, record.source) == nullptr) return {};
  Binding binding;
  binding.source = std::move(record.source);
  binding.to_exchange = record.to_exchange;
  if (record.to_exchange) {
    if (FindExchange(record.vhost, record.destination) == nullptr) return {};
    binding.destination = std::move(record.destination);
  } else {
    const QueueInfoRef queue = FindQueue(record.queue);
    if (queue == nullptr) return {};
    binding.queue = queue->target();
  }
  binding.routing_key = std::move(record.routing_key);
  binding.arguments = std::move(record.arguments);
  binding.durable = true;
  if (record.bound) {
    Bind(record.vhost, std::move(binding));
  } else {
    Unbind(record.vhost, binding);
  }
  return {};
}

Result<void> WorkingTopology::ApplyOne(const IdsReserved& record) {
  // Which of them were used is not known, so none of them is used again.
  ids_reserved_ = std::max(ids_reserved_, record.upto);
  next_id_ = ids_reserved_;
  return {};
}

Result<void> WorkingTopology::ApplyOne(const CheckpointEnd&) { return {}; }

Result<void> WorkingTopology::ApplyOne(PolicySet& record) {
  if (!HasVhost(record.vhost)) return NoSuchVhost(record.vhost);
  const std::string name = record.policy.name;
  auto policy = CheckPolicy(std::move(record.policy), PolicyOrigin::kRecovered);
  if (!policy) {
    return Fail(ErrorCode::kCorrupt,
                fmt::format("policy '{}' in vhost '{}' is one that cannot be: {}", name,
                            record.vhost, policy.error()));
  }
  SetPolicy(record.vhost, *policy);
  return {};
}

Result<void> WorkingTopology::ApplyOne(const PolicyCleared& record) {
  if (HasVhost(record.vhost)) ClearPolicy(record.vhost, record.name, record.by_operator);
  return {};
}

bool WriteTopologyCheckpoint(const TopologySnapshot& snapshot, QueueId ids_reserved,
                             storage::CheckpointOutput& out) {
  constexpr size_t kPiece = 64 * 1024;
  ByteBuffer piece(1, kTopologyFormat);
  uint64_t records = 0;
  bool ok = true;
  auto written = [&] {
    ++records;
    if (piece.size() < kPiece) return;
    ok = ok && out.Write(piece);
    piece.clear();
  };
  AppendIdsReserved(piece, ids_reserved);
  written();
  snapshot.vhosts.ForEach([&](const std::string& name, const VhostRef& vhost) {
    AppendVhostCreated(piece, name);
    written();
    for (const PolicyMap* policies : {&vhost->policies, &vhost->operator_policies}) {
      policies->ForEach([&](const std::string&, const PolicyRef& policy) {
        AppendPolicySet(piece, name, *policy);
        written();
      });
    }
    vhost->exchanges.ForEach([&](const std::string&, const ExchangeRef& exchange) {
      if (!exchange->durable || IsPredeclared(*exchange)) return;
      AppendExchangeDeclared(piece, name, *exchange);
      written();
      if (exchange->delay_queue.id == 0) return;
      AppendQueueDeclared(piece, *snapshot.FindQueue(exchange->delay_queue.id));
      written();
    });
    vhost->queues.ForEach([&](const std::string&, const QueueInfoRef& queue) {
      if (!queue->journaled()) return;
      AppendQueueDeclared(piece, *queue);
      written();
      if (!queue->paused) return;
      AppendQueuePaused(piece, queue->id, true);
      written();
    });
    // Both ends of every binding come before it.
    vhost->exchanges.ForEach([&](const std::string&, const ExchangeRef& exchange) {
      exchange->bindings().ForEach([&](const std::string&, const BindingRef& binding) {
        if (!binding->durable) return;
        AppendBindingChanged(piece, name, *binding, true);
        written();
      });
    });
  });
  AppendCheckpointEnd(piece, records);
  return ok && out.Write(piece);
}

}  // namespace landfall::broker
