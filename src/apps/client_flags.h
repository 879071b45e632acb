#pragma once

#include <expected>
#include <string>
#include <string_view>
#include <vector>

#include "apps/exit_code.h"
#include "landfall/connection.h"

namespace CLI {  // NOLINT(readability-identifier-naming)
class App;
}

namespace landfall::apps {

// The flags that `landfall send` and `landfall recv` share.
struct ClientFlags {
  std::vector<std::string> brokers{"amqp://guest:guest@127.0.0.1:5672/"};
  std::string queue;
  bool declare = false;
  std::vector<std::string> arguments;  // NAME=VALUE

  void AddTo(CLI::App& command);
  // Of `queue`.
  std::expected<QueueDeclaration, std::string> Declaration() const;
};

// NAME=VALUE, where VALUE is true, false, an integer, or else a text. The error is a sentence.
std::expected<Headers, std::string> ParseHeaders(const std::vector<std::string>& settings);

// Prints "landfall <command>: <message>" to stderr.
void Complain(std::string_view command, std::string_view message);

}  // namespace landfall::apps
