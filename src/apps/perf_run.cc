#include "apps/perf_run.h"

#include <fmt/format.h>
#include <sys/resource.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <random>
#include <thread>
#include <utility>

#include "amqp/method.h"

namespace landfall::apps {
namespace {

constexpr auto kLook = std::chrono::milliseconds(10);
// Queues whose declaration is on the way at once.
constexpr size_t kQueueBatch = 200;
// For each answer while cleaning up after an interrupt.
constexpr auto kShortPatience = std::chrono::seconds(3);

std::atomic<int> interrupts = 0;

uint64_t Nanoseconds(double seconds) { return static_cast<uint64_t>(seconds * kPerfSecond); }

double Seconds(uint64_t from, uint64_t to) {
  return to <= from ? 0 : static_cast<double>(to - from) / kPerfSecond;
}

double Seconds(const timeval& t) {
  return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6;
}

struct CpuTime {
  double user;
  double system;

  static CpuTime Now() {
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    return {Seconds(usage.ru_utime), Seconds(usage.ru_stime)};
  }
};

// Connections by the thousand need more descriptors than a shell usually allows.
void RaiseDescriptorLimit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

}  // namespace

PerfRun::PerfRun(PerfPlan plan, std::function<void(const std::string&)> show)
    : plan_(std::move(plan)),
      show_(std::move(show)),
      identified_(plan_.options.size >= kPerfIdentitySize),
      run_(static_cast<uint16_t>(std::random_device()())),
      arrivals_(plan_.options.producers) {
  for (uint32_t i = 0; i < plan_.options.threads; ++i) {
    loops_.push_back(std::make_unique<PerfLoop>());
  }
}

void PerfRun::Interrupt() { interrupts.fetch_add(1); }

PerfResult PerfRun::Run() {
  RaiseDescriptorLimit();
  auto ok = SetUp();
  last_interrupt_ = 2;
  if (ok) {
    Go();
    CheckOutcome();
  } else {
    result_.errors.push_back(ok.error().message);
  }
  CleanUp();
  return std::move(result_);
}

Result<std::unique_ptr<PerfConnection>> PerfRun::Connect() {
  return PerfConnection::Open(plan_.broker, plan_.tls,
                              [this] { return interrupts >= last_interrupt_; });
}

Result<void> PerfRun::SetUp() {
  auto control = Connect();
  if (!control) return std::unexpected(control.error());
  control_ = std::move(*control);
  result_.product = control_->product();
  show_(DescribePerfPlan(plan_, result_.product));
  if (auto ok = DeclareQueues(); !ok) return ok;
  if (auto ok = OpenIdleConnections(); !ok) return ok;
  start_ = PerfNow();
  if (auto ok = OpenConsumers(); !ok) return ok;
  return OpenProducers();
}

Result<void> PerfRun::DeclareQueues() {
  if (!plan_.options.declare) return {};
  const ByteBuffer arguments = plan_.queue_arguments.Encode();
  for (size_t i = 0; i < plan_.queues.size(); i += kQueueBatch) {
    const size_t end = std::min(i + kQueueBatch, plan_.queues.size());
    declared_ = end;
    for (size_t q = i; q < end; ++q) {
      control_->Send(amqp::QueueDeclare{
          .queue = plan_.queues[q], .durable = true, .arguments = amqp::TableView(arguments)});
    }
    for (size_t q = i; q < end; ++q) {
      auto ok = control_->Wait<amqp::QueueDeclareOk>();
      if (!ok) {
        // What was on the way behind a refused one, the broker has disregarded.
        if (control_->channel_closed()) declared_ = q;
        return Fail(ok.error().code,
                    "cannot declare queue '" + plan_.queues[q] + "': " + ok.error().message);
      }
    }
  }
  return {};
}

Result<void> PerfRun::OpenIdleConnections() {
  const uint32_t count = plan_.options.idle_connections;
  if (count == 0) return {};
  const uint64_t begin = PerfNow();
  while (idle_.size() < count && interrupts == 0) {
    auto connection = Connect();
    if (!connection) {
      return Fail(connection.error().code,
                  fmt::format("idle connection {} of {}: {}", idle_.size() + 1, count,
                              connection.error().message));
    }
    idle_.push_back(std::move(*connection));
  }
  show_(fmt::format("{} idle connections open after {:.2f} s", idle_.size(),
                    Seconds(begin, PerfNow())));
  return {};
}

std::vector<std::string> PerfRun::QueuesOf(uint32_t index, uint32_t count) const {
  const auto queues = static_cast<uint32_t>(plan_.queues.size());
  if (count >= queues) return {plan_.queues[index % queues]};
  std::vector<std::string> names;
  for (uint32_t q = index; q < queues; q += count) names.push_back(plan_.queues[q]);
  return names;
}

Result<void> PerfRun::OpenConsumers() {
  const PerfOptions& o = plan_.options;
  PerfLoop& loop = *loops_.back();
  for (uint32_t i = 0; i < o.consumers; ++i) {
    auto connection = Connect();
    if (!connection) return std::unexpected(connection.error());
    auto consumer = PerfConsumer::Make(std::move(*connection),
                                       {.queues = QueuesOf(i, o.consumers),
                                        .prefetch = static_cast<uint16_t>(o.prefetch),
                                        .ack_every = o.ack_every,
                                        .auto_ack = o.auto_ack,
                                        .run = run_,
                                        .started_at = start_,
                                        .measure_all = o.producers == 0},
                                       loop.tally(), arrivals_);
    if (!consumer) return std::unexpected(consumer.error());
    loop.Add(std::move(*consumer));
  }
  return {};
}

Result<void> PerfRun::OpenProducers() {
  const PerfOptions& o = plan_.options;
  PerfLoop& loop = *loops_.front();
  for (uint32_t i = 0; i < o.producers; ++i) {
    auto connection = Connect();
    if (!connection) return std::unexpected(connection.error());
    uint64_t messages = kPerfNever;
    if (o.messages != 0) {
      messages = o.messages / o.producers + (i < o.messages % o.producers ? 1 : 0);
    }
    auto producer = PerfProducer::Make(
        std::move(*connection),
        {.first = {.run = run_, .producer = static_cast<uint16_t>(i)},
         .exchange = o.exchange,
         .routing_keys = plan_.routing_keys.empty() ? QueuesOf(i, o.producers) : plan_.routing_keys,
         .size = o.size,
         .window = o.window,
         .rate = o.rate,
         .messages = messages,
         .mandatory = o.mandatory,
         .persistent = !o.transient},
        loop.tally());
    if (!producer) return std::unexpected(producer.error());
    producers_.push_back(producer->get());
    loop.Add(std::move(*producer));
  }
  return {};
}

void PerfRun::Go() {
  const PerfOptions& o = plan_.options;
  if (o.producers == 0 && o.consumers == 0 && o.idle_connections == 0) return;
  const CpuTime cpu = CpuTime::Now();
  if (!o.quiet) show_(FormatPerfHeader());
  start_ = interval_start_ = PerfNow();
  const uint64_t end = o.seconds == 0 ? kPerfNever : start_ + Nanoseconds(o.seconds);
  for (PerfProducer* producer : producers_) producer->SetTimes(start_, end);
  for (auto& loop : loops_) loop->Start();

  const uint64_t patience = Nanoseconds(o.drain);
  if (o.producers == 0) {
    const auto enough = [&] { return o.messages != 0 && Delivered() >= o.messages; };
    WaitUntil(enough, end, 1);
  } else {
    const auto stopped = [&] {
      return std::all_of(producers_.begin(), producers_.end(),
                         [](const PerfProducer* p) { return p->stopped(); });
    };
    // They look at the clock themselves; this is for a loop that does not get to it.
    const uint64_t latest = end > kPerfNever - patience ? kPerfNever : end + patience;
    bool going = WaitUntil(stopped, latest, 1);
    Locked([&] {
      for (PerfProducer* producer : producers_) producer->StopPublishing();
    });
    going = going && WaitUntil([&] { return AllFinished(); }, PerfNow() + patience, 2);
    if (o.consumers != 0 && going) {
      WaitUntil([&] { return AllArrived(); }, PerfNow() + patience, 2);
    }
  }
  for (auto& loop : loops_) loop->Stop();
  const CpuTime after = CpuTime::Now();
  result_.user_cpu_seconds = after.user - cpu.user;
  result_.system_cpu_seconds = after.system - cpu.system;
  const uint64_t finished = PerfNow();
  for (auto& loop : loops_) loop->CloseConnections();  // which may still send acks
  Conclude(finished);
}

template <class Work>
std::invoke_result_t<Work> PerfRun::Locked(Work&& work) {
  std::vector<std::unique_lock<std::mutex>> locks;
  locks.reserve(loops_.size());
  for (auto& loop : loops_) locks.push_back(loop->Lock());
  return work();
}

bool PerfRun::WaitUntil(const std::function<bool()>& done, uint64_t deadline, int interrupt_count) {
  while (true) {
    bool failed = false;
    const bool is_done = Locked([&] {
      failed = Failed();
      return !failed && done();
    });
    if (failed) return false;
    if (is_done) return true;
    const uint64_t now = PerfNow();
    ShowProgress(now);
    if (interrupts >= 2) return false;
    if (now >= deadline || interrupts >= interrupt_count) return true;
    std::this_thread::sleep_for(kLook);
  }
}

bool PerfRun::Failed() const {
  return std::any_of(loops_.begin(), loops_.end(),
                     [](const auto& loop) { return loop->error().has_value(); });
}

bool PerfRun::AllFinished() const {
  return std::all_of(producers_.begin(), producers_.end(),
                     [](const PerfProducer* p) { return p->finished(); });
}

bool PerfRun::AllArrived() const {
  if (!identified_) return CountLost() == 0;
  // Cheap, and as long as it does not hold something must be missing.
  for (const PerfProducer* p : producers_) {
    if (arrivals_[p->index()].unique() < p->published() - p->unexpected_count()) return false;
  }
  return CountLost() == 0;
}

uint64_t PerfRun::CountLost() const {
  uint64_t lost = 0;
  if (identified_) {
    for (const PerfProducer* p : producers_) {
      arrivals_[p->index()].ForEachMissing(
          p->published(), [&](uint64_t sequence) { lost += p->Expected(sequence) ? 1 : 0; });
    }
    return lost;
  }
  PerfCounts counts;
  for (const auto& loop : loops_) counts.Add(loop->tally().counts);
  const uint64_t refused = counts.nacked + counts.returned + Unconfirmed();
  const uint64_t expected = counts.published - std::min(counts.published, refused);
  return expected - std::min(expected, counts.delivered);
}

uint64_t PerfRun::Unconfirmed() const {
  uint64_t n = 0;
  for (const PerfProducer* p : producers_) n += p->unconfirmed();
  return n;
}

uint64_t PerfRun::Delivered() const {
  uint64_t n = 0;
  for (const auto& loop : loops_) n += loop->tally().counts.delivered;
  return n;
}

void PerfRun::ShowProgress(uint64_t now) {
  if (now - interval_start_ < kPerfSecond) return;
  TakeInterval(now);
  if (!plan_.options.quiet) show_(FormatPerfInterval(result_.intervals.back()));
}

void PerfRun::TakeInterval(uint64_t now) {
  PerfCounts total;
  PerfHistogram confirm;
  PerfHistogram end_to_end;
  Locked([&] {
    for (auto& loop : loops_) {
      PerfTally& tally = loop->tally();
      total.Add(tally.counts);
      confirm.Add(tally.confirm_latency);
      end_to_end.Add(tally.end_to_end_latency);
      tally.confirm_latency.Clear();
      tally.end_to_end_latency.Clear();
    }
  });
  result_.confirm.Add(confirm);
  result_.end_to_end.Add(end_to_end);
  PerfInterval interval{.at = Seconds(start_, now),
                        .seconds = Seconds(interval_start_, now),
                        .counts = total,
                        .confirm = PerfPercentiles::Of(confirm),
                        .end_to_end = PerfPercentiles::Of(end_to_end)};
  interval.counts.Subtract(shown_);
  result_.intervals.push_back(interval);
  shown_ = total;
  interval_start_ = now;
}

void PerfRun::Conclude(uint64_t end) {
  TakeInterval(end);
  result_.intervals.pop_back();  // the rest of a second says little
  result_.counts = shown_;
  result_.seconds = Seconds(start_, end);
  uint64_t publish = 0;
  uint64_t confirm = 0;
  uint64_t delivery = 0;
  for (auto& loop : loops_) {
    const PerfTally& tally = loop->tally();
    publish = std::max(publish, tally.last_publish);
    confirm = std::max(confirm, tally.last_confirm);
    delivery = std::max(delivery, tally.last_delivery);
    if (loop->error()) result_.errors.push_back(loop->error()->message);
  }
  result_.publish_seconds = Seconds(start_, publish);
  result_.confirm_seconds = Seconds(start_, confirm);
  result_.delivery_seconds = Seconds(start_, delivery);
}

// The loops have stopped.
void PerfRun::CheckOutcome() {
  const PerfOptions& o = plan_.options;
  std::vector<std::string>& errors = result_.errors;
  const PerfCounts& c = result_.counts;
  if (o.window != 0) result_.unconfirmed = Unconfirmed();
  if (result_.unconfirmed != 0) {
    errors.push_back(fmt::format("{} messages were not confirmed", result_.unconfirmed));
  } else if (!AllFinished() && errors.empty()) {
    errors.push_back("the broker has not read everything that was published");
  }
  if (c.nacked != 0) errors.push_back(fmt::format("the broker nacked {} messages", c.nacked));
  if (c.returned != 0) errors.push_back(fmt::format("the broker returned {} messages", c.returned));
  if (o.producers != 0 && o.consumers != 0) {
    for (PerfProducer* producer : producers_) producer->GiveUpUnconfirmed();
    result_.lost = CountLost();
    if (identified_) result_.duplicated = c.duplicated;
    if (*result_.lost != 0) {
      errors.push_back(fmt::format("{} {} messages were not consumed", *result_.lost,
                                   o.window == 0 ? "published" : "confirmed"));
    }
  }
  if (o.producers == 0 && o.consumers != 0 && o.messages != 0 && c.delivered < o.messages) {
    errors.push_back(fmt::format("only {} of {} messages were delivered", c.delivered, o.messages));
  }
  size_t closed = 0;
  for (auto& connection : idle_) closed += connection->Receive() ? 0 : 1;
  if (closed != 0) errors.push_back(fmt::format("the broker closed {} idle connections", closed));
}

void PerfRun::CleanUp() {
  for (auto& connection : idle_) connection->Close();
  if (!control_) return;
  if (interrupts != 0) control_->WaitAtMost(kShortPatience);
  if (!plan_.options.keep && !DeleteQueues()) return;
  control_->Close();
}

// False, with an error in the result, if that cannot be done.
bool PerfRun::DeleteQueues() {
  if (declared_ != 0 && control_->channel_closed() && !control_->ReopenChannel()) return false;
  for (size_t i = 0; i < declared_; i += kQueueBatch) {
    const size_t end = std::min(i + kQueueBatch, declared_);
    for (size_t q = i; q < end; ++q) control_->Send(amqp::QueueDelete{.queue = plan_.queues[q]});
    for (size_t q = i; q < end; ++q) {
      auto ok = control_->Wait<amqp::QueueDeleteOk>();
      if (ok) continue;
      if (result_.errors.empty()) {
        result_.errors.push_back("cannot delete queue '" + plan_.queues[q] +
                                 "': " + ok.error().message);
      }
      return false;
    }
  }
  return true;
}

}  // namespace landfall::apps
