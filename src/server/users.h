#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "session/session.h"

namespace landfall::server {

// What one look at a password costs, in passes over so much memory. The default takes some 20 ms
// and is what OWASP's cheat sheet asks of argon2id as the least; tests take less.
struct PasswordCost {
  unsigned long long passes = 2;
  size_t memory_bytes = size_t{19} << 20;
};

// The limits bound what a peer that nobody knows yet makes us hold and hash.
inline constexpr size_t kMaxUserNameBytes = 255;
inline constexpr size_t kMaxPasswordBytes = 1024;

struct User {
  std::string name;
  std::string password_hash;        // argon2id in its usual text form
  std::vector<std::string> vhosts;  // that the user may open; "*": all
  bool operator==(const User&) const = default;
};

// The users of a broker and the file that they live in:
//
//   [users.guest]
//   password = "$argon2id$v=19$m=19456,t=2,p=1$..."
//   vhosts = ["*"]
//
// A change reads the file, writes it anew beside it, syncs and renames, under a lock that keeps
// other programs' changes apart, so that the file is whole at any time and no change is lost.
// Readable by its owner alone.
//
// Thread: any, several at a time.
class UserFile {
 public:
  enum class IfMissing {
    kCreateGuest,  // the file is created with the user guest, password guest
    kStartEmpty,   // the file is created by the first change
  };

  // Errors: kInvalidArgument with the line of the file that cannot be understood; kIo.
  static Result<UserFile> Open(std::string path, IfMissing if_missing = IfMissing::kCreateGuest,
                               PasswordCost cost = {});
  UserFile(UserFile&&) noexcept;
  UserFile& operator=(UserFile&&) noexcept;
  ~UserFile();

  // Takes what stands in the file now. On an error the users stay as they were.
  Result<void> Reload();

  // Takes tens of milliseconds, as many for a user that does not exist, and PasswordCost's memory:
  // not for a worker's thread (see authenticator.h). The reason of a refusal does not tell which of
  // name and password was wrong.
  session::AuthResult Verify(std::string_view name, std::string_view password) const;
  bool Knows(std::string_view name) const;
  // In order of their names.
  std::vector<User> List() const;

  // Changes of the file, in force here on return; another process reads them on Reload.
  // kExists, kNotFound, kInvalidArgument (an empty name or password, or one beyond the limits).
  Result<void> Add(std::string_view name, std::string_view password,
                   std::vector<std::string> vhosts);
  Result<void> SetPassword(std::string_view name, std::string_view password);
  Result<void> Delete(std::string_view name);

  const std::string& path() const;

 private:
  struct State;
  explicit UserFile(std::unique_ptr<State> state);

  std::unique_ptr<State> state_;
};

}  // namespace landfall::server
