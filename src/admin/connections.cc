// /api/connections and /api/channels.
#include <fmt/format.h>

#include "admin/endpoint_common.h"
#include "admin/endpoints.h"
#include "admin/on_thread.h"
#include "server/log.h"

namespace landfall::admin {
namespace {

bool MaySee(const Caller& caller, const ConnectionRow& row) {
  return caller.MaySeeConnectionsOf(row.info.session.user);
}

// Names live as long as the forms that are made of them.
struct Named {
  std::string name;
  const ConnectionRow* row = nullptr;
  const session::ChannelInfo* channel = nullptr;
};

Reply ReplyWith(Backend& backend, const std::vector<Named>& all, const Query& query) {
  std::vector<ListItem> items;
  items.reserve(all.size());
  for (const Named& each : all) {
    items.push_back(
        {.vhost = each.row->info.session.vhost, .name = each.name, .build = [&backend, &each] {
           return each.channel == nullptr ? ConnectionForm(*each.row, backend.node())
                                          : ChannelForm(*each.row, *each.channel, backend.node());
         }});
  }
  return ListReply(std::move(items), query);
}

std::vector<Named> ConnectionsFor(const StatisticsTable& table, const Caller& caller,
                                  const std::string* vhost) {
  std::vector<Named> all;
  for (const ConnectionRow& row : table.connections) {
    if (!MaySee(caller, row) || (vhost != nullptr && row.info.session.vhost != *vhost)) continue;
    all.push_back({.name = ConnectionName(row.info), .row = &row});
  }
  return all;
}

std::vector<Named> ChannelsOf(const std::vector<Named>& connections) {
  std::vector<Named> all;
  for (const Named& connection : connections) {
    for (const session::ChannelInfo& channel : connection.row->info.session.channels) {
      all.push_back({.name = fmt::format("{} ({})", connection.name, channel.number),
                     .row = connection.row,
                     .channel = &channel});
    }
  }
  return all;
}

awaitable<Reply> ListConnections(Backend& backend, Call& call) {
  const StatisticsRef table = co_await backend.statistics().Fresh();
  co_return ReplyWith(backend, ConnectionsFor(*table, call.caller, nullptr), call.query());
}

awaitable<Reply> ListChannels(Backend& backend, Call& call) {
  const StatisticsRef table = co_await backend.statistics().Fresh();
  co_return ReplyWith(backend, ChannelsOf(ConnectionsFor(*table, call.caller, nullptr)),
                      call.query());
}

awaitable<Reply> ListOfVhost(Backend& backend, Call& call, bool channels) {
  const StatisticsRef table = co_await backend.statistics().Fresh();
  const auto vhost = FindVhost(*table->topology, call.caller, call.names[0]);
  if (!vhost) co_return vhost.error();
  const std::vector<Named> all = ConnectionsFor(*table, call.caller, call.names.data());
  co_return ReplyWith(backend, channels ? ChannelsOf(all) : all, call.query());
}

awaitable<Reply> ListConnectionsOfVhost(Backend& backend, Call& call) {
  co_return co_await ListOfVhost(backend, call, false);
}
awaitable<Reply> ListChannelsOfVhost(Backend& backend, Call& call) {
  co_return co_await ListOfVhost(backend, call, true);
}

const ConnectionRow* Find(const StatisticsTable& table, const std::string& name) {
  for (const ConnectionRow& row : table.connections) {
    if (ConnectionName(row.info) == name) return &row;
  }
  return nullptr;
}

// In the next tick if it is not in the last one: it may be younger.
awaitable<std::expected<const ConnectionRow*, Reply>> FindFor(Backend& backend, const Call& call,
                                                              StatisticsRef& table) {
  table = co_await backend.statistics().Fresh();
  const ConnectionRow* row = Find(*table, call.names[0]);
  if (row == nullptr) {
    table = co_await backend.statistics().Next();
    row = Find(*table, call.names[0]);
  }
  if (row == nullptr)
    co_return std::unexpected(NotFound(fmt::format("there is no connection '{}'", call.names[0])));
  if (!MaySee(call.caller, *row))
    co_return std::unexpected(NotAuthorised("User not authorised to access object"));
  co_return row;
}

awaitable<Reply> GetConnection(Backend& backend, Call& call) {
  StatisticsRef table;
  const auto row = co_await FindFor(backend, call, table);
  if (!row) co_return row.error();
  co_return JsonReply(ConnectionForm(**row, backend.node()));
}

awaitable<Reply> ListChannelsOfConnection(Backend& backend, Call& call) {
  StatisticsRef table;
  const auto row = co_await FindFor(backend, call, table);
  if (!row) co_return row.error();
  std::vector<Named> one{{.name = ConnectionName((*row)->info), .row = *row}};
  co_return ReplyWith(backend, ChannelsOf(one), call.query());
}

awaitable<Reply> GetChannel(Backend& backend, Call& call) {
  const StatisticsRef table = co_await backend.statistics().Fresh();
  for (const Named& channel : ChannelsOf(ConnectionsFor(*table, call.caller, nullptr))) {
    if (channel.name == call.names[0])
      co_return JsonReply(ChannelForm(*channel.row, *channel.channel, backend.node()));
  }
  co_return NotFound(fmt::format("there is no channel '{}'", call.names[0]));
}

awaitable<Reply> DeleteConnection(Backend& backend, Call& call) {
  StatisticsRef table;
  const auto row = co_await FindFor(backend, call, table);
  if (!row) co_return row.error();
  if (!call.caller.is_administrator() && (*row)->info.session.user != call.caller.user)
    co_return NotAuthorised("User not authorised to access object");
  const broker::SessionId id = (*row)->info.session.id;
  server::WorkerThread& worker = backend.broker().worker(broker::WorkerOf(id));
  const std::string reason = "Closed via management plugin";
  auto close = [&worker, id, reason] { return worker.CloseByForce(id, reason); };
  server::LogInfo("a connection is closed by an operator",
                  {{"connection", call.names[0]}, {"by", call.caller.user}});
  co_await OnWorker(worker, std::move(close));
  co_return NoContent();
}

}  // namespace

void AddConnectionEndpoints(Router& router) {
  constexpr auto kNeed = Need::kManagement;
  router.Add({
      {"GET", "/api/connections", kNeed, ListConnections},
      {"GET", "/api/connections/{connection}", kNeed, GetConnection},
      {"DELETE", "/api/connections/{connection}", kNeed, DeleteConnection},
      {"GET", "/api/connections/{connection}/channels", kNeed, ListChannelsOfConnection},
      {"GET", "/api/vhosts/{vhost}/connections", kNeed, ListConnectionsOfVhost},
      {"GET", "/api/channels", kNeed, ListChannels},
      {"GET", "/api/channels/{channel}", kNeed, GetChannel},
      {"GET", "/api/vhosts/{vhost}/channels", kNeed, ListChannelsOfVhost},
  });
}

}  // namespace landfall::admin
