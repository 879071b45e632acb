#include "landfall/receiver.h"

#include <pthread.h>

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <utility>

#include "client/client_options.h"
#include "client/deadline.h"
#include "client/delivery.h"
#include "client/io_shell.h"
#include "client/receiver_core.h"
#include "client/settle_intake.h"
#include "client/work_queue.h"

namespace landfall {

using client::ArrivedMessage;
using client::Settlement;

namespace {

constexpr std::chrono::seconds kDestructorPatience{5};

// The Receiver whose callback thread this is.
thread_local const void* working_for = nullptr;

void CheckOptions(const ReceiverOptions& o, const RecvCallback& callback) {
  if (!callback) client::BadOption("callback", "is empty");
  if (o.queue.empty()) client::BadOption("queue", "is empty");
  client::CheckName("queue", o.queue);
  if (o.prefetch == 0 || o.prefetch > UINT16_MAX) {
    client::BadOption("prefetch", "must be from 1 to 65535");
  }
  if (o.concurrency == 0 || o.concurrency > 1024) {
    client::BadOption("concurrency", "must be from 1 to 1024");
  }
  if (o.max_buffered_bytes == 0) client::BadOption("max_buffered_bytes", "is 0");
  for (const auto& [name, value] : o.consumer_arguments) {
    client::CheckName("consumer_arguments", name);
  }
  if (o.declare) client::CheckDeclaration(*o.declare);
}

client::ReceiverCoreOptions CoreOptions(const ReceiverOptions& o) {
  client::ReceiverCoreOptions core;
  core.queue = o.queue;
  core.prefetch = static_cast<uint16_t>(o.prefetch);
  core.auto_ack = o.auto_ack;
  core.exclusive = o.exclusive;
  core.consumer_arguments = o.consumer_arguments;
  core.declare = o.declare;
  if (core.declare && core.declare->queue.empty()) core.declare->queue = o.queue;
  return core;
}

}  // namespace

class Receiver::State : private client::IoDriven {
 public:
  State(const ReceiverOptions& options, client::LinkOptions link, RecvCallback callback)
      : on_error_(options.on_error),
        auto_ack_(options.auto_ack),
        max_buffered_bytes_(options.max_buffered_bytes),
        callback_(std::move(callback)),
        shell_(*this, options.connect_timeout, "landfall-recv"),
        intake_(std::make_shared<client::SettleIntake>(options.remember_settled,
                                                       options.message_ids_are_unique
                                                           ? client::MessageIds::kAreUnique
                                                           : client::MessageIds::kMeanNothing,
                                                       [this] { shell_.Wake(); })),
        core_(CoreOptions(options), std::move(link), intake_->memory(), client::RandomSeed(),
              shell_.Now()) {}

  // Not in the constructor: a callback may use the Receiver, which has to know its State by then.
  void Start(uint32_t concurrency) {
    shell_.Start();
    for (uint32_t i = 0; i < concurrency; ++i) {
      workers_.emplace_back([this] { Work(); });
      pthread_setname_np(workers_.back().native_handle(), "landfall-work");
    }
  }

  ~State() override {
    Stop(kDestructorPatience);
    work_.Close();
    for (std::thread& each : workers_) each.join();
  }

  bool Stop(std::chrono::milliseconds timeout) {
    const auto deadline = client::DeadlineAfter(timeout);
    intake_->WatchReturns();
    stopping_ = true;
    if (OnOwnThread()) {
      shell_.Wake();
      return false;
    }
    const std::lock_guard one_at_a_time(stop_mutex_);
    if (stopped_) return drained_;
    shell_.Wake();
    {
      std::unique_lock lock(mutex_);
      drained_ = changed_.wait_until(lock, deadline, [this] { return quiet_; });
    }
    closing_ = true;
    shell_.Wake();
    shell_.Join();
    intake_->Close();
    stopped_ = true;
    // What came too late for the connection's thread.
    std::vector<Settlement> late;
    intake_->TakeAll(late);
    for (Settlement& each : late) {
      if (!each.callback) continue;
      client::RunCallback(on_error_, "an AckCallback", [&] { each.callback(AckStatus::kUnknown); });
    }
    return drained_;
  }

  bool consuming() const { return consuming_; }
  uint64_t repeats_dropped() const { return repeats_dropped_.load() + late_repeats_.load(); }

 private:
  bool OnOwnThread() const { return shell_.OnOwnThread() || working_for == this; }

  // --- The connection's thread

  client::Link& link() override { return core_.link(); }
  void OnTick(Time now) override { core_.OnTick(now); }
  Time NextDeadline() const override { return core_.NextDeadline(); }

  bool WantsInput() const override {
    if (work_.bytes() < max_buffered_bytes_) return true;
    starved_ = true;
    // Somebody may have made room between the two.
    return work_.bytes() < max_buffered_bytes_;
  }

  void Pump(Time now) override {
    intake_->SetChannel(core_.channel(), core_.extensions());
    work_.Push(core_.TakeArrived());
    if (stopping_) {
      core_.Cancel();
      GiveBackWaiting();
    }
    intake_->TakeAll(batch_);
    for (Settlement& each : batch_) core_.Settle(std::move(each));
    batch_.clear();
    core_.Advance();
    if (stopping_) NoteQuiet();
    if (closing_) {
      core_.link().Close(now);
      const client::ClientConnection* connection = core_.link().connection();
      if (connection == nullptr || connection->done()) core_.GiveUpNotices();
    }
    consuming_ = core_.consuming();
    repeats_dropped_ = core_.repeats_dropped();
    for (client::AckNotice& each : core_.TakeNotices()) {
      client::RunCallback(on_error_, "an AckCallback", [&] { each.callback(each.status); });
    }
    for (const Error& problem : core_.TakeProblems()) client::Report(on_error_, problem);
  }

  // What no callback has seen goes back as it came.
  void GiveBackWaiting() {
    if (auto_ack_) return;
    for (const ArrivedMessage& each : work_.TakeAll()) {
      core_.Settle({each.channel, each.tag, Settlement::Kind::kGiveBack, {}, {}});
    }
  }

  void NoteQuiet() {
    // In this order: a delivery counts as handed out before its worker is done with it, and brings
    // its settlement before it stops counting.
    if (!core_.quiet() || !work_.idle() || intake_->handed_out() > 0) return;
    intake_->TakeAll(batch_);
    for (Settlement& each : batch_) core_.Settle(std::move(each));
    batch_.clear();
    core_.Advance();
    if (!core_.quiet()) return;
    const std::lock_guard lock(mutex_);
    quiet_ = true;
    changed_.notify_all();
  }

  // --- A callback thread

  void Work() {
    working_for = this;
    while (std::optional<ArrivedMessage> message = work_.Pop()) {
      if (starved_ && work_.bytes() < max_buffered_bytes_ / 2 && starved_.exchange(false)) {
        shell_.Wake();
      }
      Handle(std::move(*message));
      if (work_.Done() && stopping_) shell_.Wake();
    }
  }

  void Handle(ArrivedMessage message) {
    // The broker has it back already and delivers it again.
    if (!auto_ack_ && !intake_->IsCurrent(message.channel)) return;
    if (!auto_ack_ && stopping_) {
      Settlement settlement{message.channel, message.tag, Settlement::Kind::kGiveBack, {}, {}};
      intake_->Settle(settlement);
      return;
    }
    auto state = std::make_unique<client::DeliveryState>(std::move(message), intake_, auto_ack_);
    if (!auto_ack_ && state->IsKnown()) {
      state->Settle(Settlement::Kind::kAck, {}, {});
      ++late_repeats_;
      return;
    }
    client::RunCallback(on_error_, "the RecvCallback",
                        [&] { callback_(Delivery(std::move(state))); });
  }

  const ErrorHandler on_error_;
  const bool auto_ack_;
  const size_t max_buffered_bytes_;
  const RecvCallback callback_;

  std::atomic<bool> stopping_{false};
  std::atomic<bool> closing_{false};
  std::atomic<bool> consuming_{false};
  std::atomic<uint64_t> repeats_dropped_{0};
  std::atomic<uint64_t> late_repeats_{0};
  mutable std::atomic<bool> starved_{false};

  std::mutex stop_mutex_;
  bool stopped_ = false;
  bool drained_ = false;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool quiet_ = false;

  std::vector<Settlement> batch_;  // the connection's thread only
  client::WorkQueue work_;
  client::IoShell shell_;
  std::shared_ptr<client::SettleIntake> intake_;
  client::ReceiverCore core_;
  std::vector<std::thread> workers_;
};

// NOLINTNEXTLINE(performance-unnecessary-value-param): a later version may want to move from it.
Receiver::Receiver(ReceiverOptions options, RecvCallback callback) {
  CheckOptions(options, callback);
  auto link = client::MakeLinkOptions(options.brokers, options.reconnect, options.connect_timeout,
                                      options.heartbeat, options.connection_name, options.tls);
  state_ = std::make_unique<State>(options, std::move(link), std::move(callback));
  state_->Start(options.concurrency);
}

Receiver::~Receiver() = default;
bool Receiver::Stop(std::chrono::milliseconds timeout) { return state_->Stop(timeout); }
bool Receiver::consuming() const { return state_->consuming(); }
uint64_t Receiver::repeats_dropped() const { return state_->repeats_dropped(); }

}  // namespace landfall
