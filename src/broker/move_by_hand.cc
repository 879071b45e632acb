#include "broker/move_by_hand.h"

#include <string>
#include <utility>

#include "amqp/properties.h"
#include "broker/dead_letter.h"

namespace landfall::broker {
namespace {

// One that is exclusive is its connection's.
void AddQueue(const Vhost& vhost, ByteView name, QueueTargets& queues) {
  const QueueInfoRef* queue = vhost.queues.Find(name);
  if (queue != nullptr && !(*queue)->exclusive) queues.push_back((*queue)->target());
}

Readdressed ToOrigin(const Vhost& vhost, const MessageRef& message) {
  Readdressed to{.message = message, .queues = {}};
  const auto death = LastDeathOf(*message);
  if (!death) return to;
  AddQueue(vhost, death->queue, to.queues);
  const bool too_long = death->exchange.size() > amqp::kMaxShortString ||
                        death->routing_key.size() > amqp::kMaxShortString;
  if (to.queues.empty() || too_long) return to;
  to.message = Message::Make(death->exchange, death->routing_key, message->properties(),
                             message->body(), message->persistent());
  return to;
}

}  // namespace

Readdressed Readdress(const Vhost& vhost, const MoveTarget& target, const MessageRef& message) {
  switch (target.kind) {
    case MoveTarget::Kind::kOrigin:
      return ToOrigin(vhost, message);
    case MoveTarget::Kind::kQueue: {
      Readdressed to{.message = message, .queues = {}};
      AddQueue(vhost, target.queue, to.queues);
      return to;
    }
    case MoveTarget::Kind::kExchange: {
      const ByteView key =
          target.own_routing_key ? message->routing_key() : ByteView(target.routing_key);
      Readdressed to{.message = Message::Make(target.exchange, key, message->properties(),
                                              message->body(), message->persistent()),
                     .queues = {}};
      Route(vhost, target.exchange, *to.message, to.queues);
      return to;
    }
  }
  return {.message = message, .queues = {}};
}

}  // namespace landfall::broker
