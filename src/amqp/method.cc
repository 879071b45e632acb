#include "amqp/method.h"

#include <string>

namespace landfall::amqp {

std::unexpected<Error> MalformedMethod(std::string_view method, ByteView payload) {
  return Fail(ErrorCode::kProtocol, "the method frame's payload of " +
                                        std::to_string(payload.size()) +
                                        " bytes is not a well-formed " + std::string(method));
}

}  // namespace landfall::amqp
