#include "crashtest/broker_process.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <deque>
#include <fstream>

#include "crashtest/descriptor.h"

namespace landfall::crashtest {
namespace {

constexpr int kCannotRun = 127;
constexpr size_t kTailLines = 8;
constexpr size_t kMostOfALine = 240;

std::string Describe(int status) {
  if (WIFSIGNALED(status)) return fmt::format("was killed by signal {}", WTERMSIG(status));
  if (WEXITSTATUS(status) == kCannotRun) return "cannot be run: is its name right?";
  return fmt::format("ended with {}", WEXITSTATUS(status));
}

[[noreturn]] void RunCommand(char* const* argv) {
  for (int signal = 1; signal < NSIG; ++signal) std::signal(signal, SIG_DFL);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  execvp(argv[0], argv);
  std::fprintf(stderr, "%s: %s\n", argv[0], std::strerror(errno));
  _exit(kCannotRun);
}

// The first process of the namespace: runs the broker and adopts what that abandons. When it ends,
// the kernel ends all the others.
[[noreturn]] void BeInit(char* const* argv, int log) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  // Also so that a Ctrl-C at the terminal is ours alone.
  setsid();
  const int nothing = open("/dev/null", O_RDONLY);
  dup2(nothing, STDIN_FILENO);
  dup2(log, STDOUT_FILENO);
  dup2(log, STDERR_FILENO);
  if (mount("proc", "/proc", "proc", 0, nullptr) != 0) std::perror("cannot mount /proc");
  const pid_t broker = fork();
  if (broker == 0) RunCommand(argv);
  for (;;) {
    int status = 0;
    const pid_t ended = waitpid(-1, &status, 0);
    if (ended == broker && (WIFEXITED(status) || WIFSIGNALED(status))) {
      _exit(WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
    }
    if (ended < 0 && errno != EINTR) _exit(kCannotRun);
  }
}

}  // namespace

Result<void> BrokerProcess::Start() {
  const Descriptor log(open(log_.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644));
  if (!log.valid()) {
    return Fail(ErrorCode::kIo, fmt::format("cannot write {}: {}", log_, std::strerror(errno)));
  }
  std::vector<char*> argv;
  argv.reserve(command_.size() + 1);
  for (std::string& word : command_) argv.push_back(word.data());
  argv.push_back(nullptr);
  // As fork(), which cannot be told to make namespaces for the child alone.
  const long child =
      syscall(SYS_clone, CLONE_NEWPID | CLONE_NEWNS | SIGCHLD, nullptr, nullptr, nullptr, nullptr);
  if (child == 0) BeInit(argv.data(), log.get());
  if (child < 0) {
    return Fail(ErrorCode::kAccessRefused,
                fmt::format("cannot start a process namespace: {}", std::strerror(errno)));
  }
  init_ = static_cast<pid_t>(child);
  status_.clear();
  return {};
}

void BrokerProcess::Freeze() const {
  if (init_ != 0) kill(-init_, SIGSTOP);
}

void BrokerProcess::Kill() {
  if (init_ == 0) return;
  kill(init_, SIGKILL);
  // The kernel reaps the whole namespace before it lets go of its first process.
  int status = 0;
  while (waitpid(init_, &status, 0) < 0 && errno == EINTR) {
  }
  init_ = 0;
}

bool BrokerProcess::Running() {
  if (init_ == 0) return false;
  int status = 0;
  if (waitpid(init_, &status, WNOHANG) != init_) return true;
  init_ = 0;
  status_ = Describe(status);
  return false;
}

std::string BrokerProcess::LogTail() const {
  std::ifstream file(log_);
  std::deque<std::string> lines;
  for (std::string line; std::getline(file, line);) {
    if (line.empty()) continue;
    lines.push_back(line.size() <= kMostOfALine ? line : line.substr(0, kMostOfALine) + " …");
    if (lines.size() > kTailLines) lines.pop_front();
  }
  std::string tail;
  for (const std::string& line : lines) tail += "\n      | " + line;
  return tail;
}

}  // namespace landfall::crashtest
