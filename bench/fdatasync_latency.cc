// The latency of a bare fdatasync: what no broker that syncs before it confirms can be faster than.
// Overwrites a file that is already there, 4 KiB after 4 KiB, and syncs after each, so that no
// metadata is written. Prints one line of JSON, times in microseconds.
//
//   fdatasync_latency [directory] [samples]
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "apps/perf_histogram.h"

namespace {

constexpr size_t kBlock = 4096;
constexpr size_t kFileSize = size_t{16} << 20;

[[noreturn]] void Die(const std::string& what) {
  std::fprintf(stderr, "fdatasync_latency: %s: %s\n", what.c_str(), std::strerror(errno));
  std::exit(1);
}

void WriteAll(int fd, const std::vector<char>& bytes, size_t offset) {
  if (pwrite(fd, bytes.data(), bytes.size(), static_cast<off_t>(offset)) !=
      static_cast<ssize_t>(bytes.size())) {
    Die("write");
  }
}

}  // namespace

int main(int argc, char** argv) {
  std::string path = std::string(argc > 1 ? argv[1] : ".") + "/fdatasync-XXXXXX";
  const int samples = argc > 2 ? std::atoi(argv[2]) : 2000;
  const int fd = mkstemp(path.data());
  if (fd < 0) Die("cannot create a file like " + path);
  unlink(path.c_str());
  const std::vector<char> zeros(kFileSize, '\0');
  WriteAll(fd, zeros, 0);
  if (fsync(fd) != 0) Die("fsync");

  landfall::apps::PerfHistogram latency;
  for (int i = 0; i < samples; ++i) {
    const std::vector<char> block(kBlock, static_cast<char>(i + 1));
    const auto begin = std::chrono::steady_clock::now();
    WriteAll(fd, block, static_cast<size_t>(i) * kBlock % kFileSize);
    if (fdatasync(fd) != 0) Die("fdatasync");
    const auto took = std::chrono::steady_clock::now() - begin;
    latency.Record(
        static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::nanoseconds>(took).count()));
  }
  const auto us = [](uint64_t ns) { return static_cast<double>(ns) / 1000; };
  std::printf(
      "{\"samples\": %d, \"min\": %.1f, \"p50\": %.1f, \"p95\": %.1f, \"p99\": %.1f, "
      "\"max\": %.1f}\n",
      samples, us(latency.min()), us(latency.Percentile(50)), us(latency.Percentile(95)),
      us(latency.Percentile(99)), us(latency.max()));
}
