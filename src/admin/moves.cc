// POST /api/landfall/queues/…/move, and the jobs that come of it.
#include <fmt/format.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <charconv>
#include <map>
#include <tuple>

#include "admin/endpoint_common.h"
#include "admin/endpoints.h"
#include "admin/jobs.h"
#include "admin/move_job.h"
#include "admin/queue_walk.h"

namespace landfall::admin {
namespace {

constexpr uint64_t kMaxDryRun = 1'000'000;
constexpr uint64_t kMaxDryRunSearch = uint64_t{256} << 20;  // bytes
// Messages a second. A job that is slower than this would never end.
constexpr double kMinRate = 0.1;
// Different ones in the answer to a dry run; the rest counts together.
constexpr size_t kMaxDestinations = 1000;
// Of the queues that one message goes to, so many are named.
constexpr size_t kNamedQueues = 10;

// -------------------------------------------------------------------------------------- the
// request

// Collects what is said and the first thing that is wrong with it.
class WishReader {
 public:
  explicit WishReader(const json& body) : body_(body) {}

  MoveWish Read(broker::QueueInfoRef from) {
    MoveWish wish{.from = std::move(from)};
    ReadTarget(wish.to);
    if (const json* filter = Object(body_, "filter")) {
      wish.filter.search = Text(*filter, "search");
      wish.filter.reason = Text(*filter, "reason");
      wish.filter.origin_queue = Text(*filter, "origin_queue");
      const std::string header = Text(*filter, "header");
      if (!header.empty())
        if (const auto read = ReadHeaderCondition(header, wish.filter); !read)
          Wrong(read.error().message);
    }
    if (const auto checked = CheckFilter(wish.filter); !checked) Wrong(checked.error().message);
    wish.limit = Limit();
    wish.rate = Rate();
    const auto dry_run = body_.find("dry_run");
    if (dry_run != body_.end() && !dry_run->is_boolean()) Wrong("dry_run must be true or false");
    wish.dry_run = dry_run != body_.end() && dry_run->is_boolean() && dry_run->get<bool>();
    const bool to_itself =
        wish.to.kind == broker::MoveTarget::Kind::kQueue && wish.to.queue == wish.from->name;
    if (to_itself) Wrong("the messages are in that queue already");
    return wish;
  }
  const std::string& error() const { return error_; }

 private:
  void ReadTarget(broker::MoveTarget& target) {
    using Kind = broker::MoveTarget::Kind;
    const auto to = body_.find("to");
    if (to != body_.end() && to->is_string() && *to == "origin") {
      target.kind = Kind::kOrigin;
    } else if (to != body_.end() && to->is_object() && to->contains("queue")) {
      target.kind = Kind::kQueue;
      target.queue = Text(*to, "queue");
    } else if (to != body_.end() && to->is_object() && to->contains("exchange")) {
      target.kind = Kind::kExchange;
      target.exchange = ExchangeName(Text(*to, "exchange"));
      target.own_routing_key = !to->contains("routing_key") || (*to)["routing_key"].is_null();
      if (!target.own_routing_key) target.routing_key = Text(*to, "routing_key");
      if (target.exchange.size() > 255 || target.routing_key.size() > 255)
        Wrong("a name is longer than 255 bytes");
    } else {
      Wrong(R"(to must be "origin", {"queue": …} or {"exchange": …, "routing_key": …})");
    }
  }
  const json* Object(const json& in, const char* name) {
    const auto value = in.find(name);
    if (value == in.end() || value->is_null()) return nullptr;
    if (value->is_object()) return &*value;
    Wrong(fmt::format("{} must be an object", name));
    return nullptr;
  }
  std::string Text(const json& in, const char* name) {
    const auto value = in.find(name);
    if (value == in.end() || value->is_null()) return "";
    if (value->is_string()) return value->get<std::string>();
    Wrong(fmt::format("{} must be a string", name));
    return "";
  }
  uint64_t Limit() {
    const auto value = body_.find("limit");
    if (value == body_.end() || value->is_null()) return UINT64_MAX;
    if (value->is_number_unsigned() && *value > 0u) return value->get<uint64_t>();
    Wrong("limit must be a whole number from 1 on");
    return 0;
  }
  double Rate() {
    const auto value = body_.find("rate");
    if (value == body_.end() || value->is_null()) return 0;
    if (value->is_number() && *value >= kMinRate) return value->get<double>();
    Wrong(fmt::format("rate must be a number of messages a second, {} or more", kMinRate));
    return 0;
  }
  void Wrong(std::string sentence) {
    if (error_.empty()) error_ = std::move(sentence);
  }

  const json& body_;
  std::string error_;
};

std::optional<Reply> RefuseTarget(const broker::Vhost& vhost, const MoveWish& wish) {
  const broker::MoveTarget& to = wish.to;
  if (to.kind == broker::MoveTarget::Kind::kQueue && vhost.queues.Find(to.queue) == nullptr)
    return NotFound(fmt::format("there is no queue '{}' in vhost '{}'", to.queue, vhost.name));
  if (to.kind == broker::MoveTarget::Kind::kExchange && !to.exchange.empty() &&
      vhost.exchanges.Find(to.exchange) == nullptr)
    return NotFound(
        fmt::format("there is no exchange '{}' in vhost '{}'", to.exchange, vhost.name));
  return std::nullopt;
}

// -------------------------------------------------------------------------------------- the dry
// run

struct Destination {
  std::string queues;  // their names
  std::string exchange;
  std::string routing_key;
  auto operator<=>(const Destination&) const = default;
};

struct Plan {
  std::map<Destination, uint64_t> destinations;
  uint64_t matched = 0;
  uint64_t unroutable = 0;
};

std::string NamesOf(const broker::TopologySnapshot& topology, const broker::QueueTargets& targets) {
  std::string names;
  size_t named = 0;
  for (const broker::QueueTarget& target : targets) {
    const broker::QueueInfoRef queue = topology.FindQueue(target.id);
    if (!queue) continue;
    if (named++ >= kNamedQueues) continue;
    if (!names.empty()) names += ", ";
    names += queue->name;
  }
  if (named > kNamedQueues) names += fmt::format(" and {} more", named - kNamedQueues);
  return names;
}

void PlanOne(const broker::TopologySnapshot& topology, const broker::Vhost& vhost,
             const MoveWish& wish, const broker::SeenMessage& seen, Plan& plan) {
  if (plan.matched >= wish.limit || seen.state == broker::SeenMessage::State::kUnacked) return;
  const broker::Readdressed to = broker::Readdress(vhost, wish.to, seen.message);
  if (to.queues.empty()) {
    ++plan.unroutable;
    return;
  }
  ++plan.matched;
  Destination destination{.queues = NamesOf(topology, to.queues),
                          .exchange = std::string(to.message->exchange()),
                          .routing_key = std::string(to.message->routing_key())};
  if (plan.destinations.size() >= kMaxDestinations && !plan.destinations.contains(destination))
    destination = {.queues = "(others)", .exchange = "", .routing_key = ""};
  ++plan.destinations[destination];
}

awaitable<Reply> DryRun(Backend& backend, broker::SnapshotRef topology, broker::VhostRef vhost,
                        MoveWish wish) {
  const Turnstile::Pass pass = co_await backend.readers().Enter();
  QueueWalk walk(backend, wish.from);
  Plan plan;
  const QueueWalk::LookAt look = [&](const broker::SeenMessage& seen) {
    PlanOne(*topology, *vhost, wish, seen, plan);
    return false;
  };
  uint64_t scanned = 0;
  uint64_t searched = 0;
  bool more = true;
  const auto enough = [&] { return scanned >= kMaxDryRun || searched >= kMaxDryRunSearch; };
  while (more && !enough() && plan.matched < wish.limit) {
    const auto page = co_await walk.Next(wish.filter, look);
    if (!page) co_return ReplyTo(page.error());
    scanned += page->scanned;
    searched += page->searched;
    more = page->more;
  }
  json destinations = json::array();
  for (const auto& [to, count] : plan.destinations) {
    destinations.push_back({{"queues", to.queues},
                            {"exchange", to.exchange},
                            {"routing_key", to.routing_key},
                            {"count", count}});
  }
  co_return JsonReply({{"matched", plan.matched},
                       {"unroutable", plan.unroutable},
                       {"scanned", scanned},
                       {"complete", !more || plan.matched >= wish.limit},
                       {"destinations", std::move(destinations)}});
}

// -------------------------------------------------------------------------------------------
// moving

awaitable<Reply> PostMove(Backend& backend, Call& call) {
  const auto body = BodyOf(call.request);
  if (!body) co_return body.error();
  const broker::SnapshotRef topology = co_await backend.Snapshot();
  const auto queue =
      FindUsableQueue(*topology, call.caller, access::Access::kRead, call.names[0], call.names[1]);
  if (!queue) co_return queue.error();
  WishReader reader(*body);
  MoveWish wish = reader.Read(*queue);
  if (!reader.error().empty()) co_return BadRequest(reader.error());
  const std::string refusal = RefusalOfMove(*topology, call.caller, wish);
  if (!refusal.empty()) co_return NotAuthorised(refusal);
  const broker::VhostRef vhost = topology->FindVhost((*queue)->vhost);
  if (auto refused = RefuseTarget(*vhost, wish)) co_return std::move(*refused);
  if (wish.dry_run) co_return co_await DryRun(backend, topology, vhost, std::move(wish));
  const broker::QueueReport report = co_await backend.ReportOf(**queue);
  const bool redrive = wish.to.kind == broker::MoveTarget::Kind::kOrigin;
  const auto started =
      backend.jobs().Start(redrive ? "redrive" : "move", call.caller.user, backend.broker().Now());
  if (!started) co_return ErrorReply(503, "service_unavailable", started.error().message);
  const JobRef& job = *started;
  job->vhost = (*queue)->vhost;
  job->queue = (*queue)->name;
  job->total = report.held;
  boost::asio::co_spawn(co_await boost::asio::this_coro::executor,
                        RunMove(backend, call.caller, std::move(wish), job), boost::asio::detached);
  co_return JsonReply({{"id", std::to_string(job->id)}}, 202);
}

// ---------------------------------------------------------------------------------------------
// jobs

bool MaySee(const Caller& caller, const Job& job) {
  return caller.is_monitor() || job.user == caller.user;
}

std::expected<JobRef, Reply> FindJob(Backend& backend, const Call& call) {
  const std::string& text = call.names[0];
  uint64_t id = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), id);
  const bool is_id = error == std::errc{} && end == text.data() + text.size();
  JobRef job = is_id ? backend.jobs().Find(id) : nullptr;
  if (job == nullptr || !MaySee(call.caller, *job))
    return std::unexpected(NotFound("there is no such job in this life of the broker"));
  return job;
}

awaitable<Reply> ListJobs(Backend& backend, Call& call) {
  json jobs = json::array();
  for (auto job = backend.jobs().all().rbegin(); job != backend.jobs().all().rend(); ++job)
    if (MaySee(call.caller, **job)) jobs.push_back(FormOf(**job));
  co_return JsonReply(jobs);
}

awaitable<Reply> GetJob(Backend& backend, Call& call) {
  const auto job = FindJob(backend, call);
  if (!job) co_return job.error();
  co_return JsonReply(FormOf(**job));
}

awaitable<Reply> DeleteJob(Backend& backend, Call& call) {
  const auto job = FindJob(backend, call);
  if (!job) co_return job.error();
  if ((*job)->user != call.caller.user && !call.caller.is_administrator())
    co_return NotAuthorised("only its user and administrators cancel a job");
  (*job)->cancel = true;
  co_return NoContent();
}

}  // namespace

void AddMoveEndpoints(Router& router) {
  router.Add({
      {"POST", "/api/landfall/queues/{vhost}/{queue}/move", Need::kManagement, PostMove},
      {"GET", "/api/landfall/jobs", Need::kManagement, ListJobs},
      {"GET", "/api/landfall/jobs/{id}", Need::kManagement, GetJob},
      {"DELETE", "/api/landfall/jobs/{id}", Need::kManagement, DeleteJob},
  });
}

}  // namespace landfall::admin
