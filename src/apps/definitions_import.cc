#include "apps/definitions_import.h"

#include <fmt/format.h>

#include <map>
#include <memory>
#include <utility>
#include <variant>

#include "apps/perf_connection.h"
#include "base/bytes.h"

namespace landfall::apps {
namespace {

template <class Answer, class Request>
Result<void> Ask(PerfConnection& connection, const Request& request) {
  auto answer = connection.Call<Answer>(request);
  if (!answer) return std::unexpected(answer.error());
  return {};
}

Result<void> Make(PerfConnection& connection, const broker::DeclareExchange& r) {
  const ByteBuffer arguments = r.arguments.Encode();
  return Ask<amqp::ExchangeDeclareOk>(
      connection, amqp::ExchangeDeclare{.exchange = r.name,
                                        .type = r.type,
                                        .durable = r.durable,
                                        .auto_delete = r.auto_delete,
                                        .internal = r.internal,
                                        .arguments = amqp::TableView(arguments)});
}

Result<void> Make(PerfConnection& connection, const broker::DeclareQueue& r) {
  const ByteBuffer arguments = r.arguments.Encode();
  return Ask<amqp::QueueDeclareOk>(connection,
                                   amqp::QueueDeclare{.queue = r.name,
                                                      .durable = r.durable,
                                                      .auto_delete = r.auto_delete,
                                                      .arguments = amqp::TableView(arguments)});
}

Result<void> Make(PerfConnection& connection, const broker::Bind& r) {
  const ByteBuffer arguments = r.arguments.Encode();
  if (r.to_exchange) {
    return Ask<amqp::ExchangeBindOk>(connection,
                                     amqp::ExchangeBind{.destination = r.destination,
                                                        .source = r.source,
                                                        .routing_key = r.routing_key,
                                                        .arguments = amqp::TableView(arguments)});
  }
  return Ask<amqp::QueueBindOk>(connection,
                                amqp::QueueBind{.queue = r.destination,
                                                .exchange = r.source,
                                                .routing_key = r.routing_key,
                                                .arguments = amqp::TableView(arguments)});
}

class Importer {
 public:
  explicit Importer(client::BrokerUrl broker) : broker_(std::move(broker)) {}

  Result<void> Take(const server::Definitions::Step& step) {
    const auto& body = step.request.body;
    if (const auto* exchange = std::get_if<broker::DeclareExchange>(&body)) {
      return Run(step, *exchange);
    }
    if (const auto* queue = std::get_if<broker::DeclareQueue>(&body)) return Run(step, *queue);
    if (const auto* bind = std::get_if<broker::Bind>(&body)) return Run(step, *bind);
    // Whether a vhost is there shows when something is made in it.
    if (!std::holds_alternative<broker::CreateVhost>(body)) report.skipped.push_back(step.place);
    return {};
  }

  ImportReport report;

 private:
  template <class Body>
  Result<void> Run(const server::Definitions::Step& step, const Body& body) {
    auto connection = ConnectionTo(step.request.vhost);
    auto done = connection ? Make(**connection, body) : std::unexpected(connection.error());
    if (!done) {
      return Fail(done.error().code, fmt::format("{}: {}", step.place, done.error().message));
    }
    ++report.done;
    return {};
  }

  Result<PerfConnection*> ConnectionTo(const std::string& vhost) {
    std::unique_ptr<PerfConnection>& connection = connections_[vhost];
    if (!connection) {
      client::BrokerUrl url = broker_;
      url.vhost = vhost;
      auto opened = PerfConnection::Open(url);
      if (!opened) return std::unexpected(opened.error());
      connection = *std::move(opened);
    }
    return connection.get();
  }

  client::BrokerUrl broker_;
  std::map<std::string, std::unique_ptr<PerfConnection>> connections_;
};

}  // namespace

Result<ImportReport> ImportDefinitions(const server::Definitions& definitions,
                                       const client::BrokerUrl& broker) {
  Importer importer(broker);
  for (const server::Definitions::Step& step : definitions.steps) {
    if (auto done = importer.Take(step); !done) return std::unexpected(done.error());
  }
  return std::move(importer.report);
}

Result<bool> HasVhost(const client::BrokerUrl& broker, const std::string& vhost) {
  client::BrokerUrl url = broker;
  url.vhost = vhost;
  const auto opened = PerfConnection::Open(url);
  if (opened) {
    (*opened)->Close();
    return true;
  }
  // All refusals of a vhost have one code, 530. The texts are RabbitMQ's, which Landfall's are too.
  const std::string& why = opened.error().message;
  if (why.ends_with(fmt::format("NOT_ALLOWED - vhost {} not found", vhost))) return false;
  if (why.find(fmt::format("access to vhost '{}' refused", vhost)) != std::string::npos)
    return true;
  return std::unexpected(opened.error());
}

}  // namespace landfall::apps
