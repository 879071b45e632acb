// /api/bindings, and the bindings of a queue or an exchange.
#include <fmt/format.h>

#include "admin/endpoint_common.h"
#include "admin/endpoints.h"
#include "server/definition_entry.h"

namespace landfall::admin {
namespace {

// As long as the snapshot lives.
std::string_view DestinationOf(const broker::TopologySnapshot& topology,
                               const broker::Binding& binding) {
  if (binding.to_exchange) return binding.destination;
  const broker::QueueInfoRef queue = topology.FindQueue(binding.queue.id);
  return queue ? std::string_view(queue->name) : "";
}

// Which of a vhost's bindings are wanted; what is not set does not matter.
struct Wanted {
  std::optional<std::string> source;
  std::optional<std::string> destination;
  std::optional<bool> to_exchange;

  bool Fits(std::string_view from, std::string_view to, bool is_exchange) const {
    return (!source || *source == from) && (!destination || *destination == to) &&
           (!to_exchange || *to_exchange == is_exchange);
  }
};

// A binding in a snapshot, which has to live as long. There may be many of them, so their JSON is
// made one by one.
struct Found {
  const broker::Vhost* vhost = nullptr;
  const broker::Binding* binding = nullptr;  // null: implied
  std::string_view source;
  std::string_view destination;

  json Form() const {
    if (binding == nullptr) return ImpliedBindingForm(vhost->name, destination);
    return BindingForm(vhost->name, *binding, destination);
  }
};

void Collect(const broker::TopologySnapshot& topology, const broker::Vhost& vhost,
             const Wanted& wanted, std::vector<Found>& found) {
  vhost.queues.ForEach([&](const std::string& name, const broker::QueueInfoRef&) {
    if (wanted.Fits("", name, false)) found.push_back({.vhost = &vhost, .destination = name});
  });
  vhost.exchanges.ForEach([&](const std::string& name, const broker::ExchangeRef& exchange) {
    if (wanted.source && *wanted.source != name) return;
    exchange->bindings().ForEach([&](const std::string&, const broker::BindingRef& binding) {
      const std::string_view to = DestinationOf(topology, *binding);
      if (wanted.Fits(name, to, binding->to_exchange))
        found.push_back(
            {.vhost = &vhost, .binding = binding.get(), .source = name, .destination = to});
    });
  });
}

Reply ReplyWith(const std::vector<Found>& found, const Query& query) {
  std::vector<ListItem> items;
  items.reserve(found.size());
  for (const Found& each : found) {
    // Sorted as RabbitMQ does, by source before destination.
    items.push_back(
        {.vhost = each.source, .name = each.destination, .build = [&each] { return each.Form(); }});
  }
  return ListReply(std::move(items), query);
}

awaitable<Reply> ListBindings(Backend& backend, Call& call) {
  const broker::SnapshotRef topology = co_await backend.Snapshot();
  std::vector<Found> found;
  for (const broker::VhostRef& vhost : VisibleVhosts(*topology, call.caller))
    Collect(*topology, *vhost, {}, found);
  co_return ReplyWith(found, call.query());
}

// Those in the vhost that the first name is; of something that must be there.
// References to what lives in the caller, here and below: g++ 12 destroys some temporaries in a
// co_await twice.
using Object = std::optional<std::pair<std::string, bool>>;  // name, whether it is an exchange
awaitable<Reply> BindingsOf(Backend& backend, Call& call, const Wanted& wanted,
                            const Object& object) {
  const broker::SnapshotRef topology = co_await backend.Snapshot();
  const auto vhost = FindVhost(*topology, call.caller, call.names[0]);
  if (!vhost) co_return vhost.error();
  if (object) {
    const auto& [name, is_exchange] = *object;
    const bool there = is_exchange ? name.empty() || (*vhost)->exchanges.Contains(name)
                                   : (*vhost)->queues.Contains(name);
    if (!there)
      co_return NotFound(fmt::format("there is no {} '{}' in vhost '{}'",
                                     is_exchange ? "exchange" : "queue", name, call.names[0]));
  }
  std::vector<Found> found;
  Collect(*topology, **vhost, wanted, found);
  co_return ReplyWith(found, call.query());
}

awaitable<Reply> ListBindingsOfVhost(Backend& backend, Call& call) {
  const Wanted all;
  const Object none;
  co_return co_await BindingsOf(backend, call, all, none);
}

awaitable<Reply> ListBindingsOfQueue(Backend& backend, Call& call) {
  Wanted wanted;
  wanted.destination = call.names[1];
  wanted.to_exchange = false;
  const Object object = std::pair(call.names[1], false);
  co_return co_await BindingsOf(backend, call, wanted, object);
}

awaitable<Reply> ListBindingsFromExchange(Backend& backend, Call& call) {
  Wanted wanted;
  wanted.source = ExchangeName(call.names[1]);
  const Object object = std::pair(*wanted.source, true);
  co_return co_await BindingsOf(backend, call, wanted, object);
}

awaitable<Reply> ListBindingsToExchange(Backend& backend, Call& call) {
  Wanted wanted;
  wanted.destination = ExchangeName(call.names[1]);
  wanted.to_exchange = true;
  const Object object = std::pair(*wanted.destination, true);
  co_return co_await BindingsOf(backend, call, wanted, object);
}

Wanted BetweenEnds(const Call& call, bool to_exchange) {
  Wanted wanted;
  wanted.source = ExchangeName(call.names[1]);
  wanted.destination = to_exchange ? ExchangeName(call.names[2]) : call.names[2];
  wanted.to_exchange = to_exchange;
  return wanted;
}

awaitable<Reply> ListBindingsToQueueFrom(Backend& backend, Call& call) {
  const Wanted wanted = BetweenEnds(call, false);
  const Object none;
  co_return co_await BindingsOf(backend, call, wanted, none);
}

awaitable<Reply> ListBindingsBetweenExchanges(Backend& backend, Call& call) {
  const Wanted wanted = BetweenEnds(call, true);
  const Object none;
  co_return co_await BindingsOf(backend, call, wanted, none);
}

// A binding as it is to be made or taken away.
struct Change {
  std::string source;
  std::string destination;
  bool to_exchange = false;
  std::string routing_key;
  ByteBuffer arguments;
};

template <class Answer, class Method>
awaitable<Reply> Do(LocalChannel& channel, const Method& method, const Reply& on_success) {
  const auto done = co_await Ask<Answer>(channel, method);
  if (!done) co_return done.error();
  co_return on_success;
}

awaitable<Reply> Bind(LocalChannel& channel, const Change& c, const Reply& on_success) {
  if (c.to_exchange) {
    const amqp::ExchangeBind bind{.destination = c.destination,
                                  .source = c.source,
                                  .routing_key = c.routing_key,
                                  .arguments = amqp::TableView(c.arguments)};
    co_return co_await Do<amqp::ExchangeBindOk>(channel, bind, on_success);
  }
  const amqp::QueueBind bind{.queue = c.destination,
                             .exchange = c.source,
                             .routing_key = c.routing_key,
                             .arguments = amqp::TableView(c.arguments)};
  co_return co_await Do<amqp::QueueBindOk>(channel, bind, on_success);
}

awaitable<Reply> Unbind(LocalChannel& channel, const Change& c) {
  const Reply on_success = NoContent();
  if (c.to_exchange) {
    const amqp::ExchangeUnbind unbind{.destination = c.destination,
                                      .source = c.source,
                                      .routing_key = c.routing_key,
                                      .arguments = amqp::TableView(c.arguments)};
    co_return co_await Do<amqp::ExchangeUnbindOk>(channel, unbind, on_success);
  }
  const amqp::QueueUnbind unbind{.queue = c.destination,
                                 .exchange = c.source,
                                 .routing_key = c.routing_key,
                                 .arguments = amqp::TableView(c.arguments)};
  co_return co_await Do<amqp::QueueUnbindOk>(channel, unbind, on_success);
}

awaitable<Reply> PostBinding(Backend& backend, Call& call, bool to_exchange) {
  const auto body = BodyOf(call.request);
  if (!body) co_return body.error();
  server::DefinitionEntry entry(*body, "the binding");
  Change change{.source = ExchangeName(call.names[1]),
                .destination = call.names[2],
                .to_exchange = to_exchange,
                .routing_key = entry.Text("routing_key", "")};
  const amqp::Table arguments = entry.Table("arguments");
  if (change.routing_key.size() > amqp::kMaxShortString) entry.Wrong("routing_key is too long");
  if (!entry.error().empty()) co_return BadRequest(entry.error());
  change.arguments = arguments.Encode();
  broker::Binding made{.source = change.source,
                       .to_exchange = to_exchange,
                       .destination = to_exchange ? change.destination : "",
                       .routing_key = change.routing_key,
                       .arguments = arguments};
  if (!to_exchange) {
    const broker::SnapshotRef topology = co_await backend.Snapshot();
    if (const auto queue = topology->FindQueue(call.names[0], change.destination))
      made.queue = queue->target();
  }
  // Relative to the path that was asked, as RabbitMQ says it.
  const Reply created =
      Created(fmt::format("{}/{}", EncodeSegment(call.names[2]), PropertiesKey(made)));
  const LocalChannel::Use use = [&](LocalChannel& channel) -> awaitable<Reply> {
    co_return co_await Bind(channel, change, created);
  };
  co_return co_await WithVhostChannel(backend, call, use);
}

awaitable<Reply> PostBindingToQueue(Backend& backend, Call& call) {
  co_return co_await PostBinding(backend, call, false);
}
awaitable<Reply> PostBindingToExchange(Backend& backend, Call& call) {
  co_return co_await PostBinding(backend, call, true);
}

// Clients encode the key once more in a path, or forget to.
bool SameKey(const std::string& key, const std::string& given) {
  return given == key || given == DecodeSegment(key);
}

// The one that the path names.
awaitable<std::expected<broker::BindingRef, Reply>> FindBinding(Backend& backend, Call& call,
                                                                bool to_exchange) {
  const broker::SnapshotRef topology = co_await backend.Snapshot();
  const auto vhost = FindVhost(*topology, call.caller, call.names[0]);
  if (!vhost) co_return std::unexpected(vhost.error());
  broker::BindingRef found;
  const Wanted wanted = BetweenEnds(call, to_exchange);
  const broker::ExchangeRef* exchange = (*vhost)->exchanges.Find(*wanted.source);
  if (exchange != nullptr) {
    (*exchange)->bindings().ForEach([&](const std::string&, const broker::BindingRef& binding) {
      if (binding->to_exchange == to_exchange &&
          DestinationOf(*topology, *binding) == *wanted.destination &&
          SameKey(PropertiesKey(*binding), call.names[3]))
        found = binding;
    });
  }
  if (!found) co_return std::unexpected(NotFound("there is no such binding"));
  co_return found;
}

awaitable<Reply> GetBinding(Backend& backend, Call& call, bool to_exchange) {
  const auto binding = co_await FindBinding(backend, call, to_exchange);
  if (!binding) co_return binding.error();
  co_return JsonReply(BindingForm(call.names[0], **binding, call.names[2]));
}

awaitable<Reply> DeleteBinding(Backend& backend, Call& call, bool to_exchange) {
  const auto binding = co_await FindBinding(backend, call, to_exchange);
  if (!binding) co_return binding.error();
  const Change change{.source = (*binding)->source,
                      .destination = call.names[2],
                      .to_exchange = to_exchange,
                      .routing_key = (*binding)->routing_key,
                      .arguments = (*binding)->arguments.Encode()};
  const LocalChannel::Use use = [&](LocalChannel& channel) -> awaitable<Reply> {
    co_return co_await Unbind(channel, change);
  };
  co_return co_await WithVhostChannel(backend, call, use);
}

awaitable<Reply> GetBindingToQueue(Backend& backend, Call& call) {
  co_return co_await GetBinding(backend, call, false);
}
awaitable<Reply> GetBindingToExchange(Backend& backend, Call& call) {
  co_return co_await GetBinding(backend, call, true);
}
awaitable<Reply> DeleteBindingToQueue(Backend& backend, Call& call) {
  co_return co_await DeleteBinding(backend, call, false);
}
awaitable<Reply> DeleteBindingToExchange(Backend& backend, Call& call) {
  co_return co_await DeleteBinding(backend, call, true);
}

}  // namespace

void AddBindingEndpoints(Router& router) {
  constexpr auto kNeed = Need::kManagement;
  router.Add({
      {"GET", "/api/bindings", kNeed, ListBindings},
      {"GET", "/api/bindings/{vhost}", kNeed, ListBindingsOfVhost},
      {"GET", "/api/queues/{vhost}/{queue}/bindings", kNeed, ListBindingsOfQueue},
      {"GET", "/api/exchanges/{vhost}/{exchange}/bindings/source", kNeed, ListBindingsFromExchange},
      {"GET", "/api/exchanges/{vhost}/{exchange}/bindings/destination", kNeed,
       ListBindingsToExchange},
      {"GET", "/api/bindings/{vhost}/e/{source}/q/{queue}", kNeed, ListBindingsToQueueFrom},
      {"POST", "/api/bindings/{vhost}/e/{source}/q/{queue}", kNeed, PostBindingToQueue},
      {"GET", "/api/bindings/{vhost}/e/{source}/e/{destination}", kNeed,
       ListBindingsBetweenExchanges},
      {"POST", "/api/bindings/{vhost}/e/{source}/e/{destination}", kNeed, PostBindingToExchange},
      {"GET", "/api/bindings/{vhost}/e/{source}/q/{queue}/{key}", kNeed, GetBindingToQueue},
      {"DELETE", "/api/bindings/{vhost}/e/{source}/q/{queue}/{key}", kNeed, DeleteBindingToQueue},
      {"GET", "/api/bindings/{vhost}/e/{source}/e/{destination}/{key}", kNeed,
       GetBindingToExchange},
      {"DELETE", "/api/bindings/{vhost}/e/{source}/e/{destination}/{key}", kNeed,
       DeleteBindingToExchange},
  });
}

}  // namespace landfall::admin
