#include "admin/forms.h"

#include <fmt/format.h>

#include <chrono>
#include <nlohmann/json.hpp>
#include <optional>

#include "admin/request.h"
#include "base/siphash.h"
#include "server/limits_json.h"
#include "server/table_json.h"
#include "server/user_definitions.h"

namespace landfall::admin {
namespace {

using nlohmann::json;

json NameOrNull(const broker::Policy* policy) {
  return policy == nullptr ? json() : json(policy->name);
}

// "127.0.0.1:4711", "[::1]:4711".
std::pair<std::string, int> HostAndPort(std::string_view address) {
  const size_t colon = address.rfind(':');
  if (colon == std::string_view::npos) return {std::string(address), 0};
  std::string_view host = address.substr(0, colon);
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  int port = 0;
  for (const char c : address.substr(colon + 1)) port = port * 10 + (c - '0');
  return {std::string(host), port};
}

// Arguments of a binding and what else a name must not run into.
std::string QuoteKey(std::string_view key) {
  std::string quoted;
  for (const char c : EncodeSegment(key))
    quoted += c == '~' ? std::string("%7E") : std::string(1, c);
  return quoted;
}

json Rate(double rate) { return {{"rate", rate}}; }

void AddCount(json& to, const char* name, uint64_t count, double rate) {
  to[name] = count;
  to[std::string(name) + "_details"] = Rate(rate);
}

}  // namespace

int64_t MillisecondsOf(Time time) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(time.time_since_epoch()).count();
}

json MessageCounts(const broker::QueueReport& report, const QueueRates& rates) {
  json counts;
  AddCount(counts, "messages", report.ready + report.unacked + report.delayed, rates.messages);
  AddCount(counts, "messages_ready", report.ready, rates.ready);
  AddCount(counts, "messages_unacknowledged", report.unacked, rates.unacked);
  return counts;
}

json MessageStats(const broker::QueueReport& report, const QueueRates& rates) {
  json stats;
  AddCount(stats, "publish", report.ledger.accepted, rates.publish);
  AddCount(stats, "deliver_get", report.delivered, rates.deliver);
  AddCount(stats, "redeliver", report.redelivered, rates.redeliver);
  AddCount(stats, "ack", report.ledger.Left(broker::LeaveReason::kAcked), rates.ack);
  return stats;
}

json QueueForm(const broker::QueueInfo& queue, const QueueRow& row, const QueueContext& context) {
  const broker::Policy* policy =
      broker::PolicyOfQueue(context.vhost.policies, queue.name, queue.arguments);
  const broker::Policy* by_operator =
      broker::PolicyOfQueue(context.vhost.operator_policies, queue.name, queue.arguments);
  amqp::Table effective = policy == nullptr ? amqp::Table() : policy->definition;
  if (by_operator != nullptr) {
    for (const amqp::TableEntry& entry : by_operator->definition)
      effective.Set(entry.name, entry.value);
  }
  json form = MessageCounts(row.now, row.rates);
  form["name"] = queue.name;
  form["vhost"] = queue.vhost;
  form["durable"] = queue.durable;
  form["auto_delete"] = queue.auto_delete;
  form["exclusive"] = queue.exclusive;
  form["arguments"] = server::ToJson(queue.arguments);
  form["type"] = queue.arguments.GetString("x-queue-type").value_or("classic");
  form["node"] = context.node;
  form["state"] = queue.paused ? "paused" : "running";
  form["policy"] = NameOrNull(policy);
  form["operator_policy"] = NameOrNull(by_operator);
  form["effective_policy_definition"] = server::ToJson(effective);
  form["consumers"] = row.now.consumers;
  form["messages_delayed"] = row.now.delayed;
  form["messages_ram"] = row.now.held - row.now.resting;
  form["memory"] = row.now.memory;
  form["message_stats"] = MessageStats(row.now, row.rates);
  if (!context.owner.empty()) form["owner_pid_details"] = {{"name", context.owner}};
  return form;
}

std::optional<double> NumberOf(const QueueRow& row, std::string_view column) {
  const broker::QueueReport& now = row.now;
  const auto number = [](uint64_t n) { return static_cast<double>(n); };
  if (column == "messages") return number(now.ready + now.unacked + now.delayed);
  if (column == "messages_ready") return number(now.ready);
  if (column == "messages_unacknowledged") return number(now.unacked);
  if (column == "messages_delayed") return number(now.delayed);
  if (column == "consumers") return number(now.consumers);
  if (column == "memory") return number(now.memory);
  if (column == "messages_details.rate") return row.rates.messages;
  if (column == "message_stats.publish_details.rate") return row.rates.publish;
  if (column == "message_stats.deliver_get_details.rate") return row.rates.deliver;
  if (column == "message_stats.ack_details.rate") return row.rates.ack;
  return std::nullopt;
}

json DefaultExchangeForm(std::string_view vhost) {
  return {{"name", ""},
          {"vhost", vhost},
          {"type", "direct"},
          {"durable", true},
          {"internal", false},
          {"auto_delete", false},
          {"arguments", json::object()},
          {"policy", nullptr}};
}

json ExchangeForm(const broker::Vhost& vhost, const broker::Exchange& exchange) {
  return {{"name", exchange.name},
          {"vhost", vhost.name},
          {"type", broker::ExchangeTypeName(exchange.type)},
          {"durable", exchange.durable},
          {"auto_delete", exchange.auto_delete},
          {"internal", exchange.internal},
          {"arguments", server::ToJson(exchange.arguments)},
          {"policy", NameOrNull(broker::PolicyOfExchange(vhost.policies, exchange.name))}};
}

std::string PropertiesKey(const broker::Binding& binding) {
  std::string key = binding.routing_key.empty() ? "~" : QuoteKey(binding.routing_key);
  if (binding.arguments.empty()) return key;
  // Only has to differ among the bindings of two ends; anybody may know it.
  constexpr SipKey kNoSecret{};
  if (!binding.routing_key.empty()) key += '~';
  return key + fmt::format("{:016x}", SipHash(kNoSecret, binding.Identity()));
}

json BindingForm(std::string_view vhost, const broker::Binding& binding,
                 std::string_view destination) {
  return {{"source", binding.source},
          {"vhost", vhost},
          {"destination", destination},
          {"destination_type", binding.to_exchange ? "exchange" : "queue"},
          {"routing_key", binding.routing_key},
          {"arguments", server::ToJson(binding.arguments)},
          {"properties_key", PropertiesKey(binding)}};
}

json ImpliedBindingForm(std::string_view vhost, std::string_view queue) {
  return {{"source", ""},
          {"vhost", vhost},
          {"destination", queue},
          {"destination_type", "queue"},
          {"routing_key", queue},
          {"arguments", json::object()},
          {"properties_key", QuoteKey(queue)}};
}

json PolicyForm(std::string_view vhost, const broker::Policy& policy) {
  return {{"vhost", vhost},
          {"name", policy.name},
          {"pattern", policy.pattern},
          {"apply-to", broker::PolicyScopeName(policy.apply_to)},
          {"definition", server::ToJson(policy.definition)},
          {"priority", policy.priority}};
}

json LedgerForm(const broker::Ledger& ledger, uint64_t held) {
  json left = json::object();
  for (size_t i = 0; i < broker::kLeaveReasons; ++i) {
    const auto reason = static_cast<broker::LeaveReason>(i);
    left[std::string(broker::NameOf(reason))] = ledger.Left(reason);
  }
  const int64_t imbalance = static_cast<int64_t>(ledger.accepted - ledger.left_total() - held);
  return {{"accepted", ledger.accepted},
          {"left", std::move(left)},
          {"left_total", ledger.left_total()},
          {"held", held},
          {"imbalance", imbalance},
          {"balances", imbalance == 0}};
}

json PropertiesForm(const amqp::PropertiesView& properties) {
  json form = json::object();
  const auto text = [&](amqp::PropertyFlag flag, const char* name, ByteView value) {
    if (properties.Has(flag)) form[name] = value;
  };
  text(amqp::kHasContentType, "content_type", properties.content_type);
  text(amqp::kHasContentEncoding, "content_encoding", properties.content_encoding);
  if (properties.Has(amqp::kHasHeaders)) {
    const auto headers = properties.headers.Decode();
    if (headers) form["headers"] = server::ToJson(*headers);
  }
  if (properties.Has(amqp::kHasDeliveryMode)) form["delivery_mode"] = properties.delivery_mode;
  if (properties.Has(amqp::kHasPriority)) form["priority"] = properties.priority;
  text(amqp::kHasCorrelationId, "correlation_id", properties.correlation_id);
  text(amqp::kHasReplyTo, "reply_to", properties.reply_to);
  text(amqp::kHasExpiration, "expiration", properties.expiration);
  text(amqp::kHasMessageId, "message_id", properties.message_id);
  if (properties.Has(amqp::kHasTimestamp)) form["timestamp"] = properties.timestamp;
  text(amqp::kHasType, "type", properties.type);
  text(amqp::kHasUserId, "user_id", properties.user_id);
  text(amqp::kHasAppId, "app_id", properties.app_id);
  text(amqp::kHasClusterId, "cluster_id", properties.cluster_id);
  return form;
}

std::string ConnectionName(const server::ConnectionInfo& connection) {
  return fmt::format("{} -> {}", connection.peer, connection.own);
}

json ConnectionForm(const ConnectionRow& row, std::string_view node) {
  const server::ConnectionInfo& c = row.info;
  const session::SessionInfo& s = c.session;
  const auto [host, port] = HostAndPort(c.own);
  const auto [peer_host, peer_port] = HostAndPort(c.peer);
  const auto properties = amqp::DecodeTable(s.client_properties);
  json form{{"name", ConnectionName(c)},
            {"node", node},
            {"type", "network"},
            {"protocol", "AMQP 0-9-1"},
            {"state", s.state},
            {"user", s.user},
            {"user_who_performed_action", s.user},
            {"vhost", s.vhost},
            {"host", host},
            {"port", port},
            {"peer_host", peer_host},
            {"peer_port", peer_port},
            {"ssl", !c.tls.empty()},
            {"ssl_protocol", c.tls.empty() ? json() : json(c.tls)},
            {"auth_mechanism", s.mechanism},
            {"channels", s.channels.size()},
            {"channel_max", s.channel_max},
            {"frame_max", s.frame_max},
            {"timeout", s.heartbeat_seconds},
            {"connected_at", MillisecondsOf(s.connected_at)},
            {"client_properties", properties ? server::ToJson(*properties) : json::object()},
            {"recv_oct", s.bytes_received},
            {"recv_oct_details", Rate(row.receive_rate)},
            {"send_oct", s.bytes_sent},
            {"send_oct_details", Rate(row.send_rate)}};
  if (properties) {
    if (const auto name = properties->GetString("connection_name"))
      form["user_provided_name"] = *name;
  }
  return form;
}

json ChannelForm(const ConnectionRow& row, const session::ChannelInfo& channel,
                 std::string_view node) {
  const std::string connection = ConnectionName(row.info);
  const auto [peer_host, peer_port] = HostAndPort(row.info.peer);
  return {{"name", fmt::format("{} ({})", connection, channel.number)},
          {"number", channel.number},
          {"node", node},
          {"user", row.info.session.user},
          {"user_who_performed_action", row.info.session.user},
          {"vhost", row.info.session.vhost},
          {"state", "running"},
          {"confirm", channel.confirms},
          {"transactional", channel.transactional},
          {"consumer_count", channel.consumers.size()},
          {"prefetch_count", channel.prefetch},
          {"global_prefetch_count", channel.global_prefetch},
          {"messages_unacknowledged", channel.unacked},
          {"messages_unconfirmed", channel.unconfirmed},
          {"connection_details",
           {{"name", connection}, {"peer_host", peer_host}, {"peer_port", peer_port}}}};
}

// Its tag and its connection are those of the last tick: unknown if it came afterwards.
json ConsumerForm(const broker::QueueInfo& queue, const broker::ConsumerReport& consumer,
                  const StatisticsTable& table, const Caller& caller) {
  json form{{"queue", {{"name", queue.name}, {"vhost", queue.vhost}}},
            {"ack_required", !consumer.no_ack},
            {"exclusive", consumer.exclusive},
            {"active", consumer.active},
            {"activity_status", consumer.active ? "up" : "waiting"},
            {"prefetch_count", consumer.prefetch},
            {"arguments", json::object()},
            {"consumer_tag", table.TagOf(consumer)},
            {"messages_unacknowledged", consumer.unacked},
            {"channel_details", json::object()}};
  if (consumer.priority != 0) form["arguments"]["x-priority"] = consumer.priority;
  const ConnectionRow* row = table.ConnectionOf(consumer.session);
  if (row == nullptr || !caller.MaySeeConnectionsOf(row->info.session.user)) return form;
  const std::string connection = ConnectionName(row->info);
  const auto [peer_host, peer_port] = HostAndPort(row->info.peer);
  form["channel_details"] = {{"name", fmt::format("{} ({})", connection, consumer.channel)},
                             {"number", consumer.channel},
                             {"connection_name", connection},
                             {"user", row->info.session.user},
                             {"peer_host", peer_host},
                             {"peer_port", peer_port}};
  return form;
}

json UserForm(const server::User& user) {
  return {{"name", user.name},
          {"password_hash", user.password_hash},
          {"hashing_algorithm", server::kOwnHashingAlgorithm},
          {"tags", user.tags},
          {"limits", server::LimitsForm(user)}};
}

}  // namespace landfall::admin
