#pragma once

#include <cstdint>

#include "broker/ledger.h"
#include "broker/types.h"

// A queue as it is at one moment, for whoever looks at the broker from outside. Plain values.
namespace landfall::broker {

struct QueueReport {
  QueueId id = 0;
  uint64_t ready = 0;
  uint64_t unacked = 0;
  uint64_t delayed = 0;      // rest until they may be delivered again
  uint64_t held = 0;         // all of these, and what has not landed yet
  uint64_t resting = 0;      // of the ready ones, those that are on disk only
  uint64_t memory = 0;       // bytes of messages in memory
  uint64_t delivered = 0;    // since the start
  uint64_t redelivered = 0;  // of these, not for the first time
  uint32_t consumers = 0;
  Ledger ledger;

  bool balances() const { return ledger.Balances(held); }
};

struct ConsumerReport {
  SessionId session = 0;
  ChannelId channel = 0;
  ConsumerId consumer = 0;
  bool no_ack = false;
  bool exclusive = false;
  bool active = false;  // gets messages: false while another is the single active consumer
  uint32_t prefetch = 0;
  int32_t priority = 0;
  uint32_t unacked = 0;
};

}  // namespace landfall::broker
