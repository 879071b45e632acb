#pragma once

#include <string>
#include <string_view>

#include "base/error.h"
#include "broker/message.h"

namespace landfall::admin {

// Which messages somebody wants to see or to move. Of the conditions that are given, all must hold.
// Pure.
struct MessageFilter {
  // Of a body so much is searched.
  static constexpr size_t kSearchedBytes = size_t{1} << 20;
  // No text of a condition is longer.
  static constexpr size_t kMaxText = 1024;

  std::string
      search;  // these bytes, somewhere in the body, the properties, the exchange or the key
  std::string header;  // it has this header ...
  bool any_value = true;
  std::string value;         // ... with this value as text, unless any will do
  std::string reason;        // why it was dead-lettered last ...
  std::string origin_queue;  // ... and out of which queue

  bool empty() const {
    return search.empty() && header.empty() && reason.empty() && origin_queue.empty();
  }
  bool Matches(const broker::Message& message) const;
  // How many bytes Matches would search in it.
  uint64_t Searched(const broker::Message& message) const;
};

// kInvalidArgument: a text is too long.
Result<void> CheckFilter(const MessageFilter& filter);

// "NAME" or "NAME:VALUE". kInvalidArgument: it has no name.
Result<void> ReadHeaderCondition(std::string_view text, MessageFilter& filter);

}  // namespace landfall::admin
