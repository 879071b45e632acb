#include "sim/model.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>

#include "amqp/properties.h"
#include "broker/queue.h"

namespace landfall::sim {
namespace {

ByteBuffer BodyOf(uint64_t index, size_t size) {
  ByteBuffer body = fmt::format("{};", index);
  Rng rng(index);
  while (body.size() < size) body.push_back(static_cast<char>('a' + rng.Below(26)));
  return body;
}

bool WordsMatch(std::vector<std::string_view>::const_iterator pattern,
                std::vector<std::string_view>::const_iterator pattern_end,
                std::vector<std::string_view>::const_iterator key,
                std::vector<std::string_view>::const_iterator key_end) {
  if (pattern == pattern_end) return key == key_end;
  if (*pattern == "#") {
    for (auto rest = key;; ++rest) {
      if (WordsMatch(pattern + 1, pattern_end, rest, key_end)) return true;
      if (rest == key_end) return false;
    }
  }
  if (key == key_end || (*pattern != "*" && *pattern != *key)) return false;
  return WordsMatch(pattern + 1, pattern_end, key + 1, key_end);
}

std::vector<std::string_view> Words(std::string_view s) {
  std::vector<std::string_view> words;
  while (true) {
    const size_t dot = s.find('.');
    words.push_back(s.substr(0, dot));
    if (dot == std::string_view::npos) return words;
    s.remove_prefix(dot + 1);
  }
}

}  // namespace

bool TopicMatches(std::string_view pattern, std::string_view key) {
  const auto p = Words(pattern);
  const auto k = Words(key);
  return WordsMatch(p.begin(), p.end(), k.begin(), k.end());
}

amqp::Table QueueSpec::Arguments() const {
  const auto ms = [](Duration d) {
    return amqp::Value(
        static_cast<int64_t>(std::chrono::duration_cast<std::chrono::milliseconds>(d).count()));
  };
  amqp::Table t;
  if (lease) t.Set("x-consumer-timeout", ms(*lease));
  if (retries) {
    t.Set("x-delayed-retry-min", ms(retry_min));
    t.Set("x-delayed-retry-max", ms(retry_max));
    t.Set("x-delayed-retry-multiplier", amqp::Value(multiplier));
    t.Set("x-delayed-retry-jitter", amqp::Value(jitter));
  }
  if (limit) t.Set("x-delivery-limit", amqp::Value(static_cast<int64_t>(*limit)));
  if (ttl) t.Set("x-message-ttl", ms(*ttl));
  if (max_length) t.Set("x-max-length", amqp::Value(static_cast<int64_t>(*max_length)));
  if (priorities) t.Set("x-max-priority", amqp::Value(int64_t{3}));
  if (single_active) t.Set("x-single-active-consumer", amqp::Value(true));
  if (dlx) t.Set("x-dead-letter-exchange", *dlx);
  if (dlx_key) t.Set("x-dead-letter-routing-key", *dlx_key);
  return t;
}

Duration QueueSpec::LeastDelay(uint32_t failures) const {
  if (!retries || failures == 0) return Duration{0};
  const double delay =
      std::min(static_cast<double>(retry_min.count()) * std::pow(multiplier, failures - 1),
               static_cast<double>(retry_max.count()));
  return Duration(static_cast<int64_t>(delay * (1 - jitter)) - 1);
}

void Model::Fail(const std::string& what) const { throw Violation(what); }

std::string Model::Describe(const Message& m) {
  return fmt::format("message {} (to '{}' with key '{}', {}{}, sent {} times, {})", m.index,
                     m.exchange, m.key, m.persistent ? "persistent" : "transient",
                     m.identified ? ", with identity" : "", m.sends,
                     m.settled == kForever ? "not confirmed" : "confirmed");
}

// ---------------------------------------------------------------------------------------- topology

QueueLife* Model::NewQueue(const QueueSpec& spec) {
  auto& life = *queues_.emplace_back(std::make_unique<QueueLife>());
  life.spec = &spec;
  life.existence.born = world_.Mark();
  return &life;
}

ExchangeLife* Model::NewExchange(const std::string& name, const std::string& type, bool durable) {
  auto& life = *exchanges_.emplace_back(std::make_unique<ExchangeLife>());
  life.name = name;
  life.type = type;
  life.durable = durable;
  life.existence.born = world_.Mark();
  return &life;
}

BindingLife* Model::NewBinding(ExchangeLife* from, QueueLife* queue, ExchangeLife* exchange,
                               const std::string& key) {
  auto& life = *bindings_.emplace_back(std::make_unique<BindingLife>());
  life.from = from;
  life.queue = queue;
  life.exchange = exchange;
  life.key = key;
  life.existence.born = world_.Mark();
  return &life;
}

void Model::QueueMayGo(QueueLife& queue) {
  queue.existence.BecomeUncertain();
  for (auto& b : bindings_)
    if (b->queue == &queue) b->existence.BecomeUncertain();
}

void Model::QueueGone(QueueLife& queue) {
  const uint64_t mark = world_.Mark();
  queue.existence.End(mark);
  for (auto& b : bindings_)
    if (b->queue == &queue) b->existence.End(mark);
}

void Model::ExchangeMayGo(ExchangeLife& exchange) {
  exchange.existence.BecomeUncertain();
  for (auto& b : bindings_)
    if (b->from == &exchange || b->exchange == &exchange) b->existence.BecomeUncertain();
}

void Model::ExchangeGone(ExchangeLife& exchange) {
  const uint64_t mark = world_.Mark();
  exchange.existence.End(mark);
  for (auto& b : bindings_)
    if (b->from == &exchange || b->exchange == &exchange) b->existence.End(mark);
}

void Model::Purged(QueueLife& queue) {
  queue.leaking = false;
  queue.leaky_upto = world_.Mark();
}

QueueLife* Model::CurrentQueue(const std::string& name) {
  for (auto it = queues_.rbegin(); it != queues_.rend(); ++it) {
    if ((*it)->spec->name == name) {
      return (*it)->existence.presence == Presence::kAbsent ? nullptr : it->get();
    }
  }
  return nullptr;
}

std::vector<QueueLife*> Model::LivesOf(const std::string& name, uint64_t since) const {
  std::vector<QueueLife*> lives;
  for (const auto& q : queues_)
    if (q->spec->name == name && q->existence.gone >= since) lives.push_back(q.get());
  return lives;
}

// kMust: over what has certainly been there since before `since`. kMay: over what may have been
// there at any time between `since` and `until`.
void Model::Route(const std::string& exchange, const std::string& key, Certainty certainty,
                  uint64_t since, uint64_t until, std::set<QueueLife*>& to) const {
  const auto passes = [&](const Existence& e) {
    if (certainty == Certainty::kMust) return e.there() && e.stable_since < since;
    return e.born <= until && e.gone >= since;
  };
  if (exchange.empty()) {
    for (const auto& q : queues_)
      if (q->spec->name == key && passes(q->existence)) to.insert(q.get());
    return;
  }
  std::set<const ExchangeLife*> seen;
  std::vector<const ExchangeLife*> open;
  const auto visit = [&](const ExchangeLife* x) {
    if (passes(x->existence) && seen.insert(x).second) open.push_back(x);
  };
  for (const auto& x : exchanges_)
    if (x->name == exchange) visit(x.get());
  while (!open.empty()) {
    const ExchangeLife* x = open.back();
    open.pop_back();
    for (const auto& b : bindings_) {
      if (b->from != x || !passes(b->existence)) continue;
      if (x->type == "direct" && b->key != key) continue;
      if (x->type == "topic" && !TopicMatches(b->key, key)) continue;
      if (b->queue != nullptr && passes(b->queue->existence)) to.insert(b->queue);
      if (b->exchange != nullptr) visit(b->exchange);
    }
  }
}

std::set<QueueLife*> Model::MayHave(const Message& m) const {
  std::set<QueueLife*> queues;
  // A copy that was sent on a connection that is gone may be taken after a later one was confirmed.
  const uint64_t until = m.sends > 1 ? kForever : m.settled;
  Route(m.exchange, m.key, Certainty::kMay, m.first_sent, until, queues);
  return queues;
}

bool Model::Leaked(const Message& m, const QueueLife& queue) const {
  return queue.leaking || m.first_sent < queue.leaky_upto || queue.spec->consumed_without_ack;
}

std::vector<QueueLife*> Model::DeadLetterQueues(const QueueSpec& spec,
                                                const std::string& key) const {
  if (!spec.dlx) return {};
  std::set<QueueLife*> queues;
  Route(*spec.dlx, spec.dlx_key.value_or(key), Certainty::kMust, kForever, 0, queues);
  return {queues.begin(), queues.end()};
}

// -------------------------------------------------------------------------------------- publishing

Message& Model::NewMessage(std::string exchange, std::string key, size_t size, bool persistent,
                           bool mandatory, bool identified) {
  Message& m = *messages_.emplace_back(std::make_unique<Message>());
  m.index = messages_.size() - 1;
  m.exchange = std::move(exchange);
  m.key = std::move(key);
  m.body = BodyOf(m.index, size);
  m.persistent = persistent;
  m.mandatory = mandatory;
  m.identified = identified;
  return m;
}

void Model::OnSent(Message& m, uint64_t channel, uint64_t order) {
  ++statistics_.published;
  m.last_sent = world_.Mark();
  if (m.sends++ == 0) {
    m.first_sent = m.last_sent;
    m.sent = world_.now();
    m.order_of = channel;
    m.order = order;
  }
  m.settled = kForever;
  m.returned = false;
}

void Model::Owe(Message& m, QueueLife* queue) {
  if (queue->existence.there()) m.owed.insert(queue);
}

void Model::OnConfirmed(Message& m, std::optional<amqp::ConfirmOutcome> outcome) {
  using amqp::ConfirmOutcome;
  world_.Note(m.index * 8 + (outcome ? static_cast<uint64_t>(*outcome) : 7));
  ++statistics_.confirmed;
  m.settled = world_.Mark();
  std::set<QueueLife*> must;
  Route(m.exchange, m.key, Certainty::kMust, m.last_sent, 0, must);
  const std::set<QueueLife*> may = MayHave(m);
  for (QueueLife* q : must) Owe(m, q);
  const auto durable = [&](const QueueLife* q) { return q->spec->durable && m.persistent; };
  if (m.mandatory && !m.returned && may.empty()) {
    Fail(Describe(m) + " was mandatory, went nowhere, and was not returned");
  }
  if (!outcome) return;
  switch (*outcome) {
    case ConfirmOutcome::kLanded:
      if (std::ranges::none_of(may, durable)) {
        Fail(Describe(m) + " is said to have landed, but went to no durable queue");
      }
      break;
    case ConfirmOutcome::kAccepted:
      if (std::ranges::any_of(must, durable)) {
        Fail(Describe(m) + " went to a durable queue, but is not said to have landed");
      }
      break;
    case ConfirmOutcome::kDuplicate:
      ++statistics_.duplicates;
      if (!m.identified || m.sends < 2) {
        Fail(Describe(m) + " is said to be a duplicate, but was sent once");
      }
      break;
    case ConfirmOutcome::kFenced:
      Fail(Describe(m) + " was fenced, though its producer is the newest");
      break;
  }
}

void Model::OnReturned(Message& m) {
  ++statistics_.returned;
  m.returned = true;
  if (!m.mandatory) Fail(Describe(m) + " was returned, but was not mandatory");
  std::set<QueueLife*> must;
  Route(m.exchange, m.key, Certainty::kMust, m.last_sent, 0, must);
  if (!must.empty()) {
    Fail(fmt::format("{} was returned as unroutable, but goes to '{}'", Describe(m),
                     (*must.begin())->spec->name));
  }
}

// --------------------------------------------------------------------------------------- consuming

Message* Model::Identify(ByteView body) {
  uint64_t index = 0;
  const auto [end, error] = std::from_chars(body.data(), body.data() + body.size(), index);
  if (error != std::errc{} || end == body.data() + body.size() || *end != ';') return nullptr;
  if (index >= messages_.size() || messages_[index]->body != body) return nullptr;
  return messages_[index].get();
}

Copy& Model::CopyOf(Message& m, QueueLife* origin, QueueLife* at) {
  auto& slot = m.copies[{origin, at}];
  if (!slot) {
    slot = std::make_unique<Copy>();
    slot->message = &m;
    slot->origin = origin;
    slot->at = at;
  }
  return *slot;
}

HolderRef Model::NewHolder() {
  std::erase_if(holders_, [](const HolderRef& h) { return h.use_count() == 1; });
  return holders_.emplace_back(std::make_shared<Holder>());
}

Delivery Model::OnDelivered(Subscription& subscription, bool redelivered, ByteView properties,
                            ByteView body, Time made, bool drain) {
  ++statistics_.delivered;
  statistics_.redelivered += redelivered;
  Message* found = Identify(body);
  if (found == nullptr) Fail("a message was delivered that nobody has sent");
  Message& m = *found;
  world_.Note(m.index * 2 + redelivered);
  const auto view = amqp::DecodeProperties(properties);
  if (!view) Fail(Describe(m) + " was delivered with broken properties");
  if (view->IsPersistent() != m.persistent) Fail(Describe(m) + " has changed its delivery mode");
  const auto failures =
      static_cast<uint32_t>(view->headers.FindInteger("x-delivery-count").value_or(0));
  const auto died_in = view->headers.FindString("x-first-death-queue");
  CheckDelay(m, *view, made);

  // Which life of which queue it is from.
  const std::vector<QueueLife*> lives = LivesOf(subscription.queue, subscription.asked);
  const std::set<QueueLife*> may = MayHave(m);
  std::vector<std::pair<QueueLife*, QueueLife*>> origins;
  for (QueueLife* at : lives) {
    if (!died_in) {
      if (may.contains(at)) origins.emplace_back(at, at);
      continue;
    }
    for (QueueLife* origin : may) {
      if (origin->spec->name == *died_in) origins.emplace_back(origin, at);
    }
  }
  if (origins.empty()) {
    Fail(fmt::format("{} was delivered from queue '{}'{}, where it cannot have gone", Describe(m),
                     subscription.queue,
                     died_in ? fmt::format(" as a dead letter of '{}'", *died_in) : ""));
  }
  statistics_.dead_letters += died_in.has_value();
  // First in, first out, as far as it was never given back.
  const bool in_order = !lives.empty() && !lives.front()->spec->priorities;
  if (in_order && !redelivered && m.sends == 1 && !died_in && m.delay == Duration{0}) {
    uint64_t& last = subscription.last_order[m.order_of];
    if (m.order <= last) {
      Fail(fmt::format("{} was delivered from queue '{}' after a later one of its channel",
                       Describe(m), subscription.queue));
    }
    last = m.order;
  }
  if (failures > 0 && !redelivered) {
    Fail(Describe(m) + " has failed deliveries, but is not marked as redelivered");
  }
  if (origins.size() > 1) {
    // Either; nothing more can be said of it.
    for (const auto& [origin, at] : origins) {
      Copy& c = CopyOf(m, origin, at);
      c.ack_sent = true;
      c.known = false;
    }
    return {};
  }

  const auto [origin, at] = origins.front();
  Copy& c = CopyOf(m, origin, at);
  Delivery delivery{&c, ++serials_};
  // What was on its way before may arrive late.
  if (c.ack_landed && made > c.ack_landed_at && m.unique()) {
    Fail(fmt::format("{} was delivered from queue '{}' after its ack had landed", Describe(m),
                     subscription.queue));
  }
  if (drain) {
    if (c.drained && m.unique()) {
      Fail(fmt::format("{} is in queue '{}' twice", Describe(m), subscription.queue));
    }
    c.drained = true;
  }
  if (m.unique() && !subscription.no_ack) CheckTimes(c, delivery, failures, redelivered, made);
  // What was delivered has landed.
  if (!subscription.no_ack && origin == at) Owe(m, at);
  if (!c.seen_in_this_life || made >= c.made) {
    c.made = made;
    c.failures = failures;
    c.serial = delivery.serial;
    c.holder = subscription.holder;
    c.released = kNever;
    c.asked_delay.reset();
    c.uncounted = false;
    c.released_landed = false;
    c.known = m.unique() && !subscription.no_ack;
    c.known_landed = false;
  }
  c.seen_in_this_life = true;
  if (!c.listed) {
    c.listed = true;
    unlanded_.push_back(&c);
  }
  return delivery;
}

void Model::CheckDelay(const Message& m, const amqp::PropertiesView& properties, Time made) const {
  if (m.delay == Duration{0}) return;
  if (made < m.sent + m.delay) {
    Fail(fmt::format("{} was to be held back for {} us and came after {} us", Describe(m),
                     m.delay.count(), (made - m.sent).count()));
  }
  const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(m.delay).count();
  if (properties.headers.FindInteger("x-delay") != -ms) {
    Fail(Describe(m) + " was held back and does not say so");
  }
}

// What is said about the last delivery of this message against the one before it.
void Model::CheckTimes(const Copy& c, const Delivery&, uint32_t failures, bool redelivered,
                       Time made) {
  const QueueSpec& spec = *c.at->spec;
  // Two connections may bring them in the other order.
  if (!c.known || made <= c.made + kMaxHop) return;
  const auto name = [&] { return Describe(*c.message) + " in queue '" + spec.name + "'"; };
  if (!redelivered) Fail(name() + " was delivered again, but not marked as redelivered");
  if (failures < c.failures) {
    Fail(fmt::format("{} had failed {} times and now {} times", name(), c.failures, failures));
  }
  // When the delivery before can have failed at the earliest: when its lease ran out, or when its
  // holder gave it back.
  const Time released = std::min(c.released, c.holder ? c.holder->Released() : kNever);
  Time failed = released;
  if (spec.lease) failed = std::min(failed, c.made - kMaxHop + *spec.lease);
  if (failed == kNever || made < failed) {
    Fail(name() + " was delivered to somebody else while it was held");
  }
  if (!spec.counts_deliveries() || c.uncounted) return;
  if (!c.seen_in_this_life && !c.released_landed) return;
  if (failures == c.failures) Fail(name() + " was delivered again, but the failure not counted");
  if (failures != c.failures + 1) return;
  Duration delay = spec.LeastDelay(failures);
  if (c.asked_delay) delay = std::min(delay, *c.asked_delay);
  ++statistics_.delays_checked;
  if (made < failed + delay) {
    Fail(fmt::format("{} came back {} us after its failure {}, not {} us", name(),
                     (made - failed).count(), failures, delay.count()));
  }
}

void Model::OnAckSent(const Delivery& d, Holder& holder) {
  if (d.copy == nullptr) return;
  d.copy->ack_sent = true;
  holder.unlanded_acks.push_back(d.copy);
}

void Model::OnAckLanded(const Delivery& d) {
  if (d.copy == nullptr) return;
  ++statistics_.acks_landed;
  Copy& c = *d.copy;
  if (c.ack_landed || !c.message->persistent || !c.at->spec->durable) return;
  c.ack_landed = true;
  c.ack_landed_at = world_.now();
}

void Model::OnRejectSent(const Delivery& d) {
  if (d.copy != nullptr) d.copy->reject_sent = true;
}

void Model::OnGivenBack(const Delivery& d, std::optional<Duration> delay, Time since) {
  if (d.copy == nullptr || d.copy->serial != d.serial) return;
  d.copy->given_back = true;
  d.copy->released = std::min(world_.now(), since);
  d.copy->asked_delay = delay;
}

void Model::OnReleased(const Delivery& d) {
  OnGivenBack(d, Duration{0});
  if (d.copy != nullptr && d.copy->serial == d.serial) d.copy->uncounted = true;
}

// ------------------------------------------------------------------------------------------
// moments

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
