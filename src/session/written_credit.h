#pragma once

#include <cstdint>
#include <deque>

#include "base/flat_map.h"
#include "broker/command.h"
#include "broker/types.h"

namespace landfall::session {

// How much each consumer of a connection may be sent beyond what its socket has taken, so that all
// of them together do not pile up more than `bound` bytes before a slow reader.
//
// Early consumers get a larger share of the bound, later ones half of what is left, each at least
// one message. What a consumer has spent goes back to its shard once it is written, when half of
// its share has come together: until then it has at least the other half.
class WrittenCredit {
 public:
  explicit WrittenCredit(uint64_t bound) : bound_(bound) {}

  broker::Credit Open(broker::ConsumerId consumer, broker::ShardId shard, broker::QueueId queue);
  void Close(broker::ConsumerId consumer);

  // A delivery of `bytes` footprint that lies in the output before `offset`.
  void Spend(broker::ConsumerId consumer, uint64_t bytes, uint64_t offset);
  // The output has been written up to `offset`. Calls give(shard, CreditCommand).
  template <class F>
  void OnWritten(uint64_t offset, F give) {
    while (!unwritten_.empty() && unwritten_.front().offset <= offset) {
      const Spent spent = unwritten_.front();
      unwritten_.pop_front();
      const auto it = accounts_.find(spent.consumer);
      if (it == accounts_.end()) continue;
      Account& account = it->second;
      account.written.messages += spent.credit.messages;
      account.written.bytes += spent.credit.bytes;
      if (account.written.bytes * 2 < account.share.bytes &&
          account.written.messages * 2 < account.share.messages) {
        continue;
      }
      give(account.shard, broker::CreditCommand{spent.consumer, account.queue, account.written});
      account.written = {};
    }
  }

 private:
  struct Account {
    broker::ShardId shard = 0;
    broker::QueueId queue = 0;
    broker::Credit share;
    broker::Credit written;  // and not yet given back
  };
  // Deliveries of one consumer that follow each other in the output.
  struct Spent {
    broker::ConsumerId consumer = 0;
    broker::Credit credit;
    uint64_t offset = 0;
  };

  uint64_t bound_;
  uint64_t shared_out_ = 0;
  FlatMap<broker::ConsumerId, Account> accounts_;
  std::deque<Spent> unwritten_;
};

}  // namespace landfall::session
