#include "sim/admin.h"

#include <fmt/format.h>

#include <algorithm>

namespace landfall::sim {
namespace {

constexpr uint16_t kChannel = 1;

template <class Life>
bool There(const Life* life) {
  return life != nullptr && life->existence.there();
}
template <class Life>
bool Gone(const Life* life) {
  return life == nullptr || life->existence.presence == Presence::kAbsent;
}

}  // namespace

// What it has asked for and was not told of must be over when it asks again on another connection.
Admin::Admin(Surroundings& around, Layout& layout, Duration pause)
    : Client(around, "admin"), layout_(layout), pause_(pause) {
  lingers_ = false;
  reconnect_delay_ = std::chrono::milliseconds(400);
}

void Admin::OnOpen() {
  Send(kChannel, amqp::ChannelOpen{});
  busy_ = false;
  Next();
}

void Admin::OnLost() {
  busy_ = false;
  done_ = nullptr;
}

template <class M>
bool Admin::Ask(const M& method, std::function<void()> done) {
  busy_ = true;
  done_ = std::move(done);
  Send(kChannel, method);
  return true;
}

void Admin::OnMethod(uint16_t, amqp::MethodId id, ByteView payload, Time) {
  switch (id) {
    case amqp::ChannelOpenOk::kId:
      return;
    case amqp::ChannelClose::kId: {
      const auto close = *amqp::Decode<amqp::ChannelClose>(payload);
      return model().Fail(
          fmt::format("the admin was refused: {} {}", close.reply_code, close.reply_text));
    }
    default:
      break;
  }
  if (!busy_ || !done_) return model().Fail("the admin was answered, but had not asked");
  busy_ = false;
  std::exchange(done_, nullptr)();
  Next();
}

bool Admin::Settled() const {
  const auto as_wanted = [](const auto& slot) {
    return slot.wanted ? There(slot.life) : Gone(slot.life);
  };
  return std::ranges::all_of(layout_.exchanges, as_wanted) &&
         std::ranges::all_of(layout_.queues,
                             [&](const QueueSlot& s) { return as_wanted(s) && !s.purge; }) &&
         std::ranges::all_of(layout_.bindings, [&](const BindingSlot& s) {
           if (as_wanted(s)) return true;
           const bool possible =
               There(s.from->life) && (s.queue ? There(s.queue->life) : There(s.exchange->life));
           return s.wanted && !possible && Gone(s.life);
         });
}

void Admin::Next() {
  if (busy_ || !open()) return;
  for (ExchangeSlot& slot : layout_.exchanges)
    if (FixExchange(slot)) return;
  for (QueueSlot& slot : layout_.queues)
    if (FixQueue(slot)) return;
  for (BindingSlot& slot : layout_.bindings)
    if (FixBinding(slot)) return;
  AfterOnLink(around_.world.Any(pause_), [this] {
    if (busy_) return;
    if (around_.stormy) ChangeMind();
    Next();
  });
}

bool Admin::FixExchange(ExchangeSlot& slot) {
  if (slot.wanted && !There(slot.life)) {
    if (Gone(slot.life)) slot.life = model().NewExchange(slot.name, slot.type, slot.durable);
    // Of delayed exchanges; others do not look at it.
    const ByteBuffer arguments = amqp::Table{{"x-delayed-type", "fanout"}}.Encode();
    return Ask(amqp::ExchangeDeclare{.exchange = slot.name,
                                     .type = slot.type,
                                     .durable = slot.durable,
                                     .arguments = amqp::TableView(arguments)},
               [this, life = slot.life] { life->existence.BecomePresent(around_.world.Mark()); });
  }
  if (!slot.wanted && !Gone(slot.life)) {
    model().ExchangeMayGo(*slot.life);
    return Ask(amqp::ExchangeDelete{.exchange = slot.name},
               [this, life = slot.life] { model().ExchangeGone(*life); });
  }
  return false;
}

bool Admin::FixQueue(QueueSlot& slot) {
  if (slot.wanted && !There(slot.life)) {
    if (Gone(slot.life)) slot.life = model().NewQueue(slot.spec);
    const ByteBuffer arguments = slot.spec.Arguments().Encode();
    return Ask(amqp::QueueDeclare{.queue = slot.spec.name,
                                  .durable = slot.spec.durable,
                                  .arguments = amqp::TableView(arguments)},
               [this, life = slot.life] { life->existence.BecomePresent(around_.world.Mark()); });
  }
  if (!slot.wanted && !Gone(slot.life)) {
    model().QueueMayGo(*slot.life);
    return Ask(amqp::QueueDelete{.queue = slot.spec.name},
               [this, life = slot.life] { model().QueueGone(*life); });
  }
  if (slot.purge && There(slot.life)) {
    model().PurgeAsked(*slot.life);
    return Ask(amqp::QueuePurge{.queue = slot.spec.name}, [this, &slot, life = slot.life] {
      model().Purged(*life);
      slot.purge = false;
    });
  }
  return false;
}

bool Admin::FixBinding(BindingSlot& slot) {
  const bool possible =
      There(slot.from->life) && (slot.queue ? There(slot.queue->life) : There(slot.exchange->life));
  if (slot.wanted && possible && !There(slot.life)) {
    if (Gone(slot.life)) {
      slot.life = model().NewBinding(slot.from->life, slot.queue ? slot.queue->life : nullptr,
                                     slot.queue ? nullptr : slot.exchange->life, slot.key);
    }
    Bind(slot, false);
    return true;
  }
  if (!slot.wanted && !Gone(slot.life)) {
    slot.life->existence.BecomeUncertain();
    Bind(slot, true);
    return true;
  }
  return false;
}

void Admin::Bind(BindingSlot& slot, bool unbind) {
  const auto done = [this, unbind, life = slot.life] {
    if (unbind) {
      life->existence.End(around_.world.Mark());
    } else {
      life->existence.BecomePresent(around_.world.Mark());
    }
  };
  const ByteView from = slot.from->name;
  const ByteView to = slot.queue ? slot.queue->spec.name : slot.exchange->name;
  if (slot.queue && unbind) {
    Ask(amqp::QueueUnbind{.queue = to, .exchange = from, .routing_key = slot.key}, done);
  } else if (slot.queue) {
    Ask(amqp::QueueBind{.queue = to, .exchange = from, .routing_key = slot.key}, done);
  } else if (unbind) {
    Ask(amqp::ExchangeUnbind{.destination = to, .source = from, .routing_key = slot.key}, done);
  } else {
    Ask(amqp::ExchangeBind{.destination = to, .source = from, .routing_key = slot.key}, done);
  }
}

void Admin::ChangeMind() {
  const uint64_t choice = rng().Below(20);
  const auto flip = [&](auto& slots) {
    auto& slot = slots[rng().Below(slots.size())];
    if (!slot.fixed) slot.wanted = !slot.wanted;
  };
  // What is not there comes back soon.
  for (ExchangeSlot& slot : layout_.exchanges) slot.wanted |= rng().Chance(0.5);
  for (QueueSlot& slot : layout_.queues) slot.wanted |= rng().Chance(0.5);
  if (choice < 12) {
    flip(layout_.bindings);
  } else if (choice < 15) {
    flip(layout_.queues);
  } else if (choice < 17) {
    QueueSlot& slot = layout_.queues[rng().Below(layout_.queues.size())];
    slot.purge = slot.wanted && !slot.fixed && There(slot.life);
  } else if (choice < 18) {
    flip(layout_.exchanges);
  }
}

}  // namespace landfall::sim
