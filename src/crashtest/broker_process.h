#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "base/error.h"

namespace landfall::crashtest {

// A broker and everything that it starts, in a process namespace of its own: whatever daemons it
// leaves behind end with it, and with us.
//
// Thread: one, the one that called Start first.
class BrokerProcess {
 public:
  // `log`: where what it says is appended.
  BrokerProcess(std::vector<std::string> command, std::string log)
      : command_(std::move(command)), log_(std::move(log)) {}
  ~BrokerProcess() { Kill(); }
  BrokerProcess(const BrokerProcess&) = delete;
  BrokerProcess& operator=(const BrokerProcess&) = delete;

  Result<void> Start();
  // Stops all its processes where they are, so that none can act on what follows. They do so within
  // microseconds; a system call under way is finished first.
  void Freeze() const;
  // kill -9 of all its processes; returns when none is left.
  void Kill();
  // False once it has ended by itself; status() then says how.
  bool Running();
  const std::string& status() const { return status_; }

  // The last lines of the log, for people.
  std::string LogTail() const;

 private:
  std::vector<std::string> command_;
  std::string log_;
  pid_t init_ = 0;  // 0: none
  std::string status_;
};

}  // namespace landfall::crashtest
