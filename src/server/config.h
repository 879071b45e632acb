#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "base/error.h"
#include "broker/types.h"
#include "server/log.h"
#include "server/tls_context.h"

namespace landfall::server {

// Where to listen: an IP address and a port, 0 for any free one.
struct Endpoint {
  std::string host;
  uint16_t port = 0;

  // "127.0.0.1:5672", "[::1]:5672".
  std::string ToString() const;
  bool operator==(const Endpoint&) const = default;
};

// What the broker is told by the person who runs it. `landfalld --help` explains the options;
// ConfigOptions() in config_options.h is the one list of them.
struct Config {
  std::string data_dir;
  Endpoint amqp_listen{.host = "127.0.0.1", .port = 5672};
  Endpoint amqps_listen;        // no host: no TLS
  std::string tls_certificate;  // files in PEM
  std::string tls_key;
  std::string tls_ca;
  TlsVerify tls_verify = TlsVerify::kNone;
  TlsLoginFrom tls_login_from = TlsLoginFrom::kCommonName;
  Endpoint http_listen{.host = "127.0.0.1", .port = 15672};  // no host: no HTTP API
  Endpoint https_listen;                                     // no host: not with TLS
  // Of the console's files; empty: where they are installed beside the program, "none": no console.
  std::string console_directory;
  uint16_t workers = 0;  // 0: by the cores there are; never 0 after LoadConfig
  // Fixed when the data directory is created.
  broker::ShardId shards = broker::kDefaultShards;
  std::vector<std::string> vhosts{"/"};
  std::string definitions;  // a file to import before listening; empty: none
  std::string users_file;   // empty: <data_dir>/users.toml; never empty after LoadConfig
  LogLevel log_level = LogLevel::kInfo;
  LogFormat log_format = LogFormat::kText;
  uint32_t frame_max = 128 * 1024;
  uint16_t channel_max = 2047;
  uint16_t heartbeat = 60;  // seconds, 0: none
  uint64_t max_message_size = uint64_t{128} << 20;
  uint32_t max_connections = 65536;
  // Bytes of resident memory beyond which publishers are blocked. 0: 60 % of what this process may
  // use; never 0 after LoadConfig.
  uint64_t memory_limit = 0;
  // Bytes, of each worker, for messages of deep queues: what has come and is not in backlog files
  // yet, and what is kept at hand.
  uint64_t queue_memory = uint64_t{64} << 20;
  uint64_t journal_window = uint64_t{256} << 20;
  uint64_t segment_size = uint64_t{64} << 20;
  bool unsafe_no_sync = false;
};

// What the command line asked for.
enum class ConfigAction {
  kRun,
  kCheck,  // say what is in force, and end
  kShow,   // `text` is the help or the version: print it, and end
};

struct ConfigRequest {
  ConfigAction action = ConfigAction::kRun;
  Config config;
  std::string text;
  // Per option that is not at its default, where its value comes from, for a person.
  std::map<std::string, std::string, std::less<>> origins;
};

// The value of an environment variable, or null.
using Environment = std::function<const char*(const char*)>;

// Reads flags, then environment variables, then the file that --config (or LANDFALL_CONFIG) names;
// what comes first wins. All of it is checked, also what is overruled. Errors: kInvalidArgument,
// naming the flag, variable, or line of the file.
Result<ConfigRequest> LoadConfig(int argc, const char* const* argv,
                                 const Environment& environment = nullptr);

// The configuration as a file that gives the same one again, with where each value comes from.
std::string DescribeConfig(const ConfigRequest& request);

}  // namespace landfall::server
