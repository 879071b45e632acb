// /api/exchanges: lists, one, declare, delete.
#include <fmt/format.h>

#include "admin/endpoint_common.h"
#include "admin/endpoints.h"
#include "server/definition_entry.h"

namespace landfall::admin {
namespace {

void AddExchanges(const broker::Vhost& vhost, std::vector<ListItem>& items) {
  items.push_back({.vhost = vhost.name, .name = "", .build = [&vhost] {
                     return DefaultExchangeForm(vhost.name);
                   }});
  vhost.exchanges.ForEach([&](const std::string&, const broker::ExchangeRef& exchange) {
    items.push_back({.vhost = vhost.name, .name = exchange->name, .build = [&vhost, &exchange] {
                       return ExchangeForm(vhost, *exchange);
                     }});
  });
}

awaitable<Reply> ListExchanges(Backend& backend, Call& call) {
  const broker::SnapshotRef topology = co_await backend.Snapshot();
  std::vector<ListItem> items;
  for (const broker::VhostRef& vhost : VisibleVhosts(*topology, call.caller))
    AddExchanges(*vhost, items);
  co_return ListReply(std::move(items), call.query());
}

awaitable<Reply> ListExchangesOfVhost(Backend& backend, Call& call) {
  const broker::SnapshotRef topology = co_await backend.Snapshot();
  const auto vhost = FindVhost(*topology, call.caller, call.names[0]);
  if (!vhost) co_return vhost.error();
  std::vector<ListItem> items;
  AddExchanges(**vhost, items);
  co_return ListReply(std::move(items), call.query());
}

awaitable<Reply> GetExchange(Backend& backend, Call& call) {
  const broker::SnapshotRef topology = co_await backend.Snapshot();
  const auto vhost = FindVhost(*topology, call.caller, call.names[0]);
  if (!vhost) co_return vhost.error();
  const std::string name = ExchangeName(call.names[1]);
  const broker::ExchangeRef* exchange = (*vhost)->exchanges.Find(name);
  if (exchange == nullptr && !name.empty())
    co_return NotFound(fmt::format("there is no exchange '{}' in vhost '{}'", name, call.names[0]));
  json form =
      exchange == nullptr ? DefaultExchangeForm((*vhost)->name) : ExchangeForm(**vhost, **exchange);
  const auto options = ReadListOptions(call.query());
  if (!options) co_return BadRequest(options.error().message);
  co_return JsonReply(WithColumns(std::move(form), options->columns));
}

awaitable<Reply> PutExchange(Backend& backend, Call& call) {
  const auto body = BodyOf(call.request);
  if (!body) co_return body.error();
  server::DefinitionEntry entry(*body, "the exchange");
  const std::string type = entry.Text("type", "direct");
  const bool durable = body->contains("durable") ? entry.Flag("durable") : true;
  const bool auto_delete = entry.Flag("auto_delete");
  const bool internal = entry.Flag("internal");
  const amqp::Table arguments = entry.Table("arguments");
  if (type.size() > amqp::kMaxShortString) entry.Wrong("there is no such type");
  if (!entry.error().empty()) co_return BadRequest(entry.error());
  const std::string name = ExchangeName(call.names[1]);
  const broker::SnapshotRef before = co_await backend.Snapshot();
  const broker::VhostRef vhost = before->FindVhost(call.names[0]);
  const bool is_new = vhost && !vhost->exchanges.Contains(name);
  const ByteBuffer encoded = arguments.Encode();
  const LocalChannel::Use use = [&](LocalChannel& channel) -> awaitable<Reply> {
    const amqp::ExchangeDeclare declare{.exchange = name,
                                        .type = type,
                                        .durable = durable,
                                        .auto_delete = auto_delete,
                                        .internal = internal,
                                        .arguments = amqp::TableView(encoded)};
    const auto done = co_await Ask<amqp::ExchangeDeclareOk>(channel, declare);
    if (!done) co_return done.error();
    co_return is_new ? Created() : NoContent();
  };
  co_return co_await WithVhostChannel(backend, call, use);
}

awaitable<Reply> DeleteExchange(Backend& backend, Call& call) {
  const broker::SnapshotRef topology = co_await backend.Snapshot();
  const auto vhost = FindVhost(*topology, call.caller, call.names[0]);
  if (!vhost) co_return vhost.error();
  const std::string name = ExchangeName(call.names[1]);
  if (!name.empty() && !(*vhost)->exchanges.Contains(name))
    co_return NotFound(fmt::format("there is no exchange '{}' in vhost '{}'", name, call.names[0]));
  const LocalChannel::Use use = [&](LocalChannel& channel) -> awaitable<Reply> {
    const amqp::ExchangeDelete remove{.exchange = name,
                                      .if_unused = call.query().IsTrue("if-unused")};
    const auto done = co_await Ask<amqp::ExchangeDeleteOk>(channel, remove);
    if (!done) co_return done.error();
    co_return NoContent();
  };
  co_return co_await WithVhostChannel(backend, call, use);
}

}  // namespace

void AddExchangeEndpoints(Router& router) {
  router.Add({
      {"GET", "/api/exchanges", Need::kManagement, ListExchanges},
      {"GET", "/api/exchanges/{vhost}", Need::kManagement, ListExchangesOfVhost},
      {"GET", "/api/exchanges/{vhost}/{exchange}", Need::kManagement, GetExchange},
      {"PUT", "/api/exchanges/{vhost}/{exchange}", Need::kManagement, PutExchange},
      {"DELETE", "/api/exchanges/{vhost}/{exchange}", Need::kManagement, DeleteExchange},
  });
}

}  // namespace landfall::admin
