#include "broker/dead_letter.h"

#include <algorithm>
#include <string>
#include <utility>

#include "amqp/properties.h"
#include "broker/routing_keys.h"

namespace landfall::broker {
namespace {

amqp::Array DeathsOf(const amqp::Table& headers) {
  const amqp::Value* deaths = headers.Find("x-death");
  if (!deaths || !deaths->AsArray()) return {};
  return *deaths->AsArray();
}

bool IsDeath(const amqp::Value& value, ByteView queue, ByteView reason) {
  const amqp::Table* death = value.AsTable();
  return death && death->GetString("queue") == queue && death->GetString("reason") == reason;
}

amqp::Table NewDeath(const Message& message, const QueueInfo& queue, ByteView reason, Time now,
                     const amqp::Properties& properties, const amqp::Table& headers) {
  amqp::Array keys{amqp::Value(message.routing_key())};
  for (std::string& key : CcOf(headers)) keys.emplace_back(std::move(key));
  amqp::Table death;
  death.Append("count", int64_t{1});
  death.Append("reason", reason);
  death.Append("queue", queue.name);
  death.Append("time",
               amqp::Value::Timestamp(static_cast<uint64_t>(
                   std::chrono::floor<std::chrono::seconds>(now).time_since_epoch().count())));
  death.Append("exchange", message.exchange());
  death.Append("routing-keys", std::move(keys));
  if (properties.expiration) death.Append("original-expiration", *properties.expiration);
  return death;
}

}  // namespace

MessageRef MakeDeadLetter(const Message& message, const QueueInfo& queue, ByteView reason,
                          Time now) {
  amqp::Properties properties;
  // Properties were checked when the message was published; broken ones (an old file) are dropped.
  if (auto view = amqp::DecodeProperties(message.properties()))
    if (auto owned = amqp::Properties::From(*view)) properties = std::move(*owned);
  amqp::Table headers = properties.headers.value_or(amqp::Table());

  amqp::Array deaths = DeathsOf(headers);
  auto known = std::find_if(deaths.begin(), deaths.end(),
                            [&](const amqp::Value& v) { return IsDeath(v, queue.name, reason); });
  if (known != deaths.end()) {
    amqp::Table death = *known->AsTable();
    death.Set("count", death.GetInteger("count").value_or(0) + 1);
    deaths.erase(known);
    deaths.insert(deaths.begin(), amqp::Value(std::move(death)));
  } else {
    deaths.insert(deaths.begin(),
                  amqp::Value(NewDeath(message, queue, reason, now, properties, headers)));
  }
  properties.expiration.reset();
  if (!headers.Contains("x-first-death-queue")) {
    headers.Set("x-first-death-reason", reason);
    headers.Set("x-first-death-queue", queue.name);
    headers.Set("x-first-death-exchange", message.exchange());
  }
  headers.Set("x-last-death-reason", reason);
  headers.Set("x-last-death-queue", queue.name);
  headers.Set("x-last-death-exchange", message.exchange());
  headers.Set("x-death", std::move(deaths));
  // A routing key that the queue names takes the place of all that the message had.
  if (queue.config.dead_letter_routing_key) EraseExtraKeys(headers);
  properties.headers = std::move(headers);

  ByteBuffer headers_buffer;
  ByteBuffer encoded;
  amqp::AppendProperties(encoded, properties.View(headers_buffer));
  const ByteView routing_key = queue.config.dead_letter_routing_key
                                   ? ByteView(*queue.config.dead_letter_routing_key)
                                   : message.routing_key();
  return Message::Make(*queue.config.dead_letter_exchange, routing_key, encoded, message.body(),
                       message.persistent());
}

bool IsDeadLetterCycle(const Message& dead_letter, ByteView name) {
  const auto view = amqp::DecodeProperties(dead_letter.properties());
  if (!view) return false;
  const auto deaths = view->headers.Find("x-death");
  if (!deaths || !deaths->AsArray()) return false;
  // Newest first. A rejection is a consumer's decision and breaks the cycle.
  for (const amqp::Value& value : *deaths->AsArray()) {
    const amqp::Table* death = value.AsTable();
    if (!death) return false;
    if (death->GetString("reason") == kRejected) return false;
    if (death->GetString("queue") == name) return true;
  }
  return false;
}

std::optional<Death> LastDeathOf(const Message& message) {
  const auto view = amqp::DecodeProperties(message.properties());
  if (!view) return std::nullopt;
  const auto deaths = view->headers.Find("x-death");
  if (!deaths || !deaths->AsArray() || deaths->AsArray()->empty()) return std::nullopt;
  const amqp::Table* newest = deaths->AsArray()->front().AsTable();
  if (newest == nullptr || !newest->GetString("queue")) return std::nullopt;
  Death death{.reason = std::string(newest->GetString("reason").value_or("")),
              .queue = std::string(*newest->GetString("queue")),
              .exchange = std::string(newest->GetString("exchange").value_or("")),
              .routing_key = {}};
  const amqp::Value* keys = newest->Find("routing-keys");
  if (keys != nullptr && keys->AsArray() && !keys->AsArray()->empty())
    death.routing_key = std::string(keys->AsArray()->front().AsString().value_or(""));
  return death;
}

}  // namespace landfall::broker
