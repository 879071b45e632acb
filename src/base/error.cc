#include "base/error.h"

namespace landfall {

std::string_view ErrorCodeName(ErrorCode code) {
  switch (code) {
    case ErrorCode::kInvalidArgument:
      return "invalid argument";
    case ErrorCode::kNotFound:
      return "not found";
    case ErrorCode::kExists:
      return "exists already";
    case ErrorCode::kAccessRefused:
      return "access refused";
    case ErrorCode::kUntrusted:
      return "not trusted";
    case ErrorCode::kProtocol:
      return "protocol error";
    case ErrorCode::kCorrupt:
      return "corrupt data";
    case ErrorCode::kIo:
      return "input/output error";
    case ErrorCode::kNoSpace:
      return "no space left";
    case ErrorCode::kExhausted:
      return "out of resources";
    case ErrorCode::kUnavailable:
      return "unavailable";
    case ErrorCode::kTimeout:
      return "timed out";
    case ErrorCode::kInternal:
      return "internal error";
  }
  return "unknown error";
}

std::string Error::ToString() const { return std::string(ErrorCodeName(code)) + ": " + message; }

}  // namespace landfall
