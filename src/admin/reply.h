#pragma once

#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"

// What is answered over HTTP. Pure.
namespace landfall::admin {

class ReplyStream;

struct Reply {
  unsigned status = 200;
  std::string body{};
  std::string content_type = "application/json";
  std::vector<std::pair<std::string, std::string>> headers{};
  // Null: `body` is all of it. Otherwise what it gives is, and the connection ends with it.
  std::shared_ptr<ReplyStream> stream{};
};

// Bytes that are no UTF-8 (names may hold any) come out as U+FFFD, since JSON cannot say them.
Reply JsonReply(const nlohmann::json& json, unsigned status = 200);
std::string JsonText(const nlohmann::json& json);
Reply NoContent();
Reply Created(std::string location = "");

// {"error": …, "reason": …} as RabbitMQ answers.
Reply ErrorReply(unsigned status, std::string_view error, std::string_view reason);
Reply BadRequest(std::string_view reason);
Reply NotFound(std::string_view reason);
// The user is known and may not do this. RabbitMQ says 401 and not 403, and clients depend on it.
Reply NotAuthorised(std::string_view reason);
// Nobody knows who it is.
Reply NotAuthenticated(std::string_view reason);
Reply ReplyTo(const Error& error);

}  // namespace landfall::admin
