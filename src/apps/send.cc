#include "apps/send.h"

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "apps/client_flags.h"
#include "apps/line_input.h"
#include "landfall/sender.h"

namespace landfall::apps {
namespace {

constexpr const char* kName = "send";
constexpr double kLongestTimeout = 1e9;  // seconds

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

// What became of the messages. Thread-safe: the Sender's thread writes.
class Tally {
 public:
  // `give_up` is called once, by whichever thread finds out that trying on is of no use.
  explicit Tally(std::function<void()> give_up) : give_up_(std::move(give_up)) {}

  void Count(uint64_t number, const SendResult& result) {
    // Nothing that comes now is sent any more.
    const bool fatal = result.failure == SendFailure::kFenced;
    std::string complaint;
    if (!result.ok() && result.failure != SendFailure::kClosed) {
      complaint = "message " + std::to_string(number) + " " +
                  std::string(SendStatusName(result.status)) + ": " + result.why;
    }
    Note(complaint, fatal, [&] {
      ++counts_[static_cast<size_t>(result.status)];
      ++total_;
    });
  }

  void OnError(const ClientError& error) {
    // All messages go the same way, so the next one would fare no better.
    const bool fatal = error.kind == ErrorKind::kUntrusted ||
                       error.kind == ErrorKind::kAccessRefused ||
                       error.kind == ErrorKind::kNotFound || error.kind == ErrorKind::kRefused;
    Note(error.message, fatal, [] {});
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
  template <class Change>
  void Note(const std::string& complaint, bool fatal, Change change) {
    bool first_fatal = false;
    {
      const std::lock_guard lock(mutex_);
      change();
      // A broker that is away says the same thing many times; and after the reason why we give up
      // nothing new is to be learned.
      if (!complaint.empty() && !fatal_ && complaint != last_complaint_) {
        Complain(kName, complaint);
        last_complaint_ = complaint;
      }
      first_fatal = fatal && !fatal_;
      fatal_ |= fatal;
    }
    changed_.notify_all();
    if (first_fatal) give_up_();
  }

  const std::function<void()> give_up_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::array<uint64_t, 5> counts_{};
  uint64_t total_ = 0;
  bool fatal_ = false;
  std::string last_complaint_;
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

// Hands every message to send(std::string) until it returns false, or `input` is stopped.
template <class Send>
void ForEachMessage(const SendFlags& flags, LineInput& input, Send send) {
  for (const std::string& each : flags.messages) {
    if (!send(each)) return;
  }
  if (!flags.messages.empty()) return;
  if (flags.whole) {
    if (auto all = input.Rest()) send(std::move(*all));
    return;
  }
  while (auto line = input.Next()) {
    if (!send(std::move(*line))) return;
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

  // What the Sender's thread stops when trying on is of no use: this thread may wait for a line, or
  // for room in the window.
  LineInput input(STDIN_FILENO);
  std::unique_ptr<Sender> sender;
  std::mutex made;
  Tally tally([&] {
    input.Stop();
    const std::lock_guard lock(made);  // until `sender` is set
    sender->Close(std::chrono::milliseconds(0));
  });
  SenderOptions options;
  options.brokers = flags.client.brokers;
  options.exchange = flags.exchange;
  options.routing_key = flags.routing_key.empty() ? flags.client.queue : flags.routing_key;
  options.producer = flags.producer;
  options.connection_name = "landfall send";
  options.on_error = [&tally](const ClientError& error) { tally.OnError(error); };
  if (flags.client.declare) options.declare = std::move(*declaration);

  const MessageOptions message_options = OptionsOf(flags, std::move(*headers));
  const std::chrono::milliseconds timeout(
      static_cast<int64_t>(std::min(flags.timeout_seconds, kLongestTimeout) * 1000));
  {
    const std::lock_guard lock(made);
    sender = std::make_unique<Sender>(std::move(options));
  }
  uint64_t sent = 0;
  ForEachMessage(flags, input, [&](std::string message) {
    const uint64_t number = ++sent;
    sender->SendMsg(std::move(message), message_options,
                    [&tally, number](const SendResult& result) { tally.Count(number, result); });
    return !tally.fatal();
  });
  const bool all = tally.WaitFor(sent, std::chrono::steady_clock::now() + timeout);
  sender->Close(std::chrono::milliseconds(0));
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
  return ok == sent && !tally.fatal() ? kExitOk : kExitFailed;
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
  command->callback([flags] {
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
