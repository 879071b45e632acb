#include "storage/journal_writer.h"

#include "base/assert.h"
#include "storage/segment.h"

namespace landfall::storage {
namespace {

// Below this a copy costs less than one more element in the vectored write.
constexpr size_t kCopyBelowBytes = 4096;

}  // namespace

JournalWriter::JournalWriter(Vfs& vfs, std::string journal_directory, uint32_t epoch,
                             uint64_t next_lsn, uint64_t nonce_seed, bool sync)
    : vfs_(vfs),
      directory_(std::move(journal_directory)),
      epoch_(epoch),
      sync_(sync),
      nonces_(nonce_seed),
      next_lsn_(next_lsn),
      synced_lsn_(next_lsn - 1) {}

Result<void> JournalWriter::StartSegment(const SpareFile& spare) {
  LANDFALL_ASSERT(written_lsn() == synced_lsn_);
  file_.reset();
  nonce_ = nonces_.Next();
  {
    auto file = vfs_.Open(spare.path, OpenMode::kReadWrite);
    if (!file) return std::unexpected(file.error());
    const ByteBuffer header =
        EncodeSegmentHeader({.epoch = epoch_, .first_lsn = next_lsn_, .nonce = nonce_});
    if (auto ok = WriteAll(**file, 0, header); !ok) return ok;
    // Before the rename: a file with a segment's name has a valid header, or is damaged.
    if (auto ok = (*file)->Sync(); !ok) return ok;
  }
  path_ = directory_ + "/" + SegmentName(next_lsn_);
  if (auto ok = vfs_.Rename(spare.path, path_); !ok) return ok;
  if (auto ok = vfs_.SyncDirectory(directory_); !ok) return ok;
  auto file = vfs_.Open(path_, OpenMode::kReadWrite);
  if (!file) return std::unexpected(file.error());
  file_ = std::move(*file);
  first_lsn_ = next_lsn_;
  capacity_ = spare.bytes;
  offset_ = kSegmentHeaderBytes;
  return {};
}

bool JournalWriter::Fits(uint64_t frame_bytes) const {
  return file_ != nullptr && offset_ + frame_bytes + FrameBytes(0) <= capacity_;
}

uint64_t JournalWriter::SegmentBytesFor(uint64_t frame_bytes) {
  return kSegmentHeaderBytes + frame_bytes + FrameBytes(0);
}

void JournalWriter::StageHeader(ShardId shard, uint64_t shard_seq, ByteView entries,
                                uint64_t entries_hash) {
  const FrameHeader header{.length = static_cast<uint32_t>(entries.size()),
                           .lsn = next_lsn_++,
                           .shard_seq = shard_seq,
                           .synced_lsn = synced_lsn_,
                           .epoch = epoch_,
                           .shard = shard};
  const size_t at = staging_.size();
  staging_.resize(at + kFrameHeaderBytes);
  EncodeFrameHeader(header, entries_hash, nonce_, staging_.data() + at);
}

Result<void> JournalWriter::Write(std::span<const HashedBatch> batches) {
  uint64_t total = 0;
  size_t staged = 0;
  for (const auto& [batch, hash] : batches) {
    const uint64_t bytes = FrameBytes(batch.entries.size());
    total += bytes;
    staged += batch.entries.size() < kCopyBelowBytes ? bytes : bytes - batch.entries.size();
  }
  LANDFALL_ASSERT(Fits(total));
  staging_.clear();
  staging_.reserve(staged);  // pieces_ points into it: it must not move while it grows
  pieces_.clear();

  size_t piece_start = 0;
  const auto end_piece = [&] {
    if (staging_.size() > piece_start) {
      pieces_.emplace_back(staging_.data() + piece_start, staging_.size() - piece_start);
      piece_start = staging_.size();
    }
  };
  for (const auto& [batch, hash] : batches) {
    StageHeader(batch.shard, batch.shard_seq, batch.entries, hash);
    if (batch.entries.size() < kCopyBelowBytes) {
      staging_.append(batch.entries);
    } else {
      end_piece();
      pieces_.emplace_back(batch.entries);
    }
    const uint64_t padding =
        FrameBytes(batch.entries.size()) - kFrameHeaderBytes - batch.entries.size();
    staging_.append(padding, '\0');
  }
  end_piece();
  LANDFALL_ASSERT(staging_.size() == staged);
  if (auto ok = WriteAll(*file_, offset_, pieces_); !ok) return ok;
  offset_ += total;
  return {};
}

Result<void> JournalWriter::WriteSeal() {
  LANDFALL_ASSERT(file_ != nullptr && offset_ + FrameBytes(0) <= capacity_);
  staging_.clear();
  StageHeader(kSealShard, 0, {}, HashEntries({}));
  if (auto ok = WriteAll(*file_, offset_, staging_); !ok) return ok;
  offset_ += staging_.size();
  return {};
}

Result<void> JournalWriter::Sync() {
  if (sync_) {
    if (auto ok = file_->Sync(); !ok) return ok;
  }
  synced_lsn_ = written_lsn();
  return {};
}

}  // namespace landfall::storage
