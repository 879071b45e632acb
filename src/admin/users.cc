// /api/users, permissions, topic permissions and password hashes.
#include <fmt/format.h>
#include <sodium.h>

#include <array>

#include "admin/endpoint_common.h"
#include "admin/endpoints.h"
#include "admin/user_changes.h"
#include "server/log.h"

namespace landfall::admin {
namespace {

Reply NoUser(const std::string& name) {
  return NotFound(fmt::format("there is no user '{}'", name));
}

awaitable<Reply> ListUsers(Backend& backend, Call& call) {
  const std::vector<server::User> users = backend.broker().users().List();
  std::vector<ListItem> items;
  items.reserve(users.size());
  for (const server::User& user : users)
    items.push_back({.vhost = "", .name = user.name, .build = [&user] { return UserForm(user); }});
  co_return ListReply(std::move(items), call.query());
}

awaitable<Reply> GetUser(Backend& backend, Call& call) {
  const auto user = FindUser(backend, call.names[0]);
  if (!user) co_return NoUser(call.names[0]);
  co_return JsonReply(UserForm(*user));
}

awaitable<Reply> PutUser(Backend& backend, Call& call) {
  auto body = BodyOf(call.request);
  if (!body) co_return body.error();
  if (!body->contains("tags")) co_return BadRequest("key_missing: tags");
  const bool is_new = !FindUser(backend, call.names[0]);
  (*body)["name"] = call.names[0];
  auto read = ReadUserSection("users", std::move(*body));
  if (!read) co_return ReplyTo(read.error());
  server::LogInfo("a user is set", {{"user", call.names[0]}, {"by", call.caller.user}});
  const Reply reply = is_new ? Created() : NoContent();
  co_return co_await ImportUsers(backend, std::move(*read), reply);
}

awaitable<Reply> DeleteUser(Backend& backend, Call& call) {
  server::LogInfo("a user is deleted", {{"user", call.names[0]}, {"by", call.caller.user}});
  const UserChange change = [&name = call.names[0]](server::UserFile& users) {
    return users.Delete(name);
  };
  co_return co_await ChangeUsers(backend, change);
}

// ------------------------------------------------------------------------------------- permissions

json PermissionForm(const std::string& user, const std::string& vhost,
                    const server::PermissionPatterns& patterns) {
  return {{"user", user},
          {"vhost", vhost},
          {"configure", patterns.configure},
          {"write", patterns.write},
          {"read", patterns.read}};
}

// Of all users in all vhosts, what is said of several vhosts spelled out for each.
std::vector<json> PermissionForms(const std::vector<server::User>& users,
                                  const broker::TopologySnapshot& topology) {
  const server::PermissionPatterns everything{.configure = ".*", .write = ".*", .read = ".*"};
  std::vector<json> forms;
  for (const server::User& user : users) {
    for (const broker::VhostRef& vhost : VhostsOf(topology)) {
      const auto said = user.permissions.find(vhost->name);
      const bool everywhere = std::ranges::find(user.vhosts, "*") != user.vhosts.end();
      if (said != user.permissions.end()) {
        forms.push_back(PermissionForm(user.name, vhost->name, said->second));
      } else if (everywhere || std::ranges::find(user.vhosts, vhost->name) != user.vhosts.end()) {
        forms.push_back(PermissionForm(user.name, vhost->name, everything));
      }
    }
  }
  return forms;
}

awaitable<std::vector<json>> Permissions(Backend& backend) {
  const broker::SnapshotRef topology = co_await backend.Snapshot();
  co_return PermissionForms(backend.broker().users().List(), *topology);
}

awaitable<Reply> ListPermissions(Backend& backend, Call&) {
  std::vector<json> forms = co_await Permissions(backend);
  co_return JsonReply(json(std::move(forms)));
}

awaitable<Reply> ListPermissionsOfUser(Backend& backend, Call& call) {
  if (!FindUser(backend, call.names[0])) co_return NoUser(call.names[0]);
  std::vector<json> forms = co_await Permissions(backend);
  std::erase_if(forms, [&](const json& form) { return form["user"] != call.names[0]; });
  co_return JsonReply(json(std::move(forms)));
}

awaitable<Reply> ListPermissionsOfVhost(Backend& backend, Call& call) {
  const broker::SnapshotRef topology = co_await backend.Snapshot();
  if (!topology->FindVhost(call.names[0]))
    co_return NotFound(fmt::format("there is no vhost '{}'", call.names[0]));
  std::vector<json> forms = co_await Permissions(backend);
  std::erase_if(forms, [&](const json& form) { return form["vhost"] != call.names[0]; });
  co_return JsonReply(json(std::move(forms)));
}

awaitable<Reply> GetPermission(Backend& backend, Call& call) {
  std::vector<json> forms = co_await Permissions(backend);
  for (const json& form : forms) {
    if (form["vhost"] == call.names[0] && form["user"] == call.names[1]) co_return JsonReply(form);
  }
  co_return NotFound(
      fmt::format("user '{}' has no permissions in vhost '{}'", call.names[1], call.names[0]));
}

awaitable<Reply> PutPermission(Backend& backend, Call& call) {
  auto body = BodyOf(call.request);
  if (!body) co_return body.error();
  const std::string& vhost = call.names[0];
  const std::string& name = call.names[1];
  const broker::SnapshotRef topology = co_await backend.Snapshot();
  if (!topology->FindVhost(vhost)) co_return BadRequest("vhost_or_user_not_found");
  const auto user = FindUser(backend, name);
  if (!user) co_return BadRequest("vhost_or_user_not_found");
  const bool is_new = !user->permissions.contains(vhost);
  (*body)["vhost"] = vhost;
  (*body)["user"] = name;
  auto read = ReadUserSection("permissions", std::move(*body));
  if (!read) co_return ReplyTo(read.error());
  server::LogInfo("permissions are set",
                  {{"user", name}, {"vhost", vhost}, {"by", call.caller.user}});
  const Reply reply = is_new ? Created() : NoContent();
  co_return co_await ImportUsers(backend, std::move(*read), reply);
}

awaitable<Reply> DeletePermission(Backend& backend, Call& call) {
  server::LogInfo("permissions are cleared",
                  {{"user", call.names[1]}, {"vhost", call.names[0]}, {"by", call.caller.user}});
  const UserChange change = [&](server::UserFile& users) {
    return users.ClearPermissions(call.names[1], call.names[0]);
  };
  co_return co_await ChangeUsers(backend, change);
}

// ------------------------------------------------------------------------------- topic permissions

json TopicForms(const std::vector<server::User>& users, const std::string* user,
                const std::string* vhost) {
  json forms = json::array();
  for (const server::User& each : users) {
    if (user != nullptr && each.name != *user) continue;
    for (const auto& [in, exchanges] : each.topic_permissions) {
      if (vhost != nullptr && in != *vhost) continue;
      for (const auto& [exchange, patterns] : exchanges) {
        forms.push_back({{"user", each.name},
                         {"vhost", in},
                         {"exchange", exchange},
                         {"write", patterns.write},
                         {"read", patterns.read}});
      }
    }
  }
  return forms;
}

awaitable<Reply> ListTopicPermissions(Backend& backend, Call&) {
  co_return JsonReply(TopicForms(backend.broker().users().List(), nullptr, nullptr));
}

awaitable<Reply> ListTopicPermissionsOfUser(Backend& backend, Call& call) {
  if (!FindUser(backend, call.names[0])) co_return NoUser(call.names[0]);
  co_return JsonReply(TopicForms(backend.broker().users().List(), &call.names[0], nullptr));
}

awaitable<Reply> GetTopicPermissions(Backend& backend, Call& call) {
  if (!FindUser(backend, call.names[1])) co_return NoUser(call.names[1]);
  co_return JsonReply(TopicForms(backend.broker().users().List(), &call.names[1], &call.names[0]));
}

awaitable<Reply> PutTopicPermission(Backend& backend, Call& call) {
  auto body = BodyOf(call.request);
  if (!body) co_return body.error();
  const broker::SnapshotRef topology = co_await backend.Snapshot();
  const auto user = FindUser(backend, call.names[1]);
  if (!topology->FindVhost(call.names[0]) || !user) co_return BadRequest("vhost_or_user_not_found");
  const bool is_new = !user->topic_permissions.contains(call.names[0]);
  (*body)["vhost"] = call.names[0];
  (*body)["user"] = call.names[1];
  auto read = ReadUserSection("topic_permissions", std::move(*body));
  if (!read) co_return ReplyTo(read.error());
  const Reply reply = is_new ? Created() : NoContent();
  co_return co_await ImportUsers(backend, std::move(*read), reply);
}

awaitable<Reply> DeleteTopicPermissions(Backend& backend, Call& call) {
  const UserChange change = [&](server::UserFile& users) {
    return users.ClearTopicPermissions(call.names[1], call.names[0], "");
  };
  co_return co_await ChangeUsers(backend, change);
}

// As RabbitMQ makes it: four bytes of salt, then SHA-256 of salt and password. PUT takes it as
// password_hash; it is not how the password is kept.
awaitable<Reply> GetPasswordHash(Backend&, Call& call) {
  std::string salted(4, '\0');
  randombytes_buf(salted.data(), salted.size());
  std::string hash = salted;
  salted += call.names[0];
  std::array<unsigned char, crypto_hash_sha256_BYTES> digest{};
  crypto_hash_sha256(digest.data(), reinterpret_cast<const unsigned char*>(salted.data()),
                     salted.size());
  hash.append(reinterpret_cast<const char*>(digest.data()), digest.size());
  co_return JsonReply({{"ok", EncodeBase64(hash)}});
}

}  // namespace

void AddUserEndpoints(Router& router) {
  constexpr auto kNeed = Need::kAdministrator;
  router.Add({
      {"GET", "/api/users", kNeed, ListUsers},
      {"GET", "/api/users/{user}", kNeed, GetUser},
      {"PUT", "/api/users/{user}", kNeed, PutUser},
      {"DELETE", "/api/users/{user}", kNeed, DeleteUser},
      {"GET", "/api/users/{user}/permissions", kNeed, ListPermissionsOfUser},
      {"GET", "/api/users/{user}/topic-permissions", kNeed, ListTopicPermissionsOfUser},
      {"GET", "/api/permissions", kNeed, ListPermissions},
      {"GET", "/api/vhosts/{vhost}/permissions", kNeed, ListPermissionsOfVhost},
      {"GET", "/api/permissions/{vhost}/{user}", kNeed, GetPermission},
      {"PUT", "/api/permissions/{vhost}/{user}", kNeed, PutPermission},
      {"DELETE", "/api/permissions/{vhost}/{user}", kNeed, DeletePermission},
      {"GET", "/api/topic-permissions", kNeed, ListTopicPermissions},
      {"GET", "/api/topic-permissions/{vhost}/{user}", kNeed, GetTopicPermissions},
      {"PUT", "/api/topic-permissions/{vhost}/{user}", kNeed, PutTopicPermission},
      {"DELETE", "/api/topic-permissions/{vhost}/{user}", kNeed, DeleteTopicPermissions},
      {"GET", "/api/auth/hash_password/{password}", Need::kManagement, GetPasswordHash},
  });
}

}  // namespace landfall::admin
