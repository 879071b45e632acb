#include "crashtest/crash_run.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <stdexcept>
#include <string_view>
#include <thread>

#include "amqp/table.h"
#include "crashtest/link.h"
#include "crashtest/load.h"

namespace landfall::crashtest {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr double kShortestLoad = 0.05;
constexpr auto kNotFound = static_cast<uint16_t>(amqp::ReplyCode::kNotFound);
// How long a broker that takes logins may still refuse to serve its queues.
constexpr std::chrono::seconds kServePatience{20};

double SecondsSince(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// Sleeps, but not through a stop.
void Rest(double seconds, const std::atomic<bool>& stopping) {
  const auto end = Clock::now() + std::chrono::duration<double>(seconds);
  while (!stopping && Clock::now() < end) {
    const auto left = std::chrono::duration_cast<milliseconds>(end - Clock::now());
    std::this_thread::sleep_for(std::min(left, milliseconds(50)) + std::chrono::microseconds(100));
  }
}

std::vector<std::string> Expand(std::vector<std::string> command, const std::string& data) {
  const auto replace = [](std::string& word, std::string_view name, const std::string& value) {
    for (size_t at = 0; (at = word.find(name, at)) != std::string::npos; at += value.size()) {
      word.replace(at, name.size(), value);
    }
  };
  for (std::string& word : command) {
    replace(word, "{data}", data);
    replace(word, "{port}", std::to_string(kPort));
  }
  return command;
}

// RabbitMQ answers 404 as well while a queue that is there has no leader yet.
bool IsGone(const LinkRefused& refused) {
  return refused.code == kNotFound &&
         std::string_view(refused.what()).find("no queue") != std::string_view::npos;
}

// A queue's two sides, each in its thread, and what they return.
struct Side {
  PublishLog published;
  ConsumeLog consumed;
  std::string publish_error;
  std::string consume_error;
};

}  // namespace

CrashRun::CrashRun(const CrashOptions& options, const std::atomic<bool>& stopping)
    : options_(options), stopping_(stopping), rng_(options.seed), books_(options.queues) {}

Result<void> CrashRun::Run(const std::function<void(const Cut&)>& on_cut) {
  if (auto begun = Begin(); !begun) return begun;
  for (uint32_t n = 0; n < options_.cuts && !stopping_; ++n) {
    auto cut = Round();
    if (!cut) return std::unexpected(cut.error());
    // A round that was broken off says nothing.
    if (!stopping_) on_cut(*cut);
  }
  broker_->Kill();
  return {};
}

Result<void> CrashRun::Begin() {
  auto disk = Disk::Create(options_.disk);
  if (!disk) return std::unexpected(disk.error());
  disk_ = std::move(*disk);
  broker_ = std::make_unique<BrokerProcess>(Expand(options_.command, disk_->data()), options_.log);
  return StartAnew();
}

Result<void> CrashRun::StartAnew() {
  if (auto started = StartBroker(); !started) return std::unexpected(started.error());
  if (!options_.sync_start) return {};
  return disk_->Sync();
}

std::string CrashRun::QueueName(uint32_t queue, uint32_t generation) {
  return fmt::format("crashtest-{}-{}", generation, queue);
}

Result<Cut> CrashRun::Round() {
  Cut cut;
  if (auto ok = LoadAndCut(cut); !ok) return std::unexpected(ok.error());
  auto back = Recover(cut);
  if (!back) return std::unexpected(back.error());
  if (*back || stopping_) {
    Judge(cut);
    if (options_.fresh_queues) {
      CountUndeleted(cut);
      Delete(cut);
    }
    return cut;
  }
  // All that was due is lost.
  for (QueueBook& book : books_) cut.verdict += book.Judge({});
  broker_->Kill();
  if (auto ok = disk_->Format(); !ok) return std::unexpected(ok.error());
  if (auto started = StartAnew(); !started) return std::unexpected(started.error());
  // The new disk has never heard of the queues of before.
  deleted_ = false;
  return cut;
}

// Logs in until it works. kUnavailable: it does not, and broker_->status() says more.
Result<double> CrashRun::StartBroker() {
  const auto start = Clock::now();
  if (auto ok = broker_->Start(); !ok) return std::unexpected(ok.error());
  std::string why = "nobody listens";
  while (!stopping_ && SecondsSince(start) < options_.start_seconds) {
    try {
      Link link(kPort);
      product_ = link.product();
      link.Close();
      return SecondsSince(start);
    } catch (const std::runtime_error& e) {
      why = e.what();
    }
    if (!broker_->Running()) {
      return Fail(ErrorCode::kUnavailable, fmt::format("the broker {}; its last words:{}",
                                                       broker_->status(), broker_->LogTail()));
    }
    std::this_thread::sleep_for(milliseconds(2));
  }
  return Fail(ErrorCode::kUnavailable,
              fmt::format("the broker took no login within {} s ({}); its last words:{}",
                          options_.start_seconds, why, broker_->LogTail()));
}

bool CrashRun::Insist(std::string_view what, Cut& cut, const std::function<void(Link&)>& use) {
  const auto deadline = Clock::now() + kServePatience;
  for (;;) {
    try {
      Link link(kPort);
      use(link);
      link.Close();
      return true;
    } catch (const std::runtime_error& e) {
      if (stopping_ || Clock::now() > deadline) {
        cut.notes.push_back(fmt::format("cannot {}: {}", what, e.what()));
        return false;
      }
    }
    Rest(0.1, stopping_);
  }
}

void CrashRun::Declare(Cut& cut) {
  amqp::Table arguments;
  if (!options_.queue_type.empty()) {
    arguments.Append("x-queue-type", amqp::Value(std::string_view(options_.queue_type)));
  }
  const ByteBuffer encoded = arguments.Encode();
  Insist("declare the queues", cut, [&](Link& link) {
    for (uint32_t queue = 0; queue < options_.queues; ++queue) {
      link.Call<amqp::QueueDeclareOk>(amqp::QueueDeclare{
          .queue = QueueName(queue), .durable = true, .arguments = amqp::TableView(encoded)});
    }
  });
}

void CrashRun::Delete(Cut& cut) {
  deleted_ = Insist("delete the queues", cut, [&](Link& link) {
    for (uint32_t queue = 0; queue < options_.queues; ++queue) {
      link.Call<amqp::QueueDeleteOk>(amqp::QueueDelete{.queue = QueueName(queue)});
    }
  });
  ++generation_;
}

void CrashRun::CountUndeleted(Cut& cut) {
  if (!deleted_) return;
  for (uint32_t queue = 0; queue < options_.queues; ++queue) {
    bool there = false;
    Insist("look for deleted queues", cut, [&](Link& link) {
      try {
        const std::string name = QueueName(queue, generation_ - 1);
        link.Call<amqp::QueueDeclareOk>(amqp::QueueDeclare{.queue = name, .passive = true});
        there = true;
      } catch (const LinkRefused& refused) {
        if (!IsGone(refused)) throw;
      }
    });
    if (there) ++cut.undeleted;
  }
  if (cut.undeleted > 0) {
    cut.notes.push_back(
        fmt::format("{} queues are there again that had been deleted", cut.undeleted));
  }
}

Result<void> CrashRun::LoadAndCut(Cut& cut) {
  Declare(cut);
  if (options_.sync_definitions) {
    if (auto ok = disk_->Sync(); !ok) return ok;
  }
  cut.loaded = kShortestLoad + rng_.Unit() * std::max(0.0, options_.longest - kShortestLoad);
  std::atomic<bool> enough{false};
  std::vector<Side> sides(options_.queues);
  Result<void> off;
  Clock::time_point cut_at;
  {
    std::vector<std::jthread> threads;
    for (uint32_t queue = 0; queue < options_.queues; ++queue) {
      Side& side = sides[queue];
      threads.emplace_back([&, queue] {
        const ProduceOptions produce{.port = kPort,
                                     .queue = QueueName(queue),
                                     .producer = queue,
                                     .first = books_[queue].next(),
                                     .rate = options_.rate,
                                     .window = options_.window};
        side.published = Produce(produce, enough, side.publish_error);
      });
      // Every other queue only fills up.
      if (queue % 2 == 1) continue;
      threads.emplace_back([&, queue] {
        const ConsumeOptions consume{.port = kPort, .queue = QueueName(queue), .producer = queue};
        side.consumed = Consume(consume, enough, side.consume_error);
      });
    }
    Rest(cut.loaded, stopping_);
    if (!broker_->Running()) {
      cut.notes.push_back("the broker did not wait for the cut: it " + broker_->status());
    }
    cut_at = Clock::now();
    off = PowerOff();
    // They end when they have read what the broker had sent; this is for those that wait for it.
    enough = !off || stopping_;
  }
  for (uint32_t queue = 0; queue < options_.queues; ++queue) {
    const Side& side = sides[queue];
    books_[queue].Note(side.published, side.consumed, cut_at);
    for (const std::string& error : {side.publish_error, side.consume_error}) {
      if (!error.empty()) cut.notes.push_back(fmt::format("{}: {}", QueueName(queue), error));
    }
    if (side.published.refused > 0) {
      cut.notes.push_back(
          fmt::format("{}: {} messages refused", QueueName(queue), side.published.refused));
    }
  }
  return off;
}

Result<void> CrashRun::PowerOff() {
  // Processors stop with the power. A broker that went on for a moment could confirm what a disk
  // that is gone cannot hold, and would be blamed for it.
  broker_->Freeze();
  if (auto ok = disk_->CutPower(); !ok) return ok;
  broker_->Kill();
  return disk_->Unmount();
}

Result<bool> CrashRun::Recover(Cut& cut) {
  for (;;) {
    if (auto ok = disk_->Mount(); !ok) return std::unexpected(ok.error());
    if (!rng_.Chance(options_.recovery_cuts)) break;
    if (auto ok = broker_->Start(); !ok) return std::unexpected(ok.error());
    Rest(rng_.Unit() * usual_start_, stopping_);
    if (auto ok = PowerOff(); !ok) return std::unexpected(ok.error());
    ++cut.recovery_cuts;
  }
  const auto restart = StartBroker();
  if (restart) {
    cut.restart = usual_start_ = *restart;
    return true;
  }
  if (restart.error().code != ErrorCode::kUnavailable) return std::unexpected(restart.error());
  cut.notes.push_back(restart.error().message);
  return false;
}

void CrashRun::Judge(Cut& cut) {
  for (uint32_t queue = 0; queue < options_.queues && !stopping_; ++queue) {
    cut.verdict += books_[queue].Judge(DrainQueue(queue, cut));
  }
}

ConsumeLog CrashRun::DrainQueue(uint32_t queue, Cut& cut) {
  const ConsumeOptions options{.port = kPort, .queue = QueueName(queue), .producer = queue};
  const std::vector<uint64_t> due = books_[queue].Due();
  const auto deadline = Clock::now() + kServePatience;
  ConsumeLog log;
  for (;;) {
    std::string why;
    bool gone = false;
    try {
      Drain(options, due, stopping_, log);
      return log;
    } catch (const LinkRefused& refused) {
      why = refused.what();
      gone = IsGone(refused);
    } catch (const LinkLost& lost) {
      why = lost.what();
    }
    if (gone || stopping_ || Clock::now() > deadline) {
      cut.notes.push_back(fmt::format("{} cannot be drained: {}", QueueName(queue), why));
      return log;
    }
    Rest(0.2, stopping_);
  }
}

}  // namespace landfall::crashtest
