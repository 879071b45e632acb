#pragma once

#include <atomic>
#include <cstddef>
#include <optional>
#include <string>

namespace landfall::apps {

// Lines of a file or a pipe, and a way to stop somebody who waits for the next one: std::getline
// returns when the other side writes, which may be never.
//
// Thread: one, except for Stop.
class LineInput {
 public:
  // `fd` is not owned.
  explicit LineInput(int fd);
  ~LineInput();
  LineInput(const LineInput&) = delete;
  LineInput& operator=(const LineInput&) = delete;

  // Waits for the next line and returns it without its end. Nothing at the end of the input (which
  // ends a last line as well), on a read error, or after Stop.
  std::optional<std::string> Next();
  // Waits for the end of the input and returns all that is left; nothing after Stop.
  std::optional<std::string> Rest();

  // Wakes who waits; nothing is read any more. Thread: any.
  void Stop();

 private:
  // Reads more. False if there is no more.
  bool Fill();

  const int fd_;
  const int wake_;
  std::atomic<bool> stopped_{false};
  bool ended_ = false;
  std::string buffer_;
  size_t begin_ = 0;  // of what has not been returned
};

}  // namespace landfall::apps
