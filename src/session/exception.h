#pragma once

#include <expected>
#include <string>
#include <string_view>
#include <utility>

#include "amqp/methods_generated.h"
#include "amqp/reply_code.h"

namespace landfall::session {

// Why a channel or the whole connection must be closed. The code decides which of the two
// (amqp::IsHardError); `text` goes to the peer and the log and starts with the code's name.
struct Exception {
  amqp::ReplyCode code{};
  std::string text;
  amqp::MethodId method = 0;  // what the peer did; 0: no method in particular
};

// What came of handling something a peer sent.
using Verdict = std::expected<void, Exception>;

inline std::unexpected<Exception> Refuse(amqp::ReplyCode code, std::string_view detail) {
  std::string text(amqp::ReplyName(code));
  text += " - ";
  text += detail;
  return std::unexpected(Exception{code, std::move(text)});
}

}  // namespace landfall::session
