#include "server/config_options.h"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <limits>
#include <optional>
#include <ranges>

#include "server/available_memory.h"
#include "server/toml_file.h"

namespace landfall::server {
namespace {

using Values = std::vector<std::string>;

std::optional<uint64_t> ParseWhole(std::string_view text) {
  uint64_t n = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), n);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return n;
}

struct SizeUnit {
  std::string_view name;
  int shift;
};
constexpr SizeUnit kSizeUnits[] = {{"TiB", 40}, {"GiB", 30}, {"MiB", 20}, {"KiB", 10}, {"B", 0}};

std::optional<uint64_t> ParseSize(std::string_view text) {
  int shift = 0;
  for (const SizeUnit& unit : kSizeUnits) {
    if (!text.ends_with(unit.name)) continue;
    shift = unit.shift;
    text.remove_suffix(unit.name.size());
    if (text.ends_with(' ')) text.remove_suffix(1);
    break;
  }
  const auto n = ParseWhole(text);
  if (!n || *n > std::numeric_limits<uint64_t>::max() >> shift) return std::nullopt;
  return *n << shift;
}

// In the largest unit that needs no fraction.
std::string SizeText(uint64_t bytes) {
  for (const SizeUnit& unit : kSizeUnits) {
    if (bytes != 0 && unit.shift != 0 && bytes % (uint64_t{1} << unit.shift) == 0)
      return fmt::format("{}{}", bytes >> unit.shift, unit.name);
  }
  return fmt::format("{}B", bytes);
}

// HOST:PORT with an IP address (an IPv6 one in brackets) or "localhost".
std::optional<Endpoint> ParseEndpoint(std::string_view text) {
  const size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return std::nullopt;
  const auto port = ParseWhole(text.substr(colon + 1));
  if (!port || *port > 65535) return std::nullopt;
  std::string host(text.substr(0, colon));
  const bool bracketed = host.size() > 2 && host.front() == '[' && host.back() == ']';
  if (bracketed) host = host.substr(1, host.size() - 2);
  if (!bracketed && host == "localhost") host = "127.0.0.1";
  char address[sizeof(in6_addr)];
  if (inet_pton(bracketed ? AF_INET6 : AF_INET, host.c_str(), address) != 1) return std::nullopt;
  return Endpoint{.host = std::move(host), .port = static_cast<uint16_t>(*port)};
}

// Of kinds with a single value: `parse` gives an optional of what `at` holds.
template <class T, class Parse>
auto ReadOne(T Config::* at, const Parse& parse) {
  return [=](Config& config, const Values& values) {
    if (values.size() != 1) return false;
    const auto parsed = parse(values.front());
    if (!parsed) return false;
    config.*at = static_cast<T>(*parsed);
    return true;
  };
}

OptionKind Path(std::string Config::* at, std::string value_name) {
  return {std::move(value_name),
          "a path",
          {.text = true},
          ReadOne(at,
                  [](const std::string& text) {
                    return text.empty() ? std::nullopt : std::optional(text);
                  }),
          [=](const Config& config) { return TomlString(config.*at); }};
}

// Empty: none.
OptionKind OptionalPath(std::string Config::* at, std::string value_name) {
  OptionKind kind = Path(at, std::move(value_name));
  kind.read = ReadOne(at, [](const std::string& text) { return std::optional(text); });
  return kind;
}

OptionKind Address(Endpoint Config::* at) {
  return {"HOST:PORT",
          "an IP address and a port, such as 127.0.0.1:5672, 0.0.0.0:5672 or [::]:5672",
          {.text = true},
          ReadOne(at, ParseEndpoint),
          [=](const Config& config) { return TomlString((config.*at).ToString()); }};
}

OptionKind OptionalAddress(Endpoint Config::* at) {
  OptionKind kind = Address(at);
  kind.expects += ", or none";
  kind.read = ReadOne(at, [](const std::string& text) {
    return text.empty() || text == "none" ? std::optional(Endpoint{}) : ParseEndpoint(text);
  });
  kind.show = [=](const Config& config) {
    const Endpoint& endpoint = config.*at;
    return TomlString(endpoint.host.empty() ? "" : endpoint.ToString());
  };
  return kind;
}

template <class T>
OptionKind Number(T Config::* at, uint64_t min, uint64_t max) {
  const auto parse = [=](const std::string& text) {
    const auto n = ParseWhole(text);
    return n && *n >= min && *n <= max ? n : std::nullopt;
  };
  return {"N",
          fmt::format("a whole number from {} to {}", min, max),
          {.number = true},
          ReadOne(at, parse),
          [=](const Config& config) { return fmt::format("{}", config.*at); }};
}

template <class T>
OptionKind Size(T Config::* at, uint64_t min, uint64_t max) {
  const auto parse = [=](const std::string& text) {
    const auto n = ParseSize(text);
    return n && *n >= min && *n <= max ? n : std::nullopt;
  };
  return {"SIZE",
          fmt::format("a size from {} to {}, in bytes or with KiB, MiB, GiB", SizeText(min),
                      SizeText(max)),
          {.text = true, .number = true},
          ReadOne(at, parse),
          [=](const Config& config) { return TomlString(SizeText(config.*at)); }};
}

OptionKind MemorySize(uint64_t Config::* at) {
  const auto parse = [](const std::string& text) -> std::optional<uint64_t> {
    std::optional<uint64_t> bytes = ParseSize(text);
    if (text.ends_with('%')) {
      const auto percent = ParseWhole(std::string_view(text).substr(0, text.size() - 1));
      if (!percent || *percent > 100) return std::nullopt;
      bytes = ShareOfMemory(*percent);
    }
    return bytes && *bytes >= (uint64_t{16} << 20) ? bytes : std::nullopt;
  };
  return {"SIZE|PERCENT",
          "a size of at least 16MiB, or a share of the memory such as 60%",
          {.text = true, .number = true},
          ReadOne(at, parse),
          [=](const Config& config) { return TomlString(SizeText(config.*at)); }};
}

OptionKind Switch(bool Config::* at) {
  const auto parse = [](const std::string& text) -> std::optional<bool> {
    if (text == "true") return true;
    if (text == "false") return false;
    return std::nullopt;
  };
  return {"", "true or false", {.truth = true}, ReadOne(at, parse), [=](const Config& config) {
            return std::string(config.*at ? "true" : "false");
          }};
}

template <class T>
OptionKind Choice(T Config::* at, std::vector<std::pair<std::string, T>> choices) {
  const std::string names = fmt::format("{}", fmt::join(std::views::keys(choices), "|"));
  const auto parse = [choices](const std::string& text) {
    const auto it = std::ranges::find(choices, text, &std::pair<std::string, T>::first);
    return it == choices.end() ? std::nullopt : std::optional(it->second);
  };
  const auto show = [at, choices](const Config& config) {
    const auto it = std::ranges::find(choices, config.*at, &std::pair<std::string, T>::second);
    return TomlString(it->first);
  };
  return {names, "one of " + names, {.text = true}, ReadOne(at, parse), show};
}

OptionKind VhostNames(std::vector<std::string> Config::* at) {
  const auto read = [at](Config& config, const Values& values) {
    for (const std::string& name : values)
      if (name.empty() || name.size() > 255) return false;
    if (values.empty()) return false;
    config.*at = values;
    return true;
  };
  const auto show = [at](const Config& config) {
    std::vector<std::string> quoted;
    for (const std::string& name : config.*at) quoted.push_back(TomlString(name));
    return fmt::format("[{}]", fmt::join(quoted, ", "));
  };
  return {"NAME[,NAME]",
          "names of vhosts, at least one, each of 1 to 255 bytes",
          {.list = true},
          read,
          show};
}

constexpr uint64_t kKiB = uint64_t{1} << 10;
constexpr uint64_t kMiB = uint64_t{1} << 20;
constexpr uint64_t kGiB = uint64_t{1} << 30;

std::vector<ConfigOption> MakeOptions() {
  return {
      {"data_dir", Path(&Config::data_dir, "DIR"),
       "Where messages, definitions and users are kept. Required.", "none"},
      {"amqp_listen", Address(&Config::amqp_listen),
       "Where to take AMQP 0-9-1 connections; 0.0.0.0 or [::] is every address of this machine, "
       "port 0 any free one.",
       ""},
      {"amqps_listen", OptionalAddress(&Config::amqps_listen),
       "Where to take AMQP connections with TLS 1.2 or 1.3, by convention on port 5671.", "none"},
      {"tls_certificate", OptionalPath(&Config::tls_certificate, "FILE"),
       "The broker's certificate and what leads to its root, in PEM; read again on SIGHUP, as are "
       "tls_key and tls_ca.",
       "none"},
      {"tls_key", OptionalPath(&Config::tls_key, "FILE"),
       "The key of that certificate, in PEM, without a pass phrase.", "none"},
      {"tls_ca", OptionalPath(&Config::tls_ca, "FILE"),
       "Certificates, in PEM, that those of clients have to lead to.", "none"},
      {"tls_verify",
       Choice<TlsVerify>(&Config::tls_verify, {{"none", TlsVerify::kNone},
                                               {"optional", TlsVerify::kOptional},
                                               {"required", TlsVerify::kRequired}}),
       "Whether clients are asked for a certificate, and refused without one.", ""},
      {"tls_login_from",
       Choice<TlsLoginFrom>(&Config::tls_login_from,
                            {{"common_name", TlsLoginFrom::kCommonName},
                             {"distinguished_name", TlsLoginFrom::kDistinguishedName}}),
       "What in a client's certificate is the name of the user: for SASL EXTERNAL.", ""},
      {"http_listen", OptionalAddress(&Config::http_listen),
       "Where to serve the HTTP API and the metrics, in the clear; none turns it off.", ""},
      {"https_listen", OptionalAddress(&Config::https_listen),
       "Where to serve the same with TLS, with tls_certificate and tls_key; by convention on port "
       "15671.",
       "none"},
      {"console_directory", OptionalPath(&Config::console_directory, "DIR"),
       "The files of the web console, which is served where the API is; none turns it off.",
       "share/landfall/console beside the program's bin, if it is there"},
      {"workers", Number(&Config::workers, 1, broker::kMaxWorkers - 1),
       "Threads that serve connections and queues.", "one below four cores, otherwise cores - 1"},
      {"shards", Number(&Config::shards, 1, 1024),
       "Parts that queues are spread over. Fixed when the data directory is created.", ""},
      {"vhosts", VhostNames(&Config::vhosts), "Virtual hosts that exist from the start.", "/"},
      {"definitions", OptionalPath(&Config::definitions, "FILE"),
       "Vhosts, policies, exchanges, queues and bindings to make before listening, in RabbitMQ's "
       "JSON format; what is there already stays.",
       "none"},
      {"users_file", Path(&Config::users_file, "FILE"),
       "Users and their hashed passwords (landfall user …); read again on SIGHUP.",
       "users.toml in data_dir"},
      {"log_level",
       Choice<LogLevel>(&Config::log_level, {{"trace", LogLevel::kTrace},
                                             {"debug", LogLevel::kDebug},
                                             {"info", LogLevel::kInfo},
                                             {"warn", LogLevel::kWarn},
                                             {"error", LogLevel::kError},
                                             {"off", LogLevel::kOff}}),
       "What is logged, to stderr: this and what is more serious.", ""},
      {"log_format",
       Choice<LogFormat>(&Config::log_format,
                         {{"text", LogFormat::kText}, {"json", LogFormat::kJson}}),
       "Lines for people or lines of JSON.", ""},
      {"frame_max", Size(&Config::frame_max, 4 * kKiB, 16 * kMiB),
       "Largest AMQP frame offered to clients.", ""},
      {"channel_max", Number(&Config::channel_max, 1, 65535),
       "Channels that one connection may open.", ""},
      {"heartbeat", Number(&Config::heartbeat, 0, 3600),
       "Seconds between heartbeats offered to clients; 0 offers none.", ""},
      // An entry of the journal has to hold it, whatever the headers add.
      {"max_message_size", Size(&Config::max_message_size, 1, 512 * kMiB),
       "Largest body of a message.", ""},
      {"max_connections", Number(&Config::max_connections, 1, 1'000'000),
       "Connections that may be open at a time.", ""},
      {"memory_limit", MemorySize(&Config::memory_limit),
       "Memory in use beyond which publishers are blocked until it is less again.",
       "60% of the memory of the machine or of its control group"},
      {"queue_memory", Size(&Config::queue_memory, kMiB, kGiB * 1024),
       "Memory of each worker for messages of deep queues: what has come and is not in backlog "
       "files yet, and what is kept at hand for consumers.",
       ""},
      {"journal_window", Size(&Config::journal_window, kMiB, kGiB * 1024),
       "Size of the journal that makes the broker write checkpoints and free what is behind them.",
       ""},
      {"segment_size", Size(&Config::segment_size, 64 * kKiB, 4 * kGiB),
       "Size of one file of the journal.", ""},
      {"unsafe_no_sync", Switch(&Config::unsafe_no_sync),
       "Confirm messages that are not on the disk yet: they are lost when the machine fails. For "
       "tests only.",
       ""},
  };
}

// Insertions, deletions, replacements and swaps of neighbours that turn one into the other.
size_t EditDistance(std::string_view a, std::string_view b) {
  std::vector<std::vector<size_t>> d(a.size() + 1, std::vector<size_t>(b.size() + 1));
  for (size_t i = 0; i <= a.size(); ++i) d[i][0] = i;
  for (size_t j = 0; j <= b.size(); ++j) d[0][j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    for (size_t j = 1; j <= b.size(); ++j) {
      d[i][j] = std::min(
          {d[i - 1][j] + 1, d[i][j - 1] + 1, d[i - 1][j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1)});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
        d[i][j] = std::min(d[i][j], d[i - 2][j - 2] + 1);
    }
  }
  return d[a.size()][b.size()];
}

}  // namespace

std::string Endpoint::ToString() const {
  if (host.find(':') == std::string::npos) return fmt::format("{}:{}", host, port);
  return fmt::format("[{}]:{}", host, port);
}

std::string ConfigOption::flag() const {
  std::string out = "--" + name;
  std::ranges::replace(out, '_', '-');
  return out;
}

std::string ConfigOption::variable() const {
  std::string out = "LANDFALL_" + name;
  for (char& c : out)
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  return out;
}

const std::vector<ConfigOption>& ConfigOptions() {
  static const std::vector<ConfigOption> kOptions = MakeOptions();
  return kOptions;
}

std::string NearestName(std::string_view name, const std::vector<std::string>& known) {
  // What people type is short; a longer name was not meant to be any of ours.
  if (name.size() > 64) return {};
  std::string best;
  size_t best_distance = name.size() / 2 + 1;  // beyond half of it wrong it was something else
  for (const std::string& candidate : known) {
    const size_t distance = EditDistance(name, candidate);
    if (distance >= best_distance) continue;
    best = candidate;
    best_distance = distance;
  }
  return best;
}

}  // namespace landfall::server
