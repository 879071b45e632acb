#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/rng.h"
#include "storage/frame.h"
#include "storage/vfs.h"

namespace landfall::storage {

// A file allocated in the journal's directory that is to become a segment.
struct SpareFile {
  std::string path;
  uint64_t bytes = 0;
};

// Appends frames to the journal, one segment at a time. Knows no queue and no thread: each call is
// done when it returns. After an error the writer must not be used again, and the process should
// end: what is on the disk is no longer known.
class JournalWriter {
 public:
  // `nonce_seed`: of the segments' nonces. `sync` false: Sync only pretends (for negative
  // controls).
  JournalWriter(Vfs& vfs, std::string journal_directory, uint32_t epoch, uint64_t next_lsn,
                uint64_t nonce_seed, bool sync);

  // Makes `spare` the segment that frames go to. All before it must have been synced: a following
  // segment is recovery's proof that the one before was durable.
  Result<void> StartSegment(const SpareFile& spare);
  bool has_segment() const { return file_ != nullptr; }
  // Of the current segment.
  const std::string& path() const { return path_; }
  uint64_t first_lsn() const { return first_lsn_; }
  uint64_t used_bytes() const { return offset_; }

  // Frames of `frame_bytes` in all (see FrameBytes) have room in this segment.
  bool Fits(uint64_t frame_bytes) const;
  // The size of a file in which frames of `frame_bytes` have room.
  static uint64_t SegmentBytesFor(uint64_t frame_bytes);

  // Writes the batches as frames, with one vectored write. They must fit.
  Result<void> Write(std::span<const HashedBatch> batches);
  // Writes a frame that only says what is durable, so that recovery after a clean stop needs no
  // doubt about the last frames. Always fits.
  Result<void> WriteSeal();
  // One fdatasync. All that was written is durable.
  Result<void> Sync();

  uint64_t written_lsn() const { return next_lsn_ - 1; }
  uint64_t synced_lsn() const { return synced_lsn_; }

 private:
  void StageHeader(ShardId shard, uint64_t shard_seq, ByteView entries, uint64_t entries_hash);

  Vfs& vfs_;
  const std::string directory_;
  const uint32_t epoch_;
  const bool sync_;
  Rng nonces_;
  uint64_t next_lsn_;
  uint64_t synced_lsn_;

  std::unique_ptr<File> file_;
  std::string path_;
  uint64_t nonce_ = 0;
  uint64_t first_lsn_ = 0;
  uint64_t capacity_ = 0;
  uint64_t offset_ = 0;

  // Headers, padding and small batches, copied together; large batches are written from where they
  // are.
  ByteBuffer staging_;
  std::vector<ByteView> pieces_;
};

}  // namespace landfall::storage
