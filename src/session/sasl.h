#pragma once

#include <expected>
#include <optional>
#include <string>

#include "base/bytes.h"
#include "session/exception.h"

namespace landfall::session {

// What the server offers, as in connection.start.
inline constexpr ByteView kSaslMechanisms = "PLAIN AMQPLAIN";

struct Credentials {
  std::string user;
  std::string password;
};

// Reads the response of connection.start-ok. An unknown mechanism is an exception for the
// connection; nothing comes back for a response that is broken or longer than anybody's user name
// and password, which is a refused login.
std::expected<std::optional<Credentials>, Exception> ReadCredentials(ByteView mechanism,
                                                                     ByteView response);

// What a client is told about a refused login: never why.
std::string LoginRefused(ByteView mechanism);

}  // namespace landfall::session
