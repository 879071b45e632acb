#pragma once

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "admin/caller.h"
#include "admin/statistics_table.h"
#include "amqp/properties.h"
#include "broker/exchange.h"
#include "broker/policy.h"
#include "broker/queue_report.h"
#include "broker/topology_snapshot.h"
#include "server/user_table.h"

// The JSON that stands for each kind of object, with RabbitMQ's field names. Pure.
namespace landfall::admin {

// What a queue's JSON says besides the queue and its numbers.
struct QueueContext {
  const broker::Vhost& vhost;
  std::string_view node;
  std::string_view owner;  // name of the connection that has it exclusively; "": not told
};
nlohmann::json QueueForm(const broker::QueueInfo& queue, const QueueRow& row,
                         const QueueContext& context);
// Those of its numbers that lists are sorted by, by their column; nothing: it is none of them.
std::optional<double> NumberOf(const QueueRow& row, std::string_view column);
nlohmann::json ExchangeForm(const broker::Vhost& vhost, const broker::Exchange& exchange);
// The one without a name, which every vhost has.
nlohmann::json DefaultExchangeForm(std::string_view vhost);

nlohmann::json BindingForm(std::string_view vhost, const broker::Binding& binding,
                           std::string_view destination);
// Every queue is bound to the default exchange by its name.
nlohmann::json ImpliedBindingForm(std::string_view vhost, std::string_view queue);
// Names a binding among those between the same two ends: "~" for an empty routing key, "key~hash"
// with arguments.
std::string PropertiesKey(const broker::Binding& binding);

nlohmann::json PolicyForm(std::string_view vhost, const broker::Policy& policy);
nlohmann::json LedgerForm(const broker::Ledger& ledger, uint64_t held);
// Since 1970, as everywhere in the API.
int64_t MillisecondsOf(Time time);
nlohmann::json PropertiesForm(const amqp::PropertiesView& properties);

// "127.0.0.1:4711 -> 127.0.0.1:5672"
std::string ConnectionName(const server::ConnectionInfo& connection);
nlohmann::json ConnectionForm(const ConnectionRow& row, std::string_view node);
nlohmann::json ChannelForm(const ConnectionRow& row, const session::ChannelInfo& channel,
                           std::string_view node);

// For a caller who may not see its connection that is an empty object.
nlohmann::json ConsumerForm(const broker::QueueInfo& queue, const broker::ConsumerReport& consumer,
                            const StatisticsTable& table, const Caller& caller);

// messages, messages_ready, …, each with its rate.
nlohmann::json MessageCounts(const broker::QueueReport& report, const QueueRates& rates);
nlohmann::json MessageStats(const broker::QueueReport& report, const QueueRates& rates);

nlohmann::json UserForm(const server::User& user);

}  // namespace landfall::admin
