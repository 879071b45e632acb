// GET /api/overview, whoami, nodes, vhosts and the ledger.
#include <fmt/format.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <filesystem>
#include <thread>

#include "admin/endpoint_common.h"
#include "admin/endpoints.h"
#include "admin/process.h"
#include "admin/totals.h"

namespace landfall::admin {
namespace {

// What of RabbitMQ's API this is like; clients that look at it want to know what they may use.
constexpr const char* kRabbitVersion = "3.13.0";

json ListenerForm(Backend& backend, const char* protocol, std::string_view address) {
  const size_t colon = address.rfind(':');
  return {{"node", backend.node()},
          {"protocol", protocol},
          {"ip_address", address.substr(0, colon)},
          {"port", std::stoi(std::string(address.substr(colon + 1)))}};
}

json Listeners(Backend& backend) {
  json listeners = json::array();
  server::Server& broker = backend.broker();
  listeners.push_back(ListenerForm(backend, "amqp", broker.amqp_address()));
  if (const std::string tls = broker.amqps_address(); !tls.empty())
    listeners.push_back(ListenerForm(backend, "amqp/ssl", tls));
  if (const std::string& clear = backend.http_address(); !clear.empty())
    listeners.push_back(ListenerForm(backend, "http", clear));
  if (const std::string& tls = backend.https_address(); !tls.empty())
    listeners.push_back(ListenerForm(backend, "https", tls));
  return listeners;
}

json ExchangeTypes() {
  json types = json::array();
  for (const auto type : {broker::ExchangeType::kDirect, broker::ExchangeType::kFanout,
                          broker::ExchangeType::kTopic, broker::ExchangeType::kHeaders,
                          broker::ExchangeType::kConsistentHash, broker::ExchangeType::kDelayed}) {
    types.push_back(
        {{"name", broker::ExchangeTypeName(type)}, {"description", ""}, {"enabled", true}});
  }
  return types;
}

awaitable<Reply> GetOverview(Backend& backend, Call& call) {
  const StatisticsRef table = co_await backend.statistics().Fresh();
  // What there is as it is now: who has just declared a queue finds it counted.
  const broker::SnapshotRef topology = co_await backend.Snapshot();
  const Totals totals = TotalsFor(*topology, *table, call.caller);
  json form{{"management_version", kRabbitVersion},
            {"rabbitmq_version", kRabbitVersion},
            {"product_name", "Landfall"},
            {"product_version", LANDFALL_VERSION},
            {"erlang_version", ""},
            {"erlang_full_version", ""},
            {"cluster_name", "landfall"},
            {"node", backend.node()},
            {"rates_mode", "basic"},
            {"exchange_types", ExchangeTypes()},
            {"statistics_db_event_queue", 0}};
  AddTotals(form, totals);
  if (call.caller.is_monitor()) {
    form["listeners"] = Listeners(backend);
    form["contexts"] = json::array();
  }
  co_return JsonReply(form);
}

awaitable<Reply> GetWhoAmI(Backend&, Call& call) {
  co_return JsonReply({{"name", call.caller.user}, {"tags", call.caller.account->tags}});
}

// For programs, and for tests that ask all of them.
awaitable<Reply> ListRoutes(Backend& backend, Call&) {
  json routes = json::array();
  for (const Route& route : backend.router().routes()) {
    routes.push_back(
        {{"method", route.method}, {"path", route.pattern}, {"need", NameOf(route.need)}});
  }
  co_return JsonReply(routes);
}

json NodeForm(Backend& backend) {
  server::Server& broker = backend.broker();
  const ProcessNumbers process = LookAtProcess(broker.config().data_dir);
  const auto uptime =
      std::chrono::duration_cast<std::chrono::milliseconds>(broker.Now() - broker.started_at());
  return {{"name", backend.node()},
          {"type", "disc"},
          {"running", true},
          {"being_drained", false},
          {"os_pid", std::to_string(getpid())},
          {"uptime", uptime.count()},
          {"processors", std::thread::hardware_concurrency()},
          {"mem_used", process.resident_bytes},
          {"mem_limit", broker.config().memory_limit},
          {"mem_alarm", broker.memory_alarm()},
          {"disk_free", process.disk_free_bytes},
          {"disk_free_alarm", broker.disk_alarm()},
          {"fd_used", process.open_files},
          {"fd_total", process.max_files},
          {"sockets_used", 0},
          {"sockets_total", 0},
          {"proc_used", broker.workers()},
          {"proc_total", broker.workers()},
          {"run_queue", 0},
          {"partitions", json::array()},
          {"rates_mode", "basic"},
          {"db_dir", broker.config().data_dir},
          {"exchange_types", ExchangeTypes()},
          {"applications", json::array()},
          {"auth_mechanisms", json::array()},
          {"config_files", json::array()},
          {"log_files", json::array()},
          {"enabled_plugins", json::array()}};
}

awaitable<Reply> ListNodes(Backend& backend, Call&) {
  co_return JsonReply(json::array({NodeForm(backend)}));
}

awaitable<Reply> GetNode(Backend& backend, Call& call) {
  if (call.names[0] != backend.node())
    co_return NotFound(fmt::format("the only node here is {}", backend.node()));
  co_return JsonReply(NodeForm(backend));
}

json VhostForm(Backend& backend, const broker::Vhost& vhost, const StatisticsTable& table) {
  Totals totals;
  AddVhost(vhost, table, totals);
  json form = MessageCounts(totals.messages, totals.rates);
  form["name"] = vhost.name;
  form["description"] = "";
  form["tags"] = json::array();
  form["metadata"] = {{"description", ""}, {"tags", json::array()}};
  form["tracing"] = false;
  form["cluster_state"] = {{backend.node(), "running"}};
  form["message_stats"] = MessageStats(totals.messages, totals.rates);
  return form;
}

awaitable<Reply> ListVhosts(Backend& backend, Call& call) {
  const StatisticsRef table = co_await backend.statistics().Fresh();
  const broker::SnapshotRef topology = co_await backend.Snapshot();
  std::vector<broker::VhostRef> vhosts =
      call.caller.is_monitor() ? VhostsOf(*topology) : VisibleVhosts(*topology, call.caller);
  std::vector<ListItem> items;
  items.reserve(vhosts.size());
  for (const broker::VhostRef& vhost : vhosts) {
    items.push_back({.vhost = "", .name = vhost->name, .build = [&backend, &table, &vhost] {
                       return VhostForm(backend, *vhost, *table);
                     }});
  }
  co_return ListReply(std::move(items), call.query());
}

awaitable<Reply> GetVhost(Backend& backend, Call& call) {
  const StatisticsRef table = co_await backend.statistics().Fresh();
  const broker::SnapshotRef topology = co_await backend.Snapshot();
  const std::string& name = call.names[0];
  if (!call.caller.is_monitor() && !call.caller.MaySee(name))
    co_return NotAuthorised("User not authorised to access virtual host");
  const broker::VhostRef vhost = topology->FindVhost(name);
  if (!vhost) co_return NotFound(fmt::format("there is no vhost '{}'", name));
  co_return JsonReply(VhostForm(backend, *vhost, *table));
}

awaitable<Reply> PutVhost(Backend& backend, Call& call) {
  const std::string& name = call.names[0];
  const auto body = BodyOf(call.request);
  if (!body) co_return body.error();
  const broker::SnapshotRef before = co_await backend.Snapshot();
  if (before->FindVhost(name)) co_return NoContent();
  broker::TopologyRequest request{.body = broker::CreateVhost{name}};
  const broker::TopologyReply done = co_await backend.Ask(std::move(request));
  if (done.error) co_return BadRequest(done.text);
  if (!call.caller.MayUse(name)) {
    // Whoever makes a vhost may use it, as with RabbitMQ.
    const Backend::Work work = [&]() -> Result<std::string> {
      const server::PermissionPatterns everything{.configure = ".*", .write = ".*", .read = ".*"};
      auto set = backend.broker().users().SetPermissions(call.caller.user, name, everything);
      if (!set) return std::unexpected(set.error());
      backend.broker().UsersChanged();
      return "";
    };
    const Result<std::string> given = co_await backend.Slowly(work);
    if (!given) co_return ReplyTo(given.error());
  }
  co_return Created();
}

// Permissions first: whoever makes a vhost of that name later must not find them in force. But for
// those of users who may do everything in every vhost: without them they could do more, as long as
// it is there.
awaitable<Reply> DeleteVhost(Backend& backend, Call& call) {
  const std::string& name = call.names[0];
  const broker::SnapshotRef before = co_await backend.Snapshot();
  if (!before->FindVhost(name)) co_return NotFound(fmt::format("there is no vhost '{}'", name));
  if (name == "/") co_return BadRequest("the vhost / is always there: delete what is in it");
  const Backend::Work work = [&]() -> Result<std::string> {
    server::UserFile& users = backend.broker().users();
    for (const server::User& user : users.List()) {
      if (user.topic_permissions.contains(name))
        if (auto done = users.ClearTopicPermissions(user.name, name, ""); !done)
          return std::unexpected(done.error());
      const auto may_do_all_in = [&user](std::string_view vhost) {
        return std::ranges::find(user.vhosts, vhost) != user.vhosts.end();
      };
      if (may_do_all_in("*")) continue;
      if (!may_do_all_in(name) && !user.permissions.contains(name)) continue;
      if (auto done = users.ClearPermissions(user.name, name); !done)
        return std::unexpected(done.error());
    }
    server::UserDefinitions limits;
    constexpr server::UserDefinitions::Limit kNone;
    limits.vhost_limits.push_back({name, kNone, kNone});
    if (users.accounts()->LimitsOf(name) != access::VhostLimits{})
      if (auto done = users.Import(limits); !done) return std::unexpected(done.error());
    backend.broker().UsersChanged();
    return "";
  };
  const Result<std::string> cleared = co_await backend.Slowly(work);
  if (!cleared) co_return ReplyTo(cleared.error());
  broker::TopologyRequest request{.body = broker::DeleteVhost{name}};
  const broker::TopologyReply done = co_await backend.Ask(std::move(request));
  if (done.error == amqp::ReplyCode::kNotFound) co_return NotFound(done.text);
  if (done.error) co_return BadRequest(done.text);
  const Backend::Work forget = [&]() -> Result<std::string> {
    if (auto forgotten = backend.broker().users().ForgetVhost(name); !forgotten)
      return std::unexpected(forgotten.error());
    backend.broker().UsersChanged();
    return "";
  };
  const Result<std::string> forgotten = co_await backend.Slowly(forget);
  if (!forgotten) co_return ReplyTo(forgotten.error());
  co_return NoContent();
}

// ------------------------------------------------------------------------------- the ledger (ours)

awaitable<Reply> GetLedger(Backend& backend, Call&) {
  const StatisticsRef table = co_await backend.statistics().Fresh();
  json form = LedgerForm(table->ledger, table->held);
  form["outbox"] = table->outbox;
  form["queues_unbalanced"] = table->unbalanced;
  co_return JsonReply(form);
}

awaitable<Reply> ListLedgers(Backend& backend, Call& call) {
  const StatisticsRef table = co_await backend.statistics().Fresh();
  const broker::SnapshotRef topology = co_await backend.Snapshot();
  std::vector<ListItem> items;
  for (const broker::VhostRef& vhost : VisibleVhosts(*topology, call.caller)) {
    vhost->queues.ForEach([&](const std::string&, const broker::QueueInfoRef& queue) {
      const QueueRow& row = table->Of(queue->id);
      items.push_back({.vhost = queue->vhost, .name = queue->name, .build = [&queue, &row] {
                         json form = LedgerForm(row.now.ledger, row.now.held);
                         form["vhost"] = queue->vhost;
                         form["name"] = queue->name;
                         return form;
                       }});
    });
  }
  co_return ListReply(std::move(items), call.query());
}

awaitable<Reply> GetQueueLedger(Backend& backend, Call& call) {
  const broker::SnapshotRef topology = co_await backend.Snapshot();
  const auto vhost = FindVhost(*topology, call.caller, call.names[0]);
  if (!vhost) co_return vhost.error();
  const broker::QueueInfoRef* queue = (*vhost)->queues.Find(call.names[1]);
  if (queue == nullptr)
    co_return NotFound(
        fmt::format("there is no queue '{}' in vhost '{}'", call.names[1], call.names[0]));
  const broker::QueueReport report = co_await backend.ReportOf(**queue);
  json form = LedgerForm(report.ledger, report.held);
  form["vhost"] = (*queue)->vhost;
  form["name"] = (*queue)->name;
  co_return JsonReply(form);
}

}  // namespace

void AddOverviewEndpoints(Router& router) {
  router.Add({
      {"GET", "/api/overview", Need::kManagement, GetOverview},
      {"GET", "/api/whoami", Need::kManagement, GetWhoAmI},
      {"GET", "/api/landfall/routes", Need::kManagement, ListRoutes},
      {"GET", "/api/nodes", Need::kMonitoring, ListNodes},
      {"GET", "/api/nodes/{node}", Need::kMonitoring, GetNode},
      {"GET", "/api/vhosts", Need::kManagement, ListVhosts},
      {"GET", "/api/vhosts/{vhost}", Need::kManagement, GetVhost},
      {"PUT", "/api/vhosts/{vhost}", Need::kAdministrator, PutVhost},
      {"DELETE", "/api/vhosts/{vhost}", Need::kAdministrator, DeleteVhost},
      {"GET", "/api/landfall/ledger", Need::kMonitoring, GetLedger},
      {"GET", "/api/landfall/ledger/queues", Need::kManagement, ListLedgers},
      {"GET", "/api/landfall/ledger/queues/{vhost}/{queue}", Need::kManagement, GetQueueLedger},
  });
}

}  // namespace landfall::admin
