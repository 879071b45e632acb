#include "crashtest/body.h"

#include <charconv>
#include <cstddef>

namespace landfall::crashtest {

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
  if (number.ec != std::errc() || MakeBody(identity.producer, identity.number) != body) return {};
  return identity;
}

}  // namespace landfall::crashtest
