#include "admin/user_changes.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "server/definitions.h"

namespace landfall::admin {
using boost::asio::awaitable;
using nlohmann::json;

Result<server::UserDefinitions> ReadUserSection(const char* section, json entry) {
  json all;
  all[section] = json::array({std::move(entry)});
  auto read = server::ParseDefinitions(JsonText(all));
  if (!read) return std::unexpected(read.error());
  return std::move(read->users);
}

awaitable<Reply> ImportUsers(Backend& backend, server::UserDefinitions definitions,
                             Reply on_success) {
  const Backend::Work work = [&backend,
                              definitions = std::move(definitions)]() -> Result<std::string> {
    if (auto done = backend.broker().users().Import(definitions); !done)
      return std::unexpected(done.error());
    backend.broker().UsersChanged();
    return "";
  };
  const Result<std::string> done = co_await backend.Slowly(work);
  if (!done) co_return ReplyTo(done.error());
  co_return on_success;
}

awaitable<Reply> ChangeUsers(Backend& backend, UserChange change) {
  const Backend::Work work = [&backend, change = std::move(change)]() -> Result<std::string> {
    if (auto done = change(backend.broker().users()); !done) return std::unexpected(done.error());
    backend.broker().UsersChanged();
    return "";
  };
  const Result<std::string> done = co_await backend.Slowly(work);
  if (!done) co_return ReplyTo(done.error());
  co_return NoContent();
}

std::optional<server::User> FindUser(Backend& backend, const std::string& name) {
  for (server::User& user : backend.broker().users().List()) {
    if (user.name == name) return std::move(user);
  }
  return std::nullopt;
}

}  // namespace landfall::admin
