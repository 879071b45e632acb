#pragma once

#include <memory>
#include <string>

#include "base/time.h"
#include "client/link.h"

namespace landfall::client {

// What a shell drives: a pure core with its link, and what connects it to the threads of the
// program. All calls come from the shell's thread.
class IoDriven {
 public:
  virtual ~IoDriven() = default;
  virtual Link& link() = 0;
  virtual void OnTick(Time now) = 0;
  virtual Time NextDeadline() const = 0;
  // After every event, Wake included: take what threads have brought, fill the link's output, hand
  // out results.
  virtual void Pump(Time now) = 0;
  // False: do not read from the socket now. Changes are noticed after the next event.
  virtual bool WantsInput() const { return true; }
};

// One thread with one socket and one timer around a pure core. Ends by itself when the link is
// closed.
class IoShell {
 public:
  // `driven` is not owned and outlives the shell.
  IoShell(IoDriven& driven, Duration connect_timeout, std::string thread_name);
  // The link must have been told to close.
  ~IoShell();
  IoShell(const IoShell&) = delete;
  IoShell& operator=(const IoShell&) = delete;

  // Called once. The thread ignores all signals: they are the program's.
  void Start();
  // Pump soon. Thread: any.
  void Wake();
  // Waits for the thread to end. Not from the shell's own thread.
  void Join();
  bool OnOwnThread() const;

  // Thread: any.
  Time Now() const;

 private:
  class Io;
  std::unique_ptr<Io> io_;
};

}  // namespace landfall::client
