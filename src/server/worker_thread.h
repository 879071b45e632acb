#pragma once

#include <atomic>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "base/flat_map.h"
#include "base/shared_histogram.h"
#include "base/time.h"
#include "server/connection.h"
#include "server/load_average.h"
#include "server/tls_context.h"
#include "server/tls_handshake.h"
#include "session/worker.h"

namespace landfall::server {

class Authenticator;
class WorkerThread;

// A connection as it is at one moment, for whoever looks at the broker from outside.
struct ConnectionInfo {
  std::string peer;  // "127.0.0.1:4711"
  std::string own;   // the address that it has come to
  std::string tls;   // the version; "": none
  session::SessionInfo session;
};

// What a worker needs of the server around it.
class WorkerEnvironment {
 public:
  virtual ~WorkerEnvironment() = default;
  virtual WorkerThread& worker(broker::WorkerId id) = 0;
  virtual storage::Store& store() = 0;
  virtual void Authenticate(broker::WorkerId worker, broker::SessionId session, std::string peer,
                            session::Login login) = 0;
  // The users as they are now. Thread: any.
  virtual access::AccountsRef accounts() const = 0;
  // Thread: any.
  virtual Time Now() const = 0;
};

// The shell around session::Worker: a thread with an io_context, the sockets of its connections,
// and a mailbox for the other threads.
class WorkerThread : private session::WorkerPorts {
 public:
  // One read takes at most this much: bounds how long one connection keeps the thread.
  static constexpr size_t kReadBytes = 256 * 1024;

  WorkerThread(const session::WorkerOptions& options, WorkerEnvironment& environment);
  ~WorkerThread() override;

  // Recovery and configuration, before Start.
  session::Worker& core() { return core_; }
  void Start();
  // Thread: any. Ends the loop and waits for the thread.
  void Stop();

  // Thread: any. All of these put something into the mailbox and wake the thread.
  void PostMail(std::vector<session::Mail> mail);
  void PostAppended(broker::ShardId shard, uint64_t shard_seq, uint64_t lsn);
  void PostCheckpointWanted(broker::ShardId shard);
  void PostCheckpointSaved(broker::ShardId shard, uint64_t shard_seq);
  void PostCheckpointFailed(broker::ShardId shard);
  void PostBlock(broker::ShardId shard, uint64_t token, Result<ByteBuffer> block);
  void AddConnection(Connection::Socket socket, std::string peer);
  // One that begins with a TLS handshake. `tls` outlives the worker.
  void AddTlsConnection(Connection::Socket socket, std::string peer, const TlsContext& tls);
  void PostAuthenticated(broker::SessionId session, session::AuthResult result);
  // The users have changed.
  void PostAccounts();
  void PostResourceAlarm(bool on, std::string reason);
  // Stop reading; then, when all that was under way is done, close the connections.
  void BeginDrain();
  void CloseSessions();
  bool drained() const { return drained_; }
  size_t connection_count() const { return connection_count_; }
  // How long this thread has stood still for the image of a checkpoint, in microseconds.
  const SharedHistogram& checkpoint_pauses() const { return checkpoint_pauses_; }

  boost::asio::io_context& io() { return io_; }

  // Thread: the worker's.
  Time now() const { return now_; }
  ByteBuffer& read_buffer() { return read_buffer_; }
  void Touch(broker::SessionId session) {
    core_.Touch(session);
    ScheduleTurn();
  }
  void ScheduleTurn();

  // Thread: the worker's. Those that there are, without those within this process.
  std::vector<broker::SessionId> ConnectionIds() const;
  // Nothing if there is none of that id (any more). Takes time linear in its channels and
  // consumers.
  std::optional<ConnectionInfo> Describe(broker::SessionId id) const;
  // An operator wants it closed; the client is told why. False: there is none.
  bool CloseByForce(broker::SessionId id, const std::string& reason);

  // An operator's wish, of a shard of this worker.
  broker::MovedByHand Execute(broker::ShardId shard, const broker::MoveByHand& move);

  // A client within this process: a session like any other, but for the socket. Gets what the
  // session has to say, on the worker's thread; empty: it has nothing more to say, ever.
  using LocalOutput = std::function<void(ByteBuffer)>;
  // Thread: the worker's. Lives until CloseLocal, or the worker ends.
  broker::SessionId OpenLocal(session::Peer who, LocalOutput output);
  // What the client says. Nothing happens if the session has ended.
  void FeedLocal(broker::SessionId id, ByteView input);
  // The client goes, as if its socket were closed; `output` is not called any more.
  void CloseLocal(broker::SessionId id);

 private:
  struct LocalClient {
    LocalOutput output;  // null: it has gone
    ByteBuffer rest;     // said, not used by the session yet
  };

  // WorkerPorts
  void Post(broker::WorkerId to, std::vector<session::Mail> mail) override;
  void Append(storage::Batch batch) override;
  void BeginCheckpoint(broker::ShardId shard) override;
  void SaveCheckpoint(broker::ShardId shard, uint64_t shard_seq,
                      storage::CheckpointSource source) override;
  void ReadBlock(broker::ShardId shard, uint64_t file, storage::BlockPlace place,
                 uint64_t token) override;
  void DropBacklog(broker::ShardId shard, uint64_t file) override;
  void ReportDamage(const broker::QueueInfoRef& queue, uint64_t messages,
                    const Error& error) override;
  void ReportImbalance(const broker::QueueInfoRef& queue, const broker::Ledger& ledger,
                       uint64_t held) override;
  void Authenticate(broker::SessionId session, session::Login login) override;

  struct Block {
    broker::ShardId shard = 0;
    uint64_t token = 0;
    Result<ByteBuffer> bytes;
  };
  struct Appended {
    broker::ShardId shard = 0;
    uint64_t shard_seq = 0;
    uint64_t lsn = 0;
  };
  struct Mailbox {
    std::vector<session::Mail> mail;
    std::vector<Appended> appended;
    std::vector<broker::ShardId> checkpoints_wanted;
    std::vector<std::pair<broker::ShardId, uint64_t>> checkpoints_saved;
    std::vector<broker::ShardId> checkpoints_failed;
    std::vector<Block> blocks;
  };

  void Admit(Connection::Socket socket, std::unique_ptr<net::TlsStream> tls, std::string peer,
             session::Peer who);
  void BeginHandshake(Connection::Socket socket, std::string peer, const TlsContext& tls);
  void Wake();
  void TakeMailbox();
  void ScheduleMailbox();
  void Turn();
  void RunTurn();
  bool GiveAppendsToStore();
  void ArmTimer();
  void UpdateFlags();
  void TakeInput(broker::SessionId id, LocalClient& client);
  void ServeLocal(broker::SessionId id, LocalClient& client);

  WorkerEnvironment& environment_;
  boost::asio::io_context io_{1};
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> guard_;
  boost::asio::steady_timer timer_;
  Time timer_at_ = kNever;
  Time now_{};
  session::Worker core_;
  FlatMap<broker::SessionId, std::shared_ptr<Connection>> connections_;
  FlatMap<broker::SessionId, std::unique_ptr<LocalClient>> local_clients_;
  FlatMap<uint64_t, std::shared_ptr<TlsHandshake>> handshakes_;
  uint64_t last_handshake_ = 0;
  ByteBuffer read_buffer_;
  std::vector<storage::Batch> appends_;  // of this turn
  LoadAverage load_;
  std::chrono::steady_clock::time_point checkpoint_began_;
  SharedHistogram checkpoint_pauses_{5, 24};
  Time slow_store_until_{};
  bool turn_scheduled_ = false;
  bool draining_ = false;
  bool alarm_ = false;
  std::string alarm_reason_;

  std::mutex mutex_;
  Mailbox mailbox_;
  bool woken_ = false;

  std::atomic<bool> drained_ = false;
  std::atomic<size_t> connection_count_ = 0;
  std::thread thread_;
};

}  // namespace landfall::server
