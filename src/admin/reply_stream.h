#pragma once

#include <boost/asio/awaitable.hpp>
#include <optional>
#include <string>

namespace landfall::admin {

// The body of a reply that comes piece by piece, for as long as there is somebody to take it.
//
// Thread: the administration's. Gone when the reply has ended, whichever side ended it.
class ReplyStream {
 public:
  virtual ~ReplyStream() = default;
  // The next piece, when there is one; nothing: that was all. Called when the peer has taken the
  // piece before it: what comes up meanwhile is for the stream to leave out or to keep.
  virtual boost::asio::awaitable<std::optional<std::string>> Next() = 0;
};

}  // namespace landfall::admin
