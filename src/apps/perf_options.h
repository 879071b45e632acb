#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "amqp/table.h"
#include "base/error.h"
#include "client/url.h"
#include "net/tls_settings.h"

namespace CLI {  // NOLINT(readability-identifier-naming)
class App;
}

namespace landfall::apps {

// What `landfall perf` was asked to do. The descriptions for people are in AddPerfOptions.
struct PerfOptions {
  std::string url = "amqp://guest:guest@127.0.0.1:5672/";
  uint32_t producers = 1;
  uint32_t consumers = 1;
  uint32_t queues = 1;
  std::string queue;                    // empty: not given
  std::vector<std::string> queue_args;  // name=value
  std::string exchange;                 // empty: the default one, by the queues' names
  std::string routing_key;              // {} in it is a number below routing_keys
  uint32_t routing_keys = 1;
  uint64_t size = 16;
  uint32_t window = 3000;  // 0: no confirms
  double rate = 0;         // messages a second and producer; 0: no limit
  double seconds = 0;      // 0: until `messages`, or 10 if that is 0 too
  uint64_t messages = 0;   // all producers together; 0: until `seconds`
  double drain = 30;       // seconds
  uint32_t prefetch = 2000;
  uint32_t ack_every = 0;  // 0: 100, or half the prefetch if that is less
  uint32_t threads = 1;
  uint32_t idle_connections = 0;
  bool auto_ack = false;
  bool transient = false;
  bool mandatory = false;
  bool declare = true;
  bool keep = false;
  bool latency = false;
  bool json = false;
  bool quiet = false;

  // `queue` if there is one and its name was given, otherwise <queue>-0, <queue>-1 … or perf-0 …
  std::vector<std::string> QueueNames() const;
};

// The options, checked and read.
struct PerfPlan {
  PerfOptions options;  // without defaults that are still to be chosen
  client::BrokerUrl broker;
  std::shared_ptr<SSL_CTX> tls;  // for all connections to it; null without TLS
  amqp::Table queue_arguments;
  std::vector<std::string> queues;
  std::vector<std::string> routing_keys;  // empty: those of the default exchange
};

// Adds every option to the command, to be read into `options`, which must outlive it.
void AddPerfOptions(CLI::App& command, PerfOptions& options);

// Errors: kInvalidArgument, with a sentence that names the option.
Result<PerfPlan> MakePerfPlan(PerfOptions options);

}  // namespace landfall::apps
