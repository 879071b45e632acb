#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "amqp/table.h"
#include "base/bytes.h"
#include "base/error.h"

// The 14 properties of class basic, and the content header frame that carries them (AMQP 0-9-1
// sections 1.8.2.1 and 4.2.6.1).
namespace landfall::amqp {

// Presence bits, in the order in which the values follow.
enum PropertyFlag : uint16_t {
  kHasContentType = 1 << 15,
  kHasContentEncoding = 1 << 14,
  kHasHeaders = 1 << 13,
  kHasDeliveryMode = 1 << 12,
  kHasPriority = 1 << 11,
  kHasCorrelationId = 1 << 10,
  kHasReplyTo = 1 << 9,
  kHasExpiration = 1 << 8,
  kHasMessageId = 1 << 7,
  kHasTimestamp = 1 << 6,
  kHasType = 1 << 5,
  kHasUserId = 1 << 4,
  kHasAppId = 1 << 3,
  kHasClusterId = 1 << 2,
};

inline constexpr uint8_t kTransient = 1;  // delivery_mode
inline constexpr uint8_t kPersistent = 2;

// Properties as borrowed from an encoded list. A value counts only if its flag is set; otherwise it
// is empty or zero. To change one before AppendProperties: set the value and its flag.
struct PropertiesView {
  uint16_t flags = 0;
  uint8_t delivery_mode = 0;
  uint8_t priority = 0;
  uint64_t timestamp = 0;  // seconds since 1970
  ByteView content_type{};
  ByteView content_encoding{};
  TableView headers{};
  ByteView correlation_id{};
  ByteView reply_to{};
  ByteView expiration{};  // milliseconds, as decimal digits
  ByteView message_id{};
  ByteView type{};
  ByteView user_id{};
  ByteView app_id{};
  ByteView cluster_id{};

  bool Has(PropertyFlag flag) const { return (flags & flag) != 0; }
  bool IsPersistent() const { return delivery_mode == kPersistent; }
  void SetHeaders(TableView table) {
    headers = table;
    flags |= kHasHeaders;
  }

  bool operator==(const PropertiesView&) const = default;
};

// Reads the presence bits and the values that follow them; nothing may be left over. Does not
// allocate. The views live as long as `encoded`.
Result<PropertiesView> DecodeProperties(ByteView encoded);

// Short strings have at most 255 bytes (asserted).
void AppendProperties(ByteBuffer& out, const PropertiesView& properties);

// Properties that own their values: for the client and for code that rewrites headers.
struct Properties {
  std::optional<std::string> content_type{};
  std::optional<std::string> content_encoding{};
  std::optional<Table> headers{};
  std::optional<uint8_t> delivery_mode{};
  std::optional<uint8_t> priority{};
  std::optional<std::string> correlation_id{};
  std::optional<std::string> reply_to{};
  std::optional<std::string> expiration{};
  std::optional<std::string> message_id{};
  std::optional<uint64_t> timestamp{};
  std::optional<std::string> type{};
  std::optional<std::string> user_id{};
  std::optional<std::string> app_id{};
  std::optional<std::string> cluster_id{};

  // Copies what the view borrows. Fails only if its headers are not a well-formed table, which
  // DecodeProperties has excluded.
  static Result<Properties> From(const PropertiesView& view);

  // A view of *this. Headers are encoded into `headers_buffer`; both must outlive the view.
  PropertiesView View(ByteBuffer& headers_buffer) const;

  bool operator==(const Properties&) const = default;
};

void AppendProperties(ByteBuffer& out, const Properties& properties);

// The payload of a content header frame. `properties` is still encoded: the broker stores and
// forwards it as it came.
struct ContentHeader {
  uint16_t class_id = 0;
  uint64_t body_size = 0;
  ByteView properties{};

  bool operator==(const ContentHeader&) const = default;
};

inline constexpr size_t kContentHeaderFixedSize = 12;  // before the properties

// Reads the fixed part; the properties are not looked at (DecodeProperties does that), except that
// their presence bits must be there.
Result<ContentHeader> DecodeContentHeader(ByteView payload);

}  // namespace landfall::amqp
