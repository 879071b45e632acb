#pragma once

#include <atomic>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "server/authenticator.h"
#include "server/config.h"
#include "server/memory_watch.h"
#include "server/users.h"
#include "server/worker_thread.h"
#include "storage/file_store.h"
#include "storage/posix_vfs.h"

namespace landfall::server {

// A broker on one machine: the store, the workers and the listener, wired together.
//
// Thread: Start, Stop and the rest from one thread (main's); what happens in between is on the
// workers'.
class Server : private WorkerEnvironment, private storage::StoreListener {
 public:
  explicit Server(Config config);
  ~Server() override;

  // Recovers what is on the disk and listens. Errors say what to do; the store is stopped again.
  Result<void> Start();
  // Takes no new connections, lets what is under way land and be confirmed, closes the connections,
  // syncs. Bounded in time.
  void Stop();
  // Reads the user file again.
  Result<void> ReloadUsers();

  // Where it listens, once started (port 0 has become a real one).
  std::string amqp_address() const { return amqp_address_; }

 private:
  // WorkerEnvironment
  WorkerThread& worker(broker::WorkerId id) override { return *workers_[id]; }
  storage::Store& store() override { return *store_; }
  void Authenticate(broker::WorkerId worker, broker::SessionId session, std::string peer,
                    std::string user, std::string password) override;
  Time Now() const override;

  // StoreListener, on the store's thread
  void OnAppended(storage::ShardId shard, uint64_t shard_seq,
                  storage::AppendOutcome outcome) override;
  void OnCheckpointSaved(storage::ShardId shard, uint64_t shard_seq) override;
  void OnCheckpointWanted(storage::ShardId shard) override;
  void OnSpace(bool low) override;

  Result<void> Recover();
  Result<void> CreateVhosts();
  Result<void> ImportDefinitions();
  Result<void> Listen();
  void Accept();
  void SetAlarm(unsigned bit, bool on, const std::string& reason);
  WorkerThread& WorkerOfShard(storage::ShardId shard);
  template <class Done>
  bool WaitFor(Done done, std::chrono::milliseconds at_most);

  const Config config_;
  const std::chrono::steady_clock::time_point steady_start_;
  const std::chrono::system_clock::time_point wall_start_;
  std::unique_ptr<storage::Vfs> vfs_;
  std::unique_ptr<storage::FileStore> store_;
  std::unique_ptr<UserFile> users_;
  std::unique_ptr<Authenticator> authenticator_;
  std::vector<std::unique_ptr<WorkerThread>> workers_;
  std::unique_ptr<boost::asio::ip::tcp::acceptor> acceptor_;
  std::unique_ptr<boost::asio::steady_timer> accept_pause_;
  std::unique_ptr<MemoryWatch> memory_watch_;
  size_t next_worker_ = 0;
  std::string amqp_address_;
  std::atomic<unsigned> alarms_ = 0;
  bool started_ = false;
};

}  // namespace landfall::server
