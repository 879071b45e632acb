#include "server/worker_thread.h"

#include <fmt/format.h>
#include <algorithm>
#include <boost/asio/post.hpp>

#include "server/listener.h"
#include "server/log.h"

namespace landfall::server {
namespace asio = boost::asio;

namespace {

// What may be written and synced on the worker's own thread: batches so small, by a worker so idle,
// on a store that has answered that fast.
constexpr size_t kSmallAppends = 16 * 1024;
constexpr double kIdleShare = 0.6;
constexpr Duration kFastStore = std::chrono::milliseconds(2);
constexpr Duration kSlowStoreRest = std::chrono::seconds(1);

constexpr std::chrono::seconds kHandshakeTime{10};

}  // namespace

WorkerThread::WorkerThread(const session::WorkerOptions& options, WorkerEnvironment& environment)
    : environment_(environment),
      guard_(asio::make_work_guard(io_)),
      timer_(io_),
      core_(options, static_cast<session::WorkerPorts&>(*this)) {}

WorkerThread::~WorkerThread() { Stop(); }

void WorkerThread::Start() {
  asio::post(io_, [this] { Turn(); });
  thread_ = std::thread([this] {
    now_ = environment_.Now();
    io_.run();
  });
}

void WorkerThread::Stop() {
  if (!thread_.joinable()) return;
  asio::post(io_, [this] {
    timer_.cancel();
    handshakes_.clear();
    local_clients_.clear();
    connections_.clear();
  });
  guard_.reset();
  io_.stop();
  thread_.join();
}

void WorkerThread::PostMail(std::vector<session::Mail> mail) {
  const std::lock_guard lock(mutex_);
  if (mailbox_.mail.empty()) {
    mailbox_.mail = std::move(mail);
  } else {
    std::move(mail.begin(), mail.end(), std::back_inserter(mailbox_.mail));
  }
  Wake();
}

void WorkerThread::PostAppended(broker::ShardId shard, uint64_t shard_seq, uint64_t lsn) {
  const std::lock_guard lock(mutex_);
  mailbox_.appended.push_back({shard, shard_seq, lsn});
  Wake();
}

void WorkerThread::PostCheckpointWanted(broker::ShardId shard) {
  const std::lock_guard lock(mutex_);
  mailbox_.checkpoints_wanted.push_back(shard);
  Wake();
}

void WorkerThread::PostCheckpointSaved(broker::ShardId shard, uint64_t shard_seq) {
  const std::lock_guard lock(mutex_);
  mailbox_.checkpoints_saved.emplace_back(shard, shard_seq);
  Wake();
}

void WorkerThread::PostCheckpointFailed(broker::ShardId shard) {
  const std::lock_guard lock(mutex_);
  mailbox_.checkpoints_failed.push_back(shard);
  Wake();
}

void WorkerThread::PostBlock(broker::ShardId shard, uint64_t token, Result<ByteBuffer> block) {
  const std::lock_guard lock(mutex_);
  mailbox_.blocks.push_back({shard, token, std::move(block)});
  Wake();
}

// With the mutex held. One wake-up serves all that is put down until the thread looks.
void WorkerThread::Wake() {
  if (woken_) return;
  woken_ = true;
  ScheduleMailbox();
}

void WorkerThread::ScheduleMailbox() {
  asio::post(io_, [this] {
    TakeMailbox();
    Turn();
  });
}

void WorkerThread::TakeMailbox() {
  Mailbox taken;
  {
    const std::lock_guard lock(mutex_);
    woken_ = false;
    std::swap(taken, mailbox_);
  }
  now_ = environment_.Now();
  for (const auto& [shard, seq, lsn] : taken.appended) core_.OnAppended(shard, seq, lsn, now_);
  for (broker::ShardId shard : taken.checkpoints_wanted) core_.OnCheckpointWanted(shard);
  for (const auto& [shard, seq] : taken.checkpoints_saved) {
    core_.OnCheckpointSaved(shard, seq, now_);
  }
  for (broker::ShardId shard : taken.checkpoints_failed) core_.OnCheckpointFailed(shard);
  for (Block& block : taken.blocks) {
    core_.OnBlockRead(block.shard, block.token, std::move(block.bytes), now_);
  }
  if (!taken.mail.empty()) core_.OnMail(std::move(taken.mail));
}

void WorkerThread::AddConnection(Connection::Socket socket, std::string peer) {
  ++connection_count_;
  asio::post(io_, [this, peer = std::move(peer), s = std::move(socket)]() mutable {
    Admit(std::move(s), nullptr, std::move(peer), {});
  });
}

void WorkerThread::AddTlsConnection(Connection::Socket socket, std::string peer,
                                    const TlsContext& tls) {
  ++connection_count_;
  asio::post(io_, [this, &tls, peer = std::move(peer), s = std::move(socket)]() mutable {
    BeginHandshake(std::move(s), std::move(peer), tls);
  });
}

void WorkerThread::BeginHandshake(Connection::Socket socket, std::string peer,
                                  const TlsContext& tls) {
  const uint64_t id = ++last_handshake_;
  const TlsLoginFrom from = tls.options().login_from;
  auto done = [this, id, from, peer = std::move(peer)](
                  Connection::Socket s, std::unique_ptr<net::TlsStream> stream, std::string error) {
    handshakes_.erase(id);
    if (stream == nullptr) {
      LogWarn("TLS handshake failed", {{"peer", peer}, {"reason", error}});
      --connection_count_;
      return;
    }
    LogDebug("TLS handshake done", {{"peer", peer}, {"version", stream->version()}});
    session::Peer who{.certificate_user = stream->PeerName(from)};
    Admit(std::move(s), std::move(stream), peer, std::move(who));
  };
  auto handshake =
      std::make_shared<TlsHandshake>(std::move(socket), tls.current(), std::move(done));
  handshakes_[id] = handshake;
  handshake->Start(kHandshakeTime);
}

// `who` says what is known beside the address.
void WorkerThread::Admit(Connection::Socket socket, std::unique_ptr<net::TlsStream> tls,
                         std::string peer, session::Peer who) {
  boost::system::error_code error;
  const auto remote = socket.remote_endpoint(error);
  if (error) {  // gone already
    --connection_count_;
    return;
  }
  now_ = environment_.Now();
  who.loopback = IsLoopback(remote.address());
  const auto own = socket.local_endpoint(error);
  if (!error) who.name = fmt::format("{} -> {}", peer, EndpointText(own));
  session::Session& session = core_.AddSession(std::move(who), now_);
  auto connection = std::make_shared<Connection>(*this, std::move(socket), std::move(tls), session,
                                                 std::move(peer));
  connections_[session.id()] = connection;
  if (alarm_) session.OnResourceAlarm(true, alarm_reason_, now_);
  connection->Start();
  Touch(session.id());
}

void WorkerThread::PostAuthenticated(broker::SessionId session, session::AuthResult result) {
  asio::post(io_, [this, session, result = std::move(result)]() mutable {
    now_ = environment_.Now();
    // The users may have changed on the way here, and the news of it have overtaken the result.
    if (result.ok) result.accounts = environment_.accounts();
    core_.OnAuthenticated(session, result, now_);
    ScheduleTurn();
  });
}

void WorkerThread::PostAccounts() {
  asio::post(io_, [this] {
    now_ = environment_.Now();
    core_.OnAccounts(environment_.accounts(), now_);
    ScheduleTurn();
  });
}

void WorkerThread::PostResourceAlarm(bool on, std::string reason) {
  asio::post(io_, [this, on, reason = std::move(reason)] {
    now_ = environment_.Now();
    alarm_ = on;
    alarm_reason_ = reason;
    core_.ForEachSession([&](session::Session& s) {
      s.OnResourceAlarm(on, reason, now_);
      core_.Touch(s.id());
    });
    ScheduleTurn();
  });
}

void WorkerThread::BeginDrain() {
  asio::post(io_, [this] {
    draining_ = true;
    for (auto& [id, connection] : connections_) connection->SetReading(false);
    Turn();
  });
}

void WorkerThread::CloseSessions() {
  asio::post(io_, [this] {
    now_ = environment_.Now();
    core_.ForEachSession([&](session::Session& s) {
      s.Shutdown(now_);
      core_.Touch(s.id());
    });
    for (const auto& [id, handshake] : handshakes_) handshake->Cancel();
    // For the peers' close-ok; the sessions discard everything else.
    for (auto& [id, connection] : connections_) connection->SetReading(true);
    Turn();
  });
}

void WorkerThread::ScheduleTurn() {
  if (turn_scheduled_) return;
  turn_scheduled_ = true;
  // After the handlers that are ready now: what they bring goes through the shards together.
  asio::post(io_, [this] {
    turn_scheduled_ = false;
    now_ = environment_.Now();
    Turn();
  });
}

void WorkerThread::Turn() {
  RunTurn();
  if (!GiveAppendsToStore()) return;
  // What has just landed is told at once, and not after a look at the sockets.
  TakeMailbox();
  RunTurn();
  if (GiveAppendsToStore()) ScheduleMailbox();
}

void WorkerThread::RunTurn() {
  now_ = environment_.Now();
  load_.WorkBegins(now_);
  for (broker::SessionId id : core_.Turn(now_)) {
    const auto it = connections_.find(id);
    if (it == connections_.end()) {
      if (const auto local = local_clients_.find(id); local != local_clients_.end())
        ServeLocal(id, *local->second);
      continue;
    }
    const std::shared_ptr<Connection> connection = it->second;
    connection->Service();
    if (connection->closed() && connection->session().done()) {
      const session::Session& s = connection->session();
      LogInfo("connection closed", {{"peer", connection->peer()},
                                    {"user", s.user()},
                                    {"vhost", s.vhost()},
                                    {"reason", s.end_reason()}});
      connections_.erase(id);
      core_.RemoveSession(id);
      --connection_count_;
    }
  }
  UpdateFlags();
  ArmTimer();
}

std::vector<broker::SessionId> WorkerThread::ConnectionIds() const {
  std::vector<broker::SessionId> ids;
  ids.reserve(connections_.size());
  for (const auto& [id, connection] : connections_) ids.push_back(id);
  return ids;
}

std::optional<ConnectionInfo> WorkerThread::Describe(broker::SessionId id) const {
  const auto it = connections_.find(id);
  if (it == connections_.end()) return std::nullopt;
  const Connection& connection = *it->second;
  return ConnectionInfo{.peer = connection.peer(),
                        .own = connection.own(),
                        .tls = connection.tls_version(),
                        .session = connection.session().Describe()};
}

bool WorkerThread::CloseByForce(broker::SessionId id, const std::string& reason) {
  const auto it = connections_.find(id);
  if (it == connections_.end()) return false;
  now_ = environment_.Now();
  it->second->session().CloseByForce(reason, now_);
  Touch(id);
  return true;
}

broker::MovedByHand WorkerThread::Execute(broker::ShardId shard, const broker::MoveByHand& move) {
  now_ = environment_.Now();
  broker::MovedByHand moved = core_.Execute(shard, move, now_);
  ScheduleTurn();
  return moved;
}

broker::SessionId WorkerThread::OpenLocal(session::Peer who, LocalOutput output) {
  now_ = environment_.Now();
  session::Session& session = core_.AddSession(std::move(who), now_);
  auto client = std::make_unique<LocalClient>();
  client->output = std::move(output);
  local_clients_[session.id()] = std::move(client);
  if (alarm_) session.OnResourceAlarm(true, alarm_reason_, now_);
  return session.id();
}

void WorkerThread::FeedLocal(broker::SessionId id, ByteView input) {
  const auto it = local_clients_.find(id);
  if (it == local_clients_.end()) return;
  now_ = environment_.Now();
  it->second->rest += input;
  TakeInput(id, *it->second);
}

// What the session does not want yet comes in a later turn.
void WorkerThread::TakeInput(broker::SessionId id, LocalClient& client) {
  session::Session& session = *core_.FindSession(id);
  if (client.rest.empty() || !session.wants_input()) return;
  const size_t used = session.OnBytes(client.rest, now_);
  client.rest.erase(0, used);
  if (used > 0) Touch(id);  // for what has come of it
}

void WorkerThread::CloseLocal(broker::SessionId id) {
  const auto it = local_clients_.find(id);
  if (it == local_clients_.end()) return;
  now_ = environment_.Now();
  it->second->output = nullptr;
  core_.FindSession(id)->OnDisconnected(now_);
  Touch(id);
}

// Takes what the session has to say at once: whoever it is for has asked for it and bounds what
// that may be.
void WorkerThread::ServeLocal(broker::SessionId id, LocalClient& client) {
  TakeInput(id, client);
  session::Session& session = *core_.FindSession(id);
  ByteBuffer said = std::exchange(session.output(), {});
  if (!said.empty()) {
    session.OnWritten(said.size(), now_);
    ScheduleTurn();
    if (client.output) client.output(std::move(said));
  }
  if (session.wants_close() && client.output) {
    client.output({});
    client.output = nullptr;
    session.OnDisconnected(now_);
    Touch(id);
  }
  if (!session.done()) return;
  local_clients_.erase(id);
  core_.RemoveSession(id);
}

// A worker that waits for nothing but the disk anyway commits its own few batches: at one message
// in flight the changes of thread to the committer and back cost as much as the sync itself. A busy
// worker has better things to do meanwhile. True: they have been committed, and the mailbox says so
// without having woken anybody.
bool WorkerThread::GiveAppendsToStore() {
  const Time worked_until = environment_.Now();
  load_.WorkEnds(worked_until);
  if (appends_.empty()) return false;
  size_t bytes = 0;
  for (const storage::Batch& batch : appends_) bytes += batch.entries.size();
  std::vector<storage::Batch> appends = std::exchange(appends_, {});
  if (bytes > kSmallAppends || load_.share() > kIdleShare || worked_until < slow_store_until_) {
    for (storage::Batch& batch : appends) environment_.store().Append(std::move(batch));
    return false;
  }
  {
    const std::lock_guard lock(mutex_);
    if (woken_) {  // somebody else has put something in: that comes in its turn
      for (storage::Batch& batch : appends) environment_.store().Append(std::move(batch));
      return false;
    }
    woken_ = true;
  }
  environment_.store().AppendHere(std::move(appends));
  const Time done = environment_.Now();
  if (done - worked_until > kFastStore) slow_store_until_ = done + kSlowStoreRest;
  load_.Forget(done);
  return true;
}

void WorkerThread::UpdateFlags() {
  if (draining_) {
    drained_ = core_.idle() && std::all_of(connections_.begin(), connections_.end(),
                                           [](const auto& c) { return c.second->written(); });
  }
}

void WorkerThread::ArmTimer() {
  const Time next = core_.NextDeadline();
  if (next == timer_at_) return;
  // A timer that fires too early costs one turn; setting it anew at every turn costs more.
  if (next > timer_at_ && timer_at_ > now_) return;
  timer_at_ = next;
  if (next == kNever) {
    timer_.cancel();
    return;
  }
  timer_.expires_after(std::max(next - now_, Duration{0}));
  timer_.async_wait([this](boost::system::error_code error) {
    if (error) return;
    timer_at_ = kNever;
    Turn();
  });
}

void WorkerThread::Post(broker::WorkerId to, std::vector<session::Mail> mail) {
  environment_.worker(to).PostMail(std::move(mail));
}

void WorkerThread::Append(storage::Batch batch) { appends_.push_back(std::move(batch)); }

void WorkerThread::BeginCheckpoint(broker::ShardId) {
  checkpoint_began_ = std::chrono::steady_clock::now();
}

void WorkerThread::SaveCheckpoint(broker::ShardId shard, uint64_t shard_seq,
                                  storage::CheckpointSource source) {
  const auto paused = std::chrono::steady_clock::now() - checkpoint_began_;
  checkpoint_pauses_.Add(
      static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::microseconds>(paused).count()));
  environment_.store().SaveCheckpoint(shard, shard_seq, std::move(source));
}

void WorkerThread::ReadBlock(broker::ShardId shard, uint64_t file, storage::BlockPlace place,
                             uint64_t token) {
  environment_.store().ReadBlock(shard, file, place, token);
}

void WorkerThread::DropBacklog(broker::ShardId shard, uint64_t file) {
  environment_.store().DropBacklog(shard, file);
}

void WorkerThread::ReportDamage(const broker::QueueInfoRef& queue, uint64_t messages,
                                const Error& error) {
  LogError(
      "messages of a queue cannot be read back and are lost; keep the data directory as it is "
      "for whoever looks into it",
      {{"vhost", queue ? queue->vhost : ""},
       {"queue", queue ? queue->name : ""},
       {"messages", messages},
       {"error", error.message}});
}

void WorkerThread::ReportImbalance(const broker::QueueInfoRef& queue, const broker::Ledger& ledger,
                                   uint64_t held) {
  LogError(
      "the ledger of a queue does not balance: after damage messages are missing or there again, "
      "otherwise this is a fault of the broker; keep the data directory as it is and report it",
      {{"vhost", queue ? queue->vhost : ""},
       {"queue", queue ? queue->name : ""},
       {"held", held},
       {"ledger", broker::Describe(ledger)}});
}

void WorkerThread::Authenticate(broker::SessionId session, session::Login login) {
  const auto it = connections_.find(session);
  environment_.Authenticate(core_.id(), session, it == connections_.end() ? "" : it->second->peer(),
                            std::move(login));
}

}  // namespace landfall::server
