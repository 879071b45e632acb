#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/thread_pool.hpp>
#include <functional>
#include <string>
#include <vector>

#include "admin/authentication.h"
#include "admin/caller.h"
#include "admin/jobs.h"
#include "admin/reply.h"
#include "admin/router.h"
#include "admin/statistics.h"
#include "admin/stream_book.h"
#include "admin/turnstile.h"
#include "admin/watcher.h"
#include "broker/queue_report.h"
#include "broker/topology_request.h"
#include "broker/topology_snapshot.h"
#include "server/server.h"

namespace landfall::admin {

// The broker as endpoints see it. Nothing of a worker is touched from here: each question goes to
// the thread that knows, is short there, and its answer comes back.
//
// Thread: the administration's.
class Backend {
 public:
  // `broker` has started and outlives it.
  Backend(boost::asio::io_context& io, server::Server& broker, std::string http_address,
          std::string https_address);

  server::Server& broker() { return broker_; }
  Statistics& statistics() { return statistics_; }
  Watcher& watcher() { return watcher_; }
  // Streams that are open, by user.
  StreamBook& streams() { return streams_; }
  Authentication& authentication() { return authentication_; }
  // "landfall@host", as RabbitMQ calls its nodes.
  const std::string& node() const { return node_; }
  // What is served: set once, before the first request; outlives it.
  void set_router(const Router& router) { router_ = &router; }
  const Router& router() const { return *router_; }
  // Where the API itself is served; "" for what is off.
  const std::string& http_address() const { return http_address_; }
  const std::string& https_address() const { return https_address_; }

  // As it is now: who has just been told that something was changed sees the change.
  boost::asio::awaitable<broker::SnapshotRef> Snapshot();
  boost::asio::awaitable<broker::QueueReport> ReportOf(const broker::QueueInfo& queue);
  boost::asio::awaitable<std::vector<broker::ConsumerReport>> ConsumersOf(
      const broker::QueueInfo& queue, size_t at_most);
  // Of many queues: some at a time.
  struct Consumer {
    const broker::QueueInfo* queue = nullptr;  // one of those that were asked for
    broker::ConsumerReport report;
  };
  boost::asio::awaitable<std::vector<Consumer>> ConsumersOf(
      const std::vector<broker::QueueInfoRef>& queues);
  // A change that no AMQP client can ask for; answered when it has landed and every worker knows.
  boost::asio::awaitable<broker::TopologyReply> Ask(broker::TopologyRequest request);
  // Several of them, answered in their order when all are; not more than a worker may take in one
  // go.
  static constexpr size_t kRequestsAtOnce = 100;
  boost::asio::awaitable<std::vector<broker::TopologyReply>> AskAll(
      std::vector<broker::TopologyRequest> requests);
  // Those who have messages in memory pass here, so that this memory is bounded.
  Turnstile& readers() { return readers_; }
  Jobs& jobs() { return jobs_; }
  // What waits for the disk or hashes passwords, on a thread that may wait.
  using Work = std::function<Result<std::string>()>;
  boost::asio::awaitable<Result<std::string>> Slowly(Work work);

  // Ends the thread that waits.
  void Stop();

 private:
  server::Server& broker_;
  Statistics statistics_;
  Watcher watcher_;
  StreamBook streams_;
  Authentication authentication_;
  const std::string node_;
  const std::string http_address_;
  const std::string https_address_;
  Turnstile readers_;
  Jobs jobs_;
  const Router* router_ = nullptr;
  boost::asio::thread_pool slow_{1};
};

}  // namespace landfall::admin
