#include "storage/posix_vfs.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <filesystem>
#include <system_error>

namespace landfall::storage {
namespace {

ErrorCode CodeOf(int error) {
  switch (error) {
    case ENOSPC:
    case EDQUOT:
      return ErrorCode::kNoSpace;
    case ENOENT:
      return ErrorCode::kNotFound;
    case EEXIST:
      return ErrorCode::kExists;
    case EACCES:
    case EPERM:
    case EROFS:
      return ErrorCode::kAccessRefused;
    case EMFILE:
    case ENFILE:
    case ENOMEM:
      return ErrorCode::kExhausted;
    default:
      return ErrorCode::kIo;
  }
}

std::unexpected<Error> SystemError(std::string_view tried, const std::string& path, int error) {
  return Fail(CodeOf(error),
              fmt::format("cannot {} {}: {}", tried, path, std::generic_category().message(error)));
}

template <class Call>
auto RetryInterrupted(Call call) {
  decltype(call()) result;
  do {
    result = call();
  } while (result < 0 && errno == EINTR);
  return result;
}

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  int get() const { return fd_; }
  int release() { return std::exchange(fd_, -1); }

 private:
  int fd_;
};

class PosixFile final : public File {
 public:
  PosixFile(int fd, std::string path) : fd_(fd), path_(std::move(path)) {}

  Result<size_t> Write(uint64_t offset, std::span<const ByteView> pieces) override {
    size_t total = 0;
    while (!pieces.empty()) {
      // The kernel takes at most IOV_MAX pieces a call.
      std::array<iovec, 1024> vectors;
      const size_t count = std::min(pieces.size(), vectors.size());
      size_t wanted = 0;
      for (size_t i = 0; i < count; ++i) {
        vectors[i] = {const_cast<char*>(pieces[i].data()), pieces[i].size()};
        wanted += pieces[i].size();
      }
      const ssize_t n = RetryInterrupted([&] {
        return ::pwritev(fd_.get(), vectors.data(), static_cast<int>(count),
                         static_cast<off_t>(offset + total));
      });
      if (n < 0 || (n == 0 && wanted > 0)) {
        if (total > 0) return total;  // the caller's next call meets the error again
        return SystemError("write", path_, n < 0 ? errno : EIO);
      }
      total += static_cast<size_t>(n);
      if (static_cast<size_t>(n) < wanted) return total;
      pieces = pieces.subspan(count);
    }
    return total;
  }

  Result<size_t> Read(uint64_t offset, std::span<char> out) override {
    size_t total = 0;
    while (total < out.size()) {
      const ssize_t n = RetryInterrupted([&] {
        return ::pread(fd_.get(), out.data() + total, out.size() - total,
                       static_cast<off_t>(offset + total));
      });
      if (n < 0) return SystemError("read", path_, errno);
      if (n == 0) break;
      total += static_cast<size_t>(n);
    }
    return total;
  }

  Result<void> Sync() override {
    if (::fdatasync(fd_.get()) != 0) return SystemError("sync", path_, errno);
    return {};
  }

  Result<void> Allocate(uint64_t bytes) override {
    const int failed =
        RetryInterrupted([&] { return ::fallocate(fd_.get(), 0, 0, static_cast<off_t>(bytes)); });
    if (failed == 0) return {};
    if (errno != EOPNOTSUPP) return SystemError("reserve space for", path_, errno);
    return AllocateByWriting(bytes);
  }

  Result<uint64_t> Size() override {
    struct stat status;
    if (::fstat(fd_.get(), &status) != 0) return SystemError("look at", path_, errno);
    return static_cast<uint64_t>(status.st_size);
  }

  Result<void> Truncate(uint64_t bytes) override {
    if (RetryInterrupted([&] { return ::ftruncate(fd_.get(), static_cast<off_t>(bytes)); }) != 0) {
      return SystemError("truncate", path_, errno);
    }
    return {};
  }

 private:
  // For filesystems that cannot reserve: zeros beyond the end take the blocks.
  Result<void> AllocateByWriting(uint64_t bytes) {
    auto size = Size();
    if (!size) return std::unexpected(size.error());
    const ByteBuffer zeros(1 << 20, '\0');
    for (uint64_t at = *size; at < bytes;) {
      const size_t step = std::min<uint64_t>(zeros.size(), bytes - at);
      if (auto ok = WriteAll(*this, at, ByteView(zeros).substr(0, step)); !ok) return ok;
      at += step;
    }
    return {};
  }

  Descriptor fd_;
  std::string path_;
};

class PosixLock final : public DirectoryLock {
 public:
  explicit PosixLock(int fd) : fd_(fd) {}

 private:
  Descriptor fd_;
};

}  // namespace

Result<std::unique_ptr<File>> PosixVfs::Open(const std::string& path, OpenMode mode) {
  int flags = O_CLOEXEC;
  switch (mode) {
    case OpenMode::kRead:
      flags |= O_RDONLY;
      break;
    case OpenMode::kReadWrite:
      flags |= O_RDWR;
      break;
    case OpenMode::kCreate:
      flags |= O_RDWR | O_CREAT | O_EXCL;
      break;
  }
  const int fd = RetryInterrupted([&] { return ::open(path.c_str(), flags, 0640); });
  if (fd < 0) return SystemError(mode == OpenMode::kCreate ? "create" : "open", path, errno);
  return std::make_unique<PosixFile>(fd, path);
}

Result<void> PosixVfs::Rename(const std::string& from, const std::string& to) {
  if (::rename(from.c_str(), to.c_str()) != 0) return SystemError("rename to " + to, from, errno);
  return {};
}

Result<void> PosixVfs::Link(const std::string& path, const std::string& to) {
  if (::link(path.c_str(), to.c_str()) == 0) return {};
  const int error = errno;
  if (error == EEXIST) {
    std::error_code ignored;
    if (std::filesystem::equivalent(path, to, ignored)) return {};
  }
  return SystemError("link " + to + " to", path, error);
}

Result<void> PosixVfs::Remove(const std::string& path) {
  if (::unlink(path.c_str()) != 0) return SystemError("remove", path, errno);
  return {};
}

Result<bool> PosixVfs::Exists(const std::string& path) {
  if (::access(path.c_str(), F_OK) == 0) return true;
  if (errno == ENOENT || errno == ENOTDIR) return false;
  return SystemError("look at", path, errno);
}

Result<std::vector<std::string>> PosixVfs::List(const std::string& directory) {
  std::error_code error;
  std::vector<std::string> names;
  std::filesystem::directory_iterator it(directory, error);
  while (!error && it != std::filesystem::directory_iterator()) {
    const bool is_file = it->is_regular_file(error);
    if (!error && is_file) names.push_back(it->path().filename().string());
    if (!error) it.increment(error);
  }
  if (error) return SystemError("list", directory, error.value());
  std::ranges::sort(names);
  return names;
}

Result<void> PosixVfs::MakeDirectory(const std::string& directory) {
  const std::filesystem::path path = std::filesystem::path(directory).lexically_normal();
  std::filesystem::path sofar;
  for (const auto& part : path) {
    if (part.empty()) continue;
    const std::filesystem::path parent = sofar;
    sofar /= part;
    if (::mkdir(sofar.c_str(), 0750) == 0) {
      if (auto ok = SyncDirectory(parent.empty() ? "." : parent.string()); !ok) return ok;
    } else if (errno != EEXIST && errno != EISDIR) {
      const int error = errno;
      // A parent that exists but that we may not write to is no obstacle.
      std::error_code ignored;
      if (std::filesystem::is_directory(sofar, ignored)) continue;
      return SystemError("make the directory", sofar.string(), error);
    }
  }
  return {};
}

Result<void> PosixVfs::SyncDirectory(const std::string& directory) {
  Descriptor fd(RetryInterrupted(
      [&] { return ::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC); }));
  if (fd.get() < 0) return SystemError("open", directory, errno);
  if (::fsync(fd.get()) != 0) return SystemError("sync the directory", directory, errno);
  return {};
}

Result<uint64_t> PosixVfs::FreeSpace(const std::string& directory) {
  struct statvfs status;
  if (::statvfs(directory.c_str(), &status) != 0) {
    return SystemError("ask for the free space of", directory, errno);
  }
  return static_cast<uint64_t>(status.f_bavail) * status.f_frsize;
}

Result<std::unique_ptr<DirectoryLock>> PosixVfs::Lock(const std::string& directory) {
  const std::string path = directory + "/LOCK";
  Descriptor fd(
      RetryInterrupted([&] { return ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0640); }));
  if (fd.get() < 0) return SystemError("open", path, errno);
  if (RetryInterrupted([&] { return ::flock(fd.get(), LOCK_EX | LOCK_NB); }) != 0) {
    if (errno != EWOULDBLOCK) return SystemError("lock", path, errno);
    return Fail(ErrorCode::kUnavailable,
                fmt::format("the data directory {} is in use by another broker (it holds {}); stop "
                            "that one or choose another directory",
                            directory, path));
  }
  return std::make_unique<PosixLock>(fd.release());
}

}  // namespace landfall::storage
