#include "apps/send.h"

#include <CLI/CLI.hpp>
#include <array>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <iostream>
#include <iterator>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "apps/client_flags.h"
#include "landfall/sender.h"

namespace landfall::apps {
namespace {

constexpr const char* kName = "send";

struct SendFlags {
  ClientFlags client;
  std::string exchange;
  std::string routing_key;
  std::string producer;
  std::string content_type;
  std::string message_id;
  std::vector<std::string> headers;
  std::optional<uint8_t> priority;
  std::optional<uint32_t> expiration_ms;
  double timeout_seconds = 30;
  bool whole = false;
  bool quiet = false;
  std::vector<std::string> messages;
};

// What became of the messages; written by the Sender's thread.
class Tally {
 public:
  void Count(uint64_t number, const SendResult& result) {
    {
      const std::lock_guard lock(mutex_);
      ++counts_[static_cast<size_t>(result.status)];
      ++total_;
      // Nothing that comes now is sent any more: the messages left would only say so again.
      if (result.failure == SendFailure::kFenced) fatal_ = true;
    }
    changed_.notify_all();
    if (result.ok() || result.failure == SendFailure::kClosed) return;
    Complain(kName, "message " + std::to_string(number) + " " +
                        std::string(SendStatusName(result.status)) + ": " + result.why);
  }

  void OnError(const ClientError& error) {
    // A broker that is away says the same thing many times.
    const std::lock_guard lock(mutex_);
    if (error.message != last_error_) Complain(kName, error.message);
    last_error_ = error.message;
    // Trying again will not help.
    if (error.kind == ErrorKind::kAccessRefused) fatal_ = true;
    changed_.notify_all();
  }

  // False if not all `sent` messages are done in time, or if waiting is of no use.
  bool WaitFor(uint64_t sent, std::chrono::steady_clock::time_point deadline) {
    std::unique_lock lock(mutex_);
    changed_.wait_until(lock, deadline, [&] { return fatal_ || total_ == sent; });
    return total_ == sent;
  }

  bool fatal() {
    const std::lock_guard lock(mutex_);
    return fatal_;
  }

  uint64_t Of(SendStatus status) {
    const std::lock_guard lock(mutex_);
    return counts_[static_cast<size_t>(status)];
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::array<uint64_t, 5> counts_{};
  uint64_t total_ = 0;
  bool fatal_ = false;
  std::string last_error_;
};

MessageOptions OptionsOf(const SendFlags& flags, Headers headers) {
  MessageOptions options;
  options.headers = std::move(headers);
  options.content_type = flags.content_type;
  options.message_id = flags.message_id;
  options.priority = flags.priority;
  if (flags.expiration_ms) options.expiration = std::chrono::milliseconds(*flags.expiration_ms);
  return options;
}

// Hands every message to send(std::string) until it returns false.
template <class Send>
void ForEachMessage(const SendFlags& flags, Send send) {
  for (const std::string& each : flags.messages) {
    if (!send(each)) return;
  }
  if (!flags.messages.empty()) return;
  if (flags.whole) {
    send(std::string(std::istreambuf_iterator<char>(std::cin), {}));
    return;
  }
  std::string line;
  while (std::getline(std::cin, line) && send(line)) {
  }
}

int Send(const SendFlags& flags) {
  auto headers = ParseHeaders(flags.headers);
  auto declaration = flags.client.Declaration();
  const std::string& wrong = !headers ? headers.error() : !declaration ? declaration.error() : "";
  if (!wrong.empty()) {
    Complain(kName, wrong);
    return kExitUsage;
  }

  Tally tally;
  SenderOptions options;
  options.brokers = flags.client.brokers;
  options.exchange = flags.exchange;
  options.routing_key = flags.routing_key.empty() ? flags.client.queue : flags.routing_key;
  options.producer = flags.producer;
  options.connection_name = "landfall send";
  options.on_error = [&tally](const ClientError& error) { tally.OnError(error); };
  if (flags.client.declare) options.declare = std::move(*declaration);

  const MessageOptions message_options = OptionsOf(flags, std::move(*headers));
  const std::chrono::milliseconds timeout(static_cast<int64_t>(flags.timeout_seconds * 1000));
  uint64_t sent = 0;
  bool all = false;
  {
    Sender sender(std::move(options));
    ForEachMessage(flags, [&](std::string message) {
      const uint64_t number = ++sent;
      sender.SendMsg(std::move(message), message_options,
                     [&tally, number](const SendResult& result) { tally.Count(number, result); });
      return !tally.fatal();
    });
    all = tally.WaitFor(sent, std::chrono::steady_clock::now() + timeout);
    sender.Close(std::chrono::milliseconds(0));
  }
  if (!all && !tally.fatal()) Complain(kName, "not all messages were confirmed in time");

  uint64_t ok = 0;
  std::string summary;
  for (const SendStatus status :
       {SendStatus::kLanded, SendStatus::kDuplicate, SendStatus::kAccepted, SendStatus::kReturned,
        SendStatus::kFailed}) {
    const uint64_t count = tally.Of(status);
    if (status != SendStatus::kReturned && status != SendStatus::kFailed) ok += count;
    if (!summary.empty()) summary += ", ";
    summary += std::to_string(count) + " " + std::string(SendStatusName(status));
  }
  if (!flags.quiet) std::printf("%s\n", summary.c_str());
  return ok == sent ? kExitOk : kExitFailed;
}

}  // namespace

void AddSendCommand(CLI::App& app) {
  CLI::App* command = app.add_subcommand("send", "Sends messages and says what became of them");
  auto flags = std::make_shared<SendFlags>();
  flags->client.AddTo(*command);
  command->add_option("-k,--routing-key", flags->routing_key,
                      "Routing key; by default the name of the queue");
  command->add_option("-e,--exchange", flags->exchange,
                      "Exchange; the default one brings a message to the queue of that name");
  command
      ->add_option("--header", flags->headers,
                   "NAME=VALUE: a header of every message; may be repeated")
      ->allow_extra_args(false);
  command->add_option("--message-id", flags->message_id, "Message id of every message");
  command->add_option("--content-type", flags->content_type, "For example application/json");
  command->add_option("--priority", flags->priority, "0 to 255");
  command->add_option("--expiration", flags->expiration_ms,
                      "Milliseconds until the broker drops or dead-letters it");
  command->add_option("--producer", flags->producer,
                      "A stable name: one sender at a time, a newer one fences the older");
  command
      ->add_option("--timeout", flags->timeout_seconds,
                   "Seconds to wait for the confirms after the last message")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  command->add_flag("--whole", flags->whole, "Standard input is one message, not one a line");
  command->add_flag("--quiet", flags->quiet, "Print no summary");
  command->add_option("messages", flags->messages,
                      "The messages; without any, each line of standard input is one");
  command->callback([command, flags] {
    if (flags->client.queue.empty() && flags->routing_key.empty() && flags->exchange.empty()) {
      throw CLI::RequiredError("--queue, --routing-key or --exchange");
    }
    if (flags->client.declare && flags->client.queue.empty()) {
      throw CLI::RequiresError("--declare", "--queue");
    }
    const int code = Send(*flags);
    if (code != kExitOk) throw CLI::RuntimeError(code);
  });
}

}  // namespace landfall::apps
