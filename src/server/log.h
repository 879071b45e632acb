#pragma once

#include <concepts>
#include <cstdint>
#include <initializer_list>
#include <iosfwd>
#include <string>
#include <string_view>
#include <variant>

namespace landfall::server {

enum class LogLevel { kTrace, kDebug, kInfo, kWarn, kError, kOff };
enum class LogFormat { kText, kJson };

struct LogOptions {
  LogLevel level = LogLevel::kInfo;
  LogFormat format = LogFormat::kText;
  std::ostream* out = nullptr;  // null: stderr. Must outlive the last line.
};

// Sets up the log of the process, one event a line:
//
//   text  2026-03-01T12:00:00.123Z info  connection accepted peer=127.0.0.1:4711
//   JSON  {"time":"2026-03-01T12:00:00.123Z","level":"info","message":"connection accepted",
//          "peer":"127.0.0.1:4711"}
//
// A line stays one line whatever a peer put into a name. What is written through spdlog directly
// comes out the same way, without fields. Before this is called, lines go to stderr as spdlog's
// own default has it. Thread: main's, before others log.
void SetUpLog(const LogOptions& options);

// One fact about an event. Borrows text: alive only in the expression that logs it. Keys are
// snake_case.
struct LogField {
  using Value = std::variant<std::string_view, int64_t, uint64_t, double, bool>;

  template <class T>
  LogField(std::string_view k, const T& v) : key(k), value(Of(v)) {}

  std::string_view key;
  Value value;

 private:
  template <class T>
  static Value Of(const T& v) {
    if constexpr (std::same_as<T, bool>)
      return v;
    else if constexpr (std::floating_point<T>)
      return static_cast<double>(v);
    else if constexpr (std::unsigned_integral<T>)
      return static_cast<uint64_t>(v);
    else if constexpr (std::signed_integral<T>)
      return static_cast<int64_t>(v);
    else
      return std::string_view(v);
  }
};
using LogFields = std::initializer_list<LogField>;

// For what is dear to gather for a line that nobody wants.
bool LogEnabled(LogLevel level);

// LogInfo("connection accepted", {{"peer", peer}, {"worker", id}}). From kWarn on it is flushed.
// Thread: any.
void Log(LogLevel level, std::string_view message, LogFields fields = {});
inline void LogDebug(std::string_view m, LogFields f = {}) { Log(LogLevel::kDebug, m, f); }
inline void LogInfo(std::string_view m, LogFields f = {}) { Log(LogLevel::kInfo, m, f); }
inline void LogWarn(std::string_view m, LogFields f = {}) { Log(LogLevel::kWarn, m, f); }
inline void LogError(std::string_view m, LogFields f = {}) { Log(LogLevel::kError, m, f); }

}  // namespace landfall::server
