#pragma once

#include <cstdint>
#include <string_view>

namespace landfall::amqp {

// Why a channel or a connection is closed, or a message returned: AMQP 0-9-1 section 1.1 and
// NO_ROUTE, which RabbitMQ sends with basic.return.
//
// What this folder's decoders report goes to the peer as:
//   a frame that cannot be one          FrameResult::reply     (501)
//   an Error from a decoder             kSyntaxError           (502)
//   a method id that IsKnownMethod      kCommandInvalid (503), or kNotImplemented (540) for one
//   does not know                       that the AMQP specification has and we do not serve
//   a good frame at the wrong moment    kUnexpectedFrame       (505), the session's to decide
enum class ReplyCode : uint16_t {
  kReplySuccess = 200,
  kContentTooLarge = 311,
  kNoRoute = 312,
  kNoConsumers = 313,
  kConnectionForced = 320,
  kInvalidPath = 402,
  kAccessRefused = 403,
  kNotFound = 404,
  kResourceLocked = 405,
  kPreconditionFailed = 406,
  kFrameError = 501,
  kSyntaxError = 502,
  kCommandInvalid = 503,
  kChannelError = 504,
  kUnexpectedFrame = 505,
  kResourceError = 506,
  kNotAllowed = 530,
  kNotImplemented = 540,
  kInternalError = 541,
};

// "PRECONDITION_FAILED"; "UNKNOWN" for a number that is none of the above.
std::string_view ReplyName(ReplyCode code);

// True if the code closes the connection; false if it closes the channel (or is no error at all).
bool IsHardError(ReplyCode code);

}  // namespace landfall::amqp
