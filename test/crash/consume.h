#pragma once

#include <csignal>
#include <cstdint>
#include <string>

namespace landfall::crash {

struct ConsumeOptions {
  uint16_t port = 0;
  std::string book;  // file of a QueueBook
  std::string queue;
  // Every n-th number is rejected, and goes to the dead-letter exchange; 0: none.
  uint64_t reject_every = 0;
  // Every n-th number is given back when it comes for the first time; 0: none.
  uint64_t return_every = 0;
};

// Consumes, notes and settles until `stopping`, then closes the connection properly.
void Consume(const ConsumeOptions& options, const volatile std::sig_atomic_t& stopping);

}  // namespace landfall::crash
