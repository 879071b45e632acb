#include "client/client_options.h"

#include <random>
#include <utility>

#include "amqp/table.h"
#include "client/broker_tls.h"
#include "client/retry_schedule.h"

namespace landfall::client {

void BadOption(const std::string& option, const std::string& why) {
  throw std::invalid_argument("landfall: option '" + option + "': " + why);
}

void CheckName(const std::string& option, const std::string& value) {
  if (value.size() > amqp::kMaxShortString) BadOption(option, "above 255 bytes");
}

void CheckDeclaration(const QueueDeclaration& declaration) {
  CheckName("declare.queue", declaration.queue);
  for (const auto& [name, value] : declaration.arguments) CheckName("declare.arguments", name);
}

namespace {

bool AsksForTls(const TlsOptions& tls) {
  return !tls.ca_file.empty() || !tls.certificate_file.empty() || !tls.key_file.empty() ||
         !tls.server_name.empty() || tls.login_with_certificate ||
         tls.dangerously_accept_any_certificate;
}

void CheckTls(const TlsOptions& tls) {
  for (const std::string& each :
       {tls.ca_file, tls.certificate_file, tls.key_file, tls.server_name}) {
    if (each.find('\0') != std::string::npos) BadOption("tls", "a name has a NUL in it");
  }
  if (tls.server_name == ".") BadOption("tls.server_name", "'.' is the name of no server");
  if (tls.certificate_file.empty() != tls.key_file.empty()) {
    BadOption("tls", "certificate_file and key_file need each other");
  }
}

// The brokers with what their URLs leave to the options. Whoever asks for TLS must not find out
// later that a URL has left it out.
void ApplyTls(std::vector<BrokerUrl>& brokers, const TlsOptions& tls) {
  CheckTls(tls);
  for (BrokerUrl& broker : brokers) {
    if (broker.tls) {
      FillIn(broker, tls);
    } else if (AsksForTls(tls)) {
      BadOption("tls", "is set, and the URL of " + broker.Address() + " is not amqps://");
    }
    const auto context = MakeTlsContext(broker);
    if (!context) BadOption("brokers", context.error().message);
  }
}

}  // namespace

LinkOptions MakeLinkOptions(const std::vector<std::string>& brokers, const RetryTimes& reconnect,
                            std::chrono::milliseconds connect_timeout,
                            std::chrono::seconds heartbeat, const std::string& connection_name,
                            const TlsOptions& tls) {
  LinkOptions options;
  if (brokers.empty()) BadOption("brokers", "at least one URL is needed");
  for (const std::string& url : brokers) {
    Result<BrokerUrl> parsed = ParseBrokerUrl(url);
    if (!parsed) BadOption("brokers", parsed.error().message);
    options.brokers.push_back(std::move(*parsed));
  }
  ApplyTls(options.brokers, tls);
  if (!IsValid(reconnect)) {
    BadOption("reconnect", "needs 0 < first <= cap, multiplier >= 1, 0 <= jitter < 1");
  }
  if (connect_timeout.count() <= 0) BadOption("connect_timeout", "must be above 0");
  if (heartbeat.count() < 0 || heartbeat.count() > UINT16_MAX) {
    BadOption("heartbeat", "must be from 0 to 65535 seconds");
  }
  CheckName("connection_name", connection_name);
  options.reconnect = reconnect;
  options.connection.name = connection_name;
  options.connection.heartbeat_seconds = static_cast<uint16_t>(heartbeat.count());
  options.connection.handshake_timeout = connect_timeout;
  return options;
}

void Report(const ErrorHandler& handler, ErrorKind kind, std::string message) {
  if (!handler) return;
  try {
    handler({kind, std::move(message)});
  } catch (...) {  // NOLINT(bugprone-empty-catch): there is nobody left to tell
  }
}

void Report(const ErrorHandler& handler, const Error& error) {
  const auto kind = [&] {
    switch (error.code) {
      case ErrorCode::kUntrusted:
        return ErrorKind::kUntrusted;
      case ErrorCode::kAccessRefused:
        return ErrorKind::kAccessRefused;
      case ErrorCode::kNotFound:
        return ErrorKind::kNotFound;
      case ErrorCode::kInvalidArgument:
        return ErrorKind::kRefused;
      case ErrorCode::kProtocol:
        return ErrorKind::kProtocol;
      default:
        return ErrorKind::kConnection;
    }
  }();
  Report(handler, kind, error.message);
}

uint64_t RandomSeed() {
  std::random_device device;
  return static_cast<uint64_t>(device()) << 32 | device();
}

std::string RandomName() {
  constexpr std::string_view kDigits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  std::string name = "~";
  // 22 digits of 6 bits: 132 bits straight from the operating system.
  std::random_device device;
  for (int i = 0; i < 22; ++i) name += kDigits[device() & 63];
  return name;
}

}  // namespace landfall::client
