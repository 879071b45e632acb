#include "session/worker.h"

#include <algorithm>
#include <map>
#include <utility>

#include "base/assert.h"

namespace landfall::session {
namespace {

// Heartbeats and handshake time-outs are whole seconds; looking at all sessions this often is
// enough and cheap.
constexpr Duration kSessionTick = std::chrono::milliseconds(250);

}  // namespace

broker::WorkerId WorkerOfShard(broker::ShardId shard, broker::WorkerId workers) {
  if (shard == storage::kTopologyShard) return 0;
  if (broker::IsTransientShard(shard))
    return static_cast<broker::WorkerId>(shard - broker::kFirstTransientShard);
  return static_cast<broker::WorkerId>((shard - 1) % workers);
}

Worker::Worker(const WorkerOptions& options, WorkerPorts& ports)
    : options_(options),
      ports_(ports),
      snapshot_(std::make_shared<const broker::TopologySnapshot>()),
      outgoing_(options.workers) {
  shard_by_id_.resize(options_.shards + 1);
  const auto add = [this](broker::ShardId id) {
    shards_.push_back(std::make_unique<broker::Shard>(
        id, options_.seed + id, static_cast<broker::ShardPorts&>(*this), options_.shard));
  };
  for (broker::ShardId id = 1; id <= options_.shards; ++id) {
    if (WorkerOfShard(id, options_.workers) == options_.id) {
      add(id);
      shard_by_id_[id] = shards_.back().get();
    }
  }
  add(broker::TransientShardOf(options_.id));
  if (options_.id == 0) {
    topology_ = std::make_unique<broker::Topology>(
        broker::TopologyOptions{
            .workers = options_.workers, .shards = options_.shards, .seed = options_.seed},
        static_cast<broker::TopologyPorts&>(*this));
  }
}

Worker::~Worker() = default;

void Worker::StartShards(const FlatMap<storage::ShardId, uint64_t>& last_shard_seq, uint32_t epoch,
                         Time now) {
  for (const auto& shard : shards_) {
    const auto last = last_shard_seq.find(shard->id());
    shard->Start(last == last_shard_seq.end() ? 0 : last->second, epoch, now);
    MarkDirty(*shard);
  }
}

broker::Shard* Worker::FindShard(broker::ShardId shard) {
  if (shard < shard_by_id_.size()) return shard_by_id_[shard];
  broker::Shard* transient = shards_.back().get();
  return transient->id() == shard ? transient : nullptr;
}

Session& Worker::AddSession(Peer peer, Time now) {
  const broker::SessionId id = (next_session_++ << broker::kWorkerBits) | options_.id;
  auto& slot = sessions_[id];
  slot = std::make_unique<Session>(id, options_.session, std::move(peer),
                                   static_cast<SessionPorts&>(*this), now);
  return *slot;
}

Session* Worker::FindSession(broker::SessionId session) {
  if (last_session_ != nullptr && last_session_->id() == session) return last_session_;
  const auto it = sessions_.find(session);
  if (it == sessions_.end()) return nullptr;
  last_session_ = it->second.get();
  return last_session_;
}

void Worker::RemoveSession(broker::SessionId session) {
  last_session_ = nullptr;
  sessions_.erase(session);
}

void Worker::Touch(broker::SessionId session) {
  // Mostly it is the one of a moment ago: so here, and in MarkDirty.
  if (!touched_.empty() && touched_.back() == session) return;
  if (touched_set_.insert(session).second) touched_.push_back(session);
}

void Worker::OnMail(std::vector<Mail> mail) {
  if (local_.empty()) {
    local_ = std::move(mail);
  } else {
    std::move(mail.begin(), mail.end(), std::back_inserter(local_));
  }
}

void Worker::OnAppended(broker::ShardId shard, uint64_t shard_seq, uint64_t lsn, Time now) {
  now_ = now;
  if (shard == storage::kTopologyShard) {
    topology_->OnDurable(shard_seq);
    topology_dirty_ = true;
    return;
  }
  broker::Shard& s = *FindShard(shard);
  s.OnDurable(shard_seq, lsn, now);
  MarkDirty(s);
}

void Worker::OnCheckpointWanted(broker::ShardId shard) { checkpoints_wanted_.push_back(shard); }

void Worker::OnCheckpointSaved(broker::ShardId shard, uint64_t shard_seq, Time now) {
  now_ = now;
  if (broker::Shard* s = FindShard(shard)) {
    s->OnCheckpointSaved(shard_seq, now);
    MarkDirty(*s);
  }
}

void Worker::OnCheckpointFailed(broker::ShardId shard) {
  if (broker::Shard* s = FindShard(shard)) s->OnCheckpointFailed(now_);
}

void Worker::OnBlockRead(broker::ShardId shard, uint64_t token, Result<ByteBuffer> block,
                         Time now) {
  now_ = now;
  broker::Shard& s = *FindShard(shard);
  s.OnBlockRead(token, std::move(block), now);
  MarkDirty(s);
}

broker::MovedByHand Worker::Execute(broker::ShardId shard, const broker::MoveByHand& move,
                                    Time now) {
  now_ = now;
  broker::Shard& s = *FindShard(shard);
  broker::MovedByHand moved = s.Execute(move, now);
  MarkDirty(s);
  return moved;
}

void Worker::OnAuthenticated(broker::SessionId session, const AuthResult& result, Time now) {
  if (Session* s = FindSession(session)) {
    s->OnAuthenticated(result, now);
    Touch(session);
  }
}

void Worker::OnAccounts(const access::AccountsRef& accounts, Time now) {
  ForEachSession([&](Session& s) {
    s.OnAccounts(accounts, now);
    Touch(s.id());
  });
}

void Worker::ToSession(broker::SessionId session, broker::Outcome&& outcome) {
  const broker::WorkerId to = broker::WorkerOf(session);
  if (to != options_.id) {
    outgoing_[to].emplace_back(OutcomeMail{session, std::move(outcome)});
    return;
  }
  // Straight in: a session never calls back into a shard, it only sends commands for the next
  // round.
  if (Session* s = FindSession(session)) {
    s->OnOutcome(outcome, now_);
    Touch(session);
  }
}

void Worker::ToShard(broker::ShardId shard, broker::Command&& command) {
  const broker::WorkerId to = WorkerOfShard(shard, options_.workers);
  if (to == options_.id) {
    local_commands_.emplace_back(shard, std::move(command));
  } else {
    outgoing_[to].emplace_back(CommandMail{shard, std::move(command)});
  }
}

void Worker::SealedToTopology(broker::Sealed sealed) { Send(0, sealed); }

void Worker::UnusedToTopology(broker::QueueId queue) {
  Send(0, broker::TopologyRequest{.body = broker::QueueUnused{queue}});
}

void Worker::ToTopology(broker::TopologyRequest request) { Send(0, std::move(request)); }

// Batches of one turn go to the store together, at its end.
void Worker::Append(storage::Batch batch) { appends_.push_back(std::move(batch)); }
void Worker::AppendTopology(storage::Batch batch) { appends_.push_back(std::move(batch)); }

void Worker::Install(broker::SnapshotRef snapshot) {
  for (broker::WorkerId w = 0; w < options_.workers; ++w) Send(w, InstallMail{snapshot});
}

void Worker::Reply(broker::TopologyReply reply) {
  const broker::SessionId session = reply.session;
  if (session != 0) return Send(broker::WorkerOf(session), std::move(reply));
  LANDFALL_ASSERT(!on_replies_.empty());
  const OnReply on_reply = std::move(on_replies_.front());
  on_replies_.pop_front();
  if (on_reply) on_reply(reply);
}

// An address is what somebody has sent: it may name a worker that does not exist.
void Worker::SendReply(DirectReply reply) {
  const broker::WorkerId to = broker::WorkerOf(reply.to.session);
  if (to >= options_.workers) {
    Send(options_.id, Settled(reply, false));
  } else {
    Send(to, std::move(reply));
  }
}

void Worker::Authenticate(broker::SessionId session, Login login) {
  ports_.Authenticate(session, std::move(login));
}

void Worker::Send(broker::WorkerId to, Mail mail) {
  (to == options_.id ? local_ : outgoing_[to]).push_back(std::move(mail));
}

void Worker::On(CommandMail& mail) {
  if (mail.command.topology_version > snapshot_->version || !held_.empty()) {
    held_.push_back(std::move(mail));
    return;
  }
  Run(mail);
}

void Worker::Run(CommandMail& mail) {
  broker::Shard* shard = FindShard(mail.shard);
  LANDFALL_ASSERT(shard != nullptr);
  shard->Execute(std::move(mail.command), now_);
  MarkDirty(*shard);
}

void Worker::On(OutcomeMail& mail) {
  if (Session* s = FindSession(mail.session)) {
    s->OnOutcome(mail.outcome, now_);
    Touch(mail.session);
  }
}

void Worker::On(broker::TopologyRequest& request) {
  topology_->OnRequest(std::move(request));
  topology_dirty_ = true;
}

void Worker::On(broker::TopologyReply& reply) {
  const broker::SessionId session = reply.session;
  if (Session* s = FindSession(session)) {
    s->OnTopologyReply(std::move(reply), now_);
    Touch(session);
  }
}

void Worker::On(broker::Sealed& sealed) {
  topology_->OnSealed(sealed);
  topology_dirty_ = true;
}

void Worker::On(InstallMail& mail) {
  if (mail.snapshot->version > snapshot_->version) {
    const broker::SnapshotRef before = std::exchange(snapshot_, std::move(mail.snapshot));
    if (snapshot_->vhosts_deleted != before->vhosts_deleted) CloseWithoutVhost(*before);
  }
  Send(0, InstalledMail{options_.id, snapshot_->version});
  while (!held_.empty() && held_.front().command.topology_version <= snapshot_->version) {
    CommandMail next = std::move(held_.front());
    held_.pop_front();
    Run(next);
  }
}

// Sessions live in the vhosts of the snapshot before: one that has been made anew is not theirs.
void Worker::CloseWithoutVhost(const broker::TopologySnapshot& before) {
  for (auto& [id, session] : sessions_) {
    const std::string& vhost = session->vhost();
    const broker::VhostRef was = before.FindVhost(vhost);
    const broker::VhostRef is = snapshot_->FindVhost(vhost);
    if (vhost.empty() || (was && is && is->incarnation == was->incarnation)) continue;
    session->CloseByForce("vhost '" + vhost + "' was deleted", now_);
    Touch(id);
  }
}

void Worker::On(InstalledMail& mail) {
  topology_->OnInstalled(mail.worker, mail.version);
  topology_dirty_ = true;
}

void Worker::On(DirectReply& reply) {
  Session* s = FindSession(reply.to.session);
  const bool delivered = s != nullptr && s->OnDirectReply(reply, now_);
  if (delivered) Touch(reply.to.session);
  Send(broker::WorkerOf(reply.from), Settled(reply, delivered));
}

void Worker::On(DirectReplySettled& settled) {
  if (Session* s = FindSession(settled.to)) {
    s->OnReplySettled(settled, now_);
    Touch(settled.to);
  }
}

void Worker::MarkDirty(broker::Shard& shard) {
  if (!dirty_shards_.empty() && dirty_shards_.back() == &shard) return;
  if (dirty_set_.insert(shard.id()).second) dirty_shards_.push_back(&shard);
}

void Worker::TickSessions() {
  if (now_ < next_session_tick_) return;
  next_session_tick_ = now_ + kSessionTick;
  for (auto& [id, session] : sessions_) {
    if (session->NextDeadline() > now_) continue;
    session->OnTick(now_);
    Touch(id);
  }
}

const std::vector<broker::SessionId>& Worker::Turn(Time now) {
  now_ = now;
  TickSessions();
  for (auto& shard : shards_) {
    if (shard->NextDeadline() > now) continue;
    shard->OnTick(now);
    MarkDirty(*shard);
  }
  while (!local_commands_.empty() || !local_.empty() || !dirty_shards_.empty() || topology_dirty_) {
    round_commands_.swap(local_commands_);
    for (CommandMail& command : round_commands_) {
      // The topology lives here and is ahead of what is installed; sessions never are.
      if (command.command.topology_version > snapshot_->version) {
        held_.push_back(std::move(command));
      } else {
        Run(command);
      }
    }
    round_commands_.clear();
    std::vector<Mail> round;
    round.swap(local_);
    for (Mail& mail : round) std::visit([this](auto& m) { On(m); }, mail);
    std::vector<broker::Shard*> dirty;
    dirty.swap(dirty_shards_);
    dirty_set_.clear();
    for (broker::Shard* shard : dirty) shard->Flush(now_);
    if (topology_dirty_) {
      topology_dirty_ = false;
      topology_->Flush();
    }
  }
  SaveCheckpoints();
  for (storage::Batch& batch : appends_) ports_.Append(std::move(batch));
  appends_.clear();
  for (broker::WorkerId w = 0; w < options_.workers; ++w) {
    if (outgoing_[w].empty()) continue;
    ports_.Post(w, std::move(outgoing_[w]));
    outgoing_[w].clear();
  }
  reported_.clear();
  reported_.swap(touched_);
  touched_set_.clear();
  return reported_;
}

// Each shard minds its own bound; together they have one as well. One or two at a time: the store
// saves one checkpoint after the other.
void Worker::BoundMemory() {
  uint64_t unstored = 0;
  int under_way = 0;
  broker::Shard* most = nullptr;
  for (const auto& shard : shards_) {
    unstored += shard->unstored_bytes();
    if (shard->checkpoint_under_way()) ++under_way;
    if (shard->can_checkpoint() &&
        (most == nullptr || shard->unstored_bytes() > most->unstored_bytes())) {
      most = shard.get();
    }
  }
  if (unstored > options_.unstored_bytes && under_way < 2 && most != nullptr) {
    most->ReleaseMemory();
  }
}

void Worker::SaveCheckpoints() {
  BoundMemory();
  for (const auto& shard : shards_) {
    if (shard->wants_checkpoint()) checkpoints_wanted_.push_back(shard->id());
  }
  std::vector<broker::ShardId> wanted;
  wanted.swap(checkpoints_wanted_);
  for (const broker::ShardId id : wanted) {
    if (id == storage::kTopologyShard) {
      ports_.BeginCheckpoint(id);
      auto [seq, source] = topology_->Checkpoint();
      ports_.SaveCheckpoint(id, seq, std::move(source));
      continue;
    }
    broker::Shard& shard = *FindShard(id);
    if (shard.checkpoint_under_way()) {
      // The one that was asked for comes behind it.
      if (std::ranges::find(checkpoints_wanted_, id) == checkpoints_wanted_.end()) {
        checkpoints_wanted_.push_back(id);
      }
      continue;
    }
    ports_.BeginCheckpoint(id);
    auto [seq, source] = shard.Checkpoint();
    ports_.SaveCheckpoint(id, seq, std::move(source));
  }
}

Time Worker::NextDeadline() const {
  Time next = sessions_.empty() ? kNever : next_session_tick_;
  for (const auto& shard : shards_) next = std::min(next, shard->NextDeadline());
  return next;
}

bool Worker::idle() const {
  if (!local_commands_.empty() || !local_.empty() || !held_.empty() || !appends_.empty())
    return false;
  return std::all_of(shards_.begin(), shards_.end(), [](const auto& s) { return s->idle(); });
}

namespace {

class Replayer : public storage::RecoveryVisitor {
 public:
  explicit Replayer(const std::vector<Worker*>& workers) : workers_(workers) {}

  Result<void> OnCheckpoint(storage::ShardId shard, uint64_t shard_seq, ByteView piece,
                            bool last) override {
    if (shard == storage::kTopologyShard) {
      topology_seq_ = shard_seq;
      topology_checkpoint_ += piece;
      if (!last) return {};
      return workers_[0]->topology_writer()->RecoverCheckpoint(
          shard_seq, std::exchange(topology_checkpoint_, {}));
    }
    FinishTopology();
    auto s = FindShard(shard);
    return s ? (*s)->RecoverCheckpoint(piece, last) : std::unexpected(s.error());
  }

  Result<void> OnBatch(storage::ShardId shard, uint64_t shard_seq, ByteView entries) override {
    if (shard == storage::kTopologyShard) {
      if (shard_seq != topology_seq_ + 1) return IncompleteTopology();
      topology_seq_ = shard_seq;
      return workers_[0]->topology_writer()->RecoverBatch(shard_seq, entries);
    }
    FinishTopology();
    auto s = FindShard(shard);
    return s ? (*s)->RecoverBatch(entries) : std::unexpected(s.error());
  }

  // Shards need the topology to know their queues.
  void FinishTopology() {
    if (topology_done_) return;
    topology_done_ = true;
    workers_[0]->topology_writer()->Start(topology_seq_);
    for (Worker* w : workers_) w->InstallRecovered(workers_[0]->topology_writer()->published());
  }

 private:
  // Going on would take queues for deleted, and drop their messages.
  Result<void> IncompleteTopology() const {
    return Fail(ErrorCode::kCorrupt,
                "a part of the definitions (vhosts, exchanges, queues, bindings) cannot be read, "
                "behind change " +
                    std::to_string(topology_seq_) +
                    ": starting without it would delete queues and their messages. `landfall "
                    "journal repair --dry-run` says what can be done; or restore the data "
                    "directory from a backup");
  }

  Result<broker::Shard*> FindShard(storage::ShardId shard) {
    for (Worker* w : workers_)
      if (broker::Shard* s = w->FindShard(shard)) return s;
    return Fail(ErrorCode::kCorrupt,
                "the data directory has records of shard " + std::to_string(shard) +
                    ", which this broker does not have; was it made with more shards?");
  }

  const std::vector<Worker*>& workers_;
  uint64_t topology_seq_ = 0;
  ByteBuffer topology_checkpoint_;
  bool topology_done_ = false;
};

}  // namespace

Result<storage::RecoveryReport> Recover(storage::Store& store, const std::vector<Worker*>& workers,
                                        Time now) {
  Replayer replayer(workers);
  auto report = store.Recover(replayer);
  if (!report) return report;
  replayer.FinishTopology();
  std::map<storage::ShardId, std::vector<uint64_t>> backlog;
  for (Worker* w : workers) {
    for (const auto& shard : w->shards()) {
      if (auto files = shard->BacklogFiles(); !files.empty())
        backlog[shard->id()] = std::move(files);
    }
  }
  auto aside = store.KeepBacklog(backlog);
  if (!aside) return std::unexpected(aside.error());
  for (storage::Damage& damage : *aside) report->damages.push_back(std::move(damage));
  FlatMap<storage::ShardId, uint64_t> last;
  for (const auto& [shard, seq] : report->last_shard_seq) last[shard] = seq;
  for (Worker* w : workers) w->StartShards(last, report->epoch, now);
  return report;
}

}  // namespace landfall::session
