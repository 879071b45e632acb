#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <variant>

// What a Sender and a Receiver have in common. The client's headers need C++20 and nothing beyond
// the standard library.
namespace landfall {

// One value of a message header or of a queue argument: nothing, a boolean, an integer, a floating
// point number or a text (any bytes).
using HeaderValue = std::variant<std::monostate, bool, int64_t, double, std::string>;

// Headers by name; a name has at most 255 bytes. Names that start with "x-producer" belong to the
// client: it does not show them and does not send yours.
using Headers = std::map<std::string, HeaderValue, std::less<>>;

// A queue that has to be there before anything is sent or received. It is declared again after
// every reconnect, so a broker that lost it gets it back. Declaring a queue that exists with other
// arguments is an error of the broker's, which on_error reports.
struct QueueDeclaration {
  std::string queue{};
  // Survives a restart of the broker. A message in a queue that is not durable never lands.
  bool durable = true;
  // For example {"x-consumer-timeout", 60'000} or {"x-delivery-limit", 5}; see the broker's
  // documentation for all of them.
  Headers arguments{};
};

// Delay n is min(first * multiplier^(n-1), cap), spread by +-jitter (a share of the delay), so that
// what failed together does not come back together.
struct RetryTimes {
  std::chrono::milliseconds first{1000};
  std::chrono::milliseconds cap{60'000};
  double multiplier = 2.0;
  double jitter = 0.1;
};

// For brokers with "amqps://", which is TLS 1.2 or 1.3. The parameters of a URL go before these:
// "amqps://shop@broker/?cacertfile=/etc/shop/ca.pem&certfile=…&keyfile=…&auth_mechanism=external".
//
// The broker has to show a certificate that leads to a trusted authority and is for the host of the
// URL, as a DNS name or an IP address among its subject alternative names. If it does not, nothing
// is told to it, and on_error hears of kUntrusted. The files are read when a Sender or Receiver is
// made, and again for each connection, so renewed ones are taken up.
struct TlsOptions {
  // PEM, the authorities to trust. Empty: the system's.
  std::string ca_file{};
  // PEM, the certificate to show (then what leads to its root), and its key without a pass phrase.
  // Both or neither.
  std::string certificate_file{};
  std::string key_file{};
  // The name that the broker's certificate has to be for, and that the broker is asked for (SNI),
  // if that is not the host of the URL. A DNS name or an IP address.
  std::string server_name{};
  // As the user that the certificate names (SASL EXTERNAL), not by the user and password of the
  // URL.
  bool login_with_certificate = false;
  // Believes whoever answers to be the broker, and tells it the password. For tests on one machine.
  bool dangerously_accept_any_certificate = false;
};

enum class ErrorKind {
  kConnection,     // a broker could not be reached, or a connection was lost
  kUntrusted,      // a broker could not prove that it is who it should be: see TlsOptions
  kAccessRefused,  // wrong user, password or certificate, no such vhost, or no permission
  kNotFound,       // the queue or the exchange does not exist
  kRefused,        // the broker refused what was asked of it
  kProtocol,       // the broker broke the protocol
  kCallback,       // a callback of yours threw an exception
};

// Something went wrong that no single message can be blamed for. The client goes on by itself (it
// reconnects, it tries again); this is for the log, or for a program that would rather stop.
struct ClientError {
  ErrorKind kind = ErrorKind::kConnection;
  std::string message{};  // one sentence for a person; contains no password
};

// Called on a thread of the client's; must not block and must not throw (what it throws is
// dropped).
using ErrorHandler = std::function<void(const ClientError&)>;

}  // namespace landfall
