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
};

// "NAME" or "NAME:VALUE". kInvalidArgument: it has no name.
Result<void> ReadHeaderCondition(std::string_view text, MessageFilter& filter);

}  // namespace landfall::admin
