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

// Whether it is as HashPassword or WrapRabbitHash writes it, and what a look at a password against
// it costs is within reason: every login pays it, and so does everybody who only tries.
// kInvalidArgument; the sentence does not tell what the hash is.
Result<void> CheckPasswordHash(std::string_view text);

enum class PasswordMatch { kRight, kWrong, kNoMemory };
// `hash` is one that CheckPasswordHash lets through. Takes as long as the hash says, whatever the
// answer.
PasswordMatch MatchPassword(std::string_view hash, std::string_view password);

// A password as RabbitMQ keeps it: the SHA-2 of four bytes of salt and the password. One is
// computed in less than a microsecond, so whoever has it guesses millions of passwords a second. It
// is therefore never stored as it is: argon2id goes over it ("wraps" it), which nobody needs the
// password for, and what is stored is as slow to guess as our own:
//
//   $rabbitmq-sha256$SALT$argon2id$…   SALT in base64, without the = at its end; or -sha512
struct RabbitHash {
  enum class Kind { kSha256, kSha512 };
  Kind kind = Kind::kSha256;
  std::string salt;
  std::string digest;
};

// From base64(salt + digest); `algorithm` is the name of RabbitMQ's module, "" for its default.
// kInvalidArgument: MD5, an algorithm that is not known, or no such hash. The sentence does not
// tell what the hash is.
Result<RabbitHash> ParseRabbitHash(std::string_view algorithm, std::string_view base64);

// kUnavailable when there is not enough memory.
Result<std::string> WrapRabbitHash(const RabbitHash& hash, const PasswordCost& cost);

// Whether `stored`, which may be any text, is this hash, wrapped.
PasswordMatch MatchRabbitHash(std::string_view stored, const RabbitHash& hash);

}  // namespace landfall::server
