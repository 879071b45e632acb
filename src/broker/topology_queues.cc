// The life of a queue: declared, sealed by its shard, and gone.
#include <deque>
#include <optional>
#include <string>
#include <utility>

#include "base/assert.h"
#include "broker/topology_record.h"
#include "broker/topology_state.h"

namespace landfall::broker {

using amqp::ReplyCode;

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
  if (r.max_queues && working.CountQueues(request.vhost) >= *r.max_queues) {
    return std::unexpected(Refuse(ReplyCode::kPreconditionFailed,
                                  "cannot declare queue '" + queue.name +
                                      "': queue limit in vhost '" + request.vhost + "' (" +
                                      std::to_string(*r.max_queues) + ") is reached"));
  }
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

}  // namespace landfall::broker
