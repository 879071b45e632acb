#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "server/password.h"
#include "server/user_definitions.h"
#include "server/user_table.h"
#include "session/session.h"

namespace landfall::server {

// The limits bound what a peer that nobody knows yet makes us hold and hash.
inline constexpr size_t kMaxUserNameBytes = 255;
inline constexpr size_t kMaxPasswordBytes = 1024;

// The users of a broker and the file that they live in; user_table.h shows what stands in it.
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
  // What the users may do, as it stands now.
  access::AccountsRef accounts() const;

  // Changes of the file, in force here on return; another process reads them on Reload.
  // kExists, kNotFound, kInvalidArgument (an empty name or password, or one beyond the limits).
  Result<void> Add(std::string_view name, std::string_view password,
                   std::vector<std::string> vhosts);
  Result<void> SetPassword(std::string_view name, std::string_view password);
  Result<void> Delete(std::string_view name);
  // A user without a password, who logs in with a certificate.
  Result<void> AddWithoutPassword(std::string_view name, std::vector<std::string> vhosts);
  // In a vhost of that name; patterns that are none are kInvalidArgument.
  Result<void> SetPermissions(std::string_view name, const std::string& vhost,
                              PermissionPatterns patterns);
  // The user may not open the vhost afterwards. "*" takes back what holds in every vhost.
  Result<void> ClearPermissions(std::string_view name, const std::string& vhost);
  Result<void> SetTopicPermissions(std::string_view name, const std::string& vhost,
                                   const std::string& exchange, TopicPatterns patterns);
  // Of all exchanges of the vhost if `exchange` is "".
  Result<void> ClearTopicPermissions(std::string_view name, const std::string& vhost,
                                     const std::string& exchange);
  // Forgets who might do what in a vhost that is not there any more. Whoever may do everything in
  // every vhost may do so in a later one of that name.
  Result<void> ForgetVhost(const std::string& vhost);
  Result<void> SetTags(std::string_view name, std::vector<std::string> tags);

  // Whether Import can be done, as far as that depends on who is there already. kNotFound.
  Result<void> CanImport(const UserDefinitions& definitions) const;
  // All of it or nothing; see ApplyUserDefinitions for what it does and takes. The file is written
  // once, or not at all if it says the same already.
  Result<void> Import(const UserDefinitions& definitions);

  const std::string& path() const;

 private:
  struct State;
  Result<void> AddUser(User user);
  explicit UserFile(std::unique_ptr<State> state);

  std::unique_ptr<State> state_;
};

}  // namespace landfall::server
