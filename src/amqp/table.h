#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "base/bytes.h"
#include "base/error.h"

// Field tables (AMQP 0-9-1 section 4.2.5.5) with the type letters that RabbitMQ's clients send:
//
//   t  boolean             I  signed 32 bit       d  double
//   b  signed 8 bit        i  unsigned 32 bit     D  decimal: scale octet, unsigned 32 bit
//   B  unsigned 8 bit      l  signed 64 bit       S  string, 32-bit length
//   s  signed 16 bit       L  signed 64 bit       A  array, 32-bit length in bytes
//   U  signed 16 bit       f  float               T  timestamp, seconds since 1970
//   u  unsigned 16 bit     x  bytes, as S         F  table, 32-bit length in bytes
//                                                 V  void
//
// s is RabbitMQ's signed short (the specification made it a short string, which no client sends);
// L and U are the specification's own letters for what others write as l and s.
namespace landfall::amqp {

// Tables and arrays inside each other, the outermost table counted. Deeper is refused, so that no
// peer decides how deep our stack goes.
inline constexpr int kMaxTableDepth = 32;

inline constexpr size_t kMaxShortString = 255;

class Value;
struct TableEntry;
class TableView;

using Array = std::vector<Value>;

// An owned field table. Keeps the order of its entries, and their type letters, so that encoding
// what was decoded gives the same bytes (except a boolean that was neither 0 nor 1). A peer may
// send a name twice; lookups then see the first.
class Table {
 public:
  Table();
  Table(std::initializer_list<TableEntry> entries);
  Table(const Table&);
  Table(Table&&) noexcept;
  Table& operator=(const Table&);
  Table& operator=(Table&&) noexcept;
  ~Table();

  bool empty() const;
  size_t size() const;
  const TableEntry* begin() const;
  const TableEntry* end() const;

  // nullptr if there is no such name. The pointer lives until the table changes.
  const Value* Find(std::string_view name) const;
  bool Contains(std::string_view name) const { return Find(name) != nullptr; }

  // The value if the name is there with a fitting type: any integer; S; t; F. Borrowed results live
  // until the table changes.
  std::optional<int64_t> GetInteger(std::string_view name) const;
  std::optional<std::string_view> GetString(std::string_view name) const;
  std::optional<bool> GetBool(std::string_view name) const;
  const Table* GetTable(std::string_view name) const;

  // Replaces the value in its place, or appends. The name has at most 255 bytes.
  void Set(std::string_view name, Value value);
  // Appends without looking for the name: for a builder that knows that its names differ.
  void Append(std::string_view name, Value value);
  // Removes every entry of that name; false if there was none.
  bool Erase(std::string_view name);

  // The entries without the 32-bit length in front: what TableView borrows.
  ByteBuffer Encode() const;

  // Same entries in the same order with the same types.
  friend bool operator==(const Table& a, const Table& b);

 private:
  std::vector<TableEntry> entries_;
};

// D: value / 10^scale.
struct Decimal {
  uint8_t scale = 0;
  uint32_t value = 0;

  bool operator==(const Decimal&) const = default;
};

// One value of a table or array, with its type letter.
class Value {
 public:
  Value() = default;                               // V
  Value(bool value) : type_('t'), data_(value) {}  // NOLINT(google-explicit-constructor)
  Value(int32_t value)                             // NOLINT(google-explicit-constructor)
      : type_('I'), data_(static_cast<int64_t>(value)) {}
  Value(int64_t value) : type_('l'), data_(value) {}  // NOLINT(google-explicit-constructor)
  Value(double value) : type_('d'), data_(value) {}   // NOLINT(google-explicit-constructor)
  Value(float value) : type_('f'), data_(value) {}    // NOLINT(google-explicit-constructor)
  Value(Decimal value) : type_('D'), data_(value) {}  // NOLINT(google-explicit-constructor)
  Value(std::string value)                            // NOLINT(google-explicit-constructor)
      : type_('S'), data_(std::move(value)) {}
  Value(std::string_view value)  // NOLINT(google-explicit-constructor)
      : Value(std::string(value)) {}
  Value(const char* value) : Value(std::string(value)) {}  // NOLINT(google-explicit-constructor)
  Value(Table value) : type_('F'), data_(std::move(value)) {}  // NOLINT
  Value(Array value) : type_('A'), data_(std::move(value)) {}  // NOLINT

  // An integer of the given letter (b B s U u I i l L). The value must fit its width.
  static Value Integer(char type, int64_t value);
  static Value Timestamp(uint64_t seconds);
  static Value Bytes(std::string bytes);

  char type() const { return type_; }
  bool IsVoid() const { return type_ == 'V'; }
  bool IsInteger() const;

  // Each is empty (or nullptr) when the type differs.
  std::optional<int64_t> AsInteger() const;  // b B s U u I i l L
  std::optional<bool> AsBool() const;
  std::optional<double> AsDouble() const;  // f and d
  std::optional<Decimal> AsDecimal() const;
  std::optional<uint64_t> AsTimestamp() const;
  std::optional<std::string_view> AsString() const;  // S
  std::optional<std::string_view> AsBytes() const;   // S and x
  const Table* AsTable() const;
  const Array* AsArray() const;

  // The type letter and the value.
  void AppendTo(ByteBuffer& out) const;

  // Same type, same bits (so a NaN equals itself).
  friend bool operator==(const Value& a, const Value& b);

 private:
  char type_ = 'V';
  // Integers and timestamps share int64_t; S and x share std::string.
  std::variant<std::monostate, bool, int64_t, float, double, Decimal, std::string, Table, Array>
      data_;
};

struct TableEntry {
  std::string name;
  Value value;

  bool operator==(const TableEntry&) const = default;
};

inline const TableEntry* Table::begin() const { return entries_.data(); }
inline const TableEntry* Table::end() const { return entries_.data() + entries_.size(); }
inline bool Table::empty() const { return entries_.empty(); }
inline size_t Table::size() const { return entries_.size(); }

// Whether a redeclaration with b asks for what a already is: integers are equal by value whatever
// their width, f and d likewise, names may come in any order. What RabbitMQ calls equivalent.
bool Equivalent(const Value& a, const Value& b);
bool Equivalent(const Table& a, const Table& b);

// Reads the entries of a table. Errors (kProtocol): cut short, unknown type letter, too deep.
// Memory is a constant times the size of the input.
Result<Table> DecodeTable(ByteView entries);

// True if `entries` is a well-formed table, by the same rules as DecodeTable, without allocation.
bool IsWellFormedTable(ByteView entries);

// The 32-bit length, then the entries.
void AppendTable(ByteBuffer& out, const Table& table);

// A borrowed table: its entries as they are on the wire, without the 32-bit length in front. Views
// that decoders hand out are well-formed; one made from any other bytes is safe to use as well (a
// lookup stops at the first broken entry, Decode() fails).
class TableView {
 public:
  TableView() = default;
  explicit TableView(ByteView entries) : entries_(entries) {}

  ByteView bytes() const { return entries_; }
  bool empty() const { return entries_.empty(); }

  Result<Table> Decode() const { return DecodeTable(entries_); }

  // Lookups among the outermost entries, without allocation, in time linear to the table; the first
  // entry of that name counts. Empty if there is none or its type does not fit.
  bool Contains(std::string_view name) const;
  std::optional<int64_t> FindInteger(std::string_view name) const;  // any integer type
  std::optional<ByteView> FindString(std::string_view name) const;  // S
  std::optional<bool> FindBool(std::string_view name) const;
  // The value decoded, for types that the lookups above do not cover.
  std::optional<Value> Find(std::string_view name) const;

  // Same bytes.
  bool operator==(const TableView&) const = default;

 private:
  ByteView entries_;
};

}  // namespace landfall::amqp
