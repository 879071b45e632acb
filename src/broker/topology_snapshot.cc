#include "broker/topology_snapshot.h"

#include <algorithm>
#include <optional>

#include "broker/consistent_hash.h"
#include "broker/delayed_exchange.h"
#include "broker/seen_set.h"

namespace landfall::broker {
namespace {

// Adds to the caller's targets, each queue once.
class Collector {
 public:
  explicit Collector(QueueTargets& targets) : targets_(targets), known_(!targets.empty()) {}

  void Add(const Destinations& destinations) {
    if (!known_) {
      // The first to come has each queue once by itself.
      targets_.reserve(destinations.queues());
      destinations.ForEachQueue([&](const QueueTarget& target) { targets_.push_back(target); });
      known_ = !targets_.empty();
      return;
    }
    destinations.ForEachQueue([&](const QueueTarget& target) { Add(target); });
  }

  void Add(const QueueTarget& target) {
    if (targets_.size() <= kScanned) {
      if (std::find(targets_.begin(), targets_.end(), target) != targets_.end()) return;
    } else {
      while (indexed_ < targets_.size()) index_.insert(targets_[indexed_++].id);
      if (!index_.insert(target.id).second) return;
      ++indexed_;
    }
    targets_.push_back(target);
  }

 private:
  static constexpr size_t kScanned = 32;

  QueueTargets& targets_;
  bool known_;  // a queue that is added may be there already
  FlatSet<QueueId> index_;
  size_t indexed_ = 0;
};

// One message's way through exchanges that are bound to each other.
class Router {
 public:
  Router(const Vhost& vhost, const RoutingKeys& keys, const amqp::PropertiesView& properties,
         QueueTargets& targets)
      : vhost_(vhost), keys_(keys), properties_(properties), collector_(targets) {}

  void Run(const Exchange& first) {
    visited_.Insert(&first);
    for (size_t i = 0; i < visited_.size(); ++i) Visit(*visited_[i]);
  }

 private:
  void Visit(const Exchange& exchange) {
    matched_ = false;
    if (exchange.type == ExchangeType::kDelayed && DelayOf(Headers()) > Duration{0}) {
      collector_.Add(exchange.delay_queue);
      return;
    }
    switch (exchange.routing()) {
      case ExchangeType::kDirect:
        keys_.ForEach([&](ByteView key) {
          if (const Destinations* found = exchange.FindDirect(key)) Take(*found);
        });
        break;
      case ExchangeType::kFanout:
        Take(exchange.fanout());
        break;
      case ExchangeType::kTopic:
        keys_.ForEach([&](ByteView key) {
          exchange.topics().Match(key, [&](const Destinations& found) { Take(found); });
        });
        break;
      case ExchangeType::kHeaders:
        exchange.bindings().ForEach([&](const std::string&, const BindingRef& binding) {
          if (HeadersMatch(binding->arguments, Headers())) Take(*binding);
        });
        break;
      case ExchangeType::kConsistentHash:
        if (const Binding* chosen = ChooseByHash(exchange, keys_.own(), properties_)) {
          Take(*chosen);
        }
        break;
      case ExchangeType::kDelayed:
        break;
    }
    if (!matched_ && !exchange.alternate.empty()) Follow(exchange.alternate);
  }

  void Take(const Destinations& found) {
    if (found.empty()) return;
    matched_ = true;
    collector_.Add(found);
    found.ForEachExchange([&](const std::string& name) { Follow(name); });
  }

  void Take(const Binding& binding) {
    matched_ = true;
    if (binding.to_exchange) {
      Follow(binding.destination);
    } else {
      collector_.Add(binding.queue);
    }
  }

  void Follow(const std::string& name) {
    if (const ExchangeRef* exchange = vhost_.exchanges.Find(name)) visited_.Insert(exchange->get());
  }

  const amqp::Table& Headers() {
    // Headers that came over the wire are well-formed.
    if (!decoded_headers_) {
      decoded_headers_ = properties_.headers.Decode().value_or(amqp::Table());
    }
    return *decoded_headers_;
  }

  const Vhost& vhost_;
  const RoutingKeys& keys_;
  const amqp::PropertiesView& properties_;
  std::optional<amqp::Table> decoded_headers_;
  Collector collector_;
  SeenSet<const Exchange*> visited_;
  bool matched_ = false;
};

}  // namespace

VhostRef TopologySnapshot::FindVhost(std::string_view name) const {
  const VhostRef* vhost = vhosts.Find(name);
  return vhost != nullptr ? *vhost : nullptr;
}

QueueInfoRef TopologySnapshot::FindQueue(std::string_view vhost, std::string_view name) const {
  const VhostRef* found = vhosts.Find(vhost);
  if (found == nullptr) return nullptr;
  const QueueInfoRef* queue = (*found)->queues.Find(name);
  return queue != nullptr ? *queue : nullptr;
}

QueueInfoRef TopologySnapshot::FindQueue(QueueId id) const {
  const QueueInfoRef* queue = queues_by_id.Find(id);
  return queue != nullptr ? *queue : nullptr;
}

bool Route(const Vhost& vhost, ByteView exchange, const RoutingKeys& keys,
           const amqp::PropertiesView& properties, QueueTargets& targets) {
  if (exchange.empty()) {
    Collector collector(targets);
    keys.ForEach([&](ByteView key) {
      if (const QueueInfoRef* queue = vhost.queues.Find(key)) collector.Add((*queue)->target());
    });
    return true;
  }
  const ExchangeRef* found = vhost.exchanges.Find(exchange);
  if (found == nullptr) return false;
  const Exchange& first = **found;
  if (first.type == ExchangeType::kDirect && !keys.has_more()) {
    // What most messages do, without the means to go further.
    const Destinations* direct = first.FindDirect(keys.own());
    if (direct != nullptr && !direct->leads_to_exchanges()) {
      Collector(targets).Add(*direct);
      return true;
    }
  }
  Router(vhost, keys, properties, targets).Run(first);
  return true;
}

bool Route(const Vhost& vhost, ByteView exchange, const Message& message, QueueTargets& targets) {
  const auto decoded = amqp::DecodeProperties(message.properties());
  const amqp::PropertiesView properties = decoded ? *decoded : amqp::PropertiesView();
  const auto keys = RoutingKeys::Of(message.routing_key(), properties.headers);
  return Route(vhost, exchange, keys ? *keys : RoutingKeys(message.routing_key()), properties,
               targets);
}

}  // namespace landfall::broker
