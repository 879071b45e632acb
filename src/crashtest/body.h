#pragma once

#include <cstdint>
#include <string>

namespace landfall::crashtest {

// The message that producer `producer` sends as its number `number`: always the same bytes, so that
// damage shows. Sizes vary, from a few bytes to several frames.
std::string MakeBody(uint32_t producer, uint64_t number);

// Who sent a message, and as which. Numbers count from 1.
struct Identity {
  uint32_t producer = 0;
  uint64_t number = 0;  // 0: MakeBody never made such a body, or it is damaged
};
Identity ReadBody(const std::string& body);

}  // namespace landfall::crashtest
