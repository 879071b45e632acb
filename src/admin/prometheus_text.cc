#include "admin/prometheus_text.h"

#include <fmt/format.h>

#include <bit>
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

void PrometheusText::Histogram(std::string_view name, std::string_view help, double unit,
                               std::span<const HistogramSnapshot> all) {
  Metric(name, "histogram", help);
  const auto out = std::back_inserter(text_);
  uint64_t count = 0;
  uint64_t sum = 0;
  for (const HistogramSnapshot& each : all) {
    count += each.count();
    sum += each.sum;
  }
  for (const uint64_t bound : all.front().bounds) {
    if (!std::has_single_bit(bound)) continue;
    uint64_t below = 0;
    for (const HistogramSnapshot& each : all) below += each.CountUpTo(bound);
    fmt::format_to(out, "{}_bucket{{le=\"{}\"}} {}\n", name, static_cast<double>(bound) * unit,
                   below);
  }
  fmt::format_to(out, "{}_bucket{{le=\"+Inf\"}} {}\n", name, count);
  fmt::format_to(out, "{}_sum {}\n{}_count {}\n", name, static_cast<double>(sum) * unit, name,
                 count);
}

}  // namespace landfall::admin
