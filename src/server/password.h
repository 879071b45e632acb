#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "base/error.h"

namespace landfall::server {

// What one look at a password costs, in passes over so much memory. The default takes some 20 ms
// and is what OWASP's cheat sheet asks of argon2id as the least; tests take less.
struct PasswordCost {
  unsigned long long passes = 2;
  size_t memory_bytes = size_t{19} << 20;
};

// In its usual text form, "$argon2id$…". kUnavailable when there is not enough memory.
Result<std::string> HashPassword(std::string_view password, const PasswordCost& cost);

bool IsPasswordHash(const std::string& text);

enum class PasswordMatch { kRight, kWrong, kNoMemory };
// `hash` is one that IsPasswordHash knows. Takes as long as the hash says, whatever the answer.
PasswordMatch MatchPassword(const std::string& hash, std::string_view password);

}  // namespace landfall::server
