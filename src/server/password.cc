#include "server/password.h"

#include <fmt/format.h>
#include <sodium.h>

#include <cerrno>
#include <cstring>

#include "base/assert.h"

namespace landfall::server {
namespace {

// crypto_pwhash_str_verify is declared to read all of such an array.
struct HashText {
  explicit HashText(const std::string& hash) {
    LANDFALL_ASSERT(hash.size() < sizeof bytes);
    std::memcpy(bytes, hash.data(), hash.size());
  }
  char bytes[crypto_pwhash_STRBYTES] = {};
};

}  // namespace

Result<std::string> HashPassword(std::string_view password, const PasswordCost& cost) {
  char hash[crypto_pwhash_STRBYTES];
  if (crypto_pwhash_str(hash, password.data(), password.size(), cost.passes, cost.memory_bytes) !=
      0) {
    return Fail(ErrorCode::kUnavailable,
                fmt::format("hashing a password needs {} MiB of memory, which this machine does "
                            "not have free",
                            cost.memory_bytes >> 20));
  }
  return std::string(hash);
}

bool IsPasswordHash(const std::string& text) {
  if (text.size() >= crypto_pwhash_STRBYTES || !text.starts_with("$argon2id$")) return false;
  return crypto_pwhash_str_needs_rehash(HashText(text).bytes, crypto_pwhash_OPSLIMIT_INTERACTIVE,
                                        crypto_pwhash_MEMLIMIT_INTERACTIVE) != -1;
}

PasswordMatch MatchPassword(const std::string& hash, std::string_view password) {
  errno = 0;
  if (crypto_pwhash_str_verify(HashText(hash).bytes, password.data(), password.size()) == 0)
    return PasswordMatch::kRight;
  return errno == ENOMEM ? PasswordMatch::kNoMemory : PasswordMatch::kWrong;
}

}  // namespace landfall::server
