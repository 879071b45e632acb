#include "apps/recv.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <csignal>
#include <cstdio>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "apps/client_flags.h"
#include "landfall/receiver.h"

namespace landfall::apps {
namespace {

constexpr const char* kName = "recv";
constexpr std::chrono::seconds kStopPatience{10};

volatile std::sig_atomic_t interrupted = 0;
void OnSignal(int) { interrupted = 1; }

struct RecvFlags {
  ClientFlags client;
  uint64_t count = 0;
  bool ack = true;
  bool json = false;
  uint32_t prefetch = 256;
  double timeout_seconds = 0;
};

std::string Base64(std::string_view bytes) {
  constexpr std::string_view kDigits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  for (size_t i = 0; i < bytes.size(); i += 3) {
    uint32_t group = 0;
    const size_t n = std::min<size_t>(3, bytes.size() - i);
    for (size_t k = 0; k < 3; ++k) {
      group = group << 8 | (k < n ? static_cast<uint8_t>(bytes[i + k]) : 0u);
    }
    for (size_t k = 0; k < 4; ++k) out += k <= n ? kDigits[group >> (18 - 6 * k) & 63] : '=';
  }
  return out;
}

bool IsUtf8(std::string_view bytes) {
  // What the JSON writer would refuse is no text.
  try {
    (void)nlohmann::json(bytes).dump();
    return true;
  } catch (const nlohmann::json::type_error&) {
    return false;
  }
}

nlohmann::json ToJson(const HeaderValue& value) {
  return std::visit(
      [](const auto& v) -> nlohmann::json {
        using T = std::decay_t<decltype(v)>;
        if constexpr (std::is_same_v<T, std::monostate>) return nullptr;
        if constexpr (std::is_same_v<T, std::string>) {
          if (!IsUtf8(v)) return Base64(v);
        }
        if constexpr (!std::is_same_v<T, std::monostate>) return v;
      },
      value);
}

std::string JsonLine(const Delivery& d) {
  nlohmann::json line;
  if (IsUtf8(d.body())) {
    line["body"] = d.body();
  } else {
    line["body_base64"] = Base64(d.body());
  }
  line["exchange"] = d.exchange();
  line["routing_key"] = d.routing_key();
  line["redelivered"] = d.redelivered();
  line["delivery_count"] = d.delivery_count();
  if (!d.message_id().empty()) line["message_id"] = d.message_id();
  if (!d.content_type().empty()) line["content_type"] = d.content_type();
  if (!d.correlation_id().empty()) line["correlation_id"] = d.correlation_id();
  if (!d.reply_to().empty()) line["reply_to"] = d.reply_to();
  if (!d.type().empty()) line["type"] = d.type();
  if (!d.app_id().empty()) line["app_id"] = d.app_id();
  if (const auto priority = d.priority()) line["priority"] = *priority;
  if (d.sequence() != 0) line["sequence"] = d.sequence();
  if (!d.headers().empty()) {
    for (const auto& [name, value] : d.headers()) line["headers"][name] = ToJson(value);
  }
  // Texts other than the body may be broken as well; they are shown as far as they go.
  return line.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

// Prints messages and knows when it is enough. on_message runs on the Receiver's callback thread.
class Printer {
 public:
  explicit Printer(const RecvFlags& flags) : flags_(flags) {}

  // Keeps the Delivery when the message is only looked at. Returns false when it is enough.
  bool OnMessage(Delivery d) {
    {
      const std::lock_guard lock(mutex_);
      // Among them what Release has given back, while the broker does not know yet that we stop.
      if (done_) {
        d.GiveBack();
        return false;
      }
    }
    const std::string line = flags_.json ? JsonLine(d) : std::string(d.body());
    // Printed for good before it is acknowledged.
    const bool printed = std::fwrite(line.data(), 1, line.size(), stdout) == line.size() &&
                         std::fputc('\n', stdout) != EOF && std::fflush(stdout) == 0;
    const std::lock_guard lock(mutex_);
    last_message_ = std::chrono::steady_clock::now();
    if (!printed) {
      d.GiveBack();
      Fail("cannot write to standard output");
      return false;
    }
    ++received_;
    if (flags_.ack) {
      d.SendAck();
    } else if (done_) {
      d.GiveBack();
    } else {
      held_.push_back(std::move(d));
    }
    if (flags_.count == 0 || received_ < flags_.count) return true;
    done_ = true;
    changed_.notify_all();
    return false;
  }

  void OnError(const ClientError& error) {
    const std::lock_guard lock(mutex_);
    if (error.kind == ErrorKind::kUntrusted || error.kind == ErrorKind::kAccessRefused ||
        error.kind == ErrorKind::kNotFound || error.kind == ErrorKind::kRefused) {
      return Fail(error.message);  // waiting will not help
    }
    if (error.message != last_error_) Complain(kName, error.message);
    last_error_ = error.message;
  }

  // Waits until it is enough. True if nothing is missing.
  bool Wait() {
    std::unique_lock lock(mutex_);
    last_message_ = std::chrono::steady_clock::now();
    const std::chrono::duration<double> patience(flags_.timeout_seconds);
    while (!done_ && interrupted == 0) {
      // A signal handler cannot wake a condition variable.
      changed_.wait_for(lock, std::chrono::milliseconds(50));
      if (flags_.timeout_seconds > 0 &&
          std::chrono::steady_clock::now() - last_message_ >= patience) {
        break;
      }
    }
    if (failed_) return false;
    if (flags_.count == 0 || received_ >= flags_.count) return true;
    Complain(kName, "got " + std::to_string(received_) + " of " + std::to_string(flags_.count) +
                        " messages");
    return false;
  }

  // Gives back what was only looked at. From now on nothing is printed or kept.
  void Release() {
    const std::lock_guard lock(mutex_);
    done_ = true;
    for (Delivery& each : held_) each.GiveBack();
    held_.clear();
  }

 private:
  void Fail(const std::string& why) {
    Complain(kName, why);
    failed_ = true;
    done_ = true;
    changed_.notify_all();
  }

  const RecvFlags& flags_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::chrono::steady_clock::time_point last_message_;
  std::vector<Delivery> held_;
  uint64_t received_ = 0;
  bool done_ = false;
  bool failed_ = false;
  std::string last_error_;
};

int Recv(const RecvFlags& flags) {
  auto declaration = flags.client.Declaration();
  if (!declaration) {
    Complain(kName, declaration.error());
    return kExitUsage;
  }
  Printer printer(flags);
  ReceiverOptions options;
  options.brokers = flags.client.brokers;
  options.queue = flags.client.queue;
  // Messages that are only looked at stay out, so all that are wanted have to fit.
  options.prefetch = flags.ack ? flags.prefetch : 65535;
  // What is not wanted is left to others.
  if (flags.count != 0) {
    options.prefetch = static_cast<uint32_t>(std::min<uint64_t>(options.prefetch, flags.count));
  }
  options.connection_name = "landfall recv";
  options.on_error = [&printer](const ClientError& error) { printer.OnError(error); };
  if (flags.client.declare) options.declare = std::move(*declaration);

  std::signal(SIGINT, OnSignal);
  std::signal(SIGTERM, OnSignal);
  std::signal(SIGPIPE, SIG_IGN);
  std::unique_ptr<Receiver> receiver;
  std::mutex ready;
  std::unique_lock holding(ready);
  receiver = std::make_unique<Receiver>(std::move(options), [&](Delivery d) {
    if (printer.OnMessage(std::move(d))) return;
    const std::lock_guard lock(ready);  // until `receiver` is set
    receiver->Stop(std::chrono::milliseconds(0));
  });
  holding.unlock();

  bool ok = printer.Wait();
  printer.Release();
  if (!receiver->Stop(kStopPatience)) {
    Complain(kName, "the broker may not have got every ack: some messages may come again");
    ok = false;
  }
  return ok ? kExitOk : kExitFailed;
}

}  // namespace

void AddRecvCommand(CLI::App& app) {
  CLI::App* command = app.add_subcommand("recv", "Receives messages and prints them");
  auto flags = std::make_shared<RecvFlags>();
  flags->client.AddTo(*command);
  command->get_option("--queue")->required();
  command->add_option("-n,--count", flags->count, "Stop after so many; 0 goes on forever");
  command->add_flag("--ack,!--no-ack", flags->ack,
                    "Take the messages out of the queue (default), or only look at them");
  command->add_flag("--json", flags->json, "One JSON object a line, with headers and properties");
  command->add_option("--prefetch", flags->prefetch, "Messages out at a time, 1 to 65535")
      ->check(CLI::Range(1, 65535))
      ->capture_default_str();
  command
      ->add_option("--timeout", flags->timeout_seconds,
                   "Stop when no message has come for so many seconds; 0 waits forever")
      ->check(CLI::NonNegativeNumber);
  command->callback([flags] {
    const int code = Recv(*flags);
    if (code != kExitOk) throw CLI::RuntimeError(code);
  });
}

}  // namespace landfall::apps
