#include "admin/session_store.h"

#include <sodium.h>

#include <algorithm>
#include <utility>

namespace landfall::admin {
namespace {

constexpr size_t kTokenBytes = 32;

std::string MakeToken() {
  std::array<unsigned char, kTokenBytes> random{};
  randombytes_buf(random.data(), random.size());
  constexpr int kVariant = sodium_base64_VARIANT_URLSAFE_NO_PADDING;
  std::string token(sodium_base64_ENCODED_LEN(kTokenBytes, kVariant), '\0');
  sodium_bin2base64(token.data(), token.size(), random.data(), random.size(), kVariant);
  token.pop_back();  // the NUL
  sodium_memzero(random.data(), random.size());
  return token;
}

}  // namespace

SessionStore::Digest SessionStore::DigestOf(std::string_view token) {
  Digest digest{};
  crypto_generichash(digest.data(), digest.size(),
                     reinterpret_cast<const unsigned char*>(token.data()), token.size(), nullptr,
                     0);
  return digest;
}

bool SessionStore::IsOver(const Session& session, Clock::time_point now) const {
  return now - session.used >= options_.idle || now - session.opened >= options_.lifetime;
}

std::string SessionStore::Open(std::string user, std::string password_hash, Clock::time_point now) {
  MakeRoom(user, now);
  std::string token = MakeToken();
  const uint64_t id = ++last_id_;
  const Digest digest = DigestOf(token);
  ids_[digest] = id;
  sessions_[id] = {.user = std::move(user),
                   .password_hash = std::move(password_hash),
                   .digest = digest,
                   .opened = now,
                   .used = now};
  return token;
}

void SessionStore::MakeRoom(std::string_view user, Clock::time_point now) {
  std::erase_if(sessions_, [&](const auto& entry) {
    const bool over = IsOver(entry.second, now);
    if (over) ids_.erase(entry.second.digest);
    return over;
  });
  const auto own = std::ranges::count_if(
      sessions_, [&](const auto& entry) { return entry.second.user == user; });
  if (static_cast<size_t>(own) >= options_.max_per_user) EndOldest(user);
  if (sessions_.size() >= options_.max_sessions) EndOldest(std::nullopt);
}

void SessionStore::EndOldest(std::optional<std::string_view> user) {
  auto oldest = sessions_.end();
  for (auto it = sessions_.begin(); it != sessions_.end(); ++it) {
    if (user && it->second.user != *user) continue;
    if (oldest == sessions_.end() || it->second.used < oldest->second.used) oldest = it;
  }
  if (oldest != sessions_.end()) Close(oldest->first);
}

std::optional<SessionStore::Found> SessionStore::Find(std::string_view token,
                                                      Clock::time_point now) {
  const auto it = ids_.find(DigestOf(token));
  if (it == ids_.end()) return std::nullopt;
  const uint64_t id = it->second;
  if (!Use(id, now)) return std::nullopt;
  return Found{.id = id, .user = sessions_.at(id).user};
}

bool SessionStore::Use(uint64_t id, Clock::time_point now) {
  const auto it = sessions_.find(id);
  if (it == sessions_.end()) return false;
  if (IsOver(it->second, now)) {
    Close(id);
    return false;
  }
  it->second.used = now;
  return true;
}

void SessionStore::Close(uint64_t id) {
  const auto it = sessions_.find(id);
  if (it == sessions_.end()) return;
  ids_.erase(it->second.digest);
  sessions_.erase(it);
}

void SessionStore::Keep(const Stays& stays) {
  std::erase_if(sessions_, [&](const auto& entry) {
    const bool ends = !stays(entry.second.user, entry.second.password_hash);
    if (ends) ids_.erase(entry.second.digest);
    return ends;
  });
}

}  // namespace landfall::admin
