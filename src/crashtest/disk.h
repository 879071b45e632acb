#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "base/error.h"
#include "crashtest/descriptor.h"

namespace landfall::crashtest {

struct DiskOptions {
  std::string filesystem = "ext4";  // or "xfs"
  uint64_t bytes = uint64_t{2} << 30;
  // Where the file lives that stands for the disk. It takes as much space as is written to it.
  std::string directory = "/tmp";
};

// A filesystem on a file, whose power can be cut: what has not been synced by then is gone. It is
// honest about what the kernel holds in memory, but the file itself stays: a disk that loses what
// it said it had written is not simulated.
//
// Thread: one. The process has to be isolated (isolation.h).
class Disk {
 public:
  // kAccessRefused: this machine has no loop devices, not this filesystem or no mkfs for it.
  static Result<std::unique_ptr<Disk>> Create(const DiskOptions& options);
  ~Disk();
  Disk(const Disk&) = delete;
  Disk& operator=(const Disk&) = delete;

  // Makes an empty filesystem and mounts it. Unmounts the one before.
  Result<void> Format();
  // Stops the filesystem as a loss of power does: not even the log in memory is written any more,
  // and every later operation fails. Unmount and Mount follow, once nobody has files open in it.
  Result<void> CutPower();
  Result<void> Unmount();
  Result<void> Mount();

  // What programs may write to; anybody may. It is on the disk for good.
  std::string data() const { return mount_point_ + "/data"; }
  // Everything that has been written is on the disk.
  Result<void> Sync();

 private:
  explicit Disk(const DiskOptions& options) : options_(options) {}

  Result<void> Prepare();
  // Gives the file a loop device until the last user of that is gone.
  Result<Descriptor> Attach();
  Result<void> WaitUntilDetached();

  DiskOptions options_;
  Descriptor image_;
  std::string mount_point_;
  std::string device_;
  bool mounted_ = false;
};

}  // namespace landfall::crashtest
