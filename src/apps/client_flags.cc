#include "apps/client_flags.h"

#include <CLI/CLI.hpp>
#include <charconv>
#include <cstdint>
#include <cstdio>
#include <utility>

namespace landfall::apps {
namespace {

HeaderValue ParseValue(const std::string& text) {
  if (text == "true") return true;
  if (text == "false") return false;
  int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error == std::errc() && end == text.data() + text.size()) return number;
  return text;
}

}  // namespace

void ClientFlags::AddTo(CLI::App& command) {
  command
      .add_option(
          "-b,--broker", brokers,
          "Broker as amqp://user:password@host:port/vhost, or amqps:// with TLS; more than one "
          "are tried in turn")
      ->envname("LANDFALL_BROKER")
      ->allow_extra_args(false)
      ->capture_default_str();
  command.add_option("-q,--queue", queue, "Name of the queue");
  command.add_flag("--declare", declare, "Declare the queue first, durable");
  command
      .add_option("--argument", arguments,
                  "NAME=VALUE: with --declare, an argument of the queue; may be repeated")
      ->allow_extra_args(false);
}

std::expected<QueueDeclaration, std::string> ClientFlags::Declaration() const {
  auto parsed = ParseHeaders(arguments);
  if (!parsed) return std::unexpected(parsed.error());
  return QueueDeclaration{.queue = queue, .arguments = std::move(*parsed)};
}

std::expected<Headers, std::string> ParseHeaders(const std::vector<std::string>& settings) {
  Headers headers;
  for (const std::string& each : settings) {
    const size_t equals = each.find('=');
    if (equals == std::string::npos || equals == 0) {
      return std::unexpected("'" + each + "' is not of the form NAME=VALUE");
    }
    headers[each.substr(0, equals)] = ParseValue(each.substr(equals + 1));
  }
  return headers;
}

void Complain(std::string_view command, std::string_view message) {
  std::fprintf(stderr, "landfall %.*s: %.*s\n", static_cast<int>(command.size()), command.data(),
               static_cast<int>(message.size()), message.data());
}

}  // namespace landfall::apps
