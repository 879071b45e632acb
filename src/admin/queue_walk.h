#pragma once

#include <boost/asio/awaitable.hpp>
#include <functional>
#include <vector>

#include "admin/backend.h"
#include "admin/message_filter.h"
#include "base/error.h"
#include "broker/queue_page.h"
#include "broker/topology_snapshot.h"

namespace landfall::admin {

// Goes through the messages of a queue, from the first to the last, a page at a time, without
// taking any: what is in memory is told by its worker in a moment, what rests on disk is read on a
// thread that may wait. What comes or goes meanwhile may be seen or not.
//
// Thread: the administration's.
class QueueWalk {
 public:
  QueueWalk(Backend& backend, broker::QueueInfoRef queue, broker::Sequence after = 0)
      : backend_(backend), queue_(std::move(queue)), upto_(after) {}

  struct Page {
    std::vector<broker::SeenMessage> messages;  // those that match
    uint64_t scanned = 0;                       // all that there were
    uint64_t searched = 0;                      // bytes of them that the filter looked at
    bool more = false;
    broker::Sequence upto = 0;  // where the next one begins
    broker::Sequence end = 0;   // the queue's last message
  };
  // `look` is called for each that matches, on the thread that may wait, and says whether to keep
  // it in the page; null: keep all. A block that cannot be read any more is passed over: whoever
  // consumes finds out and says so.
  using LookAt = std::function<bool(const broker::SeenMessage&)>;
  boost::asio::awaitable<Result<Page>> Next(const MessageFilter& filter, LookAt look = nullptr);

 private:
  Backend& backend_;
  const broker::QueueInfoRef queue_;
  broker::Sequence upto_;
};

}  // namespace landfall::admin
