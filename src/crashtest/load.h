#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <vector>

#include "crashtest/book.h"

// The two sides of a queue under load. Each runs in a thread of its own until `stopping` or until
// the broker is gone, and then returns what it knows; nothing is sent twice.
namespace landfall::crashtest {

struct ProduceOptions {
  uint16_t port = 0;
  std::string queue;      // published to through the default exchange
  uint32_t producer = 0;  // in the bodies
  uint64_t first = 1;     // number
  double rate = 0;        // messages a second, 0: no limit
  uint64_t window = 500;  // most that are not confirmed
};
// Publishes persistent messages with confirms. `error` gets what the broker refused, if it did.
PublishLog Produce(const ProduceOptions& options, const std::atomic<bool>& stopping,
                   std::string& error);

struct ConsumeOptions {
  uint16_t port = 0;
  std::string queue;
  uint32_t producer = 0;  // whose messages belong here
};
// Acks half of what comes at once, and of the rest the oldest when it becomes too much, so that
// there always are old and new messages that have been delivered and not acked.
ConsumeLog Consume(const ConsumeOptions& options, const std::atomic<bool>& stopping,
                   std::string& error);

// Takes and acks everything until the queue is empty. `due`: what has to come; as long as some of
// it is missing, the broker gets more time. Throws LinkLost or LinkRefused, as with 404 for a queue
// that is not there.
void Drain(const ConsumeOptions& options, const std::vector<uint64_t>& due,
           const std::atomic<bool>& stopping, ConsumeLog& log);

}  // namespace landfall::crashtest
