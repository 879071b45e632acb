#pragma once

#include <string>

#include "base/error.h"

namespace landfall::apps {

// A password from stdin, so that it shows up neither in a list of processes nor in a shell's
// history: asked for twice and without echo at a terminal, otherwise the first line. Errors:
// kInvalidArgument.
Result<std::string> ReadPassword();

// One that exists already, which a terminal is asked for once, with `prompt`. Errors:
// kInvalidArgument, also when stdin is no terminal: what comes from there is for something else.
Result<std::string> AskForPassword(const std::string& prompt);

}  // namespace landfall::apps
