// What the journal adds to the disk: the latency of a bare fdatasync next to that of an append
// until it is reported durable, taken in turns in one run, and the throughput with many appends
// under way.
//
//   journal_bench [directory] [samples]
#include <fcntl.h>
#include <fmt/format.h>
#include <stdlib.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <filesystem>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "storage/file_store.h"
#include "storage/posix_vfs.h"

namespace {

using namespace landfall;           // NOLINT: a program of one file
using namespace landfall::storage;  // NOLINT
using Clock = std::chrono::steady_clock;

constexpr size_t kRecordBytes = 256;
constexpr int kRounds = 10;

double Microseconds(Clock::duration d) {
  return std::chrono::duration<double, std::micro>(d).count();
}

struct Nothing final : RecoveryVisitor {
  Result<void> OnCheckpoint(ShardId, uint64_t, ByteView, bool) override { return {}; }
  Result<void> OnBatch(ShardId, uint64_t, ByteView) override { return {}; }
};

class Listener final : public StoreListener {
 public:
  explicit Listener(FileStore& store) : store_(store) {}

  void OnAppended(ShardId, uint64_t shard_seq, uint64_t /*lsn*/, AppendOutcome) override {
    std::lock_guard lock(mutex_);
    reported_at_ = Clock::now();
    durable_ = shard_seq;
    changed_.notify_one();
  }
  void OnCheckpointSaved(ShardId, uint64_t) override {}
  // An empty state: all was acknowledged, so that segments are reused.
  void OnCheckpointWanted(ShardId shard) override {
    uint64_t seq = 0;
    {
      std::lock_guard lock(mutex_);
      seq = durable_;
    }
    store_.SaveCheckpoint(shard, seq, [](CheckpointOutput&) { return true; });
  }

  Clock::time_point WaitDurable(uint64_t seq) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return durable_ >= seq; });
    return reported_at_;
  }

 private:
  FileStore& store_;
  std::mutex mutex_;
  std::condition_variable changed_;
  uint64_t durable_ = 0;
  Clock::time_point reported_at_;
};

struct Latencies {
  std::vector<double> samples;

  double At(double share) {
    std::ranges::sort(samples);
    return samples[std::min(samples.size() - 1,
                            static_cast<size_t>(share * static_cast<double>(samples.size())))];
  }
};

// One preallocated file, written on, one fdatasync a record: the least that a durable append costs.
class RawFile {
 public:
  explicit RawFile(const std::string& path)
      : fd_(::open(path.c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0640)) {
    if (fd_ < 0 || ::fallocate(fd_, 0, 0, 64 << 20) != 0) std::exit(1);
  }
  ~RawFile() { ::close(fd_); }

  double AppendAndSync() {
    const auto start = Clock::now();
    if (::pwrite(fd_, record_.data(), record_.size(), offset_) < 0 || ::fdatasync(fd_) != 0) {
      std::exit(1);
    }
    offset_ += static_cast<off_t>(record_.size());
    return Microseconds(Clock::now() - start);
  }

 private:
  int fd_;
  off_t offset_ = 0;
  std::string record_ = std::string(kRecordBytes, 'r');
};

void Latency(const std::string& directory, int samples) {
  PosixVfs vfs;
  StoreOptions options;
  options.directory = directory + "/latency";
  FileStore store(vfs, options);
  Nothing nothing;
  if (!store.Recover(nothing)) std::exit(1);
  Listener listener(store);
  store.Start(listener);
  RawFile raw(directory + "/raw");
  Latencies bare;
  Latencies reported;  // until the store's thread has called OnAppended
  Latencies returned;  // until the appending thread has heard of it
  uint64_t seq = 0;
  for (int round = 0; round < kRounds; ++round) {
    for (int i = 0; i < samples / kRounds; ++i) bare.samples.push_back(raw.AppendAndSync());
    for (int i = 0; i < samples / kRounds; ++i) {
      const auto start = Clock::now();
      store.Append({.shard = 1, .shard_seq = ++seq, .entries = std::string(kRecordBytes, 's')});
      const auto at = listener.WaitDurable(seq);
      returned.samples.push_back(Microseconds(Clock::now() - start));
      reported.samples.push_back(Microseconds(at - start));
    }
  }
  store.Stop();
  fmt::print("latency at depth 1, {} B, {} samples each\n", kRecordBytes, samples);
  const auto print = [&](const char* name, Latencies& l) {
    fmt::print("  {:<28} p50 {:7.1f} us ({:.2f}x)  p99 {:7.1f} us ({:.2f}x)\n", name, l.At(0.5),
               l.At(0.5) / bare.At(0.5), l.At(0.99), l.At(0.99) / bare.At(0.99));
  };
  print("pwrite + fdatasync", bare);
  print("append until reported", reported);
  print("append until heard of", returned);
}

void Throughput(const std::string& directory, size_t record_bytes, uint64_t total_bytes) {
  PosixVfs vfs;
  StoreOptions options;
  options.directory = directory + "/throughput" + std::to_string(record_bytes);
  FileStore store(vfs, options);
  Nothing nothing;
  if (!store.Recover(nothing)) std::exit(1);
  Listener listener(store);
  store.Start(listener);
  const uint64_t count = total_bytes / record_bytes;
  const uint64_t under_way = std::max<uint64_t>(4, (16 << 20) / record_bytes);
  const auto start = Clock::now();
  for (uint64_t seq = 1; seq <= count; ++seq) {
    store.Append({.shard = 1, .shard_seq = seq, .entries = std::string(record_bytes, 's')});
    if (seq > under_way) listener.WaitDurable(seq - under_way);
  }
  listener.WaitDurable(count);
  const double seconds = Microseconds(Clock::now() - start) / 1e6;
  store.Stop();
  fmt::print("  {:>7} B batches: {:7.1f} MB/s, {:9.0f} batches/s\n", record_bytes,
             static_cast<double>(count * record_bytes) / 1e6 / seconds,
             static_cast<double>(count) / seconds);
}

void RawThroughput(const std::string& directory, uint64_t total_bytes) {
  const std::string path = directory + "/raw-throughput";
  const int fd = ::open(path.c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0640);
  if (fd < 0 || ::fallocate(fd, 0, 0, static_cast<off_t>(total_bytes)) != 0) std::exit(1);
  const std::string block(4 << 20, 'r');
  const auto start = Clock::now();
  for (uint64_t at = 0; at < total_bytes; at += block.size()) {
    if (::pwrite(fd, block.data(), block.size(), static_cast<off_t>(at)) < 0 ||
        ::fdatasync(fd) != 0) {
      std::exit(1);
    }
  }
  const double seconds = Microseconds(Clock::now() - start) / 1e6;
  ::close(fd);
  ::unlink(path.c_str());
  fmt::print("  bare file, 4 MiB writes, each synced: {:.1f} MB/s\n",
             static_cast<double>(total_bytes) / 1e6 / seconds);
}

}  // namespace

int main(int argc, char** argv) {
  std::string pattern = std::string(argc > 1 ? argv[1] : "/var/tmp") + "/landfall-bench-XXXXXX";
  const int samples = argc > 2 ? std::atoi(argv[2]) : 5000;
  if (::mkdtemp(pattern.data()) == nullptr) return 1;
  Latency(pattern, samples);
  fmt::print("throughput, 16 MiB under way\n");
  RawThroughput(pattern, 512 << 20);
  Throughput(pattern, 256, 64 << 20);
  Throughput(pattern, 4096, 512 << 20);
  Throughput(pattern, 65536, 512 << 20);
  Throughput(pattern, 1 << 20, 512 << 20);
  std::filesystem::remove_all(pattern);
  return 0;
}
