#include "crashtest/disk.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/loop.h>
#include <spawn.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <thread>
#include <vector>

namespace landfall::crashtest {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// The kernel's EXT4_IOC_SHUTDOWN and XFS_IOC_GOINGDOWN, which are the same and in no header that
// every machine has, and the flag that leaves the log unwritten: EXT4_GOING_FLAGS_NOLOGFLUSH and
// XFS_FSOP_GOING_FLAGS_NOLOGFLUSH.
constexpr unsigned long kShutdown = _IOR('X', 125, uint32_t);
constexpr uint32_t kNoLogFlush = 2;

constexpr seconds kDetachPatience{20};

std::unexpected<Error> SystemError(ErrorCode code, const std::string& tried) {
  return Fail(code, fmt::format("cannot {}: {}", tried, std::strerror(errno)));
}

// Its output is nobody's business unless it fails.
int RunQuietly(std::vector<std::string> command) {
  std::vector<char*> argv;
  argv.reserve(command.size() + 1);
  for (std::string& word : command) argv.push_back(word.data());
  argv.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
  pid_t child = 0;
  const int failed = posix_spawnp(&child, argv[0], &actions, nullptr, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  if (failed != 0) return 127;
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : 126;
}

}  // namespace

Result<std::unique_ptr<Disk>> Disk::Create(const DiskOptions& options) {
  std::unique_ptr<Disk> disk(new Disk(options));
  if (auto ok = disk->Prepare(); !ok) return std::unexpected(ok.error());
  if (auto ok = disk->Format(); !ok) return std::unexpected(ok.error());
  return disk;
}

Result<void> Disk::Prepare() {
  std::string image = options_.directory + "/landfall-crashtest-XXXXXX";
  image_ = Descriptor(mkostemp(image.data(), O_CLOEXEC));
  if (!image_.valid()) return SystemError(ErrorCode::kIo, "create a file such as " + image);
  // Its space comes back however we end.
  unlink(image.c_str());
  std::string mount_point = options_.directory + "/landfall-crashtest-XXXXXX";
  if (mkdtemp(mount_point.data()) == nullptr) {
    return SystemError(ErrorCode::kIo, "make a directory such as " + mount_point);
  }
  mount_point_ = mount_point;
  // Users other than root have to get through to data().
  chmod(mount_point_.c_str(), 0755);
  return {};
}

Disk::~Disk() {
  if (auto ok = Unmount(); !ok) {
    std::fprintf(stderr, "landfall crashtest: %s\n", ok.error().message.c_str());
    // It goes with the last process that sees it.
    umount2(mount_point_.c_str(), MNT_DETACH);
  }
  if (!mount_point_.empty()) rmdir(mount_point_.c_str());
}

Result<void> Disk::Format() {
  if (auto ok = Unmount(); !ok) return ok;
  // Nothing of the filesystem before can shine through.
  if (ftruncate(image_.get(), 0) != 0 ||
      ftruncate(image_.get(), static_cast<off_t>(options_.bytes)) != 0) {
    return SystemError(ErrorCode::kIo, "resize the file of the disk");
  }
  {
    const auto loop = Attach();
    if (!loop) return std::unexpected(loop.error());
    const std::string force = options_.filesystem == "xfs" ? "-f" : "-F";
    const int status = RunQuietly({"mkfs." + options_.filesystem, "-q", force, device_});
    if (status != 0) {
      return Fail(ErrorCode::kAccessRefused,
                  status == 127
                      ? fmt::format("there is no mkfs.{}", options_.filesystem)
                      : fmt::format("mkfs.{} ended with {}", options_.filesystem, status));
    }
  }
  if (auto ok = WaitUntilDetached(); !ok) return ok;
  if (auto ok = Mount(); !ok) return ok;
  // Not through the umask: the broker may run as somebody else.
  if (mkdir(data().c_str(), 0777) != 0 || chmod(data().c_str(), 0777) != 0) {
    return SystemError(ErrorCode::kIo, "make the directory " + data());
  }
  return Sync();
}

Result<Descriptor> Disk::Attach() {
  const Descriptor control(open("/dev/loop-control", O_RDWR | O_CLOEXEC));
  if (!control.valid()) return SystemError(ErrorCode::kAccessRefused, "open /dev/loop-control");
  // Somebody else may be faster to take the device that is free.
  for (int attempt = 0; attempt < 100; ++attempt) {
    const int number = ioctl(control.get(), LOOP_CTL_GET_FREE);
    if (number < 0) return SystemError(ErrorCode::kAccessRefused, "find a free loop device");
    device_ = fmt::format("/dev/loop{}", number);
    Descriptor loop(open(device_.c_str(), O_RDWR | O_CLOEXEC));
    if (!loop.valid()) return SystemError(ErrorCode::kAccessRefused, "open " + device_);
    loop_config config{};
    config.fd = static_cast<uint32_t>(image_.get());
    config.info.lo_flags = LO_FLAGS_AUTOCLEAR;
    if (ioctl(loop.get(), LOOP_CONFIGURE, &config) == 0) return loop;
    if (errno != EBUSY) return SystemError(ErrorCode::kAccessRefused, "use " + device_);
  }
  return Fail(ErrorCode::kAccessRefused, "every free loop device was taken by others");
}

Result<void> Disk::Mount() {
  // A device of its own for every mount: nothing that the kernel remembers of what was written to
  // the one before and never reached the file can be read.
  const auto loop = Attach();
  if (!loop) return std::unexpected(loop.error());
  if (mount(device_.c_str(), mount_point_.c_str(), options_.filesystem.c_str(), 0, nullptr) != 0) {
    return SystemError(errno == ENODEV ? ErrorCode::kAccessRefused : ErrorCode::kIo,
                       fmt::format("mount {} as {}", device_, options_.filesystem));
  }
  mounted_ = true;
  return {};
}

Result<void> Disk::CutPower() {
  const Descriptor root(open(mount_point_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  uint32_t flags = kNoLogFlush;
  if (!root.valid() || ioctl(root.get(), kShutdown, &flags) != 0) {
    return SystemError(ErrorCode::kAccessRefused,
                       fmt::format("cut the power of {}", options_.filesystem));
  }
  return {};
}

Result<void> Disk::Unmount() {
  if (!mounted_) return {};
  const auto deadline = std::chrono::steady_clock::now() + kDetachPatience;
  while (umount2(mount_point_.c_str(), 0) != 0) {
    if (errno != EBUSY || std::chrono::steady_clock::now() > deadline) {
      return SystemError(ErrorCode::kIo, "unmount " + mount_point_);
    }
    std::this_thread::sleep_for(milliseconds(5));
  }
  mounted_ = false;
  return WaitUntilDetached();
}

// Two filesystems on one file would be the end of both.
Result<void> Disk::WaitUntilDetached() {
  const auto deadline = std::chrono::steady_clock::now() + kDetachPatience;
  struct stat image;
  if (fstat(image_.get(), &image) != 0) return SystemError(ErrorCode::kIo, "look at the disk");
  for (;;) {
    const Descriptor loop(open(device_.c_str(), O_RDONLY | O_CLOEXEC));
    loop_info64 info{};
    if (!loop.valid() || ioctl(loop.get(), LOOP_GET_STATUS64, &info) != 0 ||
        info.lo_inode != image.st_ino) {
      return {};
    }
    if (std::chrono::steady_clock::now() > deadline) {
      return Fail(ErrorCode::kIo, device_ + " is still in use after it was unmounted");
    }
    std::this_thread::sleep_for(milliseconds(5));
  }
}

Result<void> Disk::Sync() {
  const Descriptor root(open(mount_point_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!root.valid() || syncfs(root.get()) != 0) {
    return SystemError(ErrorCode::kIo, "sync " + mount_point_);
  }
  return {};
}

}  // namespace landfall::crashtest
