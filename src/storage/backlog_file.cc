#include "storage/backlog_file.h"

#include <fmt/format.h>
#include <xxhash.h>

#include <cstring>
#include <utility>

#include "base/wire.h"
#include "storage/data_directory.h"

namespace landfall::storage {
namespace {

constexpr ByteView kMagic = "LFBACKL1";
constexpr uint32_t kVersion = 1;
constexpr size_t kChecksumOffset = 56;
// So that the journal's syncs do not queue behind one large flush.
constexpr uint64_t kSyncEveryBytes = uint64_t{8} << 20;

ByteBuffer EncodeHeader(const BacklogName& name) {
  ByteBuffer out(kBacklogHeaderBytes, '\0');
  std::memcpy(out.data(), kMagic.data(), kMagic.size());
  StoreLittle<uint32_t>(out.data() + 8, kVersion);
  StoreLittle<uint16_t>(out.data() + 12, name.shard);
  StoreLittle<uint64_t>(out.data() + 16, name.number);
  StoreLittle<uint64_t>(out.data() + kChecksumOffset, XXH3_64bits(out.data(), kChecksumOffset));
  return out;
}

uint64_t SeedOf(ByteView header) { return LoadLittle<uint64_t>(header.data() + kChecksumOffset); }

uint64_t BlockChecksum(ByteView bytes, uint64_t seed, uint64_t offset) {
  return XXH3_64bits_withSeed(bytes.data(), bytes.size(), seed + offset);
}

}  // namespace

std::string BacklogFileName(const BacklogName& name) {
  return fmt::format("{}-{}.lfb", name.shard, name.number);
}

std::optional<BacklogName> ParseBacklogFileName(std::string_view name) {
  const auto numbers = ParseShardFileName(name, ".lfb");
  if (!numbers) return std::nullopt;
  return BacklogName{numbers->first, numbers->second};
}

BacklogWriter::BacklogWriter(std::unique_ptr<File> file, std::string path, uint64_t seed)
    : file_(std::move(file)), path_(std::move(path)), seed_(seed) {}

Result<std::unique_ptr<BacklogWriter>> BacklogWriter::Create(Vfs& vfs, const std::string& directory,
                                                             const BacklogName& name) {
  std::string path = directory + "/" + BacklogFileName(name);
  auto left_over = vfs.Exists(path);
  if (!left_over) return std::unexpected(left_over.error());
  if (*left_over) {
    if (auto ok = vfs.Remove(path); !ok) return std::unexpected(ok.error());
  }
  auto file = vfs.Open(path, OpenMode::kCreate);
  if (!file) return std::unexpected(file.error());
  const ByteBuffer header = EncodeHeader(name);
  if (auto ok = WriteAll(**file, 0, header); !ok) return std::unexpected(ok.error());
  return std::unique_ptr<BacklogWriter>(
      new BacklogWriter(std::move(*file), std::move(path), SeedOf(header)));
}

Result<uint64_t> BacklogWriter::Append(ByteView block) {
  const uint64_t offset = offset_;
  char header[kBacklogBlockHeaderBytes] = {};
  StoreLittle<uint32_t>(header, static_cast<uint32_t>(block.size()));
  StoreLittle<uint64_t>(header + 8, BlockChecksum(block, seed_, offset));
  const ByteView pieces[] = {ByteView(header, sizeof header), block};
  if (auto ok = WriteAll(*file_, offset, pieces); !ok) return std::unexpected(ok.error());
  const uint64_t written = sizeof header + block.size();
  offset_ += written;
  unsynced_ += written;
  if (unsynced_ >= kSyncEveryBytes) {
    if (auto ok = file_->Sync(); !ok) return std::unexpected(ok.error());
    unsynced_ = 0;
  }
  return offset;
}

Result<void> BacklogWriter::Finish() { return file_->Sync(); }

Result<ByteBuffer> ReadBacklogBlock(File& file, const BacklogName& name, const BlockPlace& place) {
  ByteBuffer bytes(kBacklogBlockHeaderBytes + place.length, '\0');
  auto read = file.Read(place.offset, std::span(bytes.data(), bytes.size()));
  if (!read) return std::unexpected(read.error());
  if (*read < bytes.size()) {
    return Fail(ErrorCode::kCorrupt,
                fmt::format("the file ends in the block at offset {}", place.offset));
  }
  const ByteView block = ByteView(bytes).substr(kBacklogBlockHeaderBytes);
  const uint64_t seed = SeedOf(EncodeHeader(name));
  if (LoadLittle<uint32_t>(bytes.data()) != place.length ||
      LoadLittle<uint64_t>(bytes.data() + 8) != BlockChecksum(block, seed, place.offset)) {
    return Fail(ErrorCode::kCorrupt,
                fmt::format("the checksum of the block at offset {} is wrong", place.offset));
  }
  bytes.erase(0, kBacklogBlockHeaderBytes);
  return bytes;
}

}  // namespace landfall::storage
