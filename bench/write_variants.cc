// The ways to write a log: what a synced write costs in a file that grows, in one that is allocated
// and in one that is used again, through the page cache and past it, with a sync of its own and as
// part of the write. The ways take turns in rounds, since a disk changes from minute to minute.
#include <fcntl.h>
#include <fmt/format.h>
#include <stdlib.h>
#include <sys/uio.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iterator>
#include <memory>
#include <string>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;

constexpr uint64_t kFileBytes = uint64_t{64} << 20;  // a segment's
constexpr size_t kSizes[] = {512, 4096, size_t{64} << 10, size_t{1} << 20};
constexpr size_t kAlignment = 4096;  // enough for O_DIRECT on any disk

enum class Prepared { kEmpty, kAllocated, kWritten };

struct Way {
  const char* name;
  Prepared prepared;
  bool direct;    // O_DIRECT
  bool in_write;  // RWF_DSYNC instead of fdatasync
};

constexpr Way kWays[] = {
    {"append, fdatasync", Prepared::kEmpty, false, false},
    {"allocated, fdatasync", Prepared::kAllocated, false, false},
    {"recycled, fdatasync", Prepared::kWritten, false, false},
    {"recycled, O_DIRECT, fdatasync", Prepared::kWritten, true, false},
    {"recycled, RWF_DSYNC", Prepared::kWritten, false, true},
    {"recycled, O_DIRECT, RWF_DSYNC", Prepared::kWritten, true, true},
};

[[noreturn]] void Die(const std::string& what) {
  fmt::print(stderr, "write_variants: {}: {}\n", what, std::strerror(errno));
  std::exit(1);
}

struct Free {
  void operator()(char* bytes) const { std::free(bytes); }
};
using Block = std::unique_ptr<char, Free>;

Block AlignedBlock(size_t bytes) {
  Block block(static_cast<char*>(std::aligned_alloc(kAlignment, std::max(bytes, kAlignment))));
  if (!block) Die("cannot get memory");
  std::memset(block.get(), 'x', std::max(bytes, kAlignment));
  return block;
}

// A file that is written from its start to its end, over and over, in one of the ways.
class LogFile {
 public:
  LogFile(const std::string& directory, const Way& way) : way_(way) {
    std::string path = directory + "/write-variants-XXXXXX";
    const int created = ::mkstemp(path.data());
    if (created < 0) Die("cannot create a file like " + path);
    fd_ = ::open(path.c_str(), O_RDWR | O_CLOEXEC | (way.direct ? O_DIRECT : 0));
    if (fd_ < 0 && errno != EINVAL) Die("cannot open " + path);
    ::unlink(path.c_str());
    if (way.prepared == Prepared::kWritten) FillWith(created);
    ::close(created);
    if (possible()) Begin();
  }
  LogFile(const LogFile&) = delete;
  LogFile& operator=(const LogFile&) = delete;
  ~LogFile() {
    if (possible()) ::close(fd_);
  }

  // False: the filesystem has no O_DIRECT, or none for so small a block.
  bool possible() const { return fd_ >= 0; }

  // Seconds until the block is on stable storage.
  double Write(char* bytes, size_t size) {
    if (offset_ + size > kFileBytes) Begin();
    ++*bytes;  // never the same twice
    iovec piece{bytes, size};
    const auto start = Clock::now();
    const ssize_t written =
        ::pwritev2(fd_, &piece, 1, static_cast<off_t>(offset_), way_.in_write ? RWF_DSYNC : 0);
    if (written < 0 && errno == EINVAL && way_.direct) {
      ::close(fd_);
      fd_ = -1;
      return 0;
    }
    if (written != static_cast<ssize_t>(size)) Die("cannot write");
    if (!way_.in_write && ::fdatasync(fd_) != 0) Die("cannot sync");
    offset_ += size;
    return std::chrono::duration<double>(Clock::now() - start).count();
  }

 private:
  static void FillWith(int fd) {
    const Block block = AlignedBlock(size_t{1} << 20);
    for (uint64_t at = 0; at < kFileBytes; at += size_t{1} << 20) {
      if (::pwrite(fd, block.get(), size_t{1} << 20, static_cast<off_t>(at)) < 0) {
        Die("cannot fill a file");
      }
    }
    if (::fsync(fd) != 0) Die("cannot sync a file");
  }

  void Begin() {
    offset_ = 0;
    if (way_.prepared == Prepared::kWritten) return;
    if (::ftruncate(fd_, 0) != 0) Die("cannot truncate a file");
    if (way_.prepared == Prepared::kAllocated &&
        ::fallocate(fd_, 0, 0, static_cast<off_t>(kFileBytes)) != 0) {
      Die("cannot allocate a file");
    }
    if (::fsync(fd_) != 0) Die("cannot sync a file");
  }

  const Way way_;
  int fd_ = -1;
  uint64_t offset_ = 0;
};

double Median(std::vector<double> values) {
  std::ranges::sort(values);
  return values[values.size() / 2];
}

// What the rounds of one way and size came to.
struct Cell {
  std::vector<double> microseconds;  // the median of each round
  std::vector<double> megabytes;     // a second, in each round

  static std::string Text(const std::vector<double>& rounds, int digits) {
    if (rounds.empty()) return "not possible";
    const auto [lowest, highest] = std::ranges::minmax(rounds);
    return fmt::format("{:.{}f} ({:.{}f} - {:.{}f})", Median(rounds), digits, lowest, digits,
                       highest, digits);
  }
};

void MeasureRound(LogFile& file, size_t size, double seconds, Cell& cell) {
  const Block block = AlignedBlock(size);
  std::vector<double> samples;
  double sum = 0;
  while (sum < seconds) {
    samples.push_back(file.Write(block.get(), size));
    if (!file.possible()) return;
    sum += samples.back();
  }
  cell.microseconds.push_back(Median(samples) * 1e6);
  cell.megabytes.push_back(static_cast<double>(samples.size() * size) / sum / 1e6);
}

std::string SizeName(size_t size) {
  if (size < 1024) return fmt::format("{} B", size);
  return size < (size_t{1} << 20) ? fmt::format("{} KiB", size >> 10)
                                  : fmt::format("{} MiB", size >> 20);
}

template <class TextOf>
void PrintTable(const char* title, TextOf text_of) {
  fmt::print("\n| {} |", title);
  for (const size_t size : kSizes) fmt::print(" {} |", SizeName(size));
  fmt::print("\n|---|");
  for (size_t s = 0; s < std::size(kSizes); ++s) fmt::print("---|");
  for (size_t w = 0; w < std::size(kWays); ++w) {
    fmt::print("\n| {} |", kWays[w].name);
    for (size_t s = 0; s < std::size(kSizes); ++s) fmt::print(" {} |", text_of(w, s));
  }
  fmt::print("\n");
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app(
      "Measures a synced write of 512 B to 1 MiB in six ways of writing a log, on the filesystem "
      "of\n"
      "DIR, and prints two tables in Markdown: microseconds until a write is on stable storage, "
      "and\n"
      "MB/s of one write after the other. Each number is the median of the rounds (lowest -\n"
      "highest); within a round the ways take turns. Takes some 64 MiB a way, and gives them back",
      "write_variants");
  std::string directory = ".";
  int rounds = 7;
  double seconds = 0.5;
  app.add_option("DIR", directory, "Where to write")->capture_default_str();
  app.add_option("--rounds", rounds, "How often each way has its turn")
      ->capture_default_str()
      ->check(CLI::PositiveNumber);
  app.add_option("--seconds", seconds, "How long each turn is, for each size")
      ->capture_default_str()
      ->check(CLI::PositiveNumber);
  CLI11_PARSE(app, argc, argv);

  constexpr size_t kWayCount = std::size(kWays);
  Cell cells[kWayCount][std::size(kSizes)];
  for (size_t s = 0; s < std::size(kSizes); ++s) {
    std::vector<std::unique_ptr<LogFile>> files;
    for (const Way& way : kWays) files.push_back(std::make_unique<LogFile>(directory, way));
    for (int round = 0; round < rounds; ++round) {
      for (size_t turn = 0; turn < kWayCount; ++turn) {
        // Who follows whom changes too.
        const size_t w = (turn + static_cast<size_t>(round)) % kWayCount;
        if (files[w]->possible()) MeasureRound(*files[w], kSizes[s], seconds, cells[w][s]);
      }
    }
  }
  fmt::print("{} rounds of {} s, median (lowest - highest)\n", rounds, seconds);
  PrintTable("microseconds",
             [&](size_t w, size_t s) { return Cell::Text(cells[w][s].microseconds, 0); });
  PrintTable("MB/s", [&](size_t w, size_t s) { return Cell::Text(cells[w][s].megabytes, 1); });
  return 0;
}
