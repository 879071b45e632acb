// Exchanges and bindings: declared, bound, and gone when nothing needs them any more.
#include <optional>
#include <string>
#include <utility>

#include "broker/consistent_hash.h"
#include "broker/delayed_exchange.h"
#include "broker/topology_record.h"
#include "broker/topology_state.h"

namespace landfall::broker {
namespace {

using amqp::ReplyCode;

Refusal DefaultExchangeRefusal() {
  return Refuse(ReplyCode::kAccessRefused, "operation not permitted on the default exchange");
}

}  // namespace

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

}  // namespace landfall::broker
