#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <ranges>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "landfall/connection.h"

namespace landfall {

// The bytes of a message. Made from a std::string (moved in without a copy when it is a temporary),
// or copied from a text, a std::span<const std::byte>, a std::vector<uint8_t> and the like.
class Body {
 public:
  // NOLINTBEGIN(google-explicit-constructor): SendMsg("text", ...) is the point.
  Body(std::string bytes) : bytes_(std::move(bytes)) {}
  Body(std::string_view bytes) : bytes_(bytes) {}
  Body(const char* text) : bytes_(text) {}
  template <class Range>
    requires(std::ranges::contiguous_range<Range> && std::ranges::sized_range<Range> &&
             sizeof(std::ranges::range_value_t<Range>) == 1 &&
             std::is_trivially_copyable_v<std::ranges::range_value_t<Range>> &&
             !std::is_convertible_v<Range, std::string_view>)
  Body(const Range& bytes)
      : bytes_(reinterpret_cast<const char*>(std::ranges::data(bytes)), std::ranges::size(bytes)) {}
  // NOLINTEND(google-explicit-constructor)

  size_t size() const { return bytes_.size(); }
  std::string Release() && { return std::move(bytes_); }

 private:
  std::string bytes_;
};

// What one message says about itself; everything is optional. Texts have at most 255 bytes.
struct MessageOptions {
  // Instead of the Sender's.
  std::optional<std::string> routing_key{};
  std::optional<std::string> exchange{};

  Headers headers{};
  std::string message_id{};
  std::string content_type{};
  std::string content_encoding{};
  std::string correlation_id{};
  std::string reply_to{};
  std::string type{};
  std::string app_id{};
  std::optional<uint8_t> priority{};
  // The broker drops the message (or dead-letters it) when it has waited this long.
  std::optional<std::chrono::milliseconds> expiration{};
  // AMQP keeps whole seconds.
  std::optional<std::chrono::system_clock::time_point> timestamp{};

  // The message's own number (1 or more), for example the key of its row in an outbox table. Needs
  // SenderOptions::producer. A Sender gets its own numbers either with every message or with none.
  // The broker keeps (producer, sequence) once per queue, also when a new process sends it again.
  std::optional<uint64_t> sequence{};
};

}  // namespace landfall
