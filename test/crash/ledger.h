#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <string>

// What the processes of this test know, kept in files that are mapped into memory: what a process
// has noted there is not lost when the process is killed, and notes cost no system call.
namespace landfall::crash {

inline constexpr uint32_t kMaxProducers = 8;
inline constexpr uint64_t kMaxMessages = 2'000'000;  // of one producer, numbered from 1

// One producer's book. The file is read by oracle.py: keep the two in step.
//
//   offset  size          field
//   0       8             attempted   the highest number that may have gone to the broker
//   8       8             returned    messages that came back: there was no queue for them
//   16      8             nacked      messages that the broker refused
//   24      8             connections that were made
//   32      kMaxMessages  confirmed   1 for each number whose confirm has come
struct ProducerBook {
  std::atomic<uint64_t> attempted;
  std::atomic<uint64_t> returned;
  std::atomic<uint64_t> nacked;
  std::atomic<uint64_t> connections;
  std::array<std::atomic<uint8_t>, kMaxMessages> confirmed;
};

// One queue's book, written by all its consumers. The file is read by oracle.py as well.
//
//   offset  size                  field
//   0       8                     deliveries
//   8       8                     unknown      bodies that nobody has sent
//   16      8                     unmarked     repeats that did not say "redelivered"
//   24      8                     connections  that were made
//   32      kMaxMessages each     delivered    how often, for each number of each producer
struct QueueBook {
  std::atomic<uint64_t> deliveries;
  std::atomic<uint64_t> unknown;
  std::atomic<uint64_t> unmarked;
  std::atomic<uint64_t> connections;
  std::array<std::array<std::atomic<uint8_t>, kMaxMessages>, kMaxProducers> delivered;
};

// Maps the file, making it if it is not there; all zeros then. Ends the program if it cannot.
void* MapFile(const std::string& path, size_t size);

template <class Book>
Book& MapBook(const std::string& path) {
  return *static_cast<Book*>(MapFile(path, sizeof(Book)));
}

}  // namespace landfall::crash
