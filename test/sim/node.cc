#include "sim/node.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/assert.h"
#include "storage/backlog_file.h"
#include "storage/data_directory.h"

namespace landfall::sim {
namespace {

constexpr std::string_view kLowOnDisk = "low on disk";

}  // namespace

// -------------------------------------------------------------------------------------------- Link

session::Session* Link::FindSession() {
  return node_ == nullptr ? nullptr : node_->workers_[worker_]->FindSession(session_);
}

void Link::Write(ByteView bytes) {
  if (cut_ || server_ended_ || node_ == nullptr) return;
  to_server_ += bytes;
  PumpToServer();
}

void Link::PumpToServer() {
  if (to_server_scheduled_ || to_server_.empty()) return;
  to_server_scheduled_ = true;
  node_->After(world_.Any(latency_), [self = shared_from_this()] {
    self->to_server_scheduled_ = false;
    if (self->cut_ || self->server_ended_) return;
    Rng& rng = self->world_.rng();
    const size_t all = self->to_server_.size();
    const size_t some = rng.Chance(0.6) ? all : 1 + rng.Below(all);
    self->unread_.append(self->to_server_, 0, some);
    self->to_server_.erase(0, some);
    self->Feed();
    self->PumpToServer();
  });
}

void Link::Feed() {
  session::Session* session = FindSession();
  if (session == nullptr || unread_.empty() || !session->wants_input()) return;
  unread_.erase(0, session->OnBytes(unread_, world_.now()));
  node_->workers_[worker_]->Touch(session_);
  node_->ScheduleTurn(worker_);
}

void Link::Service() {
  session::Session* session = FindSession();
  if (session == nullptr || server_ended_) return;
  ByteBuffer& output = session->output();
  if (!output.empty()) {
    ByteBuffer bytes;
    bytes.swap(output);
    if (cut_) {
      session->OnWritten(bytes.size(), world_.now());
      node_->ScheduleTurn(worker_);
    } else {
      to_client_.push_back({world_.now(), std::move(bytes)});
      PumpToClient();
    }
  }
  if (!cut_ || !unread_.empty()) Feed();
  if (session->wants_close() && to_client_.empty()) EndServerSide();
}

void Link::PumpToClient() {
  if (to_client_scheduled_ || reading_stopped_ || to_client_.empty() || node_ == nullptr) return;
  to_client_scheduled_ = true;
  node_->After(world_.Any(latency_), [self = shared_from_this()] {
    self->to_client_scheduled_ = false;
    if (self->cut_ || self->reading_stopped_ || self->to_client_.empty()) return;
    size_t all = 0;
    for (const Piece& piece : self->to_client_) all += piece.bytes.size();
    Rng& rng = self->world_.rng();
    self->Deliver(rng.Chance(0.6) ? all : 1 + rng.Below(all));
    if (self->cut_) return;
    self->PumpToClient();
    if (session::Session* session = self->FindSession();
        session != nullptr && session->wants_close() && self->to_client_.empty() &&
        session->output().empty()) {
      self->EndServerSide();
    }
  });
}

void Link::Deliver(size_t bytes) {
  while (bytes > 0 && !to_client_.empty() && peer_ != nullptr) {
    Piece& piece = to_client_.front();
    const size_t n = std::min(bytes, piece.bytes.size());
    const ByteBuffer part = piece.bytes.substr(0, n);
    const Time made = piece.made;
    bytes -= n;
    if (n == piece.bytes.size()) {
      to_client_.pop_front();
    } else {
      piece.bytes.erase(0, n);
    }
    if (session::Session* session = FindSession(); session != nullptr && !server_ended_) {
      session->OnWritten(n, world_.now());
      node_->workers_[worker_]->Touch(session_);
      node_->ScheduleTurn(worker_);
    }
    peer_->OnBytes(part, made);
  }
}

void Link::StopReading(bool stop) {
  reading_stopped_ = stop;
  if (!stop) PumpToClient();
}

void Link::Cut(bool tell_peer) {
  if (cut_) return;
  Rng& rng = world_.rng();
  size_t all = 0;
  for (const Piece& piece : to_client_) all += piece.bytes.size();
  if (tell_peer && all > 0 && !reading_stopped_) Deliver(rng.Below(all + 1));
  if (cut_) return;  // the client has cut it itself meanwhile
  cut_ = true;
  to_client_.clear();
  to_server_.resize(rng.Below(to_server_.size() + 1));
  if (node_ != nullptr && !server_ended_) {
    auto end = [self = shared_from_this()] {
      self->unread_ += self->to_server_;
      self->to_server_.clear();
      self->Feed();
      self->EndServerSide();
    };
    if (lingers_) {
      // Mostly soon; sometimes the peer's absence is noticed late.
      node_->After(world_.Any(rng.Chance(0.8) ? 2 * latency_ : std::chrono::milliseconds(200)),
                   end);
    } else {
      end();
    }
  }
  if (tell_peer) {
    TellPeerClosed();
  } else {
    peer_ = nullptr;
  }
}

void Link::EndServerSide() {
  if (server_ended_) return;
  server_ended_ = true;
  to_server_.clear();
  unread_.clear();
  if (session::Session* session = FindSession()) {
    session->OnDisconnected(world_.now());
    node_->workers_[worker_]->Touch(session_);
    node_->ScheduleTurn(worker_);
  }
  if (!cut_) {
    cut_ = true;
    to_client_.clear();
    TellPeerClosed();
  }
}

void Link::TellPeerClosed() {
  if (Peer* peer = std::exchange(peer_, nullptr)) peer->OnClosed();
}

// -------------------------------------------------------------------------------------------- Node

class Node::Ports final : public session::WorkerPorts {
 public:
  Ports(Node& node, broker::WorkerId worker) : node_(node), worker_(worker) {}

  void Post(broker::WorkerId to, std::vector<session::Mail> mail) override {
    Time& last = node_.last_mail_[worker_ * node_.options_.workers + to];
    auto shared = std::make_shared<std::vector<session::Mail>>(std::move(mail));
    node_.HopInOrder(last, [this, to, shared] {
      node_.workers_[to]->OnMail(std::move(*shared));
      node_.ScheduleTurn(to);
    });
  }
  void Append(storage::Batch batch) override {
    const storage::ShardId shard = batch.shard;
    const uint64_t seq = batch.shard_seq;
    node_.store_->Append(std::move(batch));
    if (node_.options_.confirm_early) {
      node_.OnAppended(shard, seq, /*lsn=*/0, storage::AppendOutcome::kDurable);
    }
    node_.PumpDisk();
  }
  void SaveCheckpoint(broker::ShardId shard, uint64_t shard_seq,
                      storage::CheckpointSource source) override {
    node_.store_->SaveCheckpoint(shard, shard_seq, std::move(source));
    node_.PumpBackground(storage::Lane::kCheckpoints);
  }
  void ReadBlock(broker::ShardId shard, uint64_t file, storage::BlockPlace place,
                 uint64_t token) override {
    node_.store_->ReadBlock(shard, file, place, token);
    node_.PumpBackground(storage::Lane::kReads);
  }
  void DropBacklog(broker::ShardId shard, uint64_t file) override {
    node_.store_->DropBacklog(shard, file);
    node_.PumpBackground(storage::Lane::kSegments);
  }
  void ReportDamage(const broker::QueueInfoRef& queue, uint64_t messages,
                    const Error& error) override {
    throw Violation(fmt::format("{} messages of queue '{}' are lost: {}", messages,
                                queue ? queue->name : "?", error.ToString()));
  }
  void ReportImbalance(const broker::QueueInfoRef& queue, const broker::Ledger& ledger,
                       uint64_t held) override {
    throw Violation(fmt::format("the ledger of queue '{}' does not balance: {} held={}",
                                queue ? queue->name : "?", broker::Describe(ledger), held));
  }
  void Authenticate(broker::SessionId session, session::Login login) override {
    node_.Hop(node_.world_.Any(std::chrono::milliseconds(2)), [this, session, user = login.user] {
      node_.workers_[worker_]->OnAuthenticated(
          session,
          {.ok = user == "guest", .reason = "", .accounts = access::Accounts::WithoutLimits()},
          node_.world_.now());
      node_.ScheduleTurn(worker_);
    });
  }

 private:
  Node& node_;
  const broker::WorkerId worker_;
};

Node::Node(World& world, storage::FaultVfs& vfs, const NodeOptions& options,
           std::function<void(const Error&)> on_fatal)
    : world_(world), vfs_(vfs), options_(options) {
  store_ = std::make_unique<storage::StepStore>(vfs, options.store, std::move(on_fatal));
  const broker::WorkerId n = options.workers;
  turn_scheduled_.resize(n);
  timer_at_.resize(n, kNever);
  last_mail_.resize(static_cast<size_t>(n) * n);
  last_appended_.resize(n);
  for (broker::WorkerId w = 0; w < n; ++w) {
    ports_.push_back(std::make_unique<Ports>(*this, w));
    workers_.push_back(std::make_unique<session::Worker>(
        session::WorkerOptions{.id = w,
                               .workers = n,
                               .shards = options.shards,
                               .seed = options.seed,
                               .session = options.session,
                               .shard = options.shard,
                               .unstored_bytes = options.unstored_bytes},
        *ports_.back()));
  }
}

Node::~Node() {
  alive_.reset();
  auto links = std::move(links_);
  for (auto& [id, link] : links) {
    link->node_ = nullptr;
    link->Cut(/*tell_peer=*/true);
  }
}

Result<storage::RecoveryReport> Node::Boot() {
  auto report = session::Recover(*store_, workers(), world_.now());
  if (!report) return report;
  store_->Start(static_cast<storage::StoreListener&>(*this));
  for (broker::WorkerId w = 0; w < options_.workers; ++w) ScheduleTurn(w);
  for (auto lane : storage::kLanes) PumpBackground(lane);
  PumpDisk();
  StoreTick();
  accepting_ = true;
  return report;
}

std::shared_ptr<Link> Node::Connect(Peer& peer, bool lingers) {
  if (!accepting_) return nullptr;
  const auto w = static_cast<broker::WorkerId>(world_.rng().Below(options_.workers));
  if (!workers_[w]->ready()) return nullptr;
  session::Session& session = workers_[w]->AddSession({.loopback = true}, world_.now());
  auto link = std::make_shared<Link>(world_, *this, peer, w, session.id(), options_.network_latency,
                                     lingers);
  links_[session.id()] = link;
  if (space_low_) session.OnResourceAlarm(true, kLowOnDisk, world_.now());
  workers_[w]->Touch(session.id());
  ScheduleTurn(w);
  return link;
}

std::shared_ptr<Link> Node::AnyLink() {
  std::vector<std::shared_ptr<Link>> open;
  for (const auto& [id, link] : links_)
    if (link->open()) open.push_back(link);
  return open.empty() ? nullptr : open[world_.rng().Below(open.size())];
}

bool Node::Quiet() const {
  if (under_way_ > 0 || disk_busy_ || lazy_due_ || lazy_timer_) return false;
  if (store_->has_unsynced() || store_->Next() != storage::CommitStep::kNone) return false;
  for (const auto& [id, link] : links_) {
    if (!link->Empty() || (link->cut_ && !link->server_ended_)) return false;
  }
  return std::ranges::all_of(workers_, [](const auto& w) { return w->idle(); });
}

void Node::CheckLedgers() {
  for (const auto& w : workers_) {
    for (const auto& shard : w->shards()) shard->CheckLedgers();
  }
}

size_t Node::sessions() const {
  size_t sum = 0;
  for (const auto& w : workers_) sum += w->session_count();
  return sum;
}

std::string Node::Describe() {
  std::string text = fmt::format("{} hops under way, next disk step {}, {}low on space", under_way_,
                                 static_cast<int>(store_->Next()),
                                 store_->has_unsynced() ? "unsynced batches, " : "");
  if (!space_low_) text += ": no";
  for (const auto& w : workers_) {
    text += fmt::format("\nworker {}: {}", w->id(), w->idle() ? "idle" : "busy");
    for (const auto& shard : w->shards()) {
      if (!shard->idle()) text += fmt::format(", shard {} waits", shard->id());
    }
    w->ForEachSession([&](session::Session& session) {
      const auto it = links_.find(session.id());
      text += fmt::format("\n  session {}: {}, {} to write{}{}{}", session.id(),
                          session.wants_input() ? "reads" : "does not read",
                          session.output().size(), session.wants_close() ? ", closes" : "",
                          session.done() ? ", done" : "", it == links_.end() ? ", no link" : "");
      if (it == links_.end()) return;
      const Link& link = *it->second;
      text += fmt::format("; {} under way, {} unread, {} pieces for the client{}{}",
                          link.to_server_.size(), link.unread_.size(), link.to_client_.size(),
                          link.cut_ ? ", cut" : "", link.server_ended_ ? ", ended" : "");
    });
  }
  return text;
}

bool Node::ForEachMessage(const broker::QueueInfo& info, const broker::Queue::Visit& visit) {
  broker::Shard* shard = FindShard(info.shard);
  const broker::Queue* queue = shard == nullptr ? nullptr : shard->FindQueue(info.id);
  if (queue == nullptr) return true;
  bool ok = true;
  queue->ForEach(visit);
  queue->ForEachResting(
      [&](const broker::BacklogBlock& block) {
        const storage::BacklogName name{info.shard, block.file};
        auto file = vfs_.Open(storage::BacklogDirectory(options_.store.directory) + "/" +
                                  storage::BacklogFileName(name),
                              storage::OpenMode::kRead);
        auto bytes = file ? storage::ReadBacklogBlock(**file, name, block.place)
                          : std::unexpected(file.error());
        if (bytes) return broker::ReadBlockMessages(*bytes).value();
        const bool later = bytes.error().code == ErrorCode::kExhausted;
        if (!vfs_.power_is_off() && !later)
          throw Violation("a block is lost: " + bytes.error().ToString());
        ok = false;
        return std::vector<broker::QueuedMessageRecord>();
      },
      visit);
  return ok;
}

void Node::Request(broker::TopologyRequestBody body) {
  broker::TopologyRequest request;
  request.vhost = "/";
  request.body = std::move(body);
  workers_[0]->Request(std::move(request));
  ScheduleTurn(0);
}

broker::Shard* Node::FindShard(broker::ShardId id) {
  return workers_[WorkerOfShard(id)]->FindShard(id);
}

std::vector<session::Worker*> Node::workers() const {
  std::vector<session::Worker*> all;
  for (const auto& w : workers_) all.push_back(w.get());
  return all;
}

void Node::After(Duration delay, std::function<void()> event) {
  world_.After(delay, [alive = std::weak_ptr<int>(alive_), event = std::move(event)] {
    if (!alive.expired()) event();
  });
}

void Node::Hop(Duration delay, std::function<void()> event) {
  ++under_way_;
  After(delay, [this, event = std::move(event)] {
    --under_way_;
    event();
  });
}

void Node::HopInOrder(Time& last, std::function<void()> event) {
  last = std::max(last, world_.now() + world_.Any(options_.mail_latency));
  Hop(last - world_.now(), std::move(event));
}

// Several events that come together are worked off in one turn, as they are in a busy thread.
void Node::ScheduleTurn(broker::WorkerId worker) {
  if (turn_scheduled_[worker]) return;
  turn_scheduled_[worker] = true;
  Hop(world_.Any(Duration(100)), [this, worker] { Turn(worker); });
}

void Node::Turn(broker::WorkerId worker) {
  turn_scheduled_[worker] = false;
  const std::vector<broker::SessionId> touched = workers_[worker]->Turn(world_.now());
  for (broker::SessionId id : touched) {
    const auto it = links_.find(id);
    if (it == links_.end()) continue;
    const std::shared_ptr<Link> link = it->second;
    link->Service();
    session::Session* session = workers_[worker]->FindSession(id);
    if (session != nullptr && session->done()) {
      workers_[worker]->RemoveSession(id);
      links_.erase(id);
    }
  }
  ArmTimer(worker);
}

void Node::ArmTimer(broker::WorkerId worker) {
  const Time next = workers_[worker]->NextDeadline();
  if (next == kNever || (timer_at_[worker] <= next && timer_at_[worker] > world_.now())) return;
  timer_at_[worker] = std::max(next, world_.now() + Duration(1));
  After(timer_at_[worker] - world_.now(), [this, worker, at = timer_at_[worker]] {
    if (timer_at_[worker] != at) return;
    timer_at_[worker] = kNever;
    Turn(worker);
  });
}

// ------------------------------------------------------------------------------------------- store

void Node::PumpDisk() {
  if (disk_busy_ || store_->dead()) return;
  if (store_->Next(lazy_due_) == storage::CommitStep::kNone) {
    lazy_due_ = false;
    if (!store_->has_unsynced() || lazy_timer_) return;
    lazy_timer_ = true;
    After(options_.store.lazy_sync_delay, [this] {
      lazy_timer_ = false;
      lazy_due_ = store_->has_unsynced();
      PumpDisk();
    });
    return;
  }
  disk_busy_ = true;
  After(world_.Any(options_.disk_latency), [this] {
    disk_busy_ = false;
    if (store_->Step(lazy_due_) == storage::CommitStep::kSync) lazy_due_ = false;
    for (auto lane : storage::kLanes) PumpBackground(lane);
    PumpDisk();
  });
}

void Node::PumpBackground(storage::Lane lane) {
  bool& busy = background_busy_[static_cast<size_t>(lane)];
  if (busy || store_->dead()) return;
  busy = true;
  After(world_.Any(4 * options_.disk_latency), [this, lane] {
    background_busy_[static_cast<size_t>(lane)] = false;
    const bool ran = store_->StepBackground(lane);
    PumpDisk();
    if (!ran) return;
    for (auto each : storage::kLanes) PumpBackground(each);
  });
}

void Node::StoreTick() {
  After(std::chrono::seconds(1), [this] {
    store_->Tick();
    for (auto lane : storage::kLanes) PumpBackground(lane);
    PumpDisk();
    StoreTick();
  });
}

void Node::OnAppended(storage::ShardId shard, uint64_t shard_seq, uint64_t lsn,
                      storage::AppendOutcome outcome) {
  LANDFALL_ASSERT(outcome == storage::AppendOutcome::kDurable);
  const broker::WorkerId to = WorkerOfShard(shard);
  HopInOrder(last_appended_[to], [this, to, shard, shard_seq, lsn] {
    workers_[to]->OnAppended(shard, shard_seq, lsn, world_.now());
    ScheduleTurn(to);
  });
}

void Node::OnCheckpointSaved(storage::ShardId shard, uint64_t shard_seq) {
  ++checkpoints_saved_;
  const broker::WorkerId to = WorkerOfShard(shard);
  HopInOrder(last_appended_[to], [this, to, shard, shard_seq] {
    workers_[to]->OnCheckpointSaved(shard, shard_seq, world_.now());
    ScheduleTurn(to);
  });
}

void Node::OnCheckpointFailed(storage::ShardId shard) {
  const broker::WorkerId to = WorkerOfShard(shard);
  HopInOrder(last_appended_[to], [this, to, shard] { workers_[to]->OnCheckpointFailed(shard); });
}

void Node::OnBlockRead(storage::ShardId shard, uint64_t token, Result<ByteBuffer> block) {
  const broker::WorkerId to = WorkerOfShard(shard);
  auto shared = std::make_shared<Result<ByteBuffer>>(std::move(block));
  HopInOrder(last_appended_[to], [this, to, shard, token, shared] {
    workers_[to]->OnBlockRead(shard, token, std::move(*shared), world_.now());
    ScheduleTurn(to);
  });
}

void Node::OnCheckpointWanted(storage::ShardId shard) {
  const broker::WorkerId to = WorkerOfShard(shard);
  HopInOrder(last_appended_[to], [this, to, shard] {
    workers_[to]->OnCheckpointWanted(shard);
    ScheduleTurn(to);
  });
}

void Node::OnSpace(bool low) {
  space_low_ = low;
  for (broker::WorkerId w = 0; w < options_.workers; ++w) {
    HopInOrder(last_appended_[w], [this, w, low] {
      workers_[w]->ForEachSession([&](session::Session& session) {
        session.OnResourceAlarm(low, kLowOnDisk, world_.now());
        workers_[w]->Touch(session.id());
      });
      ScheduleTurn(w);
    });
  }
}

}  // namespace landfall::sim
