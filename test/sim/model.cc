#include "sim/model.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "amqp/properties.h"

namespace landfall::sim {
namespace {

ByteBuffer BodyOf(uint64_t index, size_t size) {
  ByteBuffer body = fmt::format("{};", index);
  Rng rng(index);
  while (body.size() < size) body.push_back(static_cast<char>('a' + rng.Below(26)));
  return body;
}

}  // namespace

void Model::Fail(const std::string& what) const { throw Violation(what); }

std::string Model::Describe(const Message& m) {
  return fmt::format("message {} (to '{}' with key '{}', {}{}, sent {} times, {})", m.index,
                     m.exchange, m.key, m.persistent ? "persistent" : "transient",
                     m.identified ? ", with identity" : "", m.sends,
                     m.settled == kForever ? "not confirmed" : "confirmed");
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

}  // namespace landfall::sim
