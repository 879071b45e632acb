#pragma once

#include <boost/asio/awaitable.hpp>
#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>

#include "admin/backend.h"
#include "admin/reply.h"
#include "base/error.h"
#include "server/user_definitions.h"
#include "server/users.h"

// How endpoints change the file of users: on the thread that may wait, and everybody is told.
//
// Thread: the administration's.
namespace landfall::admin {

// One entry of a section of definitions: read by the same rules, to be taken over by the same code.
// kInvalidArgument.
Result<server::UserDefinitions> ReadUserSection(const char* section, nlohmann::json entry);
// `on_success`, or why not.
boost::asio::awaitable<Reply> ImportUsers(Backend& backend, server::UserDefinitions definitions,
                                          Reply on_success);

using UserChange = std::function<Result<void>(server::UserFile&)>;
// 204, or why not.
boost::asio::awaitable<Reply> ChangeUsers(Backend& backend, UserChange change);

std::optional<server::User> FindUser(Backend& backend, const std::string& name);

}  // namespace landfall::admin
