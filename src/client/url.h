#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"

namespace landfall::client {

// How a client says who it is.
enum class SaslMechanism {
  kPlain,     // by user and password
  kExternal,  // by its TLS certificate
};

// How to speak TLS to a broker, as far as it has been said: what is empty is for others to choose.
struct BrokerTls {
  std::string ca_file;
  std::string certificate_file;
  std::string key_file;
  std::string server_name;  // that the broker's certificate has to be for; empty: the host
  std::optional<bool> verify;
};

// Where a broker is and as whom to enter it.
struct BrokerUrl {
  std::string host;  // a name, an IPv4 address, or an IPv6 address without brackets
  uint16_t port = 5672;
  std::string user = "guest";
  std::string password = "guest";
  std::string vhost = "/";
  std::optional<SaslMechanism> mechanism;
  std::optional<BrokerTls> tls;  // nothing: amqp://, in clear

  // host:port, as a person reads it: for messages and logs, which must not show the password.
  std::string Address() const;
};

// Reads amqp://user:password@host:port/vhost, or amqps:// with TLS, whose port is 5671. What is
// left out is as above, and an empty vhost is "/". User, password and vhost are percent-decoded.
// After '?' may follow auth_mechanism=plain or external and, with amqps, cacertfile, certfile,
// keyfile, verify=verify_peer or verify_none, and server_name_indication, joined by '&' and
// percent-decoded. Errors: kInvalidArgument, without password and parameters.
Result<BrokerUrl> ParseBrokerUrl(std::string_view url);

}  // namespace landfall::client
