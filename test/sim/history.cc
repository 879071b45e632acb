#include "sim/history.h"

#include <fmt/format.h>

#include <algorithm>

#include "broker/queue.h"

namespace landfall::sim {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

}  // namespace

History::History(uint64_t seed, const HistoryOptions& options)
    : world_(seed, options.tracing),
      options_(options),
      model_(world_, statistics_),
      around_{world_, model_, statistics_, [this](Peer& peer, bool lingers) {
                return node_ ? node_->Connect(peer, lingers) : nullptr;
              }} {
  ChooseNode();
  ChooseLayout();
  ChooseDelays();
  ChooseClients();
}

History::~History() {
  consumers_.clear();
  publishers_.clear();
  admin_.reset();
  node_.reset();
}

// ------------------------------------------------------------------------------------------ choice

void History::ChooseNode() {
  Rng& rng = world_.rng();
  node_options_.workers = static_cast<broker::WorkerId>(1 + rng.Below(3));
  // With many shards there are some that nobody touches after a restart.
  node_options_.shards = static_cast<broker::ShardId>(rng.Chance(0.2) ? 16 : 1 + rng.Below(5));
  node_options_.seed = rng.Next();
  node_options_.confirm_early = options_.confirm_early;
  storage::StoreOptions& store = node_options_.store;
  store.directory = "data";
  store.segment_bytes = uint64_t{8192} << rng.Below(4);
  store.window_bytes = store.segment_bytes * (1 + rng.Below(4));
  store.recycle_segments = static_cast<uint32_t>(rng.Below(4));
  store.low_space_bytes = 2 * store.segment_bytes;
  store.max_group_bytes = rng.Chance(0.3) ? 1000 : uint64_t{1} << 20;
  store.unsafe_no_sync = options_.unsafe_no_sync;
  store.nonce_seed = rng.Next() | 1;
  node_options_.shard.unstored_bytes = rng.Chance(0.5) ? 500 << rng.Below(5) : uint64_t{1} << 20;
  node_options_.shard.resident_messages = rng.Below(4);
  node_options_.shard.resident_bytes = rng.Chance(0.5) ? 1 << 20 : rng.Below(4000);
  node_options_.shard.dead_bytes = 1000 << rng.Below(5);
  node_options_.shard.read_ahead_bytes = rng.Below(2000);
  node_options_.unstored_bytes = rng.Chance(0.5) ? 2000 << rng.Below(5) : uint64_t{1} << 20;
  session::SessionOptions& session = node_options_.session;
  session.heartbeat_seconds = 2;
  if (rng.Chance(0.2)) session.max_unlanded_bytes = 2000;
  if (rng.Chance(0.2)) session.max_unlanded_messages = 5;
  if (rng.Chance(0.2)) session.max_unwritten_bytes = 2000;
  if (rng.Chance(0.2)) session.max_suspended_bytes = 500;
  node_options_.network_latency = Duration(50 << rng.Below(8));
  node_options_.mail_latency = Duration(10 << rng.Below(8));
  node_options_.disk_latency = Duration(50 << rng.Below(8));
}

void History::AddFixedBinding(ExchangeSlot& from, QueueSlot& to) {
  layout_.bindings.push_back({.from = &from, .queue = &to, .key = "", .fixed = true});
}

void History::ChooseLayout() {
  Rng& rng = world_.rng();
  for (const char* type : {"direct", "fanout", "topic"}) {
    layout_.exchanges.push_back(
        {.name = fmt::format("x.{}", type), .type = type, .durable = rng.Chance(0.8)});
  }
  // Where dead letters go never changes.
  layout_.exchanges.push_back({.name = "dead", .type = "fanout", .fixed = true});
  ExchangeSlot& dead = layout_.exchanges.back();
  for (int i = 0; i < 2; ++i) {
    layout_.queues.push_back({.spec = {.name = fmt::format("dead{}", i)}, .fixed = true});
    AddFixedBinding(dead, layout_.queues.back());
  }
  const uint64_t queues = 2 + rng.Below(4);
  for (uint64_t i = 0; i < queues; ++i) {
    QueueSpec spec{.name = fmt::format("q{}", i), .durable = rng.Chance(0.85)};
    if (rng.Chance(0.3)) spec.lease = milliseconds(50 + rng.Below(500));
    if (rng.Chance(0.4)) {
      spec.retries = true;
      spec.retry_min = milliseconds(1 + rng.Below(200));
      spec.retry_max = spec.retry_min * (1 + rng.Below(6));
      spec.multiplier = rng.Chance(0.5) ? 2.0 : 1.5;
      spec.jitter = rng.Chance(0.5) ? 0.1 : 0.0;
    }
    if (rng.Chance(0.3)) spec.limit = static_cast<uint32_t>(rng.Below(4));
    if (rng.Chance(0.6)) {
      if (rng.Chance(0.5)) {
        spec.dlx = "dead";
      } else {
        spec.dlx = "";
        spec.dlx_key = rng.Chance(0.5) ? "dead0" : "dead1";
      }
    }
    if (rng.Chance(0.15)) spec.ttl = milliseconds(rng.Below(600));
    if (rng.Chance(0.15)) spec.max_length = static_cast<uint32_t>(1 + rng.Below(20));
    spec.priorities = rng.Chance(0.15);
    spec.single_active = rng.Chance(0.15);
    spec.consumed_without_ack = rng.Chance(0.1);
    spec.under_policies = rng.Chance(0.15);
    layout_.queues.push_back({.spec = std::move(spec), .fixed = rng.Chance(0.4)});
  }
  const char* keys[] = {"a", "a.b", "b.a.c", "#", "a.#", "*.b", "*", ""};
  for (size_t x = 0; x < 3; ++x) {
    for (uint64_t n = 1 + rng.Below(4); n > 0; --n) {
      BindingSlot slot{.from = &layout_.exchanges[x],
                       .queue = &layout_.queues[2 + rng.Below(queues)],
                       .key = keys[rng.Below(std::size(keys))],
                       .wanted = rng.Chance(0.8),
                       .fixed = rng.Chance(0.4)};
      const bool known = std::ranges::any_of(layout_.bindings, [&](const BindingSlot& other) {
        return other.from == slot.from && other.queue == slot.queue && other.key == slot.key;
      });
      if (!known) layout_.bindings.push_back(slot);
    }
  }
  if (rng.Chance(0.4)) {
    layout_.bindings.push_back({.from = &layout_.exchanges[rng.Below(2)],
                                .exchange = &layout_.exchanges[2],
                                .key = "a.b",
                                .fixed = rng.Chance(0.5)});
  }
}

// Neither does it ever change where messages go that are held back first.
void History::ChooseDelays() {
  layout_.exchanges.push_back(
      {.name = std::string(kDelayedExchange), .type = "x-delayed-message", .fixed = true});
  ExchangeSlot& later = layout_.exchanges.back();
  for (int i = 0; i < 2; ++i) {
    layout_.queues.push_back({.spec = {.name = fmt::format("late{}", i)}, .fixed = true});
    AddFixedBinding(later, layout_.queues.back());
  }
}

void History::ChooseClients() {
  Rng& rng = world_.rng();
  admin_ = std::make_unique<Admin>(around_, layout_, milliseconds(5 << rng.Below(6)));
  std::vector<Address> addresses;
  for (const QueueSlot& q : layout_.queues)
    if (!q.spec.name.starts_with("dead")) addresses.push_back({"", q.spec.name});
  for (const char* x : {"x.direct", "x.fanout", "x.topic"})
    for (const char* key : {"a", "a.b", "b.a.c"}) addresses.push_back({x, key});
  for (int i = 0; i < 2; ++i) addresses.push_back({std::string(kDelayedExchange), "any"});
  const uint64_t publishers = 1 + rng.Below(3);
  for (uint64_t i = 0; i < publishers; ++i) {
    PublisherOptions o;
    o.addresses = addresses;
    if (rng.Chance(0.5)) o.addresses = {addresses[rng.Below(addresses.size())]};
    o.messages = 10 + rng.Below(80);
    o.identified = rng.Chance(0.5);
    o.sends_again = rng.Chance(0.3);
    o.persistent = rng.Chance(0.5) ? 1.0 : 0.7;
    o.pause = Duration(500 << rng.Below(7));
    o.most_unconfirmed = 1 + rng.Below(40);
    publishers_.push_back(
        std::make_unique<Publisher>(around_, fmt::format("publisher{}", i), std::move(o)));
  }
  const uint64_t consumers = 1 + rng.Below(4);
  for (uint64_t i = 0; i < consumers; ++i) {
    ConsumerOptions o;
    const uint64_t from = 1 + rng.Below(2);
    while (o.queues.size() < from) {
      const QueueSpec& spec = layout_.queues[rng.Below(layout_.queues.size())].spec;
      if (std::ranges::find(o.queues, &spec) == o.queues.end()) o.queues.push_back(&spec);
    }
    o.no_ack = o.queues.size() == 1 && o.queues[0]->consumed_without_ack;
    o.prefetch = static_cast<uint16_t>(rng.Below(12));
    o.global_prefetch = rng.Chance(0.3);
    o.gets = rng.Chance(0.2);
    o.think = Duration(200 << rng.Below(9));
    o.give_back = rng.Chance(0.5) ? 0.3 : 0.05;
    o.reject = rng.Chance(0.5) ? 0.15 : 0.02;
    o.stall = rng.Chance(0.5) ? 0.1 : 0.0;
    o.multiple = rng.Chance(0.5) ? 0.5 : 0.0;
    o.trouble = rng.Chance(0.5) ? 0.05 : 0.005;
    consumers_.push_back(
        std::make_unique<Consumer>(around_, fmt::format("consumer{}", i), std::move(o)));
  }
  trouble_every_ = milliseconds(20 << rng.Below(6));
  crashes_left_ = rng.Below(5);
}

// ----------------------------------------------------------------------------------------- trouble

void History::Boot() {
  Rng& rng = world_.rng();
  world_.Trace([] { return "boot"; });
  const bool cut = around_.stormy && statistics_.crashes > 0 && rng.Chance(0.2);
  if (cut) vfs_.CutPowerAfter(rng.Below(25));
  disk_broken_ = cut;
  node_ = std::make_unique<Node>(world_, vfs_, node_options_, [this](const Error& error) {
    world_.Trace([&] { return error.ToString(); });
    crash_wanted_ = true;
  });
  const auto report = node_->Boot();
  if (!report) {
    if (!vfs_.power_is_off()) model_.Fail("recovery failed: " + report.error().ToString());
    node_.reset();
    vfs_.Crash(rng);
    world_.After(world_.Any(milliseconds(50)), [this] { Boot(); });
    return;
  }
  if (!report->damages.empty()) {
    model_.Fail("recovery found damage: " + report->damages[0].what + " in " +
                report->damages[0].file);
  }
  model_.CheckRecovered(*node_);
}

void History::Crash(bool power) {
  Rng& rng = world_.rng();
  world_.Trace([&] { return power ? "the power fails" : "the broker is killed"; });
  statistics_.checkpoints += node_->checkpoints_saved();
  node_.reset();
  model_.OnCrash();
  if (power || vfs_.power_is_off()) {
    vfs_.Crash(rng);
  } else {
    vfs_.KillProcess();
    vfs_.SetFaultHook(nullptr);
  }
  vfs_.SetCapacity(std::numeric_limits<uint64_t>::max() / 2);
  crash_wanted_ = false;
  world_.After(world_.Any(milliseconds(100)), [this] { Boot(); });
}

void History::PlanTrouble() {
  world_.After(world_.Any(trouble_every_), [this] {
    if (!around_.stormy) return;
    MakeTrouble();
    PlanTrouble();
  });
}

void History::PlanPolicies() {
  world_.After(world_.Any(2 * trouble_every_), [this] {
    if (!around_.stormy) return;
    if (node_ && !crash_wanted_) ChangePolicies();
    PlanPolicies();
  });
}

void History::PlanPauses() {
  world_.After(world_.Any(2 * trouble_every_), [this] {
    if (!around_.stormy) return;
    if (node_ && !crash_wanted_) ChangePause();
    PlanPauses();
  });
}

void History::ChangePause() {
  Rng& rng = world_.rng();
  const QueueSpec& spec = layout_.queues[rng.Below(layout_.queues.size())].spec;
  const bool pause = rng.Chance(0.4);
  world_.Trace([&] { return fmt::format("{} '{}'", pause ? "pause" : "resume", spec.name); });
  node_->Request(broker::PauseQueue{.name = spec.name, .paused = pause});
}

// Or nobody would get what is in them.
void History::ResumeAll() {
  const auto paused = [this] {
    std::vector<std::string> names;
    node_->snapshot().queues_by_id.ForEach([&](broker::QueueId, const broker::QueueInfoRef& q) {
      if (q->paused) names.push_back(q->name);
    });
    return names;
  };
  for (const std::string& name : paused())
    node_->Request(broker::PauseQueue{.name = name, .paused = false});
  RunUntil([&] { return paused().empty(); }, seconds(30), "no queue is paused");
}

// One policy or operator policy comes, changes or goes. Their names and patterns are few, so that
// they take each other's place.
void History::ChangePolicies() {
  Rng& rng = world_.rng();
  std::vector<const QueueSpec*> specs;
  for (const QueueSlot& slot : layout_.queues) {
    if (slot.spec.under_policies) specs.push_back(&slot.spec);
  }
  if (specs.empty()) return;
  const QueueSpec& spec = *specs[rng.Below(specs.size())];
  const bool by_operator = rng.Chance(0.3);
  const std::string name = fmt::format("{}.{}", spec.name, rng.Below(2));
  if (rng.Chance(0.3)) {
    node_->Request(broker::ClearPolicy{.name = name, .by_operator = by_operator});
    return;
  }
  broker::Policy policy;
  policy.name = name;
  policy.by_operator = by_operator;
  policy.pattern = fmt::format("^{}$", spec.name);
  policy.priority = static_cast<int64_t>(rng.Below(3));
  const auto number = [&](uint64_t below) { return static_cast<int64_t>(rng.Below(below)); };
  if (rng.Chance(0.5)) policy.definition.Set("max-length", 1 + number(20));
  if (rng.Chance(0.3)) policy.definition.Set("max-length-bytes", 1 + number(2000));
  if (rng.Chance(0.5)) policy.definition.Set("message-ttl", number(600));
  if (!by_operator && rng.Chance(0.5)) policy.definition.Set("dead-letter-exchange", "dead");
  if (policy.definition.empty()) policy.definition.Set("max-length", int64_t{1});
  node_->Request(broker::SetPolicy{std::move(policy)});
}

void History::MakeTrouble() {
  if (!node_ || crash_wanted_) return;
  Rng& rng = world_.rng();
  if (rng.Chance(0.6) || crashes_left_ == 0) {
    if (!rng.Chance(0.5)) return;
    if (const auto link = node_->AnyLink()) {
      ++statistics_.cuts;
      world_.Trace([] { return "a connection is cut"; });
      link->Cut(/*tell_peer=*/true);
    }
    return;
  }
  --crashes_left_;
  if (rng.Chance(0.3)) {
    crash_wanted_ = true;
    crash_with_power_ = rng.Chance(0.7);
    return;
  }
  BreakDisk();
}

void History::BreakDisk() {
  Rng& rng = world_.rng();
  crash_with_power_ = rng.Chance(0.5);
  switch (rng.Below(5)) {
    case 0:
    case 1:
      // At one of the next operations, in whatever the store is doing then.
      vfs_.CutPowerAfter(rng.Below(30));
      break;
    case 2: {
      const double chance = rng.Chance(0.5) ? 0.5 : 0.05;
      auto faults = std::make_shared<Rng>(rng.Next());
      vfs_.SetFaultHook([chance, faults](storage::FaultVfs::Op op,
                                         const std::string& path) -> std::optional<Error> {
        using Op = storage::FaultVfs::Op;
        if (op == Op::kRead || op == Op::kOpen || !faults->Chance(chance)) return std::nullopt;
        return Error{ErrorCode::kIo, path + ": injected fault"};
      });
      break;
    }
    case 3:
      vfs_.SetCapacity(vfs_.UsedBytes() + rng.Below(3 * node_options_.store.segment_bytes));
      // Somebody makes room in time, or the store finds out.
      world_.After(world_.Any(milliseconds(500)),
                   [this] { vfs_.SetCapacity(std::numeric_limits<uint64_t>::max() / 2); });
      return;
    case 4:
      // Nobody's messages are lost, they only wait.
      vfs_.SetFaultHook(
          [](storage::FaultVfs::Op op, const std::string& path) -> std::optional<Error> {
            if (op != storage::FaultVfs::Op::kRead || !path.ends_with(".lfb")) return std::nullopt;
            return Error{ErrorCode::kExhausted, path + ": no memory, injected"};
          });
      world_.After(world_.Any(milliseconds(2500)), [this] { vfs_.SetFaultHook(nullptr); });
      return;
  }
  // Whether or not the store has met it.
  disk_broken_ = true;
  world_.After(world_.Any(milliseconds(200)), [this, crashes = statistics_.crashes] {
    if (around_.stormy && statistics_.crashes == crashes && node_) crash_wanted_ = true;
  });
}

// -------------------------------------------------------------------------------------------
// phases

void History::StepOnce() {
  if (!world_.Step()) model_.Fail("nothing happens any more");
  if (crash_wanted_ && node_) {
    Crash(crash_with_power_);
  } else if (node_ && node_->Quiet()) {
    node_->CheckLedgers();
    model_.OnQuiet();
  }
}

template <class F>
void History::RunUntil(F condition, Duration at_most, const char* what) {
  const Time end = world_.now() + at_most;
  while (!condition()) {
    if (world_.now() > end) {
      model_.Fail(fmt::format("after {} s still not: {}\n{}", at_most / seconds(1), what,
                              node_ ? node_->Describe() : "no node"));
    }
    StepOnce();
  }
}

bool History::ClientsLeft() const {
  const auto left = [](const auto& client) { return client->left(); };
  return std::ranges::all_of(publishers_, left) && std::ranges::all_of(consumers_, left) &&
         admin_->left();
}

void History::EveryoneLeaves() {
  Rng& rng = world_.rng();
  for (auto& p : publishers_) p->Leave(rng.Chance(0.5));
  for (auto& c : consumers_) c->Leave(rng.Chance(0.5));
  admin_->Leave(rng.Chance(0.5));
  RunUntil([&] { return ClientsLeft() && node_ && node_->Quiet() && node_->sessions() == 0; },
           seconds(30), "all sessions are gone after their clients");
}

void History::Run() {
  Boot();
  admin_->Start();
  // The dead letters' way stands before anything can die.
  const bool stormy = std::exchange(around_.stormy, false);
  RunUntil([&] { return admin_->done(); }, seconds(30), "the topology is as wanted");
  around_.stormy = stormy;
  for (auto& p : publishers_) p->Start();
  for (auto& c : consumers_) c->Start();
  PlanTrouble();
  PlanPolicies();
  PlanPauses();
  const Time storm_ends = world_.now() + milliseconds(200 + world_.rng().Below(1500));
  RunUntil([&] { return world_.now() >= storm_ends; }, seconds(3600), "the storm is over");

  world_.Trace([] { return "the storm is over"; });
  around_.stormy = false;
  if (disk_broken_ && node_) crash_wanted_ = true;
  vfs_.SetCapacity(std::numeric_limits<uint64_t>::max() / 2);
  vfs_.SetFaultHook(nullptr);
  for (QueueSlot& q : layout_.queues) q.purge = false;
  // Or publishers would never get done.
  for (ExchangeSlot& x : layout_.exchanges) x.wanted = true;
  const auto done = [](const auto& client) { return client->done(); };
  RunUntil(
      [&] {
        return node_ && !crash_wanted_ && std::ranges::all_of(publishers_, done) && admin_->done();
      },
      seconds(60), "everything is confirmed");
  EveryoneLeaves();
  if (world_.rng().Chance(0.5)) RestartUnchanged();
  ResumeAll();
  Drain();
  model_.CheckDrained();
  RestartUnchanged();
  statistics_.checkpoints += node_->checkpoints_saved();
  statistics_.steps += world_.steps();
}

History::Image History::TakeImage(Time soon) {
  Image image;
  node_->snapshot().queues_by_id.ForEach([&](broker::QueueId id, const broker::QueueInfoRef& q) {
    if (!q->journaled()) return;
    const broker::QueueConfig& config = q->config;
    auto& lines = image[fmt::format(
        "queue {} {} on {}{}, for {} us, {} messages, {} bytes, then to {}", id, q->name, q->shard,
        q->paused ? " (paused)" : "", config.message_ttl.value_or(Duration{-1}).count(),
        config.max_length.value_or(0), config.max_length_bytes.value_or(0),
        config.dead_letter_exchange.value_or("nobody"))];
    const broker::Queue* queue = node_->FindShard(q->shard)->FindQueue(id);
    if (queue == nullptr) return;
    if (queue->unacked() > 0 || !queue->consumers.empty()) {
      model_.Fail("queue '" + q->name + "' is held by somebody who is gone");
    }
    node_->ForEachMessage(*q, [&](broker::Sequence s, const broker::Entry& e, Time due) {
      if (!e.journaled) return;
      lines.push_back(fmt::format("{} body {} failed {} due {}", s,
                                  e.message->body().substr(0, e.message->body().find(';')),
                                  e.failures, due > soon ? due.time_since_epoch().count() : 0));
    });
    std::ranges::sort(lines);
  });
  const auto vhost = node_->snapshot().FindVhost("/");
  vhost->exchanges.ForEach([&](const std::string& name, const broker::ExchangeRef& x) {
    if (!x->durable) return;
    auto& lines = image["exchange " + name];
    x->bindings().ForEach([&](const std::string& identity, const broker::BindingRef& b) {
      if (b->durable) lines.push_back(identity);
    });
    std::ranges::sort(lines);
  });
  return image;
}

bool History::NothingHeldBack() const {
  bool nothing = true;
  node_->snapshot().queues_by_id.ForEach([&](broker::QueueId id, const broker::QueueInfoRef& q) {
    const broker::Queue* queue =
        q->holds_back ? node_->FindShard(q->shard)->FindQueue(id) : nullptr;
    nothing &= queue == nullptr || queue->size() == 0;
  });
  return nothing;
}

// All is on stable storage, so a restart must give back exactly that.
void History::RestartUnchanged() {
  RunUntil([&] { return node_->Quiet() && NothingHeldBack(); }, seconds(30),
           "the broker is at rest");
  const Time soon = world_.now() + seconds(1);
  const Image before = TakeImage(soon);
  crash_wanted_ = true;
  crash_with_power_ = world_.rng().Chance(0.5);
  StepOnce();
  RunUntil([&] { return node_ && !crash_wanted_; }, seconds(10), "the broker is back");
  const Image after = TakeImage(soon);
  if (before == after || world_.now() > soon) return;
  // Messages may have come to their end meanwhile.
  if (std::ranges::any_of(layout_.queues,
                          [](const QueueSlot& q) { return q.spec.ttl || q.spec.under_policies; }))
    return;
  for (const auto& [what, lines] : before) {
    const auto it = after.find(what);
    if (it == after.end()) model_.Fail(what + " is gone after a restart");
    for (size_t i = 0; i < std::max(lines.size(), it->second.size()); ++i) {
      const std::string b = i < lines.size() ? lines[i] : "nothing";
      const std::string a = i < it->second.size() ? it->second[i] : "nothing";
      if (a != b) {
        model_.Fail(fmt::format("{} was '{}' before a restart and is '{}' after it", what, b, a));
      }
    }
  }
  model_.Fail("there is more after a restart than before");
}

void History::Drain() {
  world_.Trace([] { return "drain"; });
  std::vector<std::unique_ptr<Consumer>> drains;
  for (const QueueSlot& q : layout_.queues) {
    if (model_.CurrentQueue(q.spec.name) == nullptr) continue;
    ConsumerOptions o;
    o.queues = {&q.spec};
    o.prefetch = 20;
    o.think = Duration(500);
    o.drains = true;
    drains.push_back(std::make_unique<Consumer>(around_, "drain." + q.spec.name, std::move(o)));
    drains.back()->Start();
  }
  const auto empty = [&] {
    if (!node_->Quiet()) return false;
    for (session::Worker* w : node_->workers()) {
      for (const auto& shard : w->shards())
        if (shard->size() > 0) return false;
    }
    return true;
  };
  RunUntil(empty, seconds(120), "all queues are empty");
  for (auto& d : drains) d->Leave(world_.rng().Chance(0.5));
  RunUntil([&] { return node_->Quiet() && node_->sessions() == 0; }, seconds(30),
           "all sessions are gone");
  // What was held for messages has gone with them.
  for (const session::Worker* w : node_->workers()) {
    for (const auto& shard : w->shards()) {
      if (shard->bytes() == 0 && shard->unstored_bytes() == 0 && shard->outbox_size() == 0)
        continue;
      model_.Fail(
          fmt::format("empty shard {} still holds {} bytes, {} not stored, {} in the outbox",
                      shard->id(), shard->bytes(), shard->unstored_bytes(), shard->outbox_size()));
    }
  }
}

}  // namespace landfall::sim
