#include "admin/prometheus_text.h"

#include <fmt/format.h>

#include <iterator>

#include "admin/message_json.h"

namespace landfall::admin {
namespace {

void AppendValue(std::string& out, std::string_view value) {
  // The format is UTF-8; a name that is not is shown as far as it is ASCII.
  const bool plain = IsUtf8(value);
  for (const char c : value) {
    if (c == '\\') {
      out += "\\\\";
    } else if (c == '"') {
      out += "\\\"";
    } else if (c == '\n') {
      out += "\\n";
    } else if (plain || static_cast<unsigned char>(c) < 0x80) {
      out += c;
    } else {
      out += "\xEF\xBF\xBD";  // U+FFFD
    }
  }
}

}  // namespace

void PrometheusText::Metric(std::string_view name, std::string_view type, std::string_view help) {
  name_ = name;
  fmt::format_to(std::back_inserter(text_), "# HELP {} {}\n# TYPE {} {}\n", name, help, name, type);
}

void PrometheusText::Sample(uint64_t value, Labels labels) {
  text_ += name_;
  char separator = '{';
  for (const auto& [name, label] : labels) {
    text_ += separator;
    text_ += name;
    text_ += "=\"";
    AppendValue(text_, label);
    text_ += '"';
    separator = ',';
  }
  if (separator == ',') text_ += '}';
  fmt::format_to(std::back_inserter(text_), " {}\n", value);
}

}  // namespace landfall::admin
