#pragma once

#include <condition_variable>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "server/credential_cache.h"
#include "server/login_throttle.h"
#include "server/users.h"
#include "session/session.h"

namespace landfall::server {

struct AuthenticatorOptions {
  unsigned threads = 2;
  // Checks that wait; beyond it peers are told to come back later.
  size_t max_waiting = 1024;
  CredentialCache::Options cache;
  LoginThrottle::Options throttle;
};

// Checks logins on threads of its own, since looking at one takes as long as a worker takes for
// thousands of messages. Failures are logged, with peer and user, never with the password.
//
// Thread: any, several at a time.
class Authenticator {
 public:
  // Called exactly once: from a thread of the authenticator, or from Check itself when the answer
  // is known (a login that was right a moment ago, a full queue). Must not call back into the
  // authenticator.
  using Done = std::function<void(session::AuthResult)>;

  // `users` is not owned and outlives the authenticator.
  explicit Authenticator(const UserFile& users, AuthenticatorOptions options = {});
  ~Authenticator();
  Authenticator(const Authenticator&) = delete;
  Authenticator& operator=(const Authenticator&) = delete;

  // A certificate has been verified before: what is left to ask is whether its user exists.
  void Check(session::Login login, std::string peer, Done done);
  // The same name and password were right a moment ago and Check would allow them at once.
  bool Remembers(const session::Login& login) const;
  // The users have changed: what was right before is looked at anew.
  void Forget();
  // How many passwords have been looked at so far.
  uint64_t looks() const;
  // Answers everything that waits with a refusal; after the return no Done is called any more, and
  // every further Check is refused. Once.
  void Stop();

 private:
  using Clock = std::chrono::steady_clock;
  struct Job {
    session::Login login;
    std::string peer;
    CredentialCache::Digest digest;  // of a login with a password
    Done done;
  };

  session::AuthResult Allowance() const;
  bool IsKnown(const session::Login& login, const CredentialCache::Digest& digest,
               Clock::time_point now) const;
  session::AuthResult Look(const session::Login& login) const;
  void Run();
  void Examine(Job job);

  const UserFile& users_;
  const AuthenticatorOptions options_;

  mutable std::mutex mutex_;
  std::condition_variable wake_;
  std::multimap<Clock::time_point, Job> waiting_;  // by when their look is due
  CredentialCache cache_;
  LoginThrottle throttle_;
  uint64_t looks_ = 0;
  uint64_t generation_ = 0;  // +1 with each Forget
  bool stopping_ = false;

  std::vector<std::thread> threads_;
};

}  // namespace landfall::server
