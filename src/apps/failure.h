#pragma once

#include <expected>
#include <string>
#include <utility>

#include "apps/exit_code.h"
#include "base/error.h"

namespace landfall::apps {

// Why a command could not do what was asked: a sentence for the person, a code for scripts.
struct Failure {
  int exit_code = kExitFailed;
  std::string message;
};

template <class T>
using Outcome = std::expected<T, Failure>;

inline std::unexpected<Failure> Failing(int exit_code, std::string message) {
  return std::unexpected(Failure{exit_code, std::move(message)});
}

// Of something that went wrong before the broker was asked.
inline std::unexpected<Failure> NotTried(const Error& error) {
  return Failing(error.code == ErrorCode::kInvalidArgument ? kExitUsage : kExitFailed,
                 error.message);
}

}  // namespace landfall::apps
