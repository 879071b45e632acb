#include "apps/password_input.h"

#include <termios.h>
#include <unistd.h>

#include <iostream>
#include <optional>

namespace landfall::apps {
namespace {

// While it lives, the terminal does not show what is typed.
class EchoOff {
 public:
  EchoOff() {
    if (tcgetattr(STDIN_FILENO, &before_) != 0) return;
    termios silent = before_;
    silent.c_lflag &= ~static_cast<tcflag_t>(ECHO);
    changed_ = tcsetattr(STDIN_FILENO, TCSAFLUSH, &silent) == 0;
  }
  ~EchoOff() {
    if (changed_) tcsetattr(STDIN_FILENO, TCSAFLUSH, &before_);
  }
  EchoOff(const EchoOff&) = delete;
  EchoOff& operator=(const EchoOff&) = delete;

 private:
  termios before_{};
  bool changed_ = false;
};

std::optional<std::string> Ask(const std::string& prompt) {
  const EchoOff echo_off;
  std::cerr << prompt << std::flush;
  std::string line;
  const bool read = static_cast<bool>(std::getline(std::cin, line));
  std::cerr << '\n';
  return read ? std::optional(line) : std::nullopt;
}

}  // namespace

Result<std::string> ReadPassword() {
  if (isatty(STDIN_FILENO) == 0) {
    std::string line;
    if (!std::getline(std::cin, line))
      return Fail(ErrorCode::kInvalidArgument, "no password came on stdin: write it as one line");
    return line;
  }
  const auto first = Ask("Password: ");
  const auto second = first ? Ask("Once more: ") : std::nullopt;
  if (!second) return Fail(ErrorCode::kInvalidArgument, "no password was given");
  if (*first != *second)
    return Fail(ErrorCode::kInvalidArgument, "the two passwords are not the same");
  return *first;
}

Result<std::string> AskForPassword(const std::string& prompt) {
  if (isatty(STDIN_FILENO) == 0)
    return Fail(ErrorCode::kInvalidArgument,
                "nobody can be asked for the password: say --password-file FILE, or set "
                "LANDFALL_PASSWORD");
  auto password = Ask(prompt);
  if (!password) return Fail(ErrorCode::kInvalidArgument, "no password was given");
  return *std::move(password);
}

}  // namespace landfall::apps
