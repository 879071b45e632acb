#include "storage/checkpoint_file.h"

#include <fmt/format.h>
#include <xxhash.h>

#include <cstring>
#include <utility>
#include <vector>

#include "base/wire.h"
#include "storage/backlog_file.h"
#include "storage/data_directory.h"

namespace landfall::storage {
namespace {

constexpr ByteView kMagic = "LFCHECK1";
constexpr uint32_t kVersion = 1;
constexpr size_t kHeaderBytes = 64;
constexpr size_t kHeaderChecksumOffset = 56;
constexpr size_t kPieceHeaderBytes = 16;
constexpr size_t kPieceBytes = size_t{1} << 20;
constexpr uint64_t kSyncEveryBytes = uint64_t{8} << 20;
constexpr uint32_t kKindBytes = 1;
constexpr uint32_t kKindFooter = 2;

uint64_t PieceChecksum(ByteView bytes, uint32_t kind, uint64_t before) {
  const uint64_t seed = before + (static_cast<uint64_t>(kind) << 32) + bytes.size();
  return XXH3_64bits_withSeed(bytes.data(), bytes.size(), seed);
}

ByteBuffer EncodeHeader(const CheckpointName& name) {
  ByteBuffer out(kHeaderBytes, '\0');
  std::memcpy(out.data(), kMagic.data(), kMagic.size());
  StoreLittle<uint32_t>(out.data() + 8, kVersion);
  StoreLittle<uint16_t>(out.data() + 12, name.shard);
  StoreLittle<uint64_t>(out.data() + 16, name.shard_seq);
  StoreLittle<uint64_t>(out.data() + kHeaderChecksumOffset,
                        XXH3_64bits(out.data(), kHeaderChecksumOffset));
  return out;
}

// Collects what the source gives into pieces and writes them to one file.
class PieceWriter {
 public:
  PieceWriter(File& file, const CheckpointName& name) : file_(file) {
    const ByteBuffer header = EncodeHeader(name);
    chain_ = LoadLittle<uint64_t>(header.data() + kHeaderChecksumOffset);
    Write(header);
  }

  const Result<void>& result() const { return result_; }
  uint64_t file_bytes() const { return offset_; }

  bool Add(ByteView bytes) {
    while (result_ && !bytes.empty()) {
      if (buffer_.empty() && bytes.size() >= kPieceBytes) {
        WritePiece(bytes.substr(0, kPieceBytes), kKindBytes);
        bytes.remove_prefix(kPieceBytes);
        continue;
      }
      const size_t step = std::min(bytes.size(), kPieceBytes - buffer_.size());
      buffer_.append(bytes.substr(0, step));
      bytes.remove_prefix(step);
      if (buffer_.size() == kPieceBytes) Flush();
    }
    return result_.has_value();
  }

  void Finish() {
    if (!buffer_.empty()) Flush();
    ByteBuffer footer;
    AppendLittle<uint64_t>(footer, bytes_);
    AppendLittle<uint64_t>(footer, pieces_);
    WritePiece(footer, kKindFooter);
    if (result_) result_ = file_.Sync();
  }

 private:
  void Flush() {
    WritePiece(buffer_, kKindBytes);
    buffer_.clear();
  }

  void WritePiece(ByteView bytes, uint32_t kind) {
    chain_ = PieceChecksum(bytes, kind, chain_);
    char header[kPieceHeaderBytes];
    StoreLittle<uint32_t>(header, static_cast<uint32_t>(bytes.size()));
    StoreLittle<uint32_t>(header + 4, kind);
    StoreLittle<uint64_t>(header + 8, chain_);
    Write(ByteView(header, sizeof header));
    Write(bytes);
    bytes_ += bytes.size();
    ++pieces_;
  }

  void Write(ByteView bytes) {
    if (!result_) return;
    result_ = WriteAll(file_, offset_, bytes);
    offset_ += bytes.size();
    unsynced_ += bytes.size();
    if (result_ && unsynced_ >= kSyncEveryBytes) {
      result_ = file_.Sync();
      unsynced_ = 0;
    }
  }

  File& file_;
  Result<void> result_;
  ByteBuffer buffer_;
  uint64_t chain_ = 0;
  uint64_t offset_ = 0;
  uint64_t unsynced_ = 0;
  uint64_t bytes_ = 0;
  uint64_t pieces_ = 0;
};

// The checkpoint's file and its backlog files, as their parts come.
class Output final : public CheckpointOutput {
 public:
  Output(Vfs& vfs, std::string backlog_directory, const CheckpointName& name, File& file,
         const std::atomic<bool>* cancel)
      : vfs_(vfs),
        backlog_directory_(std::move(backlog_directory)),
        name_(name),
        pieces_(file, name),
        cancel_(cancel) {}

  bool Write(ByteView bytes) override { return !Cancelled() && result_ && pieces_.Add(bytes); }

  std::optional<BlockPlace> WriteBlock(uint64_t file, ByteView block) override {
    if (Cancelled() || !result_) return std::nullopt;
    if (!backlog_ || file != number_) {
      if (!FinishBacklog()) return std::nullopt;
      auto created = BacklogWriter::Create(vfs_, backlog_directory_, {name_.shard, file});
      if (!created) return Failed(created.error());
      backlog_ = std::move(*created);
      number_ = file;
      backlog_paths_.push_back(backlog_->path());
    }
    auto offset = backlog_->Append(block);
    if (!offset) return Failed(offset.error());
    return BlockPlace{*offset, static_cast<uint32_t>(block.size())};
  }

  Result<ByteBuffer> ReadBlock(uint64_t file, BlockPlace place) override {
    const BacklogName name{name_.shard, file};
    auto opened = vfs_.Open(backlog_directory_ + "/" + BacklogFileName(name), OpenMode::kRead);
    if (!opened) return std::unexpected(opened.error());
    return ReadBacklogBlock(**opened, name, place);
  }

  // Everything is durable but the name of the checkpoint.
  Result<uint64_t> Finish() {
    if (FinishBacklog() && !backlog_paths_.empty())
      result_ = vfs_.SyncDirectory(backlog_directory_);
    if (!result_) return std::unexpected(result_.error());
    pieces_.Finish();
    if (!pieces_.result()) return std::unexpected(pieces_.result().error());
    return pieces_.file_bytes();
  }

  Result<void> result() const { return result_ ? pieces_.result() : result_; }

  // Gives the space back. What cannot be removed, recovery will find.
  void RemoveBacklog() {
    backlog_.reset();
    for (const std::string& path : backlog_paths_) (void)vfs_.Remove(path);
  }

 private:
  bool Cancelled() const { return cancel_ != nullptr && cancel_->load(std::memory_order_relaxed); }

  std::nullopt_t Failed(Error error) {
    result_ = std::unexpected(std::move(error));
    return std::nullopt;
  }

  bool FinishBacklog() {
    if (result_ && backlog_) result_ = backlog_->Finish();
    backlog_.reset();
    return result_.has_value();
  }

  Vfs& vfs_;
  const std::string backlog_directory_;
  const CheckpointName name_;
  PieceWriter pieces_;
  const std::atomic<bool>* cancel_;
  Result<void> result_;
  std::unique_ptr<BacklogWriter> backlog_;  // the file that is being written
  uint64_t number_ = 0;
  std::vector<std::string> backlog_paths_;
};

Result<uint64_t> WriteTemporary(Vfs& vfs, const std::string& directory, const std::string& path,
                                const CheckpointName& name, const CheckpointSource& source,
                                const std::atomic<bool>* cancel) {
  auto left_over = vfs.Exists(path);
  if (!left_over) return std::unexpected(left_over.error());
  if (*left_over) {
    if (auto ok = vfs.Remove(path); !ok) return std::unexpected(ok.error());
  }
  auto file = vfs.Open(path, OpenMode::kCreate);
  if (!file) return std::unexpected(file.error());
  Output output(vfs, BacklogDirectory(directory), name, **file, cancel);
  const bool complete = source(output);
  Result<uint64_t> written = 0;
  if (complete) {
    written = output.Finish();
  } else if (!output.result()) {
    written = std::unexpected(output.result().error());
  } else {
    written = Fail(ErrorCode::kUnavailable, fmt::format("writing {} was given up", path));
  }
  if (!written) output.RemoveBacklog();
  return written;
}

std::unexpected<Error> Corrupt(std::string what) {
  return Fail(ErrorCode::kCorrupt, std::move(what));
}

// Reads a checkpoint file from its start to its end.
class PieceReader {
 public:
  struct Piece {
    uint64_t offset = 0;
    uint32_t kind = 0;
    ByteView bytes;  // until the next Next
  };

  explicit PieceReader(File& file) : file_(file) {}

  Result<void> ReadHeader(const CheckpointName& name) {
    auto header = Read(kHeaderBytes);
    if (!header) return std::unexpected(header.error());
    if (*header != EncodeHeader(name)) {
      return Corrupt("its header is not that of a checkpoint of this shard at this point");
    }
    chain_ = LoadLittle<uint64_t>(header->data() + kHeaderChecksumOffset);
    return {};
  }

  Result<Piece> Next() {
    Piece piece{.offset = offset_};
    auto header = Read(kPieceHeaderBytes);
    if (!header) return std::unexpected(header.error());
    ByteReader reader(*header);
    const auto length = reader.Little<uint32_t>();
    piece.kind = reader.Little<uint32_t>();
    const auto checksum = reader.Little<uint64_t>();
    if (reader.failed() || length > kPieceBytes) {
      return Corrupt(fmt::format("it ends in a piece at offset {}", piece.offset));
    }
    auto bytes = Read(length);
    if (!bytes) return std::unexpected(bytes.error());
    piece.bytes = *bytes;
    if (piece.bytes.size() < length) {
      return Corrupt(fmt::format("it ends in a piece at offset {}", piece.offset));
    }
    chain_ = PieceChecksum(piece.bytes, piece.kind, chain_);
    if (chain_ != checksum) {
      return Corrupt(fmt::format("the checksum of the piece at offset {} is wrong", piece.offset));
    }
    return piece;
  }

 private:
  // Less than asked only at the end of the file.
  Result<ByteView> Read(size_t bytes) {
    buffer_.resize(std::max(buffer_.size(), bytes));
    auto read = file_.Read(offset_, std::span(buffer_.data(), bytes));
    if (!read) return std::unexpected(read.error());
    offset_ += *read;
    return ByteView(buffer_).substr(0, *read);
  }

  File& file_;
  ByteBuffer buffer_;
  uint64_t offset_ = 0;
  uint64_t chain_ = 0;
};

}  // namespace

std::string CheckpointFileName(const CheckpointName& name) {
  return fmt::format("{}-{}.lfc", name.shard, name.shard_seq);
}

std::optional<CheckpointName> ParseCheckpointFileName(std::string_view name) {
  const auto numbers = ParseShardFileName(name, ".lfc");
  if (!numbers) return std::nullopt;
  return CheckpointName{numbers->first, numbers->second};
}

Result<uint64_t> WriteCheckpoint(Vfs& vfs, const std::string& directory, const CheckpointName& name,
                                 const CheckpointSource& source, const std::atomic<bool>* cancel) {
  const std::string checkpoint_directory = CheckpointDirectory(directory);
  const std::string path = checkpoint_directory + "/" + CheckpointFileName(name);
  const std::string temporary = path + ".tmp";
  auto written = WriteTemporary(vfs, directory, temporary, name, source, cancel);
  if (!written) {
    // Gives the space back; if this fails too, recovery removes the file.
    (void)vfs.Remove(temporary);
    return written;
  }
  if (auto ok = vfs.Rename(temporary, path); !ok) return std::unexpected(ok.error());
  if (auto ok = vfs.SyncDirectory(checkpoint_directory); !ok) return std::unexpected(ok.error());
  return written;
}

Result<uint64_t> ReadCheckpoint(Vfs& vfs, const std::string& path, const CheckpointName& name,
                                const CheckpointPieces& pieces) {
  auto file = vfs.Open(path, OpenMode::kRead);
  if (!file) return std::unexpected(file.error());
  PieceReader reader(**file);
  if (auto ok = reader.ReadHeader(name); !ok) return std::unexpected(ok.error());
  uint64_t bytes = 0;
  uint64_t count = 0;
  while (true) {
    const auto piece = reader.Next();
    if (!piece) return std::unexpected(piece.error());
    if (piece->kind == kKindBytes) {
      bytes += piece->bytes.size();
      ++count;
      if (!pieces) continue;
      if (auto ok = pieces(piece->bytes); !ok) return std::unexpected(ok.error());
      continue;
    }
    ByteReader footer(piece->bytes);
    const auto total = footer.Little<uint64_t>();
    const auto pieces_in_all = footer.Little<uint64_t>();
    if (piece->kind != kKindFooter || footer.failed() || total != bytes || pieces_in_all != count) {
      return Corrupt(
          fmt::format("the footer at offset {} does not fit what precedes it", piece->offset));
    }
    return bytes;
  }
}

}  // namespace landfall::storage
