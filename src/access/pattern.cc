#include "access/pattern.h"

#include <fmt/format.h>
#include <re2/re2.h>

#include <utility>

namespace landfall::access {

namespace {

constexpr std::string_view kEverything = ".*";
// Of one compiled expression; what does not fit is refused when it is compiled.
constexpr int64_t kMaxMemory = int64_t{1} << 20;

re2::RE2::Options Options() {
  re2::RE2::Options options;
  // Names are bytes. As Latin-1 every byte is a letter of its own, so that a name that is no UTF-8
  // cannot slip past a pattern.
  options.set_encoding(re2::RE2::Options::EncodingLatin1);
  options.set_max_mem(kMaxMemory);
  options.set_log_errors(false);
  return options;
}

re2::StringPiece Piece(std::string_view text) { return {text.data(), text.size()}; }

}  // namespace

Result<Pattern> Pattern::Compile(std::string_view text) {
  if (text.size() > kMaxPatternBytes) {
    return Fail(ErrorCode::kInvalidArgument,
                fmt::format("a pattern has at most {} bytes", kMaxPatternBytes));
  }
  Pattern pattern;
  pattern.text_ = text;
  if (text.empty() || text == kEverything) return pattern;
  auto expression = std::make_shared<const re2::RE2>(Piece(text), Options());
  if (!expression->ok()) {
    return Fail(ErrorCode::kInvalidArgument,
                fmt::format("'{}' is not a regular expression that RE2 understands ({}); it has "
                            "neither look-around nor back references",
                            text, expression->error()));
  }
  pattern.expression_ = std::move(expression);
  return pattern;
}

Pattern Pattern::OfEverything() {
  Pattern pattern;
  pattern.text_ = kEverything;
  return pattern;
}

bool Pattern::Matches(std::string_view name) const {
  if (expression_) return re2::RE2::PartialMatch(Piece(name), *expression_);
  return !text_.empty() || name.empty();
}

std::string QuotedForPattern(std::string_view text) { return re2::RE2::QuoteMeta(Piece(text)); }

}  // namespace landfall::access
