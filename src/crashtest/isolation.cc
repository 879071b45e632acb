#include "crashtest/isolation.h"

#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "crashtest/descriptor.h"

namespace landfall::crashtest {

Result<void> Isolate() {
  if (geteuid() != 0) {
    return Fail(ErrorCode::kAccessRefused,
                "needs root: it mounts a filesystem of its own and cuts its power");
  }
  if (unshare(CLONE_NEWNS | CLONE_NEWNET) != 0) {
    return Fail(
        ErrorCode::kAccessRefused,
        std::string("may not have mounts and a network of its own: ") + std::strerror(errno));
  }
  // Nothing that is mounted here shows up outside.
  if (mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) {
    return Fail(ErrorCode::kAccessRefused,
                std::string("may not keep its mounts to itself: ") + std::strerror(errno));
  }
  const Descriptor any(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ifreq loopback{};
  std::strcpy(loopback.ifr_name, "lo");
  loopback.ifr_flags = IFF_UP | IFF_RUNNING;
  if (ioctl(any.get(), SIOCSIFFLAGS, &loopback) != 0) {
    return Fail(ErrorCode::kAccessRefused,
                std::string("may not set up a loopback network: ") + std::strerror(errno));
  }
  return {};
}

}  // namespace landfall::crashtest
