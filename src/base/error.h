#pragma once

#include <expected>
#include <string>
#include <string_view>
#include <utility>

namespace landfall {

enum class ErrorCode {
  kInvalidArgument,  // the caller asked for something that cannot be
  kNotFound,
  kExists,
  kAccessRefused,
  kUntrusted,    // the peer could not prove that it is who it should be
  kProtocol,     // the peer broke the protocol
  kCorrupt,      // bytes that were read are not what was written
  kIo,           // the operating system refused a file or socket operation
  kNoSpace,      // the disk is full
  kExhausted,    // no file descriptors or no memory left; nothing is known to be wrong
  kUnavailable,  // not now; try again later
  kTimeout,
  kInternal,
};

std::string_view ErrorCodeName(ErrorCode code);

// An expected failure. `message` is one sentence for a person: what was tried, on what, and what
// they can do about it.
struct Error {
  ErrorCode code = ErrorCode::kInternal;
  std::string message;

  std::string ToString() const;
};

template <class T>
using Result = std::expected<T, Error>;

inline std::unexpected<Error> Fail(ErrorCode code, std::string message) {
  return std::unexpected(Error{code, std::move(message)});
}

}  // namespace landfall
