#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "amqp/properties.h"
#include "amqp/table.h"
#include "base/bytes.h"
#include "landfall/connection.h"
#include "landfall/message.h"

namespace landfall::client {

inline constexpr std::string_view kProducerHeader = "x-producer";
inline constexpr std::string_view kEpochHeader = "x-producer-epoch";
inline constexpr std::string_view kSequenceHeader = "x-producer-sequence";
inline constexpr std::string_view kLowestHeader = "x-producer-lowest";

amqp::Table ToTable(const Headers& headers);
// Leaves out what a HeaderValue cannot hold and the producer's own headers.
Headers ToHeaders(amqp::TableView table);

// What is wrong with a message's options, or nothing.
std::optional<std::string> WhatIsWrong(const MessageOptions& options);

// Makes the encoded properties of published messages: persistent, with the producer's identity in
// the headers.
class PropertyEncoder {
 public:
  PropertyEncoder(std::string_view producer, uint64_t epoch);

  // `options` may be nullptr. The result lives until the next call.
  ByteView Encode(const MessageOptions* options, uint64_t sequence, uint64_t lowest);

 private:
  void SetNumbers(char* identity, uint64_t sequence, uint64_t lowest) const;

  // The four header entries, and where in them the two numbers are that differ between messages.
  ByteBuffer identity_;
  size_t sequence_at_ = 0;
  size_t lowest_at_ = 0;
  // Complete properties of a message without options; the identity starts at plain_identity_at_.
  ByteBuffer plain_;
  size_t plain_identity_at_ = 0;
  ByteBuffer table_;
  ByteBuffer encoded_;
};

}  // namespace landfall::client
