#include "amqp/table.h"

#include <algorithm>
#include <bit>
#include <tuple>

#include "base/assert.h"
#include "base/wire.h"

namespace landfall::amqp {
namespace {

// The width of the types that have a fixed one, -1 for the others and for what is no type.
int FixedWidth(char type) {
  switch (type) {
    case 'V':
      return 0;
    case 't':
    case 'b':
    case 'B':
      return 1;
    case 's':
    case 'U':
    case 'u':
      return 2;
    case 'I':
    case 'i':
    case 'f':
      return 4;
    case 'D':
      return 5;
    case 'l':
    case 'L':
    case 'd':
    case 'T':
      return 8;
    default:
      return -1;
  }
}

bool IsIntegerType(char type) {
  switch (type) {
    case 'b':
    case 'B':
    case 's':
    case 'U':
    case 'u':
    case 'I':
    case 'i':
    case 'l':
    case 'L':
      return true;
    default:
      return false;
  }
}

// The value bytes behind a type letter, without looking inside tables and arrays.
ByteView TakeRaw(ByteReader& r, char type) {
  if (const int width = FixedWidth(type); width >= 0) return r.Take(static_cast<size_t>(width));
  switch (type) {
    case 'S':
    case 'x':
    case 'A':
    case 'F':
      return r.Take(r.Big<uint32_t>());
    default:
      r.Fail();
      return {};
  }
}

// An integer type's value bytes, of the right width.
int64_t LoadInteger(char type, ByteView raw) {
  const char* p = raw.data();
  switch (type) {
    case 'b':
      return static_cast<int8_t>(*p);
    case 'B':
      return static_cast<uint8_t>(*p);
    case 's':
    case 'U':
      return static_cast<int16_t>(LoadBig<uint16_t>(p));
    case 'u':
      return LoadBig<uint16_t>(p);
    case 'I':
      return static_cast<int32_t>(LoadBig<uint32_t>(p));
    case 'i':
      return LoadBig<uint32_t>(p);
    default:
      return static_cast<int64_t>(LoadBig<uint64_t>(p));
  }
}

bool IsWellFormed(ByteView entries, bool named, int depth) {
  if (depth > kMaxTableDepth) return false;
  ByteReader r(entries);
  while (!r.done()) {
    if (named) r.Take(r.Big<uint8_t>());
    const auto type = static_cast<char>(r.Big<uint8_t>());
    const ByteView raw = TakeRaw(r, type);
    if (r.failed()) return false;
    if ((type == 'F' || type == 'A') && !IsWellFormed(raw, type == 'F', depth + 1)) return false;
  }
  return !r.failed();
}

Table DecodeEntries(ByteView entries);

// Raw bytes that IsWellFormed has passed.
Value DecodeValue(char type, ByteView raw) {
  if (IsIntegerType(type)) return Value::Integer(type, LoadInteger(type, raw));
  const char* p = raw.data();
  switch (type) {
    case 't':
      return {*p != 0};
    case 'f':
      return {std::bit_cast<float>(LoadBig<uint32_t>(p))};
    case 'd':
      return {std::bit_cast<double>(LoadBig<uint64_t>(p))};
    case 'D':
      return {Decimal{static_cast<uint8_t>(*p), LoadBig<uint32_t>(p + 1)}};
    case 'T':
      return Value::Timestamp(LoadBig<uint64_t>(p));
    case 'S':
      return {std::string(raw)};
    case 'x':
      return Value::Bytes(std::string(raw));
    case 'F':
      return {DecodeEntries(raw)};
    case 'A': {
      Array array;
      for (ByteReader r(raw); !r.done();) {
        const auto item = static_cast<char>(r.Big<uint8_t>());
        array.push_back(DecodeValue(item, TakeRaw(r, item)));
      }
      return {std::move(array)};
    }
    default:
      LANDFALL_ASSERT(type == 'V');
      return {};
  }
}

Table DecodeEntries(ByteView entries) {
  Table table;
  for (ByteReader r(entries); !r.done();) {
    const ByteView name = r.Take(r.Big<uint8_t>());
    const auto type = static_cast<char>(r.Big<uint8_t>());
    table.Append(name, DecodeValue(type, TakeRaw(r, type)));
  }
  return table;
}

void AppendEntries(ByteBuffer& out, const Table& table) {
  for (const TableEntry& entry : table) {
    out.push_back(static_cast<char>(entry.name.size()));
    out.append(entry.name);
    entry.value.AppendTo(out);
  }
}

// Runs append(), then writes the length of what it appended in front of it.
template <class Append>
void AppendMeasured(ByteBuffer& out, Append append) {
  const size_t at = out.size();
  AppendBig<uint32_t>(out, 0);
  append();
  const size_t size = out.size() - at - 4;
  LANDFALL_ASSERT(size <= UINT32_MAX);
  StoreBig(out.data() + at, static_cast<uint32_t>(size));
}

struct RawValue {
  char type = 'V';
  ByteView raw;
};

std::optional<RawValue> FindRaw(ByteView entries, std::string_view name) {
  for (ByteReader r(entries); !r.done();) {
    const ByteView entry_name = r.Take(r.Big<uint8_t>());
    const auto type = static_cast<char>(r.Big<uint8_t>());
    const ByteView raw = TakeRaw(r, type);
    if (r.failed()) break;
    if (entry_name == name) return RawValue{type, raw};
  }
  return std::nullopt;
}

// Entries sorted by name; those of the same name stay in their order, which is that of their places
// in the table.
std::vector<const TableEntry*> Sorted(const Table& table) {
  std::vector<const TableEntry*> entries;
  entries.reserve(table.size());
  for (const TableEntry& entry : table) entries.push_back(&entry);
  std::ranges::sort(entries, [](const TableEntry* a, const TableEntry* b) {
    return std::tie(a->name, a) < std::tie(b->name, b);
  });
  return entries;
}

}  // namespace

Table::Table() = default;
Table::Table(std::initializer_list<TableEntry> entries) {
  for (const TableEntry& entry : entries) Append(entry.name, entry.value);
}
Table::Table(const Table&) = default;
Table::Table(Table&&) noexcept = default;
Table& Table::operator=(const Table&) = default;
Table& Table::operator=(Table&&) noexcept = default;
Table::~Table() = default;

const Value* Table::Find(std::string_view name) const {
  for (const TableEntry& entry : entries_) {
    if (entry.name == name) return &entry.value;
  }
  return nullptr;
}

std::optional<int64_t> Table::GetInteger(std::string_view name) const {
  const Value* value = Find(name);
  return value ? value->AsInteger() : std::nullopt;
}

std::optional<std::string_view> Table::GetString(std::string_view name) const {
  const Value* value = Find(name);
  return value ? value->AsString() : std::nullopt;
}

std::optional<bool> Table::GetBool(std::string_view name) const {
  const Value* value = Find(name);
  return value ? value->AsBool() : std::nullopt;
}

const Table* Table::GetTable(std::string_view name) const {
  const Value* value = Find(name);
  return value ? value->AsTable() : nullptr;
}

void Table::Set(std::string_view name, Value value) {
  for (TableEntry& entry : entries_) {
    if (entry.name == name) {
      entry.value = std::move(value);
      return;
    }
  }
  Append(name, std::move(value));
}

void Table::Append(std::string_view name, Value value) {
  LANDFALL_ASSERT(name.size() <= kMaxShortString);
  entries_.push_back({std::string(name), std::move(value)});
}

bool Table::Erase(std::string_view name) {
  return std::erase_if(entries_, [&](const TableEntry& e) { return e.name == name; }) > 0;
}

ByteBuffer Table::Encode() const {
  ByteBuffer out;
  AppendEntries(out, *this);
  return out;
}

bool operator==(const Table& a, const Table& b) { return a.entries_ == b.entries_; }

Value Value::Integer(char type, int64_t value) {
  LANDFALL_ASSERT(IsIntegerType(type));
  // Checked here, so that AppendTo may cut to the width.
  char bytes[8];
  StoreBig(bytes, static_cast<uint64_t>(value));
  const auto width = static_cast<size_t>(FixedWidth(type));
  LANDFALL_ASSERT(LoadInteger(type, {bytes + sizeof bytes - width, width}) == value);
  Value result;
  result.type_ = type;
  result.data_ = value;
  return result;
}

Value Value::Timestamp(uint64_t seconds) {
  Value result;
  result.type_ = 'T';
  result.data_ = static_cast<int64_t>(seconds);
  return result;
}

Value Value::Bytes(std::string bytes) {
  Value result(std::move(bytes));
  result.type_ = 'x';
  return result;
}

bool Value::IsInteger() const { return IsIntegerType(type_); }

std::optional<int64_t> Value::AsInteger() const {
  if (!IsInteger()) return std::nullopt;
  return std::get<int64_t>(data_);
}

std::optional<bool> Value::AsBool() const {
  if (type_ != 't') return std::nullopt;
  return std::get<bool>(data_);
}

std::optional<double> Value::AsDouble() const {
  if (type_ == 'f') return std::get<float>(data_);
  if (type_ == 'd') return std::get<double>(data_);
  return std::nullopt;
}

std::optional<Decimal> Value::AsDecimal() const {
  if (type_ != 'D') return std::nullopt;
  return std::get<Decimal>(data_);
}

std::optional<uint64_t> Value::AsTimestamp() const {
  if (type_ != 'T') return std::nullopt;
  return static_cast<uint64_t>(std::get<int64_t>(data_));
}

std::optional<std::string_view> Value::AsString() const {
  if (type_ != 'S') return std::nullopt;
  return std::get<std::string>(data_);
}

std::optional<std::string_view> Value::AsBytes() const {
  if (type_ != 'S' && type_ != 'x') return std::nullopt;
  return std::get<std::string>(data_);
}

const Table* Value::AsTable() const { return std::get_if<Table>(&data_); }
const Array* Value::AsArray() const { return std::get_if<Array>(&data_); }

void Value::AppendTo(ByteBuffer& out) const {
  out.push_back(type_);
  switch (type_) {
    case 'V':
      return;
    case 't':
      out.push_back(std::get<bool>(data_) ? 1 : 0);
      return;
    case 'f':
      AppendBig(out, std::bit_cast<uint32_t>(std::get<float>(data_)));
      return;
    case 'd':
      AppendBig(out, std::bit_cast<uint64_t>(std::get<double>(data_)));
      return;
    case 'D':
      out.push_back(static_cast<char>(std::get<Decimal>(data_).scale));
      AppendBig(out, std::get<Decimal>(data_).value);
      return;
    case 'S':
    case 'x':
      AppendMeasured(out, [&] { out.append(std::get<std::string>(data_)); });
      return;
    case 'F':
      AppendTable(out, std::get<Table>(data_));
      return;
    case 'A':
      AppendMeasured(out, [&] {
        for (const Value& item : std::get<Array>(data_)) item.AppendTo(out);
      });
      return;
    default: {
      char bytes[8];
      StoreBig(bytes, static_cast<uint64_t>(std::get<int64_t>(data_)));
      const auto width = static_cast<size_t>(FixedWidth(type_));
      out.append(bytes + sizeof bytes - width, width);
      return;
    }
  }
}

bool operator==(const Value& a, const Value& b) {
  if (a.type_ != b.type_) return false;
  if (const float* f = std::get_if<float>(&a.data_)) {
    return std::bit_cast<uint32_t>(*f) == std::bit_cast<uint32_t>(std::get<float>(b.data_));
  }
  if (const double* d = std::get_if<double>(&a.data_)) {
    return std::bit_cast<uint64_t>(*d) == std::bit_cast<uint64_t>(std::get<double>(b.data_));
  }
  return a.data_ == b.data_;
}

bool Equivalent(const Value& a, const Value& b) {
  if (a == b) return true;
  if (a.IsInteger() && b.IsInteger()) return a.AsInteger() == b.AsInteger();
  if (a.AsDouble() && b.AsDouble()) return *a.AsDouble() == *b.AsDouble();
  if (a.AsTable() && b.AsTable()) return Equivalent(*a.AsTable(), *b.AsTable());
  if (a.AsArray() && b.AsArray()) {
    return std::equal(a.AsArray()->begin(), a.AsArray()->end(), b.AsArray()->begin(),
                      b.AsArray()->end(),
                      [](const Value& x, const Value& y) { return Equivalent(x, y); });
  }
  return false;
}

bool Equivalent(const Table& a, const Table& b) {
  if (a.size() != b.size()) return false;
  const auto left = Sorted(a);
  const auto right = Sorted(b);
  return std::equal(left.begin(), left.end(), right.begin(),
                    [](const TableEntry* x, const TableEntry* y) {
                      return x->name == y->name && Equivalent(x->value, y->value);
                    });
}

bool IsWellFormedTable(ByteView entries) { return IsWellFormed(entries, true, 1); }

Result<Table> DecodeTable(ByteView entries) {
  // First the shape, without allocation: what is decoded after that cannot fail half-way.
  if (!IsWellFormedTable(entries)) {
    return Fail(ErrorCode::kProtocol, "the field table of " + std::to_string(entries.size()) +
                                          " bytes is not well-formed, or is nested deeper than " +
                                          std::to_string(kMaxTableDepth));
  }
  return DecodeEntries(entries);
}

void AppendTable(ByteBuffer& out, const Table& table) {
  AppendMeasured(out, [&] { AppendEntries(out, table); });
}

bool TableView::Contains(std::string_view name) const {
  return FindRaw(entries_, name).has_value();
}

std::optional<int64_t> TableView::FindInteger(std::string_view name) const {
  const auto found = FindRaw(entries_, name);
  if (!found || !IsIntegerType(found->type)) return std::nullopt;
  return LoadInteger(found->type, found->raw);
}

std::optional<ByteView> TableView::FindString(std::string_view name) const {
  const auto found = FindRaw(entries_, name);
  if (!found || found->type != 'S') return std::nullopt;
  return found->raw;
}

std::optional<bool> TableView::FindBool(std::string_view name) const {
  const auto found = FindRaw(entries_, name);
  if (!found || found->type != 't') return std::nullopt;
  return found->raw[0] != 0;
}

std::optional<Value> TableView::Find(std::string_view name) const {
  const auto found = FindRaw(entries_, name);
  if (!found) return std::nullopt;
  if ((found->type == 'F' || found->type == 'A') &&
      !IsWellFormed(found->raw, found->type == 'F', 2)) {
    return std::nullopt;
  }
  return DecodeValue(found->type, found->raw);
}

}  // namespace landfall::amqp
