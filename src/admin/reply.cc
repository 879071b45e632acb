#include "admin/reply.h"

#include <nlohmann/json.hpp>

namespace landfall::admin {

using nlohmann::json;

std::string JsonText(const json& value) {
  return value.dump(-1, ' ', false, json::error_handler_t::replace);
}

Reply JsonReply(const json& value, unsigned status) {
  return {.status = status, .body = JsonText(value)};
}

Reply NoContent() { return {.status = 204, .content_type = ""}; }

Reply Created(std::string location) {
  Reply reply{.status = 201, .content_type = ""};
  if (!location.empty()) reply.headers.emplace_back("Location", std::move(location));
  return reply;
}

Reply ErrorReply(unsigned status, std::string_view error, std::string_view reason) {
  return JsonReply({{"error", error}, {"reason", reason}}, status);
}

Reply BadRequest(std::string_view reason) { return ErrorReply(400, "bad_request", reason); }
Reply NotFound(std::string_view reason) { return ErrorReply(404, "Object Not Found", reason); }
Reply NotAuthorised(std::string_view reason) { return ErrorReply(401, "not_authorised", reason); }

Reply NotAuthenticated(std::string_view reason) {
  Reply reply = ErrorReply(401, "not_authorised", reason);
  reply.headers.emplace_back("WWW-Authenticate", "Basic realm=\"Landfall Management\"");
  return reply;
}

Reply ReplyTo(const Error& error) {
  switch (error.code) {
    case ErrorCode::kInvalidArgument:
    case ErrorCode::kProtocol:
    case ErrorCode::kExists:
      return BadRequest(error.message);
    case ErrorCode::kNotFound:
      return NotFound(error.message);
    case ErrorCode::kAccessRefused:
    case ErrorCode::kUntrusted:
      return NotAuthorised(error.message);
    case ErrorCode::kUnavailable:
    case ErrorCode::kTimeout:
    case ErrorCode::kExhausted:
      return ErrorReply(503, "service_unavailable", error.message);
    case ErrorCode::kCorrupt:
    case ErrorCode::kIo:
    case ErrorCode::kNoSpace:
    case ErrorCode::kInternal:
      break;
  }
  return ErrorReply(500, "internal_server_error", error.message);
}

}  // namespace landfall::admin
