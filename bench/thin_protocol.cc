#include "thin_protocol.h"

#include <charconv>

namespace landfall::bench {

std::unique_ptr<ThinProtocol> MakeThinProtocol(std::string_view scheme, const ThinSettings& s) {
  if (scheme == "redis") return MakeRedisProtocol(s);
  if (scheme == "nats") return MakeNatsProtocol(s);
  if (scheme == "beanstalk") return MakeBeanstalkProtocol(s);
  return nullptr;
}

bool TakeLine(ByteView& in, ByteView& line) {
  const size_t end = in.find("\r\n");
  if (end == ByteView::npos) return false;
  line = in.substr(0, end);
  in.remove_prefix(end + 2);
  return true;
}

ByteView WordOf(ByteView line, size_t index) {
  while (true) {
    const size_t end = line.find(' ');
    if (index == 0) return line.substr(0, end);
    if (end == ByteView::npos) return {};
    line.remove_prefix(end + 1);
    --index;
  }
}

size_t NumberOf(ByteView word) {
  size_t number = 0;
  const auto [stop, error] = std::from_chars(word.data(), word.data() + word.size(), number);
  return error == std::errc() && stop == word.data() + word.size() ? number : 0;
}

}  // namespace landfall::bench
