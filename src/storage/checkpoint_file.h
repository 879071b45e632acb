#pragma once

#include <atomic>
#include <functional>
#include <optional>
#include <string>
#include <utility>

#include "storage/store.h"
#include "storage/vfs.h"

// A checkpoint is a file of its own, complete or absent: it is written under a temporary name,
// synced, and only then renamed to "<shard>-<shard_seq>.lfc". Little-endian.
//
// Header, 64 bytes:
//   offset  size  field
//   0       8     magic      "LFCHECK1"
//   8       4     version    1
//   12      2     shard
//   14      2     reserved   0
//   16      8     shard_seq  the state is the one after this batch
//   24      32    reserved   0
//   56      8     checksum   XXH3-64 of bytes 0..55
//
// Then pieces, the last of them the footer:
//   0       4     length     of the bytes that follow, at most 1 MiB
//   4       4     kind       1 = bytes of the checkpoint, 2 = footer
//   8       8     checksum   XXH3-64 of the bytes, seeded with the checksum before it (the header's
//                            for the first) + kind * 2^32 + length
//   16      n     bytes      footer: 8 bytes the checkpoint's length, 8 bytes the number of pieces
//
// The checksums run on from one to the next, so a piece that is missing, doubled or from another
// file breaks the chain.
namespace landfall::storage {

struct CheckpointName {
  ShardId shard = 0;
  uint64_t shard_seq = 0;
};

std::string CheckpointFileName(const CheckpointName& name);
std::optional<CheckpointName> ParseCheckpointFileName(std::string_view name);

// Writes what `source` gives and returns the size of the file, which is then durable under its
// name, as are the backlog files whose blocks it has given. Writes in pieces of 1 MiB and syncs
// every 8 MiB, so that the journal's syncs do not queue behind one large flush. On an error nothing
// is left behind but, at worst, files that the next recovery removes. `cancel` (may be null) set:
// gives up with kUnavailable.
Result<uint64_t> WriteCheckpoint(Vfs& vfs, const std::string& directory, const CheckpointName& name,
                                 const CheckpointSource& source, const std::atomic<bool>* cancel);

// Gives a checkpoint's bytes piece by piece, so that nobody needs memory for all of it at once.
// Called with what is next; an error ends the reading.
using CheckpointPieces = std::function<Result<void>(ByteView piece)>;

// Reads a checkpoint, checks it, and returns how many bytes it holds. kCorrupt: the message says
// what is wrong, without the file's name; some pieces may have been given by then, so whoever must
// not act on them reads it once with `pieces` null first.
Result<uint64_t> ReadCheckpoint(Vfs& vfs, const std::string& path, const CheckpointName& name,
                                const CheckpointPieces& pieces);

}  // namespace landfall::storage
