#include "server/password.h"

#include <fmt/format.h>
#include <sodium.h>

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <optional>

#include "base/assert.h"

namespace landfall::server {
namespace {

constexpr size_t kRabbitSaltBytes = 4;
constexpr size_t kMd5Bytes = 16;

struct RabbitKind {
  RabbitHash::Kind kind;
  std::string_view algorithm;  // RabbitMQ's name
  std::string_view prefix;     // of a wrapped one
  size_t bytes;
};
constexpr RabbitKind kRabbitKinds[] = {
    {RabbitHash::Kind::kSha256, "rabbit_password_hashing_sha256", "$rabbitmq-sha256$",
     crypto_hash_sha256_BYTES},
    {RabbitHash::Kind::kSha512, "rabbit_password_hashing_sha512", "$rabbitmq-sha512$",
     crypto_hash_sha512_BYTES},
};

const RabbitKind& RowOf(RabbitHash::Kind kind) {
  for (const RabbitKind& row : kRabbitKinds)
    if (row.kind == kind) return row;
  LANDFALL_ASSERT(false);
}

std::unexpected<Error> Refuse(std::string message) {
  return Fail(ErrorCode::kInvalidArgument, std::move(message));
}

// crypto_pwhash_str_verify is declared to read all of such an array.
struct HashText {
  explicit HashText(std::string_view hash) {
    LANDFALL_ASSERT(hash.size() < sizeof bytes);
    std::memcpy(bytes, hash.data(), hash.size());
  }
  char bytes[crypto_pwhash_STRBYTES] = {};
};

// What argon2id may cost: what libsodium calls sensitive (a gigabyte, four times over), however it
// is divided into memory and passes. Lanes are no work of their own, and few programs write any.
constexpr uint64_t kMaxMemoryKib = uint64_t{1} << 20;
constexpr uint64_t kMaxPassedKib = 4 * kMaxMemoryKib;
constexpr unsigned kMaxLanes = 64;

bool IsArgon2(std::string_view text) {
  if (text.size() >= crypto_pwhash_STRBYTES || !text.starts_with("$argon2id$")) return false;
  return crypto_pwhash_str_needs_rehash(HashText(text).bytes, crypto_pwhash_OPSLIMIT_INTERACTIVE,
                                        crypto_pwhash_MEMLIMIT_INTERACTIVE) != -1;
}

Result<void> CheckArgon2(std::string_view text) {
  unsigned memory_kib = 0;
  unsigned passes = 0;
  unsigned lanes = 0;
  // The numbers are none that would not fit, since libsodium knows the text.
  if (!IsArgon2(text) || std::sscanf(HashText(text).bytes, "$argon2id$v=%*u$m=%u,t=%u,p=%u$",
                                     &memory_kib, &passes, &lanes) != 3)
    return Refuse("not an argon2id hash as landfall user passwd makes it");
  if (memory_kib <= kMaxMemoryKib && uint64_t{memory_kib} * passes <= kMaxPassedKib &&
      lanes <= kMaxLanes)
    return {};
  return Refuse(fmt::format(
      "an argon2id hash that costs too much: {} KiB of memory, {} passes and {} lanes, where {} "
      "KiB, {} KiB in all passes together and {} lanes are the most; make it anew with landfall "
      "user passwd",
      memory_kib, passes, lanes, kMaxMemoryKib, kMaxPassedKib, kMaxLanes));
}

PasswordMatch MatchArgon2(std::string_view hash, std::string_view secret) {
  errno = 0;
  if (crypto_pwhash_str_verify(HashText(hash).bytes, secret.data(), secret.size()) == 0)
    return PasswordMatch::kRight;
  return errno == ENOMEM ? PasswordMatch::kNoMemory : PasswordMatch::kWrong;
}

std::optional<std::string> FromBase64(std::string_view text, int variant) {
  std::string bytes(text.size() / 4 * 3 + 3, '\0');
  size_t size = 0;
  if (sodium_base642bin(reinterpret_cast<unsigned char*>(bytes.data()), bytes.size(), text.data(),
                        text.size(), nullptr, &size, nullptr, variant) != 0)
    return std::nullopt;
  bytes.resize(size);
  return bytes;
}

std::string ToBase64(std::string_view bytes) {
  constexpr int kVariant = sodium_base64_VARIANT_ORIGINAL_NO_PADDING;
  std::string text(sodium_base64_encoded_len(bytes.size(), kVariant), '\0');
  sodium_bin2base64(text.data(), text.size(), reinterpret_cast<const unsigned char*>(bytes.data()),
                    bytes.size(), kVariant);
  text.pop_back();  // the zero at the end of a C string
  return text;
}

struct Wrapped {
  RabbitHash::Kind kind;
  std::string salt;
  std::string_view argon2;  // of the digest
};

std::optional<Wrapped> Unwrap(std::string_view text) {
  for (const RabbitKind& row : kRabbitKinds) {
    if (!text.starts_with(row.prefix)) continue;
    text.remove_prefix(row.prefix.size());
    const size_t end = text.find('$');
    if (end == std::string_view::npos) return std::nullopt;
    auto salt = FromBase64(text.substr(0, end), sodium_base64_VARIANT_ORIGINAL_NO_PADDING);
    if (!salt || salt->size() != kRabbitSaltBytes) return std::nullopt;
    return Wrapped{row.kind, std::move(*salt), text.substr(end)};
  }
  return std::nullopt;
}

template <auto Init, auto Update, auto Final, class State>
std::string Digest(State state, size_t bytes, std::string_view salt, std::string_view password) {
  std::string digest(bytes, '\0');
  Init(&state);
  for (std::string_view part : {salt, password})
    Update(&state, reinterpret_cast<const unsigned char*>(part.data()), part.size());
  Final(&state, reinterpret_cast<unsigned char*>(digest.data()));
  sodium_memzero(&state, sizeof state);
  return digest;
}

std::string RabbitDigest(const Wrapped& wrapped, std::string_view password) {
  const size_t bytes = RowOf(wrapped.kind).bytes;
  if (wrapped.kind == RabbitHash::Kind::kSha512)
    return Digest<crypto_hash_sha512_init, crypto_hash_sha512_update, crypto_hash_sha512_final>(
        crypto_hash_sha512_state{}, bytes, wrapped.salt, password);
  return Digest<crypto_hash_sha256_init, crypto_hash_sha256_update, crypto_hash_sha256_final>(
      crypto_hash_sha256_state{}, bytes, wrapped.salt, password);
}

std::unexpected<Error> RefuseMd5() {
  return Refuse(
      "the password is hashed with MD5, which is too weak to be taken over; set it anew in "
      "RabbitMQ with rabbitmqctl change_password and export again, or take password_hash out of "
      "the file and set a password here with landfall user passwd");
}

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

Result<void> CheckPasswordHash(std::string_view text) {
  const auto wrapped = Unwrap(text);
  return CheckArgon2(wrapped ? wrapped->argon2 : text);
}

PasswordMatch MatchPassword(std::string_view hash, std::string_view password) {
  if (const auto wrapped = Unwrap(hash)) {
    std::string digest = RabbitDigest(*wrapped, password);
    const PasswordMatch match = MatchArgon2(wrapped->argon2, digest);
    sodium_memzero(digest.data(), digest.size());
    return match;
  }
  return MatchArgon2(hash, password);
}

Result<RabbitHash> ParseRabbitHash(std::string_view algorithm, std::string_view base64) {
  if (algorithm.empty()) algorithm = kRabbitKinds[0].algorithm;
  if (algorithm == "rabbit_password_hashing_md5") return RefuseMd5();
  for (const RabbitKind& row : kRabbitKinds) {
    if (row.algorithm != algorithm) continue;
    const auto bytes = FromBase64(base64, sodium_base64_VARIANT_ORIGINAL);
    // Files of RabbitMQ before 3.6 do not name the algorithm.
    if (bytes && bytes->size() == kRabbitSaltBytes + kMd5Bytes) return RefuseMd5();
    if (!bytes || bytes->size() != kRabbitSaltBytes + row.bytes)
      return Refuse(
          fmt::format("password_hash is not what {} makes: base64 of {} bytes of salt "
                      "and {} bytes of hash",
                      algorithm, kRabbitSaltBytes, row.bytes));
    return RabbitHash{row.kind, bytes->substr(0, kRabbitSaltBytes),
                      bytes->substr(kRabbitSaltBytes)};
  }
  return Refuse(fmt::format(
      "hashing_algorithm '{}' is not known here; {} and {} are. Take password_hash out of the "
      "file and set a password here with landfall user passwd",
      algorithm, kRabbitKinds[0].algorithm, kRabbitKinds[1].algorithm));
}

Result<std::string> WrapRabbitHash(const RabbitHash& hash, const PasswordCost& cost) {
  const Result<std::string> argon2 = HashPassword(hash.digest, cost);
  if (!argon2) return std::unexpected(argon2.error());
  return fmt::format("{}{}{}", RowOf(hash.kind).prefix, ToBase64(hash.salt), *argon2);
}

PasswordMatch MatchRabbitHash(std::string_view stored, const RabbitHash& hash) {
  const auto wrapped = Unwrap(stored);
  if (!wrapped || wrapped->kind != hash.kind || wrapped->salt != hash.salt ||
      !IsArgon2(wrapped->argon2))
    return PasswordMatch::kWrong;
  return MatchArgon2(wrapped->argon2, hash.digest);
}

}  // namespace landfall::server
