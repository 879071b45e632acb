#include "admin/endpoint_common.h"

#include <fmt/format.h>

#include <charconv>
#include <iterator>

namespace landfall::admin {

std::vector<broker::VhostRef> VhostsOf(const broker::TopologySnapshot& topology) {
  std::vector<broker::VhostRef> vhosts;
  topology.vhosts.ForEach(
      [&](const std::string&, const broker::VhostRef& vhost) { vhosts.push_back(vhost); });
  std::ranges::sort(vhosts, {}, [](const broker::VhostRef& v) -> const auto& { return v->name; });
  return vhosts;
}

std::vector<broker::VhostRef> VisibleVhosts(const broker::TopologySnapshot& topology,
                                            const Caller& caller) {
  std::vector<broker::VhostRef> vhosts = VhostsOf(topology);
  std::erase_if(vhosts, [&](const broker::VhostRef& v) { return !caller.MaySee(v->name); });
  return vhosts;
}

// Whether there is such a vhost is nothing to those who may not see it.
std::expected<broker::VhostRef, Reply> FindVhost(const broker::TopologySnapshot& topology,
                                                 const Caller& caller, const std::string& name) {
  if (!caller.MaySee(name))
    return std::unexpected(NotAuthorised("User not authorised to access virtual host"));
  broker::VhostRef vhost = topology.FindVhost(name);
  if (!vhost) return std::unexpected(NotFound(fmt::format("there is no vhost '{}'", name)));
  return vhost;
}

std::expected<broker::QueueInfoRef, Reply> FindUsableQueue(const broker::TopologySnapshot& topology,
                                                           const Caller& caller,
                                                           access::Access access,
                                                           const std::string& vhost,
                                                           const std::string& name) {
  const auto found = FindVhost(topology, caller, vhost);
  if (!found) return std::unexpected(found.error());
  // Before it is looked whether there is one: a name that a user may not use tells them nothing.
  const access::PermissionsRef permissions = caller.account->In(vhost);
  if (!permissions || !permissions->May(access, name)) {
    return std::unexpected(
        NotAuthorised(fmt::format("{} access to queue '{}' in vhost '{}' refused for user '{}'",
                                  access::AccessName(access), name, vhost, caller.user)));
  }
  const broker::QueueInfoRef* queue = (*found)->queues.Find(name);
  if (queue == nullptr) {
    return std::unexpected(
        NotFound(fmt::format("there is no queue '{}' in vhost '{}'", name, vhost)));
  }
  if (access == access::Access::kRead && (*queue)->exclusive) {
    return std::unexpected(NotAuthorised(fmt::format(
        "queue '{}' in vhost '{}' is exclusive to a connection, which alone may read it", name,
        vhost)));
  }
  return *queue;
}

std::string OwnerOf(const broker::QueueInfo& queue, const StatisticsTable& table,
                    const Caller& caller) {
  const ConnectionRow* owner = queue.owner == 0 ? nullptr : table.ConnectionOf(queue.owner);
  if (owner == nullptr || !caller.MaySeeConnectionsOf(owner->info.session.user)) return "";
  return ConnectionName(owner->info);
}

json QueueEntry(Backend& backend, const broker::Vhost& vhost, const broker::QueueInfo& queue,
                const StatisticsTable& table, const Caller& caller) {
  return QueueForm(
      queue, table.Of(queue.id),
      {.vhost = vhost, .node = backend.node(), .owner = OwnerOf(queue, table, caller)});
}

std::string ExchangeName(const std::string& segment) {
  return segment == "amq.default" ? "" : segment;
}

namespace {

// As RabbitMQ takes them, and rabbitmqadmin writes them: flags and numbers as texts, null for what
// is not said.
void Normalize(json& body) {
  for (auto it = body.begin(); it != body.end();) {
    it = it->is_null() ? body.erase(it) : std::next(it);
  }
  for (const char* flag : {"durable", "auto_delete", "internal"}) {
    const auto it = body.find(flag);
    if (it == body.end() || !it->is_string()) continue;
    if (*it == "true") *it = true;
    if (*it == "false") *it = false;
  }
  const auto priority = body.find("priority");
  if (priority == body.end() || !priority->is_string()) return;
  const std::string text = *priority;
  int64_t n = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), n);
  if (error == std::errc{} && end == text.data() + text.size()) *priority = n;
}

}  // namespace

std::optional<Reply> RefuseValuesBeyond(size_t max_values, const Request& request) {
  if (server::CountJsonValues(request.body) <= max_values) return std::nullopt;
  return BadRequest(fmt::format("the body has more than {} JSON values", max_values));
}

std::expected<json, Reply> BodyOf(const Request& request, size_t max_values) {
  if (request.body.empty()) return json::object();
  if (auto refusal = RefuseValuesBeyond(max_values, request))
    return std::unexpected(std::move(*refusal));
  auto body = server::ParseJson(request.body);
  if (!body) return std::unexpected(BadRequest(body.error().message));
  if (body->is_null()) return json::object();
  if (!body->is_object()) return std::unexpected(BadRequest("the body must be a JSON object"));
  Normalize(*body);
  return std::move(*body);
}

awaitable<Reply> WithVhostChannel(Backend& backend, Call& call, LocalChannel::Use use,
                                  LocalChannel::Extensions extensions) {
  const std::string& name = call.names[0];
  const broker::SnapshotRef topology = co_await backend.Snapshot();
  const auto vhost = FindVhost(*topology, call.caller, name);
  if (!vhost) co_return vhost.error();
  if (!call.caller.MayUse(name)) {
    co_return NotAuthorised(
        fmt::format("access to vhost '{}' refused for user '{}'", name, call.caller.user));
  }
  co_return co_await LocalChannel::With(backend, call.caller, name, extensions, std::move(use));
}

}  // namespace landfall::admin
