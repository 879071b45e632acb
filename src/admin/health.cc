// /api/health/checks: 200 or 503, for load balancers and monitoring.
#include <fmt/format.h>

#include "admin/endpoint_common.h"
#include "admin/endpoints.h"

namespace landfall::admin {
namespace {

Reply Ok() { return JsonReply({{"status", "ok"}}); }

Reply Failed(std::string_view reason, json more = json::object()) {
  more["status"] = "failed";
  more["reason"] = reason;
  return JsonReply(more, 503);
}

awaitable<Reply> CheckAlarms(Backend& backend, Call&) {
  json alarms = json::array();
  const auto add = [&](bool on, const char* resource) {
    if (on) alarms.push_back({{"node", backend.node()}, {"resource", resource}});
  };
  add(backend.broker().memory_alarm(), "memory");
  add(backend.broker().disk_alarm(), "disk");
  if (alarms.empty()) co_return Ok();
  co_return Failed("There are alarms in effect in the cluster", {{"alarms", alarms}});
}

awaitable<Reply> CheckVhosts(Backend& backend, Call&) {
  const broker::SnapshotRef topology = co_await backend.Snapshot();
  if (topology->vhosts.empty()) co_return Failed("Some virtual hosts are down");
  co_return Ok();
}

// There is one node, and a queue on it needs no other.
awaitable<Reply> CheckNothing(Backend&, Call&) { co_return Ok(); }

std::vector<std::pair<std::string, std::string>> Listening(Backend& backend) {
  std::vector<std::pair<std::string, std::string>> all;  // protocol, port
  const auto add = [&](const char* protocol, const std::string& address) {
    if (!address.empty()) all.emplace_back(protocol, address.substr(address.rfind(':') + 1));
  };
  add("amqp", backend.broker().amqp_address());
  add("amqp/ssl", backend.broker().amqps_address());
  add("http", backend.http_address());
  add("https", backend.https_address());
  return all;
}

awaitable<Reply> CheckPort(Backend& backend, Call& call) {
  for (const auto& [protocol, port] : Listening(backend)) {
    if (port == call.names[0]) co_return JsonReply({{"status", "ok"}, {"port", std::stoi(port)}});
  }
  co_return Failed("No active listener", {{"missing", call.names[0]}});
}

awaitable<Reply> CheckProtocol(Backend& backend, Call& call) {
  std::string wanted = call.names[0];
  if (wanted == "amqp091") wanted = "amqp";
  if (wanted == "amqps") wanted = "amqp/ssl";
  for (const auto& [protocol, port] : Listening(backend)) {
    if (protocol == wanted) co_return JsonReply({{"status", "ok"}, {"protocol", call.names[0]}});
  }
  co_return Failed("No active listener", {{"missing", call.names[0]}});
}

// A message goes through a queue of its own, as a client's would.
awaitable<Reply> TestAliveness(Backend& backend, Call& call) {
  if (backend.broker().memory_alarm() || backend.broker().disk_alarm()) {
    co_return Failed("publishers are blocked", {{"missing", "memory or disk"}});
  }
  constexpr std::string_view kQueue = "aliveness-test";
  constexpr std::string_view kNothing("\0\0", 2);  // no properties
  const LocalChannel::Use use = [&](LocalChannel& channel) -> awaitable<Reply> {
    const amqp::QueueDeclare declare{.queue = kQueue};
    const auto declared = co_await Ask<amqp::QueueDeclareOk>(channel, declare);
    if (!declared) co_return declared.error();
    const amqp::BasicPublish publish{.exchange = "", .routing_key = kQueue};
    channel.AppendPublish(publish, kNothing, "test_message");
    const amqp::BasicGet get{.queue = kQueue, .no_ack = true};
    const auto got = co_await Ask<amqp::BasicGetOk>(channel, get);
    if (!got) co_return got.error();
    co_return Ok();
  };
  co_return co_await WithVhostChannel(backend, call, use);
}

}  // namespace

void AddHealthEndpoints(Router& router) {
  constexpr auto kNeed = Need::kManagement;
  router.Add({
      {"GET", "/api/health/checks/alarms", kNeed, CheckAlarms},
      {"GET", "/api/health/checks/local-alarms", kNeed, CheckAlarms},
      {"GET", "/api/health/checks/virtual-hosts", kNeed, CheckVhosts},
      {"GET", "/api/health/checks/node-is-mirror-sync-critical", kNeed, CheckNothing},
      {"GET", "/api/health/checks/node-is-quorum-critical", kNeed, CheckNothing},
      {"GET", "/api/health/checks/port-listener/{port}", kNeed, CheckPort},
      {"GET", "/api/health/checks/protocol-listener/{protocol}", kNeed, CheckProtocol},
      {"GET", "/api/healthchecks/node", kNeed, CheckAlarms},
      {"GET", "/api/aliveness-test/{vhost}", kNeed, TestAliveness},
  });
}

}  // namespace landfall::admin
