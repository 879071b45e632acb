#include "ledger.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <charconv>
#include <cstdio>
#include <cstdlib>

namespace landfall::crash {

void* MapFile(const std::string& path, size_t size) {
  const int file = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (file < 0 || ftruncate(file, static_cast<off_t>(size)) != 0) {
    std::perror(path.c_str());
    std::exit(2);
  }
  void* memory = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  if (memory == MAP_FAILED) {
    std::perror(path.c_str());
    std::exit(2);
  }
  close(file);
  return memory;
}

std::string MakeBody(uint32_t producer, uint64_t number) {
  std::string body = std::to_string(producer) + "." + std::to_string(number) + ":";
  const size_t padding = number % 2500 == 0 ? 300'000 : number % 100 == 0 ? 5'000 : number % 120;
  uint64_t x = number * 8 + producer;
  for (size_t i = 0; i < padding; ++i) {
    x = x * 6364136223846793005u + 1442695040888963407u;
    body += static_cast<char>(x >> 56);
  }
  return body;
}

Identity ReadBody(const std::string& body) {
  Identity identity;
  const char* const end = body.data() + body.size();
  const auto producer = std::from_chars(body.data(), end, identity.producer);
  if (producer.ec != std::errc() || producer.ptr == end || *producer.ptr != '.') return {};
  const auto number = std::from_chars(producer.ptr + 1, end, identity.number);
  if (number.ec != std::errc() || identity.producer >= kMaxProducers ||
      identity.number >= kMaxMessages || MakeBody(identity.producer, identity.number) != body) {
    return {};
  }
  return identity;
}

}  // namespace landfall::crash
