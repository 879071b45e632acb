#include "storage/fault_vfs.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/assert.h"

namespace landfall::storage {
namespace {

constexpr uint64_t kSector = 512;

std::string DirectoryOf(const std::string& path) {
  const size_t slash = path.rfind('/');
  return slash == std::string::npos ? "." : path.substr(0, slash);
}

Error NotFound(const std::string& path) {
  return {ErrorCode::kNotFound, fmt::format("cannot open {}: no such file", path)};
}

}  // namespace

class FaultFile final : public File {
 public:
  FaultFile(FaultVfs& vfs, FaultVfs::InodePtr inode, std::string path, bool writable)
      : vfs_(vfs),
        inode_(std::move(inode)),
        path_(std::move(path)),
        generation_(vfs.generation_),
        writable_(writable) {}

  Result<size_t> Write(uint64_t offset, std::span<const ByteView> pieces) override {
    std::lock_guard lock(vfs_.mutex_);
    if (auto error = Check(FaultVfs::Op::kWrite, true)) return std::unexpected(*error);
    return vfs_.WriteTo(*inode_, path_, offset, pieces);
  }

  Result<size_t> Read(uint64_t offset, std::span<char> out) override {
    std::lock_guard lock(vfs_.mutex_);
    if (auto error = Check(FaultVfs::Op::kRead, false)) return std::unexpected(*error);
    if (offset >= inode_->data.size()) return 0;
    return inode_->data.copy(out.data(), out.size(), offset);
  }

  Result<void> Sync() override {
    std::lock_guard lock(vfs_.mutex_);
    ++vfs_.syncs_;
    if (auto error = Check(FaultVfs::Op::kSync, true)) {
      if (!vfs_.power_off_at_ || vfs_.operations_ < *vfs_.power_off_at_) {
        // Linux then calls the pages clean: what did not reach the disk never will, while reads
        // still see it.
        FaultVfs::KeepByChance(*inode_, vfs_.failed_sync_rng_);
      }
      return std::unexpected(*error);
    }
    FaultVfs::SyncInode(*inode_);
    return {};
  }

  Result<void> Allocate(uint64_t bytes) override {
    std::lock_guard lock(vfs_.mutex_);
    if (auto error = Check(FaultVfs::Op::kAllocate, true)) return std::unexpected(*error);
    if (bytes <= inode_->data.size()) return {};
    if (vfs_.UsedLocked() + bytes - inode_->data.size() > vfs_.capacity_) return NoSpace();
    return Resize(bytes);
  }

  Result<uint64_t> Size() override {
    std::lock_guard lock(vfs_.mutex_);
    if (auto error = Check(FaultVfs::Op::kRead, false)) return std::unexpected(*error);
    return inode_->data.size();
  }

  Result<void> Truncate(uint64_t bytes) override {
    std::lock_guard lock(vfs_.mutex_);
    if (auto error = Check(FaultVfs::Op::kTruncate, true)) return std::unexpected(*error);
    return Resize(bytes);
  }

 private:
  std::optional<Error> Check(FaultVfs::Op op, bool changing) {
    if (generation_ != vfs_.generation_) {
      return Error{ErrorCode::kIo, fmt::format("{} was open in a process that is gone", path_)};
    }
    LANDFALL_ASSERT(writable_ || !changing);
    return vfs_.Check(op, path_, changing);
  }

  Result<void> Resize(uint64_t bytes) {
    inode_->pending.push_back({.bytes = {}, .size_after = bytes});
    inode_->data.resize(bytes, '\0');
    return {};
  }

  std::unexpected<Error> NoSpace() const {
    return Fail(ErrorCode::kNoSpace, fmt::format("cannot write {}: no space left", path_));
  }

  FaultVfs& vfs_;
  FaultVfs::InodePtr inode_;
  std::string path_;
  uint64_t generation_;
  bool writable_;
};

class FaultLock final : public DirectoryLock {
 public:
  FaultLock(FaultVfs& vfs, std::string directory)
      : vfs_(vfs), directory_(std::move(directory)), generation_(vfs.generation_) {}
  ~FaultLock() override {
    std::lock_guard lock(vfs_.mutex_);
    auto it = vfs_.locks_.find(directory_);
    if (it != vfs_.locks_.end() && it->second == generation_) vfs_.locks_.erase(it);
  }

 private:
  FaultVfs& vfs_;
  std::string directory_;
  uint64_t generation_;
};

FaultVfs::FaultVfs() = default;
FaultVfs::~FaultVfs() = default;

std::optional<Error> FaultVfs::Check(Op op, const std::string& path, bool changing) {
  if (power_off_at_ && operations_ >= *power_off_at_) {
    return Error{ErrorCode::kIo, fmt::format("{}: the power is off", path)};
  }
  if (changing) ++operations_;
  return hook_ ? hook_(op, path) : std::nullopt;
}

Result<std::unique_ptr<File>> FaultVfs::Open(const std::string& path, OpenMode mode) {
  std::lock_guard lock(mutex_);
  const bool create = mode == OpenMode::kCreate;
  if (auto error = Check(create ? Op::kCreate : Op::kOpen, path, create)) {
    return std::unexpected(*error);
  }
  auto it = files_.find(path);
  if (!create) {
    if (it == files_.end()) return std::unexpected(NotFound(path));
    return std::make_unique<FaultFile>(*this, it->second, path, mode != OpenMode::kRead);
  }
  if (it != files_.end()) {
    return Fail(ErrorCode::kExists, fmt::format("cannot create {}: it exists", path));
  }
  auto directory = directories_.find(DirectoryOf(path));
  if (directory == directories_.end()) return std::unexpected(NotFound(path));
  auto inode = std::make_shared<Inode>();
  files_[path] = inode;
  directory->second.pending.push_back({PendingEntry::Kind::kCreate, path, {}, inode});
  return std::make_unique<FaultFile>(*this, inode, path, true);
}

Result<void> FaultVfs::Rename(const std::string& from, const std::string& to) {
  std::lock_guard lock(mutex_);
  if (auto error = Check(Op::kRename, from, true)) return std::unexpected(*error);
  LANDFALL_ASSERT(DirectoryOf(from) == DirectoryOf(to));
  auto it = files_.find(from);
  if (it == files_.end()) return std::unexpected(NotFound(from));
  PendingEntry entry{PendingEntry::Kind::kRename, from, to, it->second};
  ApplyEntry(files_, entry);
  directories_[DirectoryOf(from)].pending.push_back(std::move(entry));
  return {};
}

Result<void> FaultVfs::Link(const std::string& path, const std::string& to) {
  std::lock_guard lock(mutex_);
  if (auto error = Check(Op::kLink, path, true)) return std::unexpected(*error);
  LANDFALL_ASSERT(DirectoryOf(path) == DirectoryOf(to));
  const auto it = files_.find(path);
  if (it == files_.end()) return std::unexpected(NotFound(path));
  if (const auto other = files_.find(to); other != files_.end()) {
    if (other->second == it->second) return {};
    return Fail(ErrorCode::kExists, fmt::format("cannot link {} to {}: it exists", to, path));
  }
  PendingEntry entry{PendingEntry::Kind::kCreate, to, {}, it->second};
  ApplyEntry(files_, entry);
  directories_[DirectoryOf(to)].pending.push_back(std::move(entry));
  return {};
}

Result<void> FaultVfs::Remove(const std::string& path) {
  std::lock_guard lock(mutex_);
  if (auto error = Check(Op::kRemove, path, true)) return std::unexpected(*error);
  auto it = files_.find(path);
  if (it == files_.end()) return std::unexpected(NotFound(path));
  PendingEntry entry{PendingEntry::Kind::kRemove, path, {}, it->second};
  ApplyEntry(files_, entry);
  directories_[DirectoryOf(path)].pending.push_back(std::move(entry));
  return {};
}

Result<bool> FaultVfs::Exists(const std::string& path) {
  std::lock_guard lock(mutex_);
  if (auto error = Check(Op::kOpen, path, false)) return std::unexpected(*error);
  return files_.contains(path) || directories_.contains(path);
}

Result<std::vector<std::string>> FaultVfs::List(const std::string& directory) {
  std::lock_guard lock(mutex_);
  if (auto error = Check(Op::kOpen, directory, false)) return std::unexpected(*error);
  if (!directories_.contains(directory)) return std::unexpected(NotFound(directory));
  std::vector<std::string> names;
  for (const auto& [path, inode] : files_) {
    if (DirectoryOf(path) == directory) names.push_back(path.substr(directory.size() + 1));
  }
  return names;
}

Result<void> FaultVfs::MakeDirectory(const std::string& directory) {
  std::lock_guard lock(mutex_);
  if (auto error = Check(Op::kCreate, directory, true)) return std::unexpected(*error);
  for (std::string path = directory; path != "." && !path.empty(); path = DirectoryOf(path)) {
    directories_.try_emplace(path);
  }
  return {};
}

Result<void> FaultVfs::SyncDirectory(const std::string& directory) {
  std::lock_guard lock(mutex_);
  if (auto error = Check(Op::kSyncDirectory, directory, true)) return std::unexpected(*error);
  auto it = directories_.find(directory);
  if (it == directories_.end()) return std::unexpected(NotFound(directory));
  for (const auto& entry : it->second.pending) ApplyEntry(durable_files_, entry);
  it->second.pending.clear();
  return {};
}

Result<uint64_t> FaultVfs::FreeSpace(const std::string& directory) {
  std::lock_guard lock(mutex_);
  if (auto error = Check(Op::kRead, directory, false)) return std::unexpected(*error);
  const uint64_t used = UsedLocked();
  return used >= capacity_ ? 0 : capacity_ - used;
}

Result<std::unique_ptr<DirectoryLock>> FaultVfs::Lock(const std::string& directory) {
  std::lock_guard lock(mutex_);
  if (auto error = Check(Op::kOpen, directory, false)) return std::unexpected(*error);
  if (locks_.contains(directory)) {
    return Fail(ErrorCode::kUnavailable,
                fmt::format("the data directory {} is in use by another broker", directory));
  }
  locks_[directory] = generation_;
  return std::make_unique<FaultLock>(*this, directory);
}

void FaultVfs::Crash(Rng& rng) {
  std::lock_guard lock(mutex_);
  for (auto& [name, directory] : directories_) {
    // Journaling filesystems keep a prefix; a stricter disk than any real one keeps any subset.
    const uint64_t mode = rng.Below(3);
    const size_t prefix = rng.Below(directory.pending.size() + 1);
    for (size_t i = 0; i < directory.pending.size(); ++i) {
      const bool kept = mode == 0 ? i < prefix : rng.Chance(0.5);
      if (kept) ApplyEntry(durable_files_, directory.pending[i]);
    }
    directory.pending.clear();
  }
  // Inodes in the order of their names, so that chance falls the same way every time.
  std::vector<Inode*> seen;
  for (auto& [path, inode] : durable_files_) {
    if (std::ranges::find(seen, inode.get()) != seen.end()) continue;
    seen.push_back(inode.get());
    KeepByChance(*inode, rng);
    inode->data = inode->durable;
  }
  files_ = durable_files_;
  locks_.clear();
  ++generation_;
  power_off_at_.reset();
  hook_ = nullptr;
}

void FaultVfs::KillProcess() {
  std::lock_guard lock(mutex_);
  locks_.clear();
  ++generation_;
  power_off_at_.reset();
  hook_ = nullptr;
}

void FaultVfs::CutPowerAfter(uint64_t operations) {
  std::lock_guard lock(mutex_);
  power_off_at_ = operations_ + operations;
}

bool FaultVfs::power_is_off() const {
  std::lock_guard lock(mutex_);
  return power_off_at_ && operations_ >= *power_off_at_;
}

void FaultVfs::SetFaultHook(FaultHook hook) {
  std::lock_guard lock(mutex_);
  hook_ = std::move(hook);
}

void FaultVfs::SetCapacity(uint64_t bytes) {
  std::lock_guard lock(mutex_);
  capacity_ = bytes;
}

void FaultVfs::SetShortWrites(double chance, uint64_t seed) {
  std::lock_guard lock(mutex_);
  short_write_chance_ = chance;
  short_write_rng_ = Rng(seed);
}

void FaultVfs::FlipBit(const std::string& path, uint64_t byte, int bit) {
  std::lock_guard lock(mutex_);
  Inode& inode = *files_.at(path);
  inode.data.at(byte) ^= static_cast<char>(1 << bit);
  if (byte < inode.durable.size()) inode.durable[byte] ^= static_cast<char>(1 << bit);
}

uint64_t FaultVfs::changing_operations() const {
  std::lock_guard lock(mutex_);
  return operations_;
}

uint64_t FaultVfs::syncs() const {
  std::lock_guard lock(mutex_);
  return syncs_;
}

uint64_t FaultVfs::UsedBytes() const {
  std::lock_guard lock(mutex_);
  return UsedLocked();
}

uint64_t FaultVfs::UsedLocked() const {
  uint64_t used = 0;
  for (const auto& [path, inode] : files_) used += inode->data.size();
  return used;
}

Result<size_t> FaultVfs::WriteTo(Inode& inode, const std::string& path, uint64_t offset,
                                 std::span<const ByteView> pieces) {
  PendingWrite write{.offset = offset, .bytes = {}};
  for (ByteView piece : pieces) write.bytes.append(piece);
  if (write.bytes.size() > 1 && short_write_rng_.Chance(short_write_chance_)) {
    write.bytes.resize(1 + short_write_rng_.Below(write.bytes.size() - 1));
  }
  const uint64_t end = offset + write.bytes.size();
  const uint64_t growth = end > inode.data.size() ? end - inode.data.size() : 0;
  const uint64_t used = UsedLocked();
  if (growth > 0 && used + growth > capacity_) {
    const uint64_t excess = used + growth - capacity_;
    if (excess >= write.bytes.size()) {
      return Fail(ErrorCode::kNoSpace, fmt::format("cannot write {}: no space left", path));
    }
    write.bytes.resize(write.bytes.size() - excess);
  }
  write.size_after = std::max<uint64_t>(inode.data.size(), offset + write.bytes.size());
  ApplyWrite(inode.data, write);
  const size_t written = write.bytes.size();
  inode.pending.push_back(std::move(write));
  return written;
}

void FaultVfs::ApplyWrite(ByteBuffer& to, const PendingWrite& write) {
  to.resize(write.size_after, '\0');
  if (!write.bytes.empty()) to.replace(write.offset, write.bytes.size(), write.bytes);
}

void FaultVfs::ApplyEntry(std::map<std::string, InodePtr>& to, const PendingEntry& entry) {
  auto it = to.find(entry.path);
  const bool ours = it != to.end() && it->second == entry.inode;
  switch (entry.kind) {
    case PendingEntry::Kind::kCreate:
      to[entry.path] = entry.inode;
      break;
    case PendingEntry::Kind::kRename:
      if (ours) to.erase(it);
      to[entry.to] = entry.inode;
      break;
    case PendingEntry::Kind::kRemove:
      if (ours) to.erase(it);
      break;
  }
}

void FaultVfs::SyncInode(Inode& inode) {
  for (const auto& write : inode.pending) ApplyWrite(inode.durable, write);
  inode.pending.clear();
}

void FaultVfs::KeepByChance(Inode& inode, Rng& rng) {
  auto& pending = inode.pending;
  const size_t count = pending.size();
  // Everything, nothing, a prefix of the writes, or a state of its own for every sector.
  const uint64_t mode = rng.Below(4);
  const size_t prefix = mode == 0 ? count : mode == 1 ? 0 : rng.Below(count + 1);
  if (mode <= 2) {
    for (size_t i = 0; i < prefix; ++i) ApplyWrite(inode.durable, pending[i]);
    if (mode == 2 && prefix < count) {
      // The write under way: its first sectors.
      PendingWrite torn = pending[prefix];
      const uint64_t end = torn.offset + torn.bytes.size();
      const uint64_t sectors = end / kSector - torn.offset / kSector + 1;
      const uint64_t cut = (torn.offset / kSector + rng.Below(sectors)) * kSector;
      if (cut > torn.offset && cut < end) {
        torn.bytes.resize(cut - torn.offset);
        torn.size_after = std::max<uint64_t>(inode.durable.size(), cut);
        ApplyWrite(inode.durable, torn);
      }
    }
  } else if (count > 0) {
    // The durable size is one of those the file has had; sectors beyond it are gone.
    const size_t size_from = rng.Below(count + 1);
    const uint64_t size = size_from == 0 ? inode.durable.size() : pending[size_from - 1].size_after;
    std::map<uint64_t, size_t> keep;  // sector -> how many of the pending writes it has seen
    for (const auto& write : pending) {
      if (write.bytes.empty()) continue;
      for (uint64_t s = write.offset / kSector;
           s <= (write.offset + write.bytes.size() - 1) / kSector; ++s) {
        if (!keep.contains(s)) keep[s] = rng.Below(count + 1);
      }
    }
    inode.durable.resize(size, '\0');
    for (const auto& [sector, upto] : keep) {
      for (size_t i = 0; i < upto; ++i) {
        const auto& write = pending[i];
        const uint64_t from = std::max(write.offset, sector * kSector);
        const uint64_t to =
            std::min({write.offset + write.bytes.size(), (sector + 1) * kSector, size});
        if (from >= to) continue;
        inode.durable.replace(from, to - from, write.bytes, from - write.offset, to - from);
      }
    }
  }
  pending.clear();
}

}  // namespace landfall::storage
