#include "server/log.h"

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <spdlog/formatter.h>
#include <spdlog/logger.h>
#include <spdlog/sinks/ostream_sink.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <chrono>
#include <iterator>
#include <memory>
#include <nlohmann/json.hpp>
#include <utility>

namespace landfall::server {
namespace {

// The fields of the line that this thread is logging. spdlog has no place for them, and formats on
// the thread that logs.
thread_local const LogFields* current_fields = nullptr;

constexpr std::string_view LevelName(spdlog::level::level_enum level) {
  switch (level) {
    case spdlog::level::trace:
      return "trace";
    case spdlog::level::debug:
      return "debug";
    case spdlog::level::info:
      return "info";
    case spdlog::level::warn:
      return "warn";
    default:
      return "error";
  }
}

constexpr spdlog::level::level_enum ToSpdlog(LogLevel level) {
  switch (level) {
    case LogLevel::kTrace:
      return spdlog::level::trace;
    case LogLevel::kDebug:
      return spdlog::level::debug;
    case LogLevel::kInfo:
      return spdlog::level::info;
    case LogLevel::kWarn:
      return spdlog::level::warn;
    case LogLevel::kError:
      return spdlog::level::err;
    case LogLevel::kOff:
      return spdlog::level::off;
  }
  return spdlog::level::info;
}

// Peers choose user names and such, so bytes that are no UTF-8 are replaced instead of refused.
std::string JsonOf(std::string_view text) {
  return nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

std::string JsonOf(const LogField::Value& value) {
  return std::visit(
      [](const auto& v) -> std::string {
        if constexpr (std::is_same_v<std::decay_t<decltype(v)>, std::string_view>)
          return JsonOf(v);
        else
          return nlohmann::json(v).dump();
      },
      value);
}

bool IsControl(char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }

std::string TextOf(const LogField::Value& value) {
  const auto* text = std::get_if<std::string_view>(&value);
  if (text == nullptr) return JsonOf(value);
  const bool plain = !text->empty() && std::ranges::all_of(*text, [](char c) {
    return c > ' ' && c < 0x7f && c != '"' && c != '=' && c != '\\';
  });
  return plain ? std::string(*text) : JsonOf(*text);
}

class LineFormatter final : public spdlog::formatter {
 public:
  explicit LineFormatter(LogFormat format) : format_(format) {}

  void format(const spdlog::details::log_msg& event, spdlog::memory_buf_t& out) override {
    const auto seconds = std::chrono::time_point_cast<std::chrono::seconds>(event.time);
    const auto milliseconds =
        std::chrono::duration_cast<std::chrono::milliseconds>(event.time - seconds).count();
    const std::string time =
        fmt::format("{:%Y-%m-%dT%H:%M:%S}.{:03}Z",
                    fmt::gmtime(std::chrono::system_clock::to_time_t(seconds)), milliseconds);
    const std::string_view message(event.payload.data(), event.payload.size());
    if (format_ == LogFormat::kText) {
      WriteText(time, LevelName(event.level), message, out);
    } else {
      WriteJson(time, LevelName(event.level), message, out);
    }
  }

  std::unique_ptr<spdlog::formatter> clone() const override {
    return std::make_unique<LineFormatter>(format_);
  }

 private:
  static void WriteText(std::string_view time, std::string_view level, std::string_view message,
                        spdlog::memory_buf_t& out) {
    const auto to = std::back_inserter(out);
    fmt::format_to(to, "{} {:<5} ", time, level);
    if (std::ranges::any_of(message, IsControl)) {
      const std::string escaped = JsonOf(message);
      out.append(escaped.data() + 1, escaped.data() + escaped.size() - 1);
    } else {
      out.append(message.data(), message.data() + message.size());
    }
    if (current_fields != nullptr) {
      for (const LogField& field : *current_fields)
        fmt::format_to(to, " {}={}", field.key, TextOf(field.value));
    }
    out.push_back('\n');
  }

  static void WriteJson(std::string_view time, std::string_view level, std::string_view message,
                        spdlog::memory_buf_t& out) {
    const auto to = std::back_inserter(out);
    fmt::format_to(to, R"({{"time":"{}","level":"{}","message":{})", time, level, JsonOf(message));
    if (current_fields != nullptr) {
      for (const LogField& field : *current_fields)
        fmt::format_to(to, ",{}:{}", JsonOf(field.key), JsonOf(field.value));
    }
    out.push_back('}');
    out.push_back('\n');
  }

  const LogFormat format_;
};

}  // namespace

void SetUpLog(const LogOptions& options) {
  std::shared_ptr<spdlog::sinks::sink> sink;
  if (options.out != nullptr) {
    sink = std::make_shared<spdlog::sinks::ostream_sink_mt>(*options.out);
  } else {
    sink = std::make_shared<spdlog::sinks::stderr_sink_mt>();
  }
  auto logger = std::make_shared<spdlog::logger>("landfall", std::move(sink));
  logger->set_formatter(std::make_unique<LineFormatter>(options.format));
  logger->set_level(ToSpdlog(options.level));
  logger->flush_on(spdlog::level::warn);
  spdlog::set_default_logger(std::move(logger));
}

bool LogEnabled(LogLevel level) {
  return spdlog::default_logger_raw()->should_log(ToSpdlog(level));
}

void Log(LogLevel level, std::string_view message, LogFields fields) {
  spdlog::logger* logger = spdlog::default_logger_raw();
  if (!logger->should_log(ToSpdlog(level))) return;
  current_fields = &fields;
  logger->log(ToSpdlog(level), spdlog::string_view_t(message.data(), message.size()));
  current_fields = nullptr;
}

}  // namespace landfall::server
