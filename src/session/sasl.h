#pragma once

#include <expected>
#include <optional>
#include <string>

#include "base/bytes.h"
#include "session/exception.h"
#include "session/session.h"

namespace landfall::session {

// What the server offers to this peer, as in connection.start: EXTERNAL only to one whose
// certificate says who it is.
ByteView SaslMechanisms(const Peer& peer);

// Reads the response of connection.start-ok. A mechanism that was not offered is an exception for
// the connection; nothing comes back for a response that is broken or longer than anybody's user
// name and password, which is a refused login.
std::expected<std::optional<Login>, Exception> ReadLogin(ByteView mechanism, ByteView response,
                                                         const Peer& peer);

// What a client is told about a refused login: never why.
std::string LoginRefused(ByteView mechanism);

}  // namespace landfall::session
