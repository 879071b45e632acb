// What holds when all is quiet, after a crash, and when every queue has been emptied.
#include <fmt/format.h>

#include <algorithm>

#include "broker/queue.h"
#include "sim/model.h"

namespace landfall::sim {

void Model::OnQuiet() {
  ++statistics_.quiet_moments;
  for (Copy* c : unlanded_) {
    c->listed = false;
    c->known_landed = c->known;
    if (c->known) c->released_landed = c->released != kNever || c->holder->released != kNever;
  }
  unlanded_.clear();
  for (const HolderRef& h : holders_) {
    for (Copy* c : h->unlanded_acks) OnAckLanded({c, c->serial});
    h->unlanded_acks.clear();
  }
}

void Model::OnCrash() {
  ++statistics_.crashes;
  const uint64_t mark = world_.Mark();
  for (auto& q : queues_) {
    if (!q->spec->durable) q->existence.End(mark);
  }
  for (auto& x : exchanges_) {
    if (!x->durable) x->existence.End(mark);
  }
  for (auto& b : bindings_) {
    if (!b->durable()) b->existence.End(mark);
  }
  for (auto& m : messages_) {
    if (!m->persistent) m->owed.clear();
    std::erase_if(m->owed, [](const QueueLife* q) { return !q->spec->durable; });
    for (auto& [key, c] : m->copies) {
      const bool survives = m->persistent && c->at->spec->durable;
      if (!survives || !c->known_landed) c->known = false;
      // Who held it does not any more.
      if (c->known && c->released == kNever) c->released = world_.now();
      c->seen_in_this_life = false;
      c->listed = false;
      if (!survives) c->ack_landed = false;
    }
  }
  unlanded_.clear();
  for (const HolderRef& h : holders_) h->unlanded_acks.clear();
  holders_.clear();
}

bool Model::Settled(const Message& m, QueueLife* origin, QueueLife* at) const {
  if (Leaked(m, *at) || at->existence.presence != Presence::kPresent) return true;
  const auto it = m.copies.find({origin, at});
  if (it == m.copies.end()) return false;
  const Copy& c = *it->second;
  return c.ack_sent || c.drained || (c.reject_sent && !at->spec->dlx);
}

// `found`: where it was seen by looking into the queues; null at the end, when all were emptied.
bool Model::Accounted(const Message& m, QueueLife* queue, bool alive,
                      const std::set<std::pair<QueueLife*, QueueLife*>>* found) const {
  const auto there = [&](QueueLife* at) {
    return (found != nullptr && found->contains({queue, at})) || Settled(m, queue, at);
  };
  if (there(queue)) return true;
  // Held back in one shard, and on its way to another it is nowhere.
  if (alive && m.delay > Duration{0}) return true;
  const auto it = m.copies.find({queue, queue});
  const bool may_have_died =
      queue->spec->limited() || (it != m.copies.end() && it->second->reject_sent);
  if (!may_have_died) return false;
  const auto dead = DeadLetterQueues(*queue->spec, m.key);
  if (dead.empty()) return true;  // dropped
  // On the way between two shards it is in neither queue.
  if (alive) return true;
  return std::ranges::all_of(dead, there);
}

void Model::CheckRecovered(Node& node) {
  const broker::TopologySnapshot& snapshot = node.snapshot();
  std::map<std::string, broker::QueueInfoRef> there;
  snapshot.queues_by_id.ForEach([&](broker::QueueId, const broker::QueueInfoRef& info) {
    if (!info->holds_back) there[info->name] = info;
  });
  for (const auto& q : queues_) {
    if (q->existence.presence == Presence::kPresent && !there.contains(q->spec->name)) {
      Fail("queue '" + q->spec->name + "' did not survive");
    }
  }
  for (const auto& [name, info] : there) {
    if (CurrentQueue(name) == nullptr) Fail("queue '" + name + "' is there again");
  }
  const auto vhost = snapshot.FindVhost("/");
  for (const auto& x : exchanges_) {
    const bool present = vhost->exchanges.Contains(x->name);
    if (x->existence.presence == Presence::kPresent && !present) {
      Fail("exchange '" + x->name + "' did not survive");
    }
  }
  for (const auto& b : bindings_) {
    if (b->existence.presence == Presence::kPerhaps) continue;
    const broker::ExchangeRef* x = vhost->exchanges.Find(b->from->name);
    bool bound = false;
    if (x != nullptr) {
      (*x)->bindings().ForEach([&](const std::string&, const broker::BindingRef& r) {
        if (r->routing_key != b->key || r->to_exchange != (b->exchange != nullptr)) return;
        if (r->to_exchange) {
          bound |= r->destination == b->exchange->name;
        } else {
          const auto it = there.find(b->queue->spec->name);
          bound |= it != there.end() && it->second->id == r->queue.id;
        }
      });
    }
    const bool wanted = b->existence.there();
    if (wanted && !bound) {
      Fail(fmt::format("the binding of '{}' with key '{}' did not survive", b->from->name, b->key));
    }
  }

  std::map<const Message*, std::set<std::pair<QueueLife*, QueueLife*>>> found;
  for (const auto& [name, info] : there) {
    QueueLife* at = CurrentQueue(name);
    const auto visit = [&](broker::Sequence sequence, const broker::Entry& entry, Time) {
      Message* m = Identify(entry.message->body());
      if (m == nullptr) {
        Fail(fmt::format("queue '{}' has recovered what nobody has sent, at {}", name, sequence));
      }
      const auto view = amqp::DecodeProperties(entry.message->properties());
      const auto died_in =
          view ? view->headers.FindString("x-first-death-queue") : std::optional<ByteView>();
      std::vector<QueueLife*> origins;
      for (QueueLife* q : MayHave(*m)) {
        if (died_in ? q->spec->name == *died_in : q == at) origins.push_back(q);
      }
      if (origins.empty()) {
        Fail(fmt::format("{} was recovered in queue '{}', where it cannot have gone", Describe(*m),
                         name));
      }
      const bool certain = origins.size() == 1;
      for (QueueLife* origin : origins) {
        const bool first = found[m].insert({origin, at}).second;
        if (!first && certain && m->unique()) {
          Fail(fmt::format("{} was recovered in queue '{}' twice", Describe(*m), name));
        }
        const auto it = m->copies.find({origin, at});
        if (it == m->copies.end() || !certain || !m->unique()) continue;
        const Copy& c = *it->second;
        if (c.ack_landed) {
          Fail(fmt::format("{} was recovered in queue '{}' after its ack had landed", Describe(*m),
                           name));
        }
        if (!c.known) continue;
        const bool counted = c.released_landed && !c.uncounted && at->spec->counts_deliveries();
        const uint32_t least = c.failures + (counted ? 1 : 0);
        if (entry.failures < least) {
          Fail(fmt::format("{} in queue '{}' had failed {} times, after recovery {}", Describe(*m),
                           name, least, entry.failures));
        }
        if (!entry.redelivered) {
          Fail(fmt::format("{} in queue '{}' was delivered before the crash and is not marked",
                           Describe(*m), name));
        }
      }
    };
    if (!node.ForEachMessage(*info, visit)) return;  // the power has failed meanwhile
  }
  snapshot.queues_by_id.ForEach([&](broker::QueueId id, const broker::QueueInfoRef& info) {
    broker::Shard* shard = node.FindShard(info->shard);
    const broker::Queue* queue = shard == nullptr ? nullptr : shard->FindQueue(id);
    if (!info->holds_back || queue == nullptr) return;
    queue->ForEach([&](broker::Sequence, const broker::Entry& entry, Time due) {
      Message* m = Identify(entry.message->body());
      if (m == nullptr || m->delay == Duration{0}) {
        Fail("exchange '" + info->name + "' holds back what was not to be");
      }
      if (due < m->sent + m->delay) {
        Fail(Describe(*m) + " is held back for a shorter time than it asked for");
      }
      for (QueueLife* q : MayHave(*m)) {
        if (!found[m].insert({q, q}).second && m->unique()) {
          Fail(fmt::format("{} is in queue '{}' and held back as well", Describe(*m),
                           q->spec->name));
        }
      }
    });
  });
  for (const auto& m : messages_) {
    for (QueueLife* q : m->owed) {
      if (!Accounted(*m, q, /*alive=*/true, &found[m.get()])) {
        Fail(fmt::format("{} is lost from queue '{}'", Describe(*m), q->spec->name));
      }
    }
  }
}

void Model::CheckDrained() {
  for (const auto& m : messages_) {
    for (QueueLife* q : m->owed) {
      if (!Accounted(*m, q, /*alive=*/false, nullptr)) {
        Fail(fmt::format("{} is lost from queue '{}'", Describe(*m), q->spec->name));
      }
    }
    if (!m->unique()) continue;
    for (const auto& [key, c] : m->copies) {
      if (!c->drained || c->origin != c->at) continue;
      for (const auto& [other_key, other] : m->copies) {
        if (other->origin == c->origin && other->at != c->at && other->drained) {
          Fail(fmt::format("{} is in queue '{}' and a dead letter as well", Describe(*m),
                           c->at->spec->name));
        }
      }
    }
  }
}

}  // namespace landfall::sim
