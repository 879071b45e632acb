#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "admin/backend.h"
#include "admin/reply_stream.h"

namespace landfall::admin {

// A tick each second as server-sent events (HTML, 9.2), as /api/landfall/events serves them. Ends
// with the session or the user; what the user may see is looked up for each tick.
class EventStream : public ReplyStream {
 public:
  static constexpr size_t kQueues = 8;
  // Of one tick, besides what all ticks have: an entry of a queue may have large arguments.
  static constexpr size_t kQueueBytes = size_t{256} << 10;

  struct QueueName {
    std::string vhost;
    std::string name;
  };

  EventStream(Backend& backend, StreamBook::Place place, Caller caller,
              std::vector<QueueName> queues);

  boost::asio::awaitable<std::optional<std::string>> Next() override;

 private:
  bool Renew();
  std::string TextOf(Tick& tick);
  std::string QueuesText(const Tick& tick);

  Backend& backend_;
  const StreamBook::Place place_;
  Caller caller_;
  const access::AccountsRef accounts_;  // when it began
  const std::vector<QueueName> queues_;
  uint64_t seen_ = 0;  // the last tick
  bool ended_ = false;
};

}  // namespace landfall::admin
