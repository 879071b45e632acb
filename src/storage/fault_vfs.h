#pragma once

#include <functional>
#include <limits>
#include <map>
#include <mutex>
#include <optional>

#include "base/rng.h"
#include "storage/vfs.h"

namespace landfall::storage {

// A disk in memory that remembers which writes were synced and which directory entries were, and
// can lose the rest. For tests and the simulator.
//
// What a power cut may leave (Crash): of each 512-byte sector of a file, its durable content with
// any number of the unsynced writes to it applied, in order; an unsynced growth of the file or not;
// of the unsynced creates, renames and removes of a directory any subset. A sector is never torn.
//
// The same seed and the same calls give the same disk. Thread: any; one mutex guards everything.
class FaultVfs final : public Vfs {
 public:
  enum class Op {
    kOpen,
    kCreate,
    kWrite,
    kRead,
    kSync,
    kAllocate,
    kTruncate,
    kRename,
    kLink,
    kRemove,
    kSyncDirectory,
  };
  // Asked before each operation; an error makes the operation fail with it. A failed sync marks the
  // unsynced writes as clean, as Linux does: a later sync succeeds and proves nothing.
  using FaultHook = std::function<std::optional<Error>(Op op, const std::string& path)>;

  FaultVfs();
  ~FaultVfs() override;

  Result<std::unique_ptr<File>> Open(const std::string& path, OpenMode mode) override;
  Result<void> Rename(const std::string& from, const std::string& to) override;
  Result<void> Link(const std::string& path, const std::string& to) override;
  Result<void> Remove(const std::string& path) override;
  Result<bool> Exists(const std::string& path) override;
  Result<std::vector<std::string>> List(const std::string& directory) override;
  Result<void> MakeDirectory(const std::string& directory) override;
  Result<void> SyncDirectory(const std::string& directory) override;
  Result<uint64_t> FreeSpace(const std::string& directory) override;
  Result<std::unique_ptr<DirectoryLock>> Lock(const std::string& directory) override;

  // The power fails and comes back: the disk is what was durable plus what chance kept of the rest.
  // Open files are dead, locks gone, injected faults over.
  void Crash(Rng& rng);
  // The process dies, the machine does not: open files are dead, locks gone, injected faults over;
  // no byte is lost yet. After CutPowerAfter: it died at that operation.
  void KillProcess();
  // After `operations` more changing operations the power is off: everything fails and changes
  // nothing, until Crash or KillProcess.
  void CutPowerAfter(uint64_t operations);
  bool power_is_off() const;

  void SetFaultHook(FaultHook hook);
  // The size of the disk; what files hold counts against it, once for each name.
  void SetCapacity(uint64_t bytes);
  // This share of writes writes only a part.
  void SetShortWrites(double chance, uint64_t seed);
  // Flips one bit of what is on the disk (and in the page cache).
  void FlipBit(const std::string& path, uint64_t byte, int bit);

  uint64_t changing_operations() const;
  // How often a file was synced since the start. For tests of group commit.
  uint64_t syncs() const;
  uint64_t UsedBytes() const;

 private:
  friend class FaultFile;
  friend class FaultLock;

  struct PendingWrite {
    uint64_t offset = 0;
    ByteBuffer bytes;         // empty: only the size changes
    uint64_t size_after = 0;  // of the whole file
  };
  struct Inode {
    ByteBuffer data;     // as the process sees it
    ByteBuffer durable;  // as the disk holds it
    std::vector<PendingWrite> pending;
  };
  using InodePtr = std::shared_ptr<Inode>;
  struct PendingEntry {
    enum class Kind { kCreate, kRename, kRemove } kind;
    std::string path;
    std::string to;
    InodePtr inode;
  };
  struct Directory {
    std::vector<PendingEntry> pending;
  };

  // With the mutex held. `changing`: counts against CutPowerAfter.
  std::optional<Error> Check(Op op, const std::string& path, bool changing);
  Result<size_t> WriteTo(Inode& inode, const std::string& path, uint64_t offset,
                         std::span<const ByteView> pieces);
  static void ApplyWrite(ByteBuffer& to, const PendingWrite& write);
  static void ApplyEntry(std::map<std::string, InodePtr>& to, const PendingEntry& entry);
  static void SyncInode(Inode& inode);
  // Settles what becomes of the unsynced writes.
  static void KeepByChance(Inode& inode, Rng& rng);
  uint64_t UsedLocked() const;

  mutable std::mutex mutex_;
  std::map<std::string, InodePtr> files_;
  std::map<std::string, InodePtr> durable_files_;
  std::map<std::string, Directory> directories_;
  std::map<std::string, uint64_t> locks_;  // directory -> generation that holds it
  uint64_t generation_ = 1;
  uint64_t capacity_ = std::numeric_limits<uint64_t>::max() / 2;
  uint64_t operations_ = 0;
  uint64_t syncs_ = 0;
  std::optional<uint64_t> power_off_at_;
  FaultHook hook_;
  double short_write_chance_ = 0;
  Rng short_write_rng_{1};
  Rng failed_sync_rng_{2};
};

}  // namespace landfall::storage
