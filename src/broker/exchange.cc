#include "broker/exchange.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "base/assert.h"
#include "base/wire.h"

namespace landfall::broker {

std::string_view ExchangeTypeName(ExchangeType type) {
  switch (type) {
    case ExchangeType::kDirect:
      return "direct";
    case ExchangeType::kFanout:
      return "fanout";
    case ExchangeType::kTopic:
      return "topic";
    case ExchangeType::kHeaders:
      return "headers";
    case ExchangeType::kConsistentHash:
      return "x-consistent-hash";
    case ExchangeType::kDelayed:
      return "x-delayed-message";
  }
  return "unknown";
}

std::optional<ExchangeType> ParseExchangeType(std::string_view name) {
  for (const ExchangeType type :
       {ExchangeType::kDirect, ExchangeType::kFanout, ExchangeType::kTopic, ExchangeType::kHeaders,
        ExchangeType::kConsistentHash, ExchangeType::kDelayed}) {
    if (name == ExchangeTypeName(type)) return type;
  }
  return std::nullopt;
}

std::string Binding::Identity() const {
  std::string identity;
  identity.push_back(to_exchange ? 'x' : 'q');
  if (to_exchange) {
    AppendSized(identity, destination);
  } else {
    AppendVarint(identity, queue.id);
  }
  AppendSized(identity, routing_key);
  if (!arguments.empty()) {
    std::vector<amqp::TableEntry> entries(arguments.begin(), arguments.end());
    std::stable_sort(entries.begin(), entries.end(),
                     [](const auto& a, const auto& b) { return a.name < b.name; });
    amqp::Table sorted;
    for (amqp::TableEntry& entry : entries) sorted.Append(entry.name, std::move(entry.value));
    identity += sorted.Encode();
  }
  return identity;
}

void Destinations::Add(const Binding& binding) {
  if (binding.to_exchange) {
    ++exchanges_.At(binding.destination);
    return;
  }
  if (first_count_ == 0) first_ = binding.queue;
  if (first_.id == binding.queue.id) {
    ++first_count_;
    return;
  }
  Counted& counted = more_.At(binding.queue.id);
  counted.target = binding.queue;
  ++counted.count;
}

void Destinations::Remove(const Binding& binding) {
  if (binding.to_exchange) {
    if (--exchanges_.At(binding.destination) == 0) exchanges_.Erase(binding.destination);
    return;
  }
  if (first_count_ == 0 || first_.id != binding.queue.id) {
    const Counted* counted = more_.Find(binding.queue.id);
    LANDFALL_ASSERT(counted != nullptr);
    if (counted->count > 1) {
      --more_.At(binding.queue.id).count;
    } else {
      more_.Erase(binding.queue.id);
    }
    return;
  }
  if (--first_count_ != 0 || more_.empty()) return;
  const Counted next = *more_.Any().second;
  more_.Erase(next.target.id);
  first_ = next.target;
  first_count_ = next.count;
}

bool Exchange::Add(BindingRef binding) {
  const std::string identity = binding->Identity();
  if (bindings_.Contains(identity)) return false;
  switch (routing()) {
    case ExchangeType::kDirect:
      by_key_.At(binding->routing_key).Add(*binding);
      break;
    case ExchangeType::kFanout:
      fanout_.Add(*binding);
      break;
    case ExchangeType::kTopic:
      topics_.Add(binding->routing_key, *binding);
      break;
    case ExchangeType::kHeaders:
    case ExchangeType::kConsistentHash:
    case ExchangeType::kDelayed:
      break;
  }
  bindings_.Set(identity, std::move(binding));
  return true;
}

bool Exchange::Remove(const Binding& binding) {
  if (!bindings_.Erase(binding.Identity())) return false;
  switch (routing()) {
    case ExchangeType::kDirect: {
      Destinations& destinations = by_key_.At(binding.routing_key);
      destinations.Remove(binding);
      if (destinations.empty()) by_key_.Erase(binding.routing_key);
      break;
    }
    case ExchangeType::kFanout:
      fanout_.Remove(binding);
      break;
    case ExchangeType::kTopic:
      topics_.Remove(binding.routing_key, binding);
      break;
    case ExchangeType::kHeaders:
    case ExchangeType::kConsistentHash:
    case ExchangeType::kDelayed:
      break;
  }
  return true;
}

std::optional<std::string> CheckHeadersBinding(const amqp::Table& arguments) {
  const amqp::Value* match = arguments.Find("x-match");
  if (match == nullptr) return std::nullopt;
  const std::optional<std::string_view> kind = match->AsString();
  if (!kind) return "Invalid x-match field type; expected longstr";
  for (const std::string_view known : {"all", "any", "all-with-x", "any-with-x"}) {
    if (*kind == known) return std::nullopt;
  }
  return fmt::format(
      "Invalid x-match field value '{}'; expected all, any, all-with-x or any-with-x", *kind);
}

bool HeadersMatch(const amqp::Table& binding_arguments, const amqp::Table& headers) {
  const std::string_view kind = binding_arguments.GetString("x-match").value_or("all");
  const bool any = kind.starts_with("any");
  const bool with_x = kind.ends_with("-with-x");
  for (const amqp::TableEntry& wanted : binding_arguments) {
    if (wanted.name == "x-match" || (!with_x && wanted.name.starts_with("x-"))) continue;
    const amqp::Value* header = headers.Find(wanted.name);
    // An argument without a value asks only that the header is there.
    const bool met =
        header != nullptr && (wanted.value.IsVoid() || amqp::Equivalent(wanted.value, *header));
    if (met == any) return any;
  }
  return !any;
}

}  // namespace landfall::broker
