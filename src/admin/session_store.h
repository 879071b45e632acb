#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace landfall::admin {

// Who has logged in to the console and not out again. A browser holds a token of 256 random bits in
// place of the password; here is only a hash of it, so that neither looking it up takes longer the
// more of it is right nor a core dump holds what opens a session.
//
// Pure: time is handed in. Thread: one at a time.
class SessionStore {
 public:
  using Clock = std::chrono::steady_clock;

  struct Options {
    // Beyond either the one that has not been used for the longest time ends.
    size_t max_sessions = 1024;
    size_t max_per_user = 32;
    std::chrono::seconds idle{30 * 60};
    std::chrono::seconds lifetime{12 * 3600};
  };

  struct Found {
    uint64_t id = 0;  // never 0, never used again
    std::string user;
  };

  SessionStore() : SessionStore(Options{}) {}
  explicit SessionStore(const Options& options) : options_(options) {}

  // `password_hash` as it was when the user was looked at: with another one the session ends (see
  // Keep). Returns the token, which is nowhere else.
  std::string Open(std::string user, std::string password_hash, Clock::time_point now);
  // Counts as use. Nothing: there is no such session any more.
  std::optional<Found> Find(std::string_view token, Clock::time_point now);
  // The same for one that was found before; false: it has ended.
  bool Use(uint64_t id, Clock::time_point now);
  void Close(uint64_t id);
  // Ends those that `stays` does not hold for: the users have changed.
  using Stays = std::function<bool(std::string_view user, std::string_view password_hash)>;
  void Keep(const Stays& stays);

  size_t size() const { return sessions_.size(); }

 private:
  using Digest = std::array<uint8_t, 32>;
  struct Session {
    std::string user;
    std::string password_hash;
    Digest digest;
    Clock::time_point opened;
    Clock::time_point used;
  };

  static Digest DigestOf(std::string_view token);
  bool IsOver(const Session& session, Clock::time_point now) const;
  void MakeRoom(std::string_view user, Clock::time_point now);
  void EndOldest(std::optional<std::string_view> user);

  const Options options_;
  std::map<uint64_t, Session> sessions_;  // by id
  std::map<Digest, uint64_t> ids_;
  uint64_t last_id_ = 0;
};

}  // namespace landfall::admin
