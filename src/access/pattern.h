#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "base/error.h"

namespace re2 {
class RE2;
}

namespace landfall::access {

inline constexpr size_t kMaxPatternBytes = 1024;

// A regular expression of a permission, as RabbitMQ reads it: it is looked for anywhere in a name,
// so whoever means the whole name writes ^ and $; the empty one stands for ^$. Matching takes time
// linear in the name whatever the expression is, so no user can make a worker hang. The price is
// that RE2 knows neither look-around nor back references.
//
// Thread: any, several at a time. A copy shares what was compiled.
class Pattern {
 public:
  // Matches the empty name only.
  Pattern() = default;
  // kInvalidArgument says what is wrong with `text`. Bytes are compared as they are.
  static Result<Pattern> Compile(std::string_view text);
  static Pattern OfEverything();

  bool Matches(std::string_view name) const;
  // As it was given.
  const std::string& text() const { return text_; }

  bool operator==(const Pattern& other) const { return text_ == other.text_; }

 private:
  std::string text_;
  // Null where no expression is needed: "" and ".*".
  std::shared_ptr<const re2::RE2> expression_;
};

// `text` such that a pattern with it in it means just that text.
std::string QuotedForPattern(std::string_view text);

}  // namespace landfall::access
