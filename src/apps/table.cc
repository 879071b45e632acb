#include "apps/table.h"

#include <fmt/format.h>

#include <algorithm>
#include <clocale>
#include <cwchar>
#include <cwctype>
#include <utility>

#include "base/assert.h"

namespace landfall::apps {
namespace {

// What is said of characters depends on the locale, which a person may have set to anything.
class Utf8Locale {
 public:
  Utf8Locale()
      : utf8_(newlocale(LC_CTYPE_MASK, "C.UTF-8", nullptr)),
        before_(utf8_ == nullptr ? nullptr : uselocale(utf8_)) {}
  ~Utf8Locale() {
    if (utf8_ == nullptr) return;
    uselocale(before_);
    freelocale(utf8_);
  }
  Utf8Locale(const Utf8Locale&) = delete;
  Utf8Locale& operator=(const Utf8Locale&) = delete;

 private:
  locale_t utf8_;
  locale_t before_;
};

struct Character {
  wchar_t code = 0;
  size_t bytes = 1;
  bool valid = false;
};

Character Next(std::string_view text) {
  std::mbstate_t state{};
  Character next;
  const size_t bytes = std::mbrtowc(&next.code, text.data(), text.size(), &state);
  // 0 is the character 0; the two largest values say that it is none.
  next.valid = bytes <= text.size();
  if (next.valid) next.bytes = std::max<size_t>(bytes, 1);
  return next;
}

bool TurnsDirection(wchar_t c) {
  return c == 0x061C || c == 0x200E || c == 0x200F || (c >= 0x202A && c <= 0x202E) ||
         (c >= 0x2066 && c <= 0x2069);
}

bool Harmless(const Character& c) {
  return c.valid && c.code != 0xFEFF && std::iswprint(static_cast<wint_t>(c.code)) != 0 &&
         wcwidth(c.code) >= 0 && !TurnsDirection(c.code);
}

}  // namespace

std::string Visible(std::string_view text, bool multiline) {
  const Utf8Locale utf8;
  std::string out;
  while (!text.empty()) {
    const Character c = Next(text);
    const std::string_view bytes = text.substr(0, c.bytes);
    if (c.valid && c.code == L'\\') {
      const bool like_ours = text.starts_with("\\x") || text.starts_with("\\u");
      out += like_ours ? "\\\\" : "\\";
    } else if (Harmless(c) || (multiline && c.code == L'\n')) {
      out += bytes;
    } else if (c.valid && c.code > 0x7F) {
      out += fmt::format("\\u{:04x}", static_cast<uint32_t>(c.code));
    } else {
      out += fmt::format("\\x{:02x}", static_cast<unsigned char>(bytes.front()));
    }
    text.remove_prefix(c.bytes);
  }
  return out;
}

size_t WidthOf(std::string_view visible) {
  const Utf8Locale utf8;
  size_t width = 0;
  while (!visible.empty()) {
    const Character c = Next(visible);
    width += c.valid ? static_cast<size_t>(std::max(0, wcwidth(c.code))) : 1;
    visible.remove_prefix(c.bytes);
  }
  return width;
}

Table::Table(std::vector<Column> columns) : columns_(std::move(columns)) {}

void Table::Add(const std::vector<std::string>& cells) {
  LANDFALL_ASSERT(cells.size() == columns_.size());
  std::vector<std::string> row;
  row.reserve(cells.size());
  for (const std::string& cell : cells) row.push_back(Visible(cell));
  rows_.push_back(std::move(row));
}

std::string Table::Text() const {
  std::vector<std::string> headings;
  std::vector<size_t> widths;
  for (const Column& column : columns_) {
    headings.push_back(column.heading);
    widths.push_back(WidthOf(column.heading));
  }
  for (const auto& row : rows_)
    for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], WidthOf(row[i]));
  std::string out;
  const auto add = [&](const std::vector<std::string>& cells) {
    std::string line;
    for (size_t i = 0; i < cells.size(); ++i) {
      const std::string space(widths[i] - WidthOf(cells[i]), ' ');
      if (i > 0) line += "  ";
      line += columns_[i].align == Align::kRight ? space + cells[i] : cells[i] + space;
    }
    line.erase(line.find_last_not_of(' ') + 1);
    out += line + '\n';
  };
  add(headings);
  for (const auto& row : rows_) add(row);
  return out;
}

}  // namespace landfall::apps
