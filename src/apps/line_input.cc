#include "apps/line_input.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <utility>

#include "base/assert.h"

namespace landfall::apps {

LineInput::LineInput(int fd) : fd_(fd), wake_(eventfd(0, EFD_CLOEXEC)) {
  LANDFALL_ASSERT(wake_ >= 0);
}

LineInput::~LineInput() { close(wake_); }

void LineInput::Stop() {
  stopped_ = true;
  eventfd_write(wake_, 1);
}

std::optional<std::string> LineInput::Next() {
  size_t end = buffer_.find('\n', begin_);
  while (end == std::string::npos) {
    buffer_.erase(0, begin_);
    begin_ = 0;
    const size_t searched = buffer_.size();
    if (!Fill()) break;
    end = buffer_.find('\n', searched);
  }
  if (stopped_) return std::nullopt;
  if (end != std::string::npos) {
    std::string line = buffer_.substr(begin_, end - begin_);
    begin_ = end + 1;
    return line;
  }
  if (buffer_.empty()) return std::nullopt;
  return std::exchange(buffer_, {});
}

std::optional<std::string> LineInput::Rest() {
  while (Fill()) {
  }
  if (stopped_) return std::nullopt;
  buffer_.erase(0, std::exchange(begin_, 0));
  return std::exchange(buffer_, {});
}

bool LineInput::Fill() {
  std::array<char, 65536> chunk;
  while (!ended_ && !stopped_) {
    std::array<pollfd, 2> polled{pollfd{.fd = fd_, .events = POLLIN, .revents = 0},
                                 pollfd{.fd = wake_, .events = POLLIN, .revents = 0}};
    if (poll(polled.data(), polled.size(), -1) < 0 && errno != EINTR) break;
    if (polled[0].revents == 0) continue;
    const ssize_t n = read(fd_, chunk.data(), chunk.size());
    if (n < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (n <= 0) break;
    buffer_.append(chunk.data(), static_cast<size_t>(n));
    return true;
  }
  ended_ = true;
  return false;
}

}  // namespace landfall::apps
