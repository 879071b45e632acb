#include "apps/perf_options.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>
#include <limits>
#include <string_view>
#include <utility>

#include "apps/perf_message.h"
#include "client/broker_tls.h"

namespace landfall::apps {
namespace {

constexpr uint32_t kMaxConnections = 20'000;
constexpr uint32_t kMaxQueues = 1'000'000;
constexpr uint32_t kMaxWindow = 10'000'000;
constexpr uint64_t kMaxSize = uint64_t{512} << 20;
constexpr uint32_t kMaxRoutingKeys = 100'000;
// A message of each is kept encoded.
constexpr uint64_t kMaxTemplateBytes = uint64_t{1} << 30;
constexpr std::string_view kNumberInKey = "{}";
constexpr double kMaxSeconds = 30.0 * 24 * 3600;

std::unexpected<Error> Refuse(std::string message) {
  return Fail(ErrorCode::kInvalidArgument, std::move(message));
}

// name=value, with the type that the value looks like.
Result<void> AddQueueArgument(amqp::Table& table, const std::string& text) {
  const size_t equals = text.find('=');
  if (equals == std::string::npos || equals == 0) {
    return Refuse("--queue-arg '" + text + "' is not name=value, as in x-queue-type=quorum");
  }
  const std::string_view name = std::string_view(text).substr(0, equals);
  const std::string_view value = std::string_view(text).substr(equals + 1);
  if (name.size() > amqp::kMaxShortString) {
    return Refuse("the name in --queue-arg '" + text + "' is above 255 bytes");
  }
  if (table.Contains(name)) {
    return Refuse("--queue-arg " + std::string(name) + " is given twice");
  }
  int64_t number = 0;
  const char* const end = value.data() + value.size();
  const auto [stop, error] = std::from_chars(value.data(), end, number);
  if (error == std::errc() && stop == end) {
    table.Set(name, amqp::Value(number));
  } else if (value == "true" || value == "false") {
    table.Set(name, amqp::Value(value == "true"));
  } else {
    table.Set(name, amqp::Value(value));
  }
  return {};
}

Result<void> CheckRanges(const PerfOptions& o) {
  if (o.producers > kPerfMaxProducers) {
    return Refuse("--producers is at most " + std::to_string(kPerfMaxProducers));
  }
  if (o.consumers > kMaxConnections || o.idle_connections > kMaxConnections) {
    return Refuse("--consumers and --idle-connections are at most " +
                  std::to_string(kMaxConnections));
  }
  if (o.queues == 0 || o.queues > kMaxQueues) {
    return Refuse("--queues is from 1 to " + std::to_string(kMaxQueues));
  }
  if (o.queue.size() > amqp::kMaxShortString - 8) return Refuse("--queue is at most 247 bytes");
  if (o.size > kMaxSize) return Refuse("--size is at most " + std::to_string(kMaxSize));
  if (o.routing_keys == 0 || o.routing_keys > kMaxRoutingKeys) {
    return Refuse("--routing-keys is from 1 to " + std::to_string(kMaxRoutingKeys));
  }
  if (o.routing_keys > 1 && o.size > kMaxTemplateBytes / o.routing_keys) {
    return Refuse("--routing-keys times --size is at most " + std::to_string(kMaxTemplateBytes));
  }
  if (o.window > kMaxWindow) return Refuse("--window is at most " + std::to_string(kMaxWindow));
  if (o.prefetch > std::numeric_limits<uint16_t>::max())
    return Refuse("--prefetch is at most 65535");
  if (o.threads != 1 && o.threads != 2) return Refuse("--threads is 1 or 2");
  // Written so that not-a-number is refused as well.
  if (!(o.rate >= 0 && o.rate <= 1e9)) return Refuse("--rate is from 0 to 1000000000");
  if (!(o.seconds >= 0 && o.seconds <= kMaxSeconds))
    return Refuse("--seconds is from 0 to 2592000");
  if (!(o.drain >= 0 && o.drain <= kMaxSeconds)) return Refuse("--drain is from 0 to 2592000");
  if (o.messages > kPerfMaxSequence) {
    return Refuse("--messages is at most " + std::to_string(kPerfMaxSequence));
  }
  return {};
}

// Combinations that would be accepted without an effect, or could not work.
Result<void> CheckCombinations(const PerfOptions& o) {
  if (o.auto_ack && o.consumers == 0) return Refuse("--auto-ack needs consumers");
  if (!o.auto_ack && o.prefetch != 0 && o.ack_every > o.prefetch) {
    return Refuse("--ack-every " + std::to_string(o.ack_every) + " is above --prefetch " +
                  std::to_string(o.prefetch) +
                  ": the broker would wait for acks before it delivers enough to be acked");
  }
  if (o.rate > 0 && o.producers == 0) return Refuse("--rate needs producers");
  if (o.mandatory && o.producers == 0) return Refuse("--mandatory needs producers");
  if (o.exchange.empty() && (!o.routing_key.empty() || o.routing_keys != 1)) {
    return Refuse("--routing-key and --routing-keys need --exchange");
  }
  if (o.routing_keys != 1 && o.routing_key.find(kNumberInKey) == std::string::npos) {
    return Refuse("--routing-keys needs a --routing-key with {} in it, where the number goes");
  }
  if (!o.declare && !o.queue_args.empty()) {
    return Refuse("--queue-arg has no effect with --no-declare");
  }
  return {};
}

}  // namespace

std::vector<std::string> PerfOptions::QueueNames() const {
  if (queues == 1 && !queue.empty()) return {queue};
  const std::string prefix = (queue.empty() ? "perf" : queue) + "-";
  std::vector<std::string> names;
  names.reserve(queues);
  for (uint32_t i = 0; i < queues; ++i) names.push_back(prefix + std::to_string(i));
  return names;
}

void AddPerfOptions(CLI::App& command, PerfOptions& o) {
  command
      .add_option("--broker", o.url,
                  "Broker, as amqp://user:password@host:port/vhost, or amqps:// with TLS")
      ->capture_default_str();
  command.add_option("--producers", o.producers, "Producers, each with a connection of its own")
      ->capture_default_str();
  command.add_option("--consumers", o.consumers, "Consumers, each with a connection of its own")
      ->capture_default_str();
  command
      .add_option("--queues", o.queues,
                  "Queues, over which producers and consumers spread: perf-0, perf-1 ...")
      ->capture_default_str();
  command.add_option("--queue", o.queue,
                     "Name of the queue; with several queues, what their names begin with");
  command
      .add_option("--queue-arg", o.queue_args,
                  "Argument to declare the queues with, name=value; may be repeated")
      ->allow_extra_args(false);
  command.add_option("--exchange", o.exchange,
                     "Publish to this exchange, which must be there with its bindings, and not "
                     "straight to the queues");
  command.add_option("--routing-key", o.routing_key, "Routing key for --exchange");
  command
      .add_option("--routing-keys", o.routing_keys,
                  "So many routing keys in turn: {} in --routing-key is replaced by 0, 1 ...")
      ->capture_default_str();
  command.add_option("--size", o.size, "Bytes in a message's body")->capture_default_str();
  command
      .add_option("--window", o.window,
                  "Unconfirmed messages in flight for each producer; 0: publish without confirms")
      ->capture_default_str();
  command
      .add_option("--rate", o.rate, "Messages a second for each producer; 0: as fast as it goes")
      ->capture_default_str();
  command.add_option("--seconds", o.seconds,
                     "How long to publish (without producers, to consume); 10 unless --messages");
  command.add_option("--messages", o.messages,
                     "Stop after so many published (without producers, consumed) messages");
  command
      .add_option("--drain", o.drain,
                  "Seconds that confirms and consumers have after the last publish")
      ->capture_default_str();
  command.add_option("--prefetch", o.prefetch, "Unacked messages of each consumer; 0: no limit")
      ->capture_default_str();
  command.add_option("--ack-every", o.ack_every,
                     "Ack so many deliveries at once, fewer if 10 ms pass without more; 100 unless "
                     "the prefetch is small");
  command.add_flag("--auto-ack", o.auto_ack, "Consume without acks");
  command.add_flag("--transient", o.transient, "Publish transient messages, not persistent ones");
  command.add_flag("--mandatory", o.mandatory,
                   "Publish as mandatory; a returned message is an error");
  command.add_flag("!--no-declare", o.declare,
                   "Use queues that exist; neither declare nor delete them");
  command.add_flag("--keep", o.keep, "Do not delete the queues afterwards");
  command
      .add_option("--threads", o.threads,
                  "1: one for everything; 2: one for the producers, one for the consumers")
      ->capture_default_str();
  command.add_option("--idle-connections", o.idle_connections,
                     "Connections with a channel to hold open beside the load");
  command.add_flag("--latency", o.latency, "Show the whole distribution of latencies at the end");
  command.add_flag("--json", o.json,
                   "Print one JSON object to stdout at the end, everything else to stderr");
  command.add_flag("--quiet", o.quiet, "No line each second");
}

Result<PerfPlan> MakePerfPlan(PerfOptions options) {
  PerfPlan plan;
  if (auto ok = CheckRanges(options); !ok) return std::unexpected(ok.error());
  if (auto ok = CheckCombinations(options); !ok) return std::unexpected(ok.error());
  for (const std::string& argument : options.queue_args) {
    auto ok = AddQueueArgument(plan.queue_arguments, argument);
    if (!ok) return std::unexpected(ok.error());
  }
  auto broker = client::ParseBrokerUrl(options.url);
  if (!broker) return std::unexpected(broker.error());
  plan.broker = *broker;
  auto tls = client::MakeTlsContext(plan.broker);
  if (!tls) return std::unexpected(tls.error());
  plan.tls = *std::move(tls);
  if (options.seconds == 0 && options.messages == 0) options.seconds = 10;
  if (options.ack_every == 0) {
    options.ack_every = 100;
    if (options.prefetch != 0) {
      options.ack_every = std::clamp<uint32_t>(options.prefetch / 2, 1, options.ack_every);
    }
  }
  plan.queues = options.QueueNames();
  for (uint32_t i = 0; !options.exchange.empty() && i < options.routing_keys; ++i) {
    std::string& key = plan.routing_keys.emplace_back(options.routing_key);
    if (const size_t at = key.find(kNumberInKey); at != std::string::npos) {
      key.replace(at, kNumberInKey.size(), std::to_string(i));
    }
    if (key.size() > amqp::kMaxShortString) {
      return Refuse("--routing-key '" + key + "' is above 255 bytes");
    }
  }
  plan.options = std::move(options);
  return plan;
}

}  // namespace landfall::apps
