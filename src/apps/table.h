#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace landfall::apps {

// Text of strangers as a terminal may show it: control characters, bytes that are not UTF-8 and
// what turns the direction of writing are escaped (\x1b, \u202e), and a backslash that would look
// like one of these is doubled. Lines are kept with `multiline`.
std::string Visible(std::string_view text, bool multiline = false);

// How many columns of a terminal a text of Visible takes: two for a wide character, none for a
// combining one.
size_t WidthOf(std::string_view visible);

// A table for people: headings, columns as wide as what is in them, numbers at the right.
class Table {
 public:
  enum class Align { kLeft, kRight };
  struct Column {
    std::string heading;
    Align align = Align::kLeft;
  };

  explicit Table(std::vector<Column> columns);
  // As many cells as columns; they are made visible here.
  void Add(const std::vector<std::string>& cells);
  std::string Text() const;

 private:
  std::vector<Column> columns_;
  std::vector<std::vector<std::string>> rows_;
};

}  // namespace landfall::apps
