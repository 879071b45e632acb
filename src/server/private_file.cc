#include "server/private_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <utility>

namespace landfall::server {
namespace {

// With errno of what has just failed.
std::unexpected<Error> FailErrno(std::string_view what, const std::string& path) {
  const ErrorCode code = errno == ENOSPC ? ErrorCode::kNoSpace : ErrorCode::kIo;
  return Fail(code, fmt::format("cannot {} {}: {}", what, path, std::strerror(errno)));
}

std::string DirectoryOf(const std::string& path) {
  const std::string directory = std::filesystem::path(path).parent_path().string();
  return directory.empty() ? "." : directory;
}

// What is to be replaced, where the path is a symbolic link to it.
std::string Resolve(const std::string& path) {
  std::error_code error;
  const auto resolved = std::filesystem::weakly_canonical(path, error);
  return error ? path : resolved.string();
}

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() {
    if (fd_ >= 0) close(fd_);
  }
  int get() const { return fd_; }

 private:
  int fd_;
};

Result<void> WriteNew(const std::string& path, const std::string& temporary, ByteView bytes) {
  const Descriptor file(
      open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (file.get() < 0) return FailErrno("create", temporary);
  struct stat owner;
  if (geteuid() == 0 &&
      (stat(path.c_str(), &owner) == 0 || stat(DirectoryOf(path).c_str(), &owner) == 0)) {
    if (fchown(file.get(), owner.st_uid, owner.st_gid) != 0)
      return FailErrno("keep the owner of", path);
  }
  while (!bytes.empty()) {
    const ssize_t n = write(file.get(), bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return FailErrno("write", temporary);
    bytes.remove_prefix(static_cast<size_t>(n));
  }
  if (fsync(file.get()) != 0) return FailErrno("sync", temporary);
  return {};
}

}  // namespace

DirectoryGuard::DirectoryGuard(DirectoryGuard&& other) noexcept
    : descriptor_(std::exchange(other.descriptor_, -1)) {}

DirectoryGuard::~DirectoryGuard() {
  if (descriptor_ >= 0) close(descriptor_);
}

Result<DirectoryGuard> LockDirectoryOf(const std::string& path) {
  const std::string directory = DirectoryOf(Resolve(path));
  struct stat info;
  if (stat(directory.c_str(), &info) != 0) {
    std::error_code error;
    std::filesystem::create_directories(directory, error);
    if (error || chmod(directory.c_str(), 0700) != 0)
      return Fail(ErrorCode::kIo, fmt::format("cannot make the directory {}: {}", directory,
                                              error ? error.message() : std::strerror(errno)));
  }
  const int fd = open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return FailErrno("open", directory);
  DirectoryGuard held(fd);
  while (flock(fd, LOCK_EX) != 0) {
    if (errno != EINTR) return FailErrno("lock", directory);
  }
  return held;
}

bool OthersMayRead(const std::string& path) {
  struct stat info;
  return stat(path.c_str(), &info) == 0 && (info.st_mode & 077) != 0;
}

Result<void> WritePrivateFile(const std::string& path, ByteView bytes) {
  const std::string target = Resolve(path);
  const std::string temporary = target + ".tmp";
  unlink(temporary.c_str());  // of somebody who was killed here
  Result<void> done = WriteNew(target, temporary, bytes);
  if (done && rename(temporary.c_str(), target.c_str()) != 0) done = FailErrno("replace", target);
  if (!done) {
    unlink(temporary.c_str());
    return done;
  }
  const std::string directory = DirectoryOf(target);
  const Descriptor opened(open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (opened.get() < 0 || fsync(opened.get()) != 0) return FailErrno("sync", directory);
  return {};
}

}  // namespace landfall::server
