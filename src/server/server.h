#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "server/authenticator.h"
#include "server/config.h"
#include "server/definitions.h"
#include "server/listener.h"
#include "server/memory_watch.h"
#include "server/tls_context.h"
#include "server/users.h"
#include "server/worker_thread.h"
#include "storage/file_store.h"
#include "storage/posix_vfs.h"

namespace landfall::server {

// A broker on one machine: the store, the workers and the listener, wired together.
//
// Thread: Start, Stop and the rest from one thread (main's), unless it says otherwise; what happens
// in between is on the workers'.
class Server : private WorkerEnvironment, private storage::StoreListener {
 public:
  explicit Server(Config config);
  ~Server() override;

  // Recovers what is on the disk and listens. Errors say what to do; the store is stopped again.
  Result<void> Start();
  // Takes no new connections, lets what is under way land and be confirmed, closes the connections,
  // syncs. Bounded in time.
  void Stop();
  // Reads the user file again; what it says holds for connections that are open as well.
  Result<void> ReloadUsers();

  // Reads the files with certificates and keys again, for handshakes to come. On an error those
  // from before stay in force.
  Result<void> ReloadCertificates();
  bool has_tls() const { return tls_ != nullptr; }

  // Where it listens, once started (port 0 has become a real one); "" for what is off.
  std::string amqp_address() const { return amqp_->address(); }
  std::string amqps_address() const { return amqps_ ? amqps_->address() : ""; }

  // For administration, from Start to Stop. Thread: any.
  const Config& config() const { return config_; }
  uint16_t workers() const { return config_.workers; }
  WorkerThread& worker(broker::WorkerId id) override { return *workers_[id]; }
  WorkerThread& WorkerOfShard(storage::ShardId shard);
  Authenticator& authenticator() { return *authenticator_; }
  // Whoever changes them calls UsersChanged.
  UserFile& users() { return *users_; }
  void UsersChanged();
  const storage::StoreStatistics& store_statistics() const { return store_->statistics(); }
  const storage::StoreOptions& store_options() const { return store_->options(); }
  // A block as broker::QueuePage names it. kNotFound: a checkpoint has made the file superfluous,
  // so that what was in it is elsewhere by now. Thread: any; waits for the disk.
  Result<ByteBuffer> ReadBacklog(storage::ShardId shard, uint64_t file,
                                 const storage::BlockPlace& place) const;
  bool memory_alarm() const;
  bool disk_alarm() const;
  // Wall-clock time at the start, steady from then on.
  Time Now() const override;
  Time started_at() const { return std::chrono::time_point_cast<Duration>(wall_start_); }

 private:
  // WorkerEnvironment
  storage::Store& store() override { return *store_; }
  void Authenticate(broker::WorkerId worker, broker::SessionId session, std::string peer,
                    session::Login login) override;
  access::AccountsRef accounts() const override { return users_->accounts(); }

  // StoreListener, on the store's thread
  void OnAppended(storage::ShardId shard, uint64_t shard_seq, uint64_t lsn,
                  storage::AppendOutcome outcome) override;
  void OnCheckpointSaved(storage::ShardId shard, uint64_t shard_seq) override;
  void OnCheckpointWanted(storage::ShardId shard) override;
  void OnCheckpointFailed(storage::ShardId shard) override;
  void OnBlockRead(storage::ShardId shard, uint64_t token, Result<ByteBuffer> block) override;
  void OnReadsDelayed(const Error& why, uint32_t seconds) override;
  void OnSpace(bool low) override;

  Result<void> Recover();
  Result<void> CheckVhostsOf(const Definitions& definitions) const;
  Result<void> CreateVhosts();
  // `definitions`: what is going to be imported.
  Result<void> OpenUsers(const UserDefinitions& definitions);
  Result<void> ImportDefinitions(Definitions definitions);
  Result<void> ImportTopology(std::vector<Definitions::Step> steps);
  Result<void> Listen();
  Listener::Taker NextWorker(const TlsContext* tls);
  void Accept(WorkerThread& to, Connection::Socket socket, const TlsContext* tls);
  void ReportLedger();
  void SetAlarm(unsigned bit, bool on, const std::string& reason);
  template <class Done>
  bool WaitFor(Done done, std::chrono::milliseconds at_most);

  const Config config_;
  const std::chrono::steady_clock::time_point steady_start_;
  const std::chrono::system_clock::time_point wall_start_;
  std::unique_ptr<storage::Vfs> vfs_;
  std::unique_ptr<storage::FileStore> store_;
  std::unique_ptr<UserFile> users_;
  std::unique_ptr<Authenticator> authenticator_;
  std::unique_ptr<TlsContext> tls_;  // null: no TLS
  std::vector<std::unique_ptr<WorkerThread>> workers_;
  std::unique_ptr<Listener> amqp_;
  std::unique_ptr<Listener> amqps_;  // null: no TLS
  std::unique_ptr<MemoryWatch> memory_watch_;
  size_t next_worker_ = 0;
  std::atomic<unsigned> alarms_ = 0;
  bool started_ = false;
};

}  // namespace landfall::server
