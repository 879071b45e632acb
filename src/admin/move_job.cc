#include "admin/move_job.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <chrono>
#include <utility>
#include <vector>

#include "admin/on_thread.h"
#include "admin/queue_walk.h"

namespace landfall::admin {
namespace asio = boost::asio;
using asio::awaitable;
using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

namespace {

// A worker moves no more in one go: others wait for their messages.
constexpr size_t kMovedAtOnce = 250;
// Messages at rest are read in a moment, unless the disk is in trouble.
constexpr std::chrono::seconds kReadPatience{60};

awaitable<void> Sleep(Clock::duration time) {
  asio::steady_timer timer(co_await asio::this_coro::executor, time);
  co_await timer.async_wait(asio::use_awaitable);
}

// One job on its way. Lives in the frame of RunMove.
class Mover {
 public:
  Mover(Backend& backend, Caller caller, const MoveWish& wish, Job& job)
      : backend_(backend), caller_(std::move(caller)), wish_(wish), job_(job) {}

  awaitable<Result<void>> Run() {
    QueueWalk walk(backend_, wish_.from);
    broker::Sequence end = 0;
    bool more = true;
    while (more && taken_ < wish_.limit && !job_.cancel) {
      auto page = co_await walk.Next(wish_.filter);
      if (!page) co_return std::unexpected(page.error());
      // What is moved may come back behind what was there; that is not moved again.
      if (end == 0) end = page->end;
      more = page->more && page->upto < end;
      std::vector<broker::Sequence> matches;
      for (const broker::SeenMessage& seen : page->messages)
        if (seen.sequence <= end) matches.push_back(seen.sequence);
      page->messages = {};  // moving them may take long
      if (auto moved = co_await MoveAll(std::move(matches)); !moved) co_return moved;
      job_.scanned += page->scanned;
    }
    // A queue that is no more has no more messages, either.
    if (job_.cancel) co_return Result<void>();
    co_return co_await StillAllowed();
  }

 private:
  awaitable<Result<void>> MoveAll(std::vector<broker::Sequence> sequences) {
    size_t next = 0;
    while (next < sequences.size() && taken_ < wish_.limit && !job_.cancel) {
      const size_t some = SomeOf(sequences.size() - next);
      const auto first = sequences.begin() + static_cast<ptrdiff_t>(next);
      std::vector<broker::Sequence> batch(first, first + static_cast<ptrdiff_t>(some));
      next += some;
      if (auto moved = co_await MoveBatch(std::move(batch)); !moved) co_return moved;
    }
    co_return Result<void>();
  }

  size_t SomeOf(size_t left) const {
    uint64_t some = std::min<uint64_t>({left, kMovedAtOnce, wish_.limit - taken_});
    // Several times a second, rather than all at once.
    if (wish_.rate > 0 && wish_.rate < 10 * kMovedAtOnce)
      some = std::min(some, std::max<uint64_t>(1, static_cast<uint64_t>(wish_.rate / 10)));
    return some;
  }

  // While publishers are blocked nobody adds to what there is, and the rate is kept.
  awaitable<Result<void>> WaitForTurn() {
    while (true) {
      if (auto allowed = co_await StillAllowed(); !allowed) co_return allowed;
      const Clock::duration wait = TimeToWait();
      if (wait <= Clock::duration::zero() || job_.cancel) break;
      co_await Sleep(std::min<Clock::duration>(wait, milliseconds(200)));
    }
    co_return Result<void>();
  }

  // Until it may be worth another look; not above zero if it is its turn.
  Clock::duration TimeToWait() {
    server::Server& broker = backend_.broker();
    job_.waits_for = broker.disk_alarm() ? "disk space" : broker.memory_alarm() ? "memory" : "";
    if (!job_.waits_for.empty()) return milliseconds(200);
    if (wish_.rate <= 0) return Clock::duration::zero();
    // Within what a clock can say, however slow it is to be.
    const std::chrono::duration<double> after{
        std::min(static_cast<double>(taken_) / wish_.rate, 1e9)};
    return began_ + std::chrono::duration_cast<Clock::duration>(after) - Clock::now();
  }

  awaitable<Result<void>> StillAllowed() {
    const broker::SnapshotRef topology = co_await backend_.Snapshot();
    caller_.account = backend_.broker().users().accounts()->Find(caller_.user);
    if (topology->FindQueue(wish_.from->id) == nullptr)
      co_return Fail(ErrorCode::kNotFound, fmt::format("queue '{}' was deleted", wish_.from->name));
    const bool to_queue = wish_.to.kind == broker::MoveTarget::Kind::kQueue;
    if (to_queue && topology->FindQueue(wish_.from->vhost, wish_.to.queue) == nullptr)
      co_return Fail(ErrorCode::kNotFound, fmt::format("queue '{}' was deleted", wish_.to.queue));
    const std::string refusal = caller_.account == nullptr
                                    ? "the user is no more"
                                    : RefusalOfMove(*topology, caller_, wish_);
    if (!refusal.empty()) co_return Fail(ErrorCode::kAccessRefused, refusal);
    version_ = topology->version;
    co_return Result<void>();
  }

  awaitable<Result<void>> MoveBatch(std::vector<broker::Sequence> batch) {
    server::WorkerThread& worker = backend_.broker().WorkerOfShard(wish_.from->shard);
    const storage::ShardId shard = wish_.from->shard;
    auto patience = Clock::now() + kReadPatience;
    while (!batch.empty()) {
      if (auto turn = co_await WaitForTurn(); !turn) co_return turn;
      if (job_.cancel) break;
      auto move = [&worker, shard,
                   wanted = broker::MoveByHand{.queue = wish_.from->id,
                                               .sequences = std::move(batch),
                                               .target = wish_.to,
                                               .topology_version = version_}] {
        return worker.Execute(shard, wanted);
      };
      broker::MovedByHand moved = co_await OnWorker(worker, std::move(move));
      co_await WaitForLanding(worker, moved.lands_with);
      taken_ += moved.moved;
      job_.moved += moved.moved;
      job_.unroutable += moved.unroutable;
      job_.unacked += moved.unacked;
      batch = std::move(moved.again);
      if (moved.moved > 0) patience = Clock::now() + kReadPatience;
      if (batch.empty() || job_.cancel) break;
      if (Clock::now() > patience)
        co_return Fail(ErrorCode::kTimeout, "messages of the queue cannot be read from disk");
      co_await Sleep(milliseconds(2));
    }
    co_return Result<void>();
  }

  awaitable<void> WaitForLanding(server::WorkerThread& worker, uint64_t shard_seq) {
    milliseconds pause{1};
    while (true) {
      auto landed = [&worker, shard = wish_.from->shard] {
        const broker::Shard* s = worker.core().FindShard(shard);
        return s == nullptr ? UINT64_MAX : s->landed_upto();
      };
      if (co_await OnWorker(worker, std::move(landed)) >= shard_seq) co_return;
      co_await Sleep(pause);
      pause = std::min(pause * 2, milliseconds(50));
    }
  }

  Backend& backend_;
  Caller caller_;
  const MoveWish& wish_;
  Job& job_;
  const Clock::time_point began_ = Clock::now();
  uint64_t taken_ = 0;
  uint64_t version_ = 0;
};

}  // namespace

std::string RefusalOfMove(const broker::TopologySnapshot& topology, const Caller& caller,
                          const MoveWish& wish) {
  using access::Access;
  const access::PermissionsRef permissions = caller.account->In(wish.from->vhost);
  const auto refused = [&](std::string_view what, std::string_view kind, std::string_view name) {
    return fmt::format("{} access to {} '{}' in vhost '{}' refused for user '{}'", what, kind, name,
                       wish.from->vhost, caller.user);
  };
  if (!permissions || !permissions->May(Access::kRead, wish.from->name))
    return refused("read", "queue", wish.from->name);
  // Straight to a queue is by way of the default exchange.
  const broker::QueueInfoRef target = wish.to.kind == broker::MoveTarget::Kind::kQueue
                                          ? topology.FindQueue(wish.from->vhost, wish.to.queue)
                                          : nullptr;
  // As with AMQP: it is its connection's alone. Nobody gets here who would take out of one.
  if (target && target->exclusive)
    return fmt::format("queue '{}' is exclusive to a connection", target->name);
  const bool to_exchange = wish.to.kind == broker::MoveTarget::Kind::kExchange;
  const std::string exchange = to_exchange ? wish.to.exchange : "";
  if (!permissions->May(Access::kWrite, exchange))
    return refused("write", "exchange", exchange.empty() ? "amq.default" : exchange);
  const broker::VhostRef vhost = topology.FindVhost(wish.from->vhost);
  const broker::ExchangeRef* found = vhost ? vhost->exchanges.Find(exchange) : nullptr;
  if (found == nullptr) return "";
  if ((*found)->internal) {
    return fmt::format("exchange '{}' is internal: nobody publishes to it", exchange);
  }
  // Of messages with keys of their own it would have to be asked for each.
  const auto topic = permissions->topics.find(exchange);
  if ((*found)->type == broker::ExchangeType::kTopic && topic != permissions->topics.end()) {
    if (wish.to.own_routing_key)
      return fmt::format("user '{}' may not use every routing key of exchange '{}': say which one",
                         caller.user, exchange);
    if (!permissions->MayUseTopic(Access::kWrite, exchange, wish.to.routing_key))
      return refused("write", "topic", wish.to.routing_key);
  }
  return "";
}

awaitable<void> RunMove(Backend& backend, Caller caller, MoveWish wish, JobRef job) {
  Mover mover(backend, std::move(caller), wish, *job);
  const auto done = co_await mover.Run();
  job->waits_for.clear();
  job->ended = backend.broker().Now();
  if (!done) {
    job->error = done.error().message;
    job->state = Job::State::kFailed;
  } else {
    job->state = job->cancel ? Job::State::kCancelled : Job::State::kDone;
  }
}

}  // namespace landfall::admin
