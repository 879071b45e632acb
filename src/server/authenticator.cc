#include "server/authenticator.h"

#include <sodium.h>

#include <utility>

#include "base/assert.h"
#include "server/log.h"

namespace landfall::server {
namespace {

session::AuthResult Refusal(std::string reason) {
  return {.ok = false, .reason = std::move(reason)};
}

// `why` is for the operator: it may say more than the peer gets to know.
void LogFailure(std::string_view user, std::string_view peer, std::string_view why) {
  LogWarn("login failed",
          {{"user", user.substr(0, kMaxUserNameBytes)}, {"peer", peer}, {"reason", why}});
}

void Wipe(session::Login& login) {
  if (login.password) sodium_memzero(login.password->data(), login.password->size());
}

}  // namespace

Authenticator::Authenticator(const UserFile& users, AuthenticatorOptions options)
    : users_(users), options_(options), cache_(options.cache), throttle_(options.throttle) {
  LANDFALL_ASSERT(options_.threads > 0);
  for (unsigned i = 0; i < options_.threads; ++i) threads_.emplace_back([this] { Run(); });
}

Authenticator::~Authenticator() { Stop(); }

void Authenticator::Check(session::Login login, std::string peer, Done done) {
  // Nobody has such a name or password. Refused here, so that what waits stays small.
  if (login.user.size() > kMaxUserNameBytes ||
      (login.password && login.password->size() > kMaxPasswordBytes)) {
    LogFailure(login.user, peer, "the user name or the password is too long");
    done(Refusal("the user name or the password is too long"));
    return;
  }
  CredentialCache::Digest digest{};
  if (login.password) digest = cache_.DigestOf(login.user, *login.password);
  session::AuthResult answer;
  {
    std::lock_guard lock(mutex_);
    const Clock::time_point now = Clock::now();
    if (stopping_) {
      answer = Refusal("the broker is stopping");
    } else if (IsKnown(login, digest, now)) {
      answer = Allowance();
    } else if (waiting_.size() >= options_.max_waiting) {
      answer = Refusal("too many logins at a time; try again later");
    } else {
      const Clock::time_point due = now + throttle_.DelayFor(login.user, now);
      waiting_.emplace(due, Job{.login = std::move(login),
                                .peer = std::move(peer),
                                .digest = digest,
                                .done = std::move(done)});
      wake_.notify_all();
      return;
    }
  }
  if (!answer.ok) LogFailure(login.user, peer, answer.reason);
  done(std::move(answer));
}

bool Authenticator::Remembers(const session::Login& login) const {
  if (!login.password || login.user.size() > kMaxUserNameBytes ||
      login.password->size() > kMaxPasswordBytes)
    return false;
  const CredentialCache::Digest digest = cache_.DigestOf(login.user, *login.password);
  std::lock_guard lock(mutex_);
  return IsKnown(login, digest, Clock::now());
}

session::AuthResult Authenticator::Allowance() const {
  return {.ok = true, .reason = "", .accounts = users_.accounts()};
}

// The login was right a moment ago. A certificate is not remembered: looking takes no time.
bool Authenticator::IsKnown(const session::Login& login, const CredentialCache::Digest& digest,
                            Clock::time_point now) const {
  return login.password && cache_.Knows(digest, now);
}

session::AuthResult Authenticator::Look(const session::Login& login) const {
  if (login.password) return users_.Verify(login.user, *login.password);
  if (users_.Knows(login.user)) return Allowance();
  return Refusal("no user is called as the certificate says");
}

void Authenticator::Forget() {
  std::lock_guard lock(mutex_);
  cache_.Clear();
  ++generation_;
}

uint64_t Authenticator::looks() const {
  std::lock_guard lock(mutex_);
  return looks_;
}

void Authenticator::Stop() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
  // With the threads gone and Check refusing, nobody else touches this.
  for (auto& [due, job] : std::exchange(waiting_, {})) job.done(Refusal("the broker is stopping"));
}

void Authenticator::Run() {
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    if (waiting_.empty()) {
      wake_.wait(lock);
      continue;
    }
    const Clock::time_point due = waiting_.begin()->first;
    if (due > Clock::now()) {
      wake_.wait_until(lock, due);
      continue;
    }
    Job job = std::move(waiting_.extract(waiting_.begin()).mapped());
    // After a restart of the broker a thousand clients may wait with one login: one look is enough.
    const bool known = IsKnown(job.login, job.digest, Clock::now());
    lock.unlock();
    if (known) {
      Wipe(job.login);
      job.done(Allowance());
    } else {
      Examine(std::move(job));
    }
    lock.lock();
  }
}

void Authenticator::Examine(Job job) {
  uint64_t generation;
  {
    std::lock_guard lock(mutex_);
    generation = generation_;
    ++looks_;
  }
  session::AuthResult result = Look(job.login);
  Wipe(job.login);
  {
    std::lock_guard lock(mutex_);
    const Clock::time_point now = Clock::now();
    if (result.ok) {
      throttle_.OnSuccess(job.login.user);
      // A result from before a Forget must not outlive it.
      if (job.login.password && generation == generation_) cache_.Add(job.digest, now);
    } else {
      throttle_.OnFailure(job.login.user, now);
    }
  }
  if (!result.ok)
    LogFailure(job.login.user, job.peer,
               users_.Knows(job.login.user) ? result.reason : "unknown user");
  job.done(std::move(result));
}

}  // namespace landfall::server
