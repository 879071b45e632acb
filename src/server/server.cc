#include "server/server.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/asio/post.hpp>
#include <random>
#include <thread>

#include "base/assert.h"
#include "server/log.h"
#include "server/private_file.h"
#include "session/worker.h"
#include "storage/backlog_file.h"
#include "storage/data_directory.h"

namespace landfall::server {
namespace asio = boost::asio;
using boost::system::error_code;

namespace {

constexpr unsigned kMemoryAlarm = 1;
constexpr unsigned kDiskAlarm = 2;

}  // namespace

Server::Server(Config config)
    : config_(std::move(config)),
      steady_start_(std::chrono::steady_clock::now()),
      wall_start_(std::chrono::system_clock::now()) {}

Server::~Server() {
  if (started_) Stop();
}

// Wall-clock time at the start, steady from then on: due times mean the same after a restart, and
// nothing is due twice because somebody set the clock.
Time Server::Now() const {
  const auto elapsed = std::chrono::steady_clock::now() - steady_start_;
  return std::chrono::time_point_cast<Duration>(wall_start_) +
         std::chrono::duration_cast<Duration>(elapsed);
}

Result<void> Server::Start() {
  // Before anything changes: what is wrong with them leaves everything as it is.
  auto definitions =
      config_.definitions.empty() ? Definitions{} : ReadDefinitions(config_.definitions);
  if (!definitions) return std::unexpected(definitions.error());
  if (auto done = OpenUsers(definitions->users); !done) return done;
  authenticator_ = std::make_unique<Authenticator>(*users_);

  if (!config_.amqps_listen.host.empty()) {
    tls_ = std::make_unique<TlsContext>(TlsOptions{.certificate_file = config_.tls_certificate,
                                                   .key_file = config_.tls_key,
                                                   .ca_file = config_.tls_ca,
                                                   .verify = config_.tls_verify,
                                                   .login_from = config_.tls_login_from});
    if (auto done = tls_->Load(); !done) return done;
  }

  vfs_ = std::make_unique<storage::PosixVfs>();
  store_ = std::make_unique<storage::FileStore>(
      *vfs_, storage::StoreOptions{.directory = config_.data_dir,
                                   .segment_bytes = config_.segment_size,
                                   .window_bytes = config_.journal_window,
                                   .unsafe_no_sync = config_.unsafe_no_sync});
  const std::random_device::result_type seed = std::random_device{}();
  SipKey reply_secret{};
  std::random_device entropy;
  for (uint64_t& word : reply_secret) word = uint64_t{entropy()} << 32 | entropy();
  for (uint16_t id = 0; id < config_.workers; ++id) {
    session::WorkerOptions options{
        .id = id, .workers = config_.workers, .shards = config_.shards, .seed = seed};
    options.unstored_bytes = config_.queue_memory / 2;
    options.shard.unstored_bytes = config_.queue_memory / 8;
    options.shard.resident_bytes = config_.queue_memory / 64;
    options.shard.read_ahead_bytes = config_.queue_memory / 64;
    options.session.reply_secret = reply_secret;
    options.session.version = LANDFALL_VERSION;
    options.session.channel_max = config_.channel_max;
    options.session.frame_max = config_.frame_max;
    options.session.heartbeat_seconds = config_.heartbeat;
    options.session.max_message_bytes = config_.max_message_size;
    workers_.push_back(
        std::make_unique<WorkerThread>(options, static_cast<WorkerEnvironment&>(*this)));
  }
  if (auto done = Recover(); !done) return done;
  if (auto done = CheckVhostsOf(*definitions); !done) return done;
  store_->Start(*this);
  for (auto& w : workers_) w->Start();
  started_ = true;
  if (auto done = CreateVhosts(); !done) return done;
  if (auto done = ImportDefinitions(std::move(*definitions)); !done) return done;
  if (auto done = Listen(); !done) return done;
  memory_watch_ = std::make_unique<MemoryWatch>(
      config_.memory_limit, [this](bool low) { SetAlarm(kMemoryAlarm, low, "memory"); });
  return {};
}

Result<void> Server::OpenUsers(const UserDefinitions& definitions) {
  // Whoever brings users of their own does not expect one more with a password that all know.
  const auto if_missing = definitions.users.empty() ? UserFile::IfMissing::kCreateGuest
                                                    : UserFile::IfMissing::kStartEmpty;
  auto users = UserFile::Open(config_.users_file, if_missing);
  if (!users) return std::unexpected(users.error());
  users_ = std::make_unique<UserFile>(std::move(*users));
  if (auto can = users_->CanImport(definitions); !can)
    return Fail(ErrorCode::kInvalidArgument,
                fmt::format("{}: {}", config_.definitions, can.error().message));
  return {};
}

// Of what there is after recovery and before anything is made.
Result<void> Server::CheckVhostsOf(const Definitions& definitions) const {
  const broker::TopologySnapshot& recovered = workers_[0]->core().snapshot();
  auto checked = CheckPermissionVhosts(definitions, [&](const std::string& vhost) -> Result<bool> {
    return std::ranges::find(config_.vhosts, vhost) != config_.vhosts.end() ||
           recovered.FindVhost(vhost) != nullptr;
  });
  if (!checked)
    return Fail(ErrorCode::kInvalidArgument,
                fmt::format("{}: {}", config_.definitions, checked.error().message));
  return {};
}

Result<void> Server::Recover() {
  std::vector<session::Worker*> cores;
  cores.reserve(workers_.size());
  for (auto& w : workers_) cores.push_back(&w->core());
  const auto started = std::chrono::steady_clock::now();
  auto report = session::Recover(*store_, cores, Now());
  if (!report) return std::unexpected(report.error());
  uint64_t messages = 0;
  for (session::Worker* core : cores)
    for (const auto& shard : core->shards()) messages += shard->size();
  LogInfo("recovered", {{"data_dir", config_.data_dir},
                        {"messages", messages},
                        {"segments", report->segments},
                        {"frames", report->frames},
                        {"bytes", report->bytes},
                        {"torn_tail_bytes", report->torn_tail_bytes},
                        {"damages", report->damages.size()},
                        {"milliseconds", std::chrono::duration_cast<std::chrono::milliseconds>(
                                             std::chrono::steady_clock::now() - started)
                                             .count()}});
  for (const storage::Damage& d : report->damages)
    LogError("damaged; everything else is served",
             {{"file", d.file}, {"offset", d.offset}, {"what", d.what}});
  return {};
}

// Returns when every worker has them: a client that comes in at once must not hear that a vhost of
// the configuration does not exist.
Result<void> Server::CreateVhosts() {
  WorkerThread& first = *workers_[0];
  asio::post(first.io(), [this, &first] {
    for (const std::string& name : config_.vhosts)
      first.core().Request({.body = broker::CreateVhost{name}});
    first.ScheduleTurn();
  });
  // Shared with the workers, who may get to it after the time is over.
  const auto installed = std::make_shared<std::vector<std::atomic<bool>>>(workers_.size());
  const auto look = [this, installed](size_t worker) {
    const broker::TopologySnapshot& snapshot = workers_[worker]->core().snapshot();
    (*installed)[worker] = std::ranges::all_of(config_.vhosts, [&](const std::string& name) {
      return snapshot.FindVhost(name) != nullptr;
    });
  };
  const bool all_installed = WaitFor(
      [&] {
        bool all = true;
        for (size_t w = 0; w < workers_.size(); ++w) {
          if ((*installed)[w]) continue;
          all = false;
          asio::post(workers_[w]->io(), [look, w] { look(w); });
        }
        return all;
      },
      std::chrono::seconds(30));
  if (!all_installed)
    return Fail(ErrorCode::kTimeout,
                "the first records did not reach the disk within 30 seconds: "
                "is " +
                    config_.data_dir + " on a disk that hangs?");
  return {};
}

// Before listening: a client that comes in at once finds all of it.
Result<void> Server::ImportDefinitions(Definitions definitions) {
  if (config_.definitions.empty()) return {};
  for (const std::string& what : definitions.left_out)
    LogWarn("left out of the definitions", {{"file", config_.definitions}, {"what", what}});
  if (!definitions.users.users.empty() && OthersMayRead(config_.definitions)) {
    LogWarn("definitions with passwords or their hashes can be read by others; chmod 600 them",
            {{"file", config_.definitions}});
  }
  const size_t steps = definitions.steps.size();
  if (auto done = ImportTopology(std::move(definitions.steps)); !done) return done;
  // Last, since it is done as a whole or not at all.
  if (!definitions.users.empty()) {
    if (auto done = users_->Import(definitions.users); !done) return done;
  }
  LogInfo(
      "definitions imported",
      {{"file", config_.definitions}, {"count", steps}, {"users", definitions.users.users.size()}});
  return {};
}

Result<void> Server::ImportTopology(std::vector<Definitions::Step> steps) {
  // Shared with the worker, which may get to it after the time is over.
  struct Progress {
    std::vector<Definitions::Step> steps;
    std::string refusal;  // the first; read only when all are answered
    std::atomic<size_t> answered = 0;
  };
  const auto progress = std::make_shared<Progress>();
  progress->steps = std::move(steps);
  WorkerThread& first = *workers_[0];
  asio::post(first.io(), [progress, &first] {
    for (const Definitions::Step& step : progress->steps) {
      first.core().Request(step.request, [progress, &step](const broker::TopologyReply& reply) {
        if (reply.error && progress->refusal.empty()) {
          progress->refusal = fmt::format("{}: {}", step.place, reply.text);
        }
        ++progress->answered;
      });
    }
    first.ScheduleTurn();
  });
  const size_t count = progress->steps.size();
  if (!WaitFor([&] { return progress->answered == count; }, std::chrono::minutes(5))) {
    return Fail(ErrorCode::kTimeout,
                fmt::format("{} was not imported within five minutes: is {} on a disk that hangs?",
                            config_.definitions, config_.data_dir));
  }
  if (!progress->refusal.empty()) {
    return Fail(ErrorCode::kInvalidArgument,
                fmt::format("{}: {}", config_.definitions, progress->refusal));
  }
  return {};
}

Result<void> Server::Listen() {
  asio::io_context& io = workers_[0]->io();
  amqp_ = std::make_unique<Listener>(io);
  if (auto done = amqp_->Open("amqp_listen", config_.amqp_listen); !done) return done;
  if (tls_) {
    amqps_ = std::make_unique<Listener>(io);
    if (auto done = amqps_->Open("amqps_listen", config_.amqps_listen); !done) return done;
  }
  asio::post(io, [this] {
    amqp_->Start([this] { return NextWorker(nullptr); });
    if (amqps_) amqps_->Start([this] { return NextWorker(tls_.get()); });
  });
  return {};
}

Listener::Taker Server::NextWorker(const TlsContext* tls) {
  WorkerThread& to = *workers_[next_worker_++ % workers_.size()];
  return {to.io(),
          [this, &to, tls](Connection::Socket socket) { Accept(to, std::move(socket), tls); }};
}

// `tls` is null where everything goes in the clear.
void Server::Accept(WorkerThread& to, Connection::Socket socket, const TlsContext* tls) {
  size_t open = 0;
  for (auto& w : workers_) open += w->connection_count();
  error_code ignored;
  const std::string peer = EndpointText(socket.remote_endpoint(ignored));
  if (open >= config_.max_connections) {
    LogWarn("connection refused: max_connections are open",
            {{"peer", peer}, {"max_connections", config_.max_connections}});
    return;
  }
  LogInfo("connection accepted", {{"peer", peer}, {"tls", tls != nullptr}});
  if (tls != nullptr) {
    to.AddTlsConnection(std::move(socket), peer, *tls);
  } else {
    to.AddConnection(std::move(socket), peer);
  }
}

Result<void> Server::ReloadCertificates() { return tls_ ? tls_->Load() : Result<void>{}; }

Result<void> Server::ReloadUsers() {
  auto done = users_->Reload();
  UsersChanged();
  return done;
}

void Server::UsersChanged() {
  authenticator_->Forget();
  for (auto& w : workers_) w->PostAccounts();
}

bool Server::memory_alarm() const { return (alarms_ & kMemoryAlarm) != 0; }
bool Server::disk_alarm() const { return (alarms_ & kDiskAlarm) != 0; }

void Server::Authenticate(broker::WorkerId worker, broker::SessionId session, std::string peer,
                          session::Login login) {
  authenticator_->Check(std::move(login), std::move(peer),
                        [this, worker, session](session::AuthResult result) {
                          workers_[worker]->PostAuthenticated(session, std::move(result));
                        });
}

WorkerThread& Server::WorkerOfShard(storage::ShardId shard) {
  return *workers_[session::WorkerOfShard(shard, config_.workers)];
}

void Server::OnAppended(storage::ShardId shard, uint64_t shard_seq, uint64_t lsn,
                        storage::AppendOutcome outcome) {
  // Files have one writer, and a failed one ends the process.
  LANDFALL_ASSERT(outcome == storage::AppendOutcome::kDurable);
  WorkerOfShard(shard).PostAppended(shard, shard_seq, lsn);
}

void Server::OnCheckpointSaved(storage::ShardId shard, uint64_t shard_seq) {
  LogDebug("checkpoint saved", {{"shard", shard}, {"shard_seq", shard_seq}});
  WorkerOfShard(shard).PostCheckpointSaved(shard, shard_seq);
}

void Server::OnCheckpointFailed(storage::ShardId shard) {
  WorkerOfShard(shard).PostCheckpointFailed(shard);
}

Result<ByteBuffer> Server::ReadBacklog(storage::ShardId shard, uint64_t file,
                                       const storage::BlockPlace& place) const {
  const storage::BacklogName name{.shard = shard, .number = file};
  const std::string path =
      storage::BacklogDirectory(config_.data_dir) + "/" + storage::BacklogFileName(name);
  auto opened = vfs_->Open(path, storage::OpenMode::kRead);
  if (!opened) return std::unexpected(opened.error());
  return storage::ReadBacklogBlock(**opened, name, place);
}

void Server::OnBlockRead(storage::ShardId shard, uint64_t token, Result<ByteBuffer> block) {
  WorkerOfShard(shard).PostBlock(shard, token, std::move(block));
}

void Server::OnCheckpointWanted(storage::ShardId shard) {
  WorkerOfShard(shard).PostCheckpointWanted(shard);
}

void Server::OnReadsDelayed(const Error& why, uint32_t seconds) {
  LogWarn(
      "a backlog file cannot be read for want of file descriptors or memory; consumers of deep "
      "queues wait and it is tried again. If this goes on, raise the limit of open files "
      "(LimitNOFILE) or lower max_connections",
      {{"error", why.message}, {"seconds", seconds}});
}

void Server::OnSpace(bool low) { SetAlarm(kDiskAlarm, low, "disk"); }

void Server::SetAlarm(unsigned bit, bool on, const std::string& reason) {
  const unsigned before = on ? alarms_.fetch_or(bit) : alarms_.fetch_and(~bit);
  const unsigned after = on ? before | bit : before & ~bit;
  if (before == after) return;
  if (on) {
    LogWarn("alarm on: publishers are blocked until there is room again", {{"resource", reason}});
  } else {
    LogInfo("alarm off", {{"resource", reason}});
  }
  if ((before != 0) == (after != 0)) return;
  for (auto& w : workers_) w->PostResourceAlarm(after != 0, "low on " + reason);
}

template <class Done>
bool Server::WaitFor(Done done, std::chrono::milliseconds at_most) {
  const auto deadline = std::chrono::steady_clock::now() + at_most;
  while (!done()) {
    if (std::chrono::steady_clock::now() >= deadline) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  return true;
}

void Server::Stop() {
  started_ = false;
  memory_watch_.reset();
  if (!workers_.empty()) {
    // Shared, in case the worker is too busy to get to it in time.
    const auto closed = std::make_shared<std::atomic<bool>>(false);
    asio::post(workers_[0]->io(), [this, closed] {
      if (amqp_) amqp_->Close();
      if (amqps_) amqps_->Close();
      *closed = true;
    });
    WaitFor([&] { return closed->load(); }, std::chrono::seconds(10));
  }
  const auto everywhere = [this](auto predicate) {
    return std::all_of(workers_.begin(), workers_.end(), [&](auto& w) { return predicate(*w); });
  };
  for (auto& w : workers_) w->BeginDrain();
  WaitFor([&] { return everywhere([](WorkerThread& w) { return w.drained(); }); },
          std::chrono::seconds(3));
  for (auto& w : workers_) w->CloseSessions();
  WaitFor([&] { return everywhere([](WorkerThread& w) { return w.connection_count() == 0; }); },
          std::chrono::seconds(5));
  authenticator_->Stop();
  for (auto& w : workers_) w->Stop();
  store_->Stop();
  ReportLedger();
}

// After the workers have stopped.
void Server::ReportLedger() {
  broker::Ledger ledger;
  uint64_t held = 0;
  uint64_t outbox = 0;
  for (const auto& w : workers_) {
    for (const auto& shard : w->core().shards()) {
      shard->CheckLedgers();
      ledger += shard->ledger();
      held += shard->size();
      outbox += shard->outbox_size();
    }
  }
  LogInfo("ledger", {{"counts", Describe(ledger)}, {"held", held}, {"outbox", outbox}});
}

}  // namespace landfall::server
