#include "landfall/sender.h"

#include <algorithm>
#include <atomic>
#include <mutex>
#include <stdexcept>
#include <utility>

#include "amqp/table.h"
#include "client/client_options.h"
#include "client/deadline.h"
#include "client/io_shell.h"
#include "client/retry_schedule.h"
#include "client/send_intake.h"
#include "client/sender_core.h"

namespace landfall {

using client::Submission;

namespace {

constexpr const char* kClosedText = "the Sender was closed";

void CheckOptions(const SenderOptions& o) {
  client::CheckName("routing_key", o.routing_key);
  client::CheckName("exchange", o.exchange);
  client::CheckName("producer", o.producer);
  if (o.producer.starts_with('~')) {
    client::BadOption("producer", "'~' starts the names that Senders make up themselves");
  }
  if (o.epoch.value_or(0) > INT64_MAX) client::BadOption("epoch", "must be below 2^63");
  if (o.max_unconfirmed_messages == 0) client::BadOption("max_unconfirmed_messages", "is 0");
  if (o.max_unconfirmed_messages > UINT32_MAX / 4) {
    client::BadOption("max_unconfirmed_messages", "is above a billion");
  }
  if (o.max_unconfirmed_bytes == 0) client::BadOption("max_unconfirmed_bytes", "is 0");
  if (!client::IsValid(o.resend)) {
    client::BadOption("resend", "needs 0 < first <= cap, multiplier >= 1, 0 <= jitter < 1");
  }
  if (o.max_sends == 0) client::BadOption("max_sends", "is 0");
  if (!o.declare) return;
  client::CheckDeclaration(*o.declare);
  if (o.declare->queue.empty()) {
    client::BadOption("declare.queue",
                      "is empty: the broker would make up a new queue at every reconnect");
  }
}

uint64_t WallClockMicros() {
  return static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::microseconds>(
                                   std::chrono::system_clock::now().time_since_epoch())
                                   .count());
}

client::SenderCoreOptions CoreOptions(const SenderOptions& o) {
  client::SenderCoreOptions core;
  core.exchange = o.exchange;
  core.routing_key = o.routing_key;
  core.stable_producer = !o.producer.empty();
  core.producer = core.stable_producer ? o.producer : client::RandomName();
  const uint64_t clock = WallClockMicros();
  core.epoch = o.epoch.value_or(clock);
  // The broker remembers the numbers of a name across epochs. A new process of the same name must
  // not use one again, or its message would be taken for a repeat: a thousand numbers a microsecond
  // keep it ahead of whatever an earlier one can have used.
  if (core.stable_producer) core.first_sequence = clock * 1000;
  core.resend = o.resend;
  core.max_sends = o.max_sends;
  core.max_messages = o.max_unconfirmed_messages;
  core.declare = o.declare;
  return core;
}

}  // namespace

std::string_view SendStatusName(SendStatus status) {
  switch (status) {
    case SendStatus::kLanded:
      return "landed";
    case SendStatus::kDuplicate:
      return "duplicate";
    case SendStatus::kAccepted:
      return "accepted";
    case SendStatus::kReturned:
      return "returned";
    case SendStatus::kFailed:
      return "failed";
  }
  return "unknown";
}

class Sender::State : private client::IoDriven {
 public:
  State(const SenderOptions& options, client::LinkOptions link)
      : on_error_(options.on_error),
        intake_(
            {options.max_unconfirmed_messages, options.max_unconfirmed_bytes, options.overflow}),
        shell_(*this, options.connect_timeout, "landfall-send"),
        core_options_(CoreOptions(options)),
        core_(core_options_, std::move(link), client::RandomSeed(), shell_.Now()) {}

  // Not in the constructor: a callback may use the Sender, which has to know its State by then.
  void Start() { shell_.Start(); }

  ~State() override { Close(std::chrono::milliseconds(0)); }

  bool Send(Submission submission) {
    const bool own_thread = shell_.OnOwnThread();
    SendResult refusal;
    switch (intake_.Offer(submission, !own_thread, refusal)) {
      case client::SendIntake::Offered::kTakenFirst:
        shell_.Wake();
        return true;
      case client::SendIntake::Offered::kTaken:
        return true;
      case client::SendIntake::Offered::kRefused:
        break;
    }
    if (!submission.callback) return false;
    if (own_thread) {
      // Not from inside of another callback: one that sends again would never come to an end.
      refused_.push_back({std::move(submission.callback), std::move(refusal), 0});
      shell_.Wake();
    } else {
      client::RunCallback(on_error_, "a SendCallback", [&] { submission.callback(refusal); });
    }
    return false;
  }

  void SetLowestSequence(uint64_t sequence) {
    if (sequence > INT64_MAX) {
      throw std::invalid_argument(
          "landfall: SetLowestSequence: above 2^63-1, the highest sequence");
    }
    uint64_t before = lowest_sequence_.load();
    while (before < sequence && !lowest_sequence_.compare_exchange_weak(before, sequence)) {
    }
  }

  bool Flush(std::chrono::milliseconds timeout) {
    if (shell_.OnOwnThread()) return false;
    return intake_.WaitDone(client::DeadlineAfter(timeout));
  }

  bool Close(std::chrono::milliseconds timeout) {
    intake_.Close(SendFailure::kClosed, kClosedText);
    if (shell_.OnOwnThread()) {
      closing_ = true;
      shell_.Wake();
      return false;
    }
    const std::lock_guard lock(close_mutex_);
    const bool settled = intake_.WaitDone(client::DeadlineAfter(timeout));
    closing_ = true;
    shell_.Wake();
    shell_.Join();
    return settled;
  }

  const client::SenderCoreOptions& core_options() const { return core_options_; }
  size_t unconfirmed() const { return intake_.unfinished(); }

 private:
  client::Link& link() override { return core_.link(); }
  void OnTick(Time now) override { core_.OnTick(now); }
  Time NextDeadline() const override { return core_.NextDeadline(); }

  void Pump(Time now) override {
    // Read before the messages are taken and used after: a promise about numbers below it must not
    // overtake a message that was handed in before it.
    const uint64_t lowest = lowest_sequence_.load();
    const bool closing = closing_.load();
    intake_.TakeAll(batch_);
    for (Submission& each : batch_) core_.Submit(std::move(each), now);
    batch_.clear();
    if (batch_.capacity() > kKeepBatch) std::vector<Submission>().swap(batch_);
    core_.SetLowestSequence(lowest);
    if (closing) {
      core_.FailAll(SendFailure::kClosed, std::string(kClosedText) + " before it was confirmed");
      core_.link().Close(now);
    }
    core_.Advance(now);
    if (!core_.fenced().empty()) intake_.Close(SendFailure::kFenced, core_.fenced());
    for (const Error& problem : core_.TakeProblems()) client::Report(on_error_, problem);
    TellResults();
  }

  void TellResults() {
    core_.TakeSettled(settled_);
    if (!settled_.empty()) {
      size_t bytes = 0;
      for (const client::SettledSend& each : settled_) bytes += each.cost;
      intake_.Release(settled_.size(), bytes);
      for (client::SettledSend& each : settled_) Tell(each);
      intake_.NoteDone(settled_.size(), core_.settled_below());
      settled_.clear();
      if (settled_.capacity() > kKeepBatch) std::vector<client::SettledSend>().swap(settled_);
    }
    // Those that come to this while it runs wait for the next round.
    std::vector<client::SettledSend> refused = std::exchange(refused_, {});
    for (client::SettledSend& each : refused) Tell(each);
  }

  void Tell(client::SettledSend& settled) {
    if (!settled.callback) return;
    client::RunCallback(on_error_, "a SendCallback", [&] { settled.callback(settled.result); });
    settled.callback = nullptr;
  }

  static constexpr size_t kKeepBatch = 64u << 10;

  const ErrorHandler on_error_;
  client::SendIntake intake_;
  std::atomic<uint64_t> lowest_sequence_{0};
  std::atomic<bool> closing_{false};
  std::mutex close_mutex_;

  // The shell's thread only.
  std::vector<Submission> batch_;
  std::vector<client::SettledSend> settled_;
  std::vector<client::SettledSend> refused_;

  client::IoShell shell_;
  const client::SenderCoreOptions core_options_;
  client::SenderCore core_;
};

// NOLINTNEXTLINE(performance-unnecessary-value-param): a later version may want to move from it.
Sender::Sender(SenderOptions options) {
  CheckOptions(options);
  auto link = client::MakeLinkOptions(options.brokers, options.reconnect, options.connect_timeout,
                                      options.heartbeat, options.connection_name, options.tls);
  state_ = std::make_unique<State>(options, std::move(link));
  state_->Start();
}

Sender::~Sender() = default;

bool Sender::SendMsg(Body body, SendCallback callback) {
  return state_->Send({std::move(body).Release(), nullptr, std::move(callback)});
}

bool Sender::SendMsg(Body body, MessageOptions options, SendCallback callback) {
  return state_->Send({std::move(body).Release(),
                       std::make_unique<MessageOptions>(std::move(options)), std::move(callback)});
}

void Sender::SetLowestSequence(uint64_t sequence) { state_->SetLowestSequence(sequence); }
bool Sender::Flush(std::chrono::milliseconds timeout) { return state_->Flush(timeout); }
bool Sender::Close(std::chrono::milliseconds timeout) { return state_->Close(timeout); }
const std::string& Sender::producer() const { return state_->core_options().producer; }
uint64_t Sender::epoch() const { return state_->core_options().epoch; }
size_t Sender::unconfirmed() const { return state_->unconfirmed(); }

}  // namespace landfall
