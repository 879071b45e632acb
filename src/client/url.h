#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.h"

namespace landfall::client {

// Where a broker is and as whom to enter it.
struct BrokerUrl {
  std::string host;  // a name, an IPv4 address, or an IPv6 address without brackets
  uint16_t port = 5672;
  std::string user = "guest";
  std::string password = "guest";
  std::string vhost = "/";

  // host:port, as a person reads it: for messages and logs, which must not show the password.
  std::string Address() const;
};

// Reads amqp://user:password@host:port/vhost. What is left out is as above, and an empty vhost is
// "/". User, password and vhost are percent-decoded. Errors: kInvalidArgument.
Result<BrokerUrl> ParseBrokerUrl(std::string_view url);

}  // namespace landfall::client
