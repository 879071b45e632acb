#pragma once

#include <csignal>
#include <cstdint>
#include <string>

namespace landfall::crash {

struct ProduceOptions {
  uint16_t port = 0;
  std::string book;      // file of a ProducerBook
  std::string exchange;  // routes everything to durable queues
  std::string name;      // producer identity
  uint32_t index = 0;    // of the producer, in bodies
  double rate = 1000;    // messages a second
};

// Publishes persistent, mandatory messages with confirms and producer identities until `stopping`,
// then returns when everything has been confirmed.
void Produce(const ProduceOptions& options, const volatile std::sig_atomic_t& stopping);

}  // namespace landfall::crash
