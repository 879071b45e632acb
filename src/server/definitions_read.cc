#include <fmt/format.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "broker/policy.h"
#include "server/definitions.h"

namespace landfall::server {
namespace {

using nlohmann::json;

std::unexpected<Error> Refuse(std::string message) {
  return Fail(ErrorCode::kInvalidArgument, std::move(message));
}

// Numbers, texts, lists and objects as the types that clients send them in.
amqp::Value ToAmqp(const json& value, int depth);

amqp::Table ToTable(const json& object, int depth) {
  amqp::Table table;
  if (depth >= amqp::kMaxTableDepth) return table;
  for (const auto& [name, value] : object.items()) table.Set(name, ToAmqp(value, depth));
  return table;
}

amqp::Value ToAmqp(const json& value, int depth) {
  if (value.is_boolean()) return value.get<bool>();
  if (value.is_number_unsigned() && value.get<uint64_t>() > INT64_MAX) return value.get<double>();
  if (value.is_number_integer()) return value.get<int64_t>();
  if (value.is_number_float()) return value.get<double>();
  if (value.is_string()) return value.get<std::string>();
  if (value.is_object()) return ToTable(value, depth + 1);
  if (!value.is_array() || depth >= amqp::kMaxTableDepth) return {};
  amqp::Array array;
  for (const json& each : value) array.push_back(ToAmqp(each, depth + 1));
  return array;
}

// The fields of one entry of a section, and the first thing that is wrong with them.
class Entry {
 public:
  Entry(const json& object, std::string place) : object_(object), place_(std::move(place)) {
    if (!object.is_object()) Wrong("must be an object");
  }

  std::string Text(const char* name, const char* otherwise = nullptr) {
    const json* value = Find(name, otherwise != nullptr);
    if (value == nullptr) return otherwise == nullptr ? "" : otherwise;
    if (!value->is_string()) {
      Wrong(fmt::format("{} must be a string", name));
      return "";
    }
    return value->get<std::string>();
  }
  bool Flag(const char* name) {
    const json* value = Find(name, true);
    if (value == nullptr) return false;
    if (!value->is_boolean()) Wrong(fmt::format("{} must be true or false", name));
    return value->is_boolean() && value->get<bool>();
  }
  int64_t Number(const char* name) {
    const json* value = Find(name, true);
    if (value == nullptr) return 0;
    if (!value->is_number_integer()) Wrong(fmt::format("{} must be an integer", name));
    return value->is_number_integer() ? value->get<int64_t>() : 0;
  }
  amqp::Table Table(const char* name) {
    const json* value = Find(name, true);
    // What exports an empty object as [] is common.
    if (value == nullptr || (value->is_array() && value->empty())) return {};
    if (!value->is_object()) Wrong(fmt::format("{} must be an object", name));
    return value->is_object() ? ToTable(*value, 0) : amqp::Table();
  }
  Entry Object(const char* name) {
    const json* value = Find(name, false);
    return {value == nullptr ? json() : *value, fmt::format("{}.{}", place_, name)};
  }

  void Wrong(std::string_view sentence) {
    if (error_.empty()) error_ = fmt::format("{}: {}", place_, sentence);
  }
  void Name(const std::string& name, const std::string& vhost) {
    place_ += fmt::format(" ({} in {})", name, vhost);
  }
  const std::string& place() const { return place_; }
  const std::string& error() const { return error_; }

 private:
  const json* Find(const char* name, bool optional) {
    if (!object_.is_object()) return nullptr;
    const auto it = object_.find(name);
    if (it != object_.end()) return &*it;
    if (!optional) Wrong(fmt::format("{} is missing", name));
    return nullptr;
  }

  const json object_;
  std::string place_;
  std::string error_;
};

class Reader {
 public:
  explicit Reader(const json& root) : root_(root) {}

  Result<Definitions> Read() {
    Section("vhosts", [this](Entry& e) {
      const std::string name = e.Text("name");
      e.Name(name, "vhosts");
      Add(e, "", broker::CreateVhost{name});
    });
    Section("parameters", [this](Entry& e) { ReadParameter(e); });
    Section("policies", [this](Entry& e) { ReadPolicy(e, e, false); });
    Section("exchanges", [this](Entry& e) {
      broker::DeclareExchange r;
      const std::string vhost = NameOf(e, r.name);
      r.type = e.Text("type", "direct");
      r.durable = e.Flag("durable");
      r.auto_delete = e.Flag("auto_delete");
      r.internal = e.Flag("internal");
      r.arguments = e.Table("arguments");
      Add(e, vhost, std::move(r));
    });
    Section("queues", [this](Entry& e) {
      broker::DeclareQueue r;
      const std::string vhost = NameOf(e, r.name);
      if (r.name.empty()) e.Wrong("name must not be empty");
      r.durable = e.Flag("durable");
      r.auto_delete = e.Flag("auto_delete");
      r.arguments = e.Table("arguments");
      Add(e, vhost, std::move(r));
    });
    Section("bindings", [this](Entry& e) { ReadBinding(e); });
    for (const char* section : {"users", "permissions", "topic_permissions", "global_parameters"}) {
      Skip(section);
    }
    if (!error_.empty()) return Refuse(error_);
    return std::move(definitions_);
  }

 private:
  template <class F>
  void Section(const char* name, F&& read) {
    const auto section = root_.find(name);
    if (section == root_.end() || !error_.empty()) return;
    if (!section->is_array()) {
      error_ = fmt::format("{} must be a list", name);
      return;
    }
    for (size_t i = 0; i < section->size() && error_.empty(); ++i) {
      Entry entry((*section)[i], fmt::format("{}[{}]", name, i));
      if (entry.error().empty()) read(entry);
      error_ = entry.error();
    }
  }

  static std::string NameOf(Entry& e, std::string& name) {
    name = e.Text("name");
    std::string vhost = e.Text("vhost");
    e.Name(name, vhost);
    return vhost;
  }

  void Add(Entry& e, std::string vhost, broker::TopologyRequestBody body) {
    broker::TopologyRequest request;
    request.vhost = std::move(vhost);
    request.body = std::move(body);
    definitions_.steps.push_back({e.place(), std::move(request)});
  }

  // An operator policy is a parameter: its fields are in the parameter's value.
  void ReadParameter(Entry& e) {
    const std::string component = e.Text("component");
    if (component != "operator_policy") {
      definitions_.skipped.push_back(
          fmt::format("parameters: {} of {}", e.Text("name", ""), component));
      return;
    }
    Entry value = e.Object("value");
    ReadPolicy(e, value, true);
    if (!value.error().empty() && e.error().empty()) e.Wrong(value.error());
  }

  void ReadPolicy(Entry& e, Entry& fields, bool by_operator) {
    broker::SetPolicy r;
    const std::string vhost = NameOf(e, r.policy.name);
    r.policy.by_operator = by_operator;
    r.policy.pattern = fields.Text("pattern");
    r.policy.priority = fields.Number("priority");
    r.policy.definition = fields.Table("definition");
    const std::string scope = fields.Text("apply-to", "all");
    if (const auto parsed = broker::ParsePolicyScope(scope)) {
      r.policy.apply_to = *parsed;
    } else {
      e.Wrong(
          fmt::format("apply-to '{}' unrecognised; should be one of all, queues, "
                      "classic_queues, quorum_queues, exchanges",
                      scope));
    }
    if (const auto checked = broker::CheckPolicy(r.policy); !checked) e.Wrong(checked.error());
    Add(e, vhost, std::move(r));
  }

  void ReadBinding(Entry& e) {
    broker::Bind r;
    r.source = e.Text("source");
    r.destination = e.Text("destination");
    const std::string vhost = e.Text("vhost");
    e.Name(r.source + " to " + r.destination, vhost);
    const std::string type = e.Text("destination_type");
    if (type != "queue" && type != "exchange") {
      e.Wrong("destination_type must be queue or exchange");
    }
    r.to_exchange = type == "exchange";
    r.routing_key = e.Text("routing_key", "");
    r.arguments = e.Table("arguments");
    if (r.source.empty()) return;  // the default exchange's, which are implied
    Add(e, vhost, std::move(r));
  }

  void Skip(const char* section) {
    const auto found = root_.find(section);
    if (found == root_.end() || !found->is_array() || found->empty()) return;
    std::vector<std::string> names;
    for (const json& entry : *found) {
      for (const char* key : {"name", "user"}) {
        if (!entry.is_object() || !entry.contains(key) || !entry[key].is_string()) continue;
        names.push_back(entry[key].get<std::string>());
        break;
      }
    }
    definitions_.skipped.push_back(fmt::format("{}: {}", section, fmt::join(names, ", ")));
  }

  const json& root_;
  Definitions definitions_;
  std::string error_;
};

}  // namespace

Result<Definitions> ParseDefinitions(std::string_view text) {
  try {
    const json root = json::parse(text);
    if (!root.is_object()) return Refuse("definitions are one JSON object");
    return Reader(root).Read();
  } catch (const json::exception& e) {
    return Refuse(e.what());
  }
}

Result<Definitions> ReadDefinitions(const std::string& file) {
  std::ifstream in(file, std::ios::binary);
  std::ostringstream text;
  if (in) text << in.rdbuf();
  if (!in) return Refuse(fmt::format("cannot read {}: {}", file, std::strerror(errno)));
  auto definitions = ParseDefinitions(text.str());
  if (!definitions) return Refuse(fmt::format("{}: {}", file, definitions.error().message));
  return definitions;
}

}  // namespace landfall::server
