#include "server/user_definitions_read.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <utility>

#include "server/limits_json.h"
#include "server/users.h"

namespace landfall::server {
namespace {

using nlohmann::json;

std::string_view Trimmed(std::string_view text) {
  const size_t from = text.find_first_not_of(' ');
  if (from == std::string_view::npos) return {};
  return text.substr(from, text.find_last_not_of(' ') - from + 1);
}

std::vector<std::string> SplitAtCommas(std::string_view text) {
  std::vector<std::string> parts;
  while (!text.empty()) {
    const size_t end = std::min(text.find(','), text.size());
    const std::string_view part = Trimmed(text.substr(0, end));
    if (!part.empty()) parts.emplace_back(part);
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return parts;
}

// A list of names; a string with commas in between, as RabbitMQ before 3.8 wrote tags, is one too.
std::optional<std::vector<std::string>> ReadNames(DefinitionEntry& e, const char* field) {
  const json* value = e.Find(field);
  if (value == nullptr) return std::nullopt;
  if (value->is_string()) return SplitAtCommas(value->get<std::string>());
  if (!value->is_array() || !std::ranges::all_of(*value, &json::is_string)) {
    e.Wrong(fmt::format("{} must be a list of strings", field));
    return std::nullopt;
  }
  return value->get<std::vector<std::string>>();
}

}  // namespace

void UserDefinitionsReader::ReadUser(DefinitionEntry& e) {
  UserDefinitions::User user;
  user.name = e.Text("name");
  e.Name(user.name);
  if (user.name.empty() || user.name.size() > kMaxUserNameBytes)
    e.Wrong(fmt::format("name must have 1 to {} bytes", kMaxUserNameBytes));
  if (!names_.insert(user.name).second) e.Wrong("the user is there twice");
  user.password = ReadPassword(e);
  user.tags = ReadNames(e, "tags");
  user.vhosts = ReadNames(e, "vhosts");
  ReadLimits(
      e, "limits",
      {{kMaxConnectionsLimit, &user.max_connections}, {kMaxChannelsLimit, &user.max_channels}});
  read.users.push_back(std::move(user));
}

UserDefinitions::Password UserDefinitionsReader::ReadPassword(DefinitionEntry& e) {
  std::optional<std::string> password = e.OptionalText("password");
  std::optional<std::string> hash = e.OptionalText("password_hash");
  const std::string algorithm = e.Text("hashing_algorithm", "");
  if (password && hash) e.Wrong("password and password_hash are both there; one has to go");
  if (password) {
    if (password->empty() || password->size() > kMaxPasswordBytes)
      e.Wrong(fmt::format("password must have 1 to {} bytes", kMaxPasswordBytes));
    return UserDefinitions::Cleartext{std::move(*password)};
  }
  if (!hash) return {};
  if (hash->empty()) return UserDefinitions::NoPassword{};
  if (algorithm == kOwnHashingAlgorithm) {
    if (const auto checked = CheckPasswordHash(*hash); !checked)
      e.Wrong(fmt::format("password_hash is {}", checked.error().message));
    return UserDefinitions::OwnHash{std::move(*hash)};
  }
  auto rabbit = ParseRabbitHash(algorithm, *hash);
  if (rabbit) return std::move(*rabbit);
  e.Wrong(rabbit.error().message);
  return {};
}

void UserDefinitionsReader::ReadLimits(DefinitionEntry& e, const char* field,
                                       const std::vector<Known>& known) {
  const json* limits = e.Find(field);
  // RabbitMQ writes an empty object as [] here.
  if (limits == nullptr || (limits->is_array() && limits->empty())) return;
  if (!limits->is_object()) return e.Wrong(fmt::format("{} must be an object", field));
  constexpr uint32_t kMost = std::numeric_limits<uint32_t>::max();
  for (const auto& [name, value] : limits->items()) {
    const auto limit = std::ranges::find(known, name, &Known::name);
    if (limit == known.end()) {
      left_out.push_back(fmt::format("{}: the limit {} does not exist here", e.place(), name));
    } else if (!value.is_number_integer() ||
               (value.is_number_unsigned() && value.get<uint64_t>() > kMost)) {
      e.Wrong(fmt::format("{} must be an integer of at most {}", name, kMost));
    } else {
      // Below 0 means none.
      *limit->to = value.is_number_unsigned() ? Limit{value.get<uint32_t>()} : Limit{};
    }
  }
}

void UserDefinitionsReader::ReadVhostLimits(DefinitionEntry& e, const char* field,
                                            const std::string& vhost) {
  UserDefinitions::VhostLimits limits{.vhost = vhost};
  ReadLimits(
      e, field,
      {{kMaxConnectionsLimit, &limits.max_connections}, {kMaxQueuesLimit, &limits.max_queues}});
  if (limits.max_connections || limits.max_queues) read.vhost_limits.push_back(std::move(limits));
}

void UserDefinitionsReader::ReadPermission(DefinitionEntry& e) {
  UserDefinitions::Permission p;
  p.user = e.Text("user");
  p.vhost = e.Text("vhost");
  e.Name(p.user, p.vhost);
  p.place = e.place();
  p.patterns = {.configure = e.Pattern("configure", "configure"),
                .write = e.Pattern("write", "write"),
                .read = e.Pattern("read", "read")};
  read.permissions.push_back(std::move(p));
}

void UserDefinitionsReader::ReadTopicPermission(DefinitionEntry& e) {
  UserDefinitions::TopicPermission p;
  p.user = e.Text("user");
  p.vhost = e.Text("vhost");
  p.exchange = e.Text("exchange");
  e.Name(p.user, p.vhost);
  p.place = e.place();
  p.patterns = {.write = e.Pattern("write", fmt::format("write for exchange {}", p.exchange)),
                .read = e.Pattern("read", fmt::format("read for exchange {}", p.exchange))};
  read.topic_permissions.push_back(std::move(p));
}

}  // namespace landfall::server
