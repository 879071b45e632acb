#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "server/definitions.h"
#include "server/limits_json.h"
#include "server/table_json.h"

namespace landfall::server {
namespace {

using nlohmann::json;

json ToJson(const broker::Policy& policy) {
  return {{"pattern", policy.pattern},
          {"apply-to", broker::PolicyScopeName(policy.apply_to)},
          {"priority", policy.priority},
          {"definition", server::ToJson(policy.definition)}};
}

json ToJson(const broker::Binding& binding, const std::string& destination) {
  return {{"source", binding.source},
          {"destination", destination},
          {"destination_type", binding.to_exchange ? "exchange" : "queue"},
          {"routing_key", binding.routing_key},
          {"arguments", server::ToJson(binding.arguments)}};
}

json ToJson(const User& user) {
  return {{"name", user.name},
          {"password_hash", user.password_hash},
          {"hashing_algorithm", kOwnHashingAlgorithm},
          {"tags", user.tags},
          {"limits", LimitsForm(user)},
          // RabbitMQ has no such field: it says all that a user may do in `permissions`, which
          // cannot say "in every vhost".
          {"vhosts", user.vhosts}};
}

class Writer {
 public:
  explicit Writer(const broker::TopologySnapshot& snapshot) : snapshot_(snapshot) {
    for (const char* section :
         {"vhosts", "parameters", "policies", "exchanges", "queues", "bindings"}) {
      root_[section] = json::array();
    }
  }

  void AddUsers(const UserTable& table) {
    for (const char* section : {"users", "permissions", "topic_permissions"})
      root_[section] = json::array();
    for (const auto& [name, user] : table.users) {
      root_["users"].push_back(ToJson(user));
      for (const auto& [vhost, p] : user.permissions)
        root_["permissions"].push_back({{"user", name},
                                        {"vhost", vhost},
                                        {"configure", p.configure},
                                        {"write", p.write},
                                        {"read", p.read}});
      for (const auto& [vhost, exchanges] : user.topic_permissions)
        for (const auto& [exchange, p] : exchanges)
          root_["topic_permissions"].push_back({{"user", name},
                                                {"vhost", vhost},
                                                {"exchange", exchange},
                                                {"write", p.write},
                                                {"read", p.read}});
    }
    for (const auto& [vhost, limits] : table.vhost_limits)
      root_["parameters"].push_back({{"vhost", vhost},
                                     {"component", "vhost-limits"},
                                     {"name", "limits"},
                                     {"value", LimitsForm(limits)}});
  }

  json Write() {
    snapshot_.vhosts.ForEach([&](const std::string& name, const broker::VhostRef& vhost) {
      root_["vhosts"].push_back({{"name", name}});
      WritePolicies(*vhost);
      WriteExchanges(*vhost);
      vhost->queues.ForEach([&](const std::string&, const broker::QueueInfoRef& queue) {
        if (!queue->journaled()) return;
        Add("queues", *vhost, queue->name,
            {{"durable", true},
             {"auto_delete", queue->auto_delete},
             {"arguments", server::ToJson(queue->arguments)}});
      });
    });
    // Maps have no order of their own, and two exports of the same should be the same.
    for (json& section : root_) std::sort(section.begin(), section.end());
    LeaveOutWhatCannotBeSaid();
    return std::move(root_);
  }

 private:
  // AMQP lets names and arguments be any bytes. One client that makes use of it must not keep
  // everybody else's definitions from being saved.
  void LeaveOutWhatCannotBeSaid() {
    std::string left_out;
    for (const auto& [name, section] : root_.items()) {
      const size_t removed = std::erase_if(section.get_ref<json::array_t&>(),
                                           [](const json& entry) { return !CanBeSaid(entry); });
      if (removed > 0)
        left_out += fmt::format("{}{} of {}", left_out.empty() ? "" : ", ", removed, name);
    }
    if (left_out.empty()) return;
    root_["explanation"] = fmt::format(
        "left out, since JSON cannot say names and texts that are no UTF-8: {}", left_out);
  }
  static bool CanBeSaid(const json& entry) {
    try {
      static_cast<void>(entry.dump());
      return true;
    } catch (const json::exception&) {
      return false;
    }
  }

  void Add(const char* section, const broker::Vhost& vhost, const std::string& name, json entry) {
    entry["vhost"] = vhost.name;
    entry["name"] = name;
    root_[section].push_back(std::move(entry));
  }

  void WritePolicies(const broker::Vhost& vhost) {
    vhost.policies.ForEach([&](const std::string& name, const broker::PolicyRef& policy) {
      Add("policies", vhost, name, ToJson(*policy));
    });
    vhost.operator_policies.ForEach([&](const std::string& name, const broker::PolicyRef& policy) {
      Add("parameters", vhost, name,
          {{"component", "operator_policy"}, {"value", ToJson(*policy)}});
    });
  }

  void WriteExchanges(const broker::Vhost& vhost) {
    vhost.exchanges.ForEach([&](const std::string& name, const broker::ExchangeRef& exchange) {
      if (!exchange->durable) return;
      exchange->bindings().ForEach([&](const std::string&, const broker::BindingRef& binding) {
        if (!binding->durable) return;
        json entry =
            ToJson(*binding, binding->to_exchange ? binding->destination
                                                  : snapshot_.FindQueue(binding->queue.id)->name);
        entry["vhost"] = vhost.name;
        root_["bindings"].push_back(std::move(entry));
      });
      if (name.starts_with("amq.")) return;  // every vhost has these
      Add("exchanges", vhost, name,
          {{"type", broker::ExchangeTypeName(exchange->type)},
           {"durable", true},
           {"auto_delete", exchange->auto_delete},
           {"internal", exchange->internal},
           {"arguments", server::ToJson(exchange->arguments)}});
    });
  }

  const broker::TopologySnapshot& snapshot_;
  json root_;
};

}  // namespace

Result<std::string> WriteDefinitions(const broker::TopologySnapshot& snapshot,
                                     const UserTable* users) {
  try {
    Writer writer(snapshot);
    if (users != nullptr) writer.AddUsers(*users);
    return writer.Write().dump(2) + "\n";
  } catch (const json::exception& e) {
    return Fail(ErrorCode::kInvalidArgument,
                fmt::format("a name or an argument cannot be said in JSON: {}", e.what()));
  }
}

}  // namespace landfall::server
