#include "storage/vfs.h"

#include "base/assert.h"

namespace landfall::storage {

Result<void> WriteAll(File& file, uint64_t offset, std::span<const ByteView> pieces) {
  size_t total = 0;
  for (ByteView piece : pieces) total += piece.size();
  if (total == 0) return {};
  auto written = file.Write(offset, pieces);
  if (!written) return std::unexpected(written.error());
  if (*written == total) return {};

  // A short write is rare: only now pay for a copy of the list.
  std::vector<ByteView> rest(pieces.begin(), pieces.end());
  size_t first = 0;
  size_t done = *written;
  while (true) {
    LANDFALL_ASSERT(done > 0 && done <= total);
    offset += done;
    total -= done;
    if (total == 0) return {};
    while (done > 0) {
      const size_t step = std::min(done, rest[first].size());
      rest[first].remove_prefix(step);
      done -= step;
      if (rest[first].empty()) ++first;
    }
    while (rest[first].empty()) ++first;
    written = file.Write(offset, std::span(rest).subspan(first));
    if (!written) return std::unexpected(written.error());
    done = *written;
  }
}

Result<void> WriteAll(File& file, uint64_t offset, ByteView bytes) {
  return WriteAll(file, offset, std::span<const ByteView>(&bytes, 1));
}

Result<ByteBuffer> ReadWhole(Vfs& vfs, const std::string& path) {
  auto file = vfs.Open(path, OpenMode::kRead);
  if (!file) return std::unexpected(file.error());
  auto size = (*file)->Size();
  if (!size) return std::unexpected(size.error());
  ByteBuffer bytes(*size, '\0');
  auto read = (*file)->Read(0, std::span(bytes.data(), bytes.size()));
  if (!read) return std::unexpected(read.error());
  bytes.resize(*read);
  return bytes;
}

}  // namespace landfall::storage
