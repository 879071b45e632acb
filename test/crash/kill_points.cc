// Loaded into the broker with LD_PRELOAD: kills it at a system call that its storage makes.
//
//   LANDFALL_KILL_POINT="rename 3 before"   kill -9 instead of the third rename
//   LANDFALL_KILL_POINT="rename 3 after"    kill -9 when it has been done
//   LANDFALL_KILL_POINT="pwritev 3 half"    when half of it has been written
//   LANDFALL_KILL_POINT="fdatasync 3 only"  nothing is killed: only every third one is done, the
//                                           others are answered as if they had been
//
// What is counted are calls of the broker's own code, as the C library lets a library in front of
// it take only those. Its log goes elsewhere: through write, which is not among them.
#include <dlfcn.h>
#include <fcntl.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

namespace {

struct KillPoint {
  char call[16] = "";
  unsigned long number = 0;
  char moment[8] = "";

  KillPoint() {
    const char* text = std::getenv("LANDFALL_KILL_POINT");
    if (text != nullptr && std::sscanf(text, "%15s %lu %7s", call, &number, moment) != 3)
      std::abort();
  }
  bool Is(const char* name) const { return std::strcmp(moment, name) == 0; }
};

[[noreturn]] void Die() {
  for (;;) kill(getpid(), SIGKILL);
}

const KillPoint& Point() {
  static const KillPoint kPoint;
  return kPoint;
}

// Whether this call is the one, or one of those to leave out.
bool Reached(const char* call) {
  static std::atomic<unsigned long> count{0};
  if (std::strcmp(Point().call, call) != 0) return false;
  const unsigned long now = ++count;
  return Point().Is("only") ? now % Point().number != 0 : now == Point().number;
}

template <class Function>
Function Next(const char* name) {
  return reinterpret_cast<Function>(dlsym(RTLD_NEXT, name));
}

template <class Function, class... Arguments>
auto Pass(const char* name, Arguments... arguments) {
  static const auto kNext = Next<Function>(name);
  const bool reached = Reached(name);
  if (reached && Point().Is("only")) return 0;
  if (reached && Point().Is("before")) Die();
  const auto result = kNext(arguments...);
  if (reached) Die();
  return result;
}

// The first half of what the pieces hold.
std::vector<iovec> Half(const iovec* pieces, int count) {
  size_t left = 0;
  for (int i = 0; i < count; ++i) left += pieces[i].iov_len;
  left /= 2;
  std::vector<iovec> half;
  for (int i = 0; i < count && left > 0; ++i) {
    half.push_back({pieces[i].iov_base, std::min(left, pieces[i].iov_len)});
    left -= half.back().iov_len;
  }
  return half;
}

}  // namespace

extern "C" {

int fdatasync(int file) { return Pass<int (*)(int)>("fdatasync", file); }
int fsync(int file) { return Pass<int (*)(int)>("fsync", file); }
int ftruncate(int file, off_t size) noexcept {
  return Pass<int (*)(int, off_t)>("ftruncate", file, size);
}
int fallocate(int file, int mode, off_t offset, off_t size) {
  return Pass<int (*)(int, int, off_t, off_t)>("fallocate", file, mode, offset, size);
}
int rename(const char* from, const char* to) noexcept {
  return Pass<int (*)(const char*, const char*)>("rename", from, to);
}
int unlink(const char* path) noexcept { return Pass<int (*)(const char*)>("unlink", path); }

ssize_t pwritev(int file, const iovec* pieces, int count, off_t offset) {
  using Function = ssize_t (*)(int, const iovec*, int, off_t);
  static const auto kNext = Next<Function>("pwritev");
  const bool reached = Reached("pwritev");
  if (reached && Point().Is("half")) {
    const std::vector<iovec> half = Half(pieces, count);
    kNext(file, half.data(), static_cast<int>(half.size()), offset);
    Die();
  }
  if (reached && Point().Is("before")) Die();
  const ssize_t result = kNext(file, pieces, count, offset);
  if (reached) Die();
  return result;
}
}
